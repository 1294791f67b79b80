"""What a file system needs to be trusted: whole files or none, temporary names, locks."""
