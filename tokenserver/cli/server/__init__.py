"""`tokenserver health`: the commands that ask a running server."""
