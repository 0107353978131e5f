"""Queries about a policy set: why, who-can, what-can, matrix, and replay of an audit log. Pure."""
