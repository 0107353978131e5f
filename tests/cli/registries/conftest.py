"""The fixtures of the registries commands."""

from registries_commands import site

__all__ = ["site"]
