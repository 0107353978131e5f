"""A token authentication server for container registries."""

__version__ = "0.1.0"
