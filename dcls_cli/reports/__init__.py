"""Pages that show evidence: one HTML file each, that needs no other file and no network."""
