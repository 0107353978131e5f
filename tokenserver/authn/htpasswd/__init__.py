"""Users of an htpasswd file: its format, password verification, and equal cost for unknown users."""
