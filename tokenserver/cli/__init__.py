"""The command line: `tokenserver COMMAND`. Exit codes: 0 yes or done, 1 no or findings, 2 wrong use or files."""

from tokenserver.cli.main import main

__all__ = ["main"]
