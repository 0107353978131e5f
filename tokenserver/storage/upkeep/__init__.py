"""Upkeep of the storage: backup and restore, checks, and removing what ended long ago."""
