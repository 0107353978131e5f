"""The fixtures of the keys commands."""

from keys_commands import made, run

__all__ = ["made", "run"]
