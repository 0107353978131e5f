"""The indexed store of audit events: an SQLite file of compressed events, and the terms by which they are found."""
