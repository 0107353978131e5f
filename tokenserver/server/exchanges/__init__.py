"""The exchange of a running server, composed from its settings."""
