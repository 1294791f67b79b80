"""Data sets to train on: where they are, download, check, and one file that is read at once."""
