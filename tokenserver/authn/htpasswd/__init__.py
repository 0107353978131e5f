"""Users of an htpasswd file: its format, the check of a password, and the equal cost of unknown users."""
