"""The fixtures of the configuration tests."""

from configuration import folder

__all__ = ["folder"]
