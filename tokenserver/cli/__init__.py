"""The command line, `tokenserver COMMAND`: click, prompts and printing. What commands compute lies in other rooms."""

from tokenserver.cli.main import main

__all__ = ["main"]
