"""`tokenserver doctor`: the commands that explain why tokens and logins are rejected."""
