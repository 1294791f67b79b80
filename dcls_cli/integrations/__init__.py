"""Other programs that can use the networks of dcls."""
