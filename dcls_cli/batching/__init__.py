"""What a batch of photos needs beside the photos: sources, names, what is done, threads, a report.

Nothing here prints, and nothing here knows how a photo is restored.
"""
