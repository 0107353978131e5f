"""The fixtures of the tests of `tokenserver storage`."""

from configuration import folder
from storage_commands import run, site

__all__ = ["folder", "run", "site"]
