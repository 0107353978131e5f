"""Robots: their access keys, as policy files declare them, and the identities that these vouch for. Pure."""
