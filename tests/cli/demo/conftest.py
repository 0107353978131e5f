"""The fixtures of the command line."""

from site_commands import made, run

__all__ = ["made", "run"]
