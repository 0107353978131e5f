"""The `users` commands, run in this process, and what they leave in an htpasswd file."""

from __future__ import annotations

from pathlib import Path

import bcrypt
from click.testing import CliRunner, Result

from tokenserver.cli.users import users


def hashed(text: str = "secret") -> str:
    """A bcrypt hash, cheap enough for tests."""
    return bcrypt.hashpw(text.encode(), bcrypt.gensalt(4)).decode()


GOOD = hashed()


def run(*arguments: str | Path, stdin: str | bytes = "secret\n") -> Result:
    """The command's result; standard input is no terminal. Short passwords are accepted, except in `strictly`."""
    words = [str(argument) for argument in arguments]
    return strictly(*words, *(["--weak"] if words[0] == "set" and "--" not in words else []), stdin=stdin)


def strictly(*arguments: str | Path, stdin: str | bytes) -> Result:
    """The command's result without `--weak`."""
    return CliRunner().invoke(users, [str(argument) for argument in arguments], input=stdin, catch_exceptions=False)


def hash_of(file: Path, name: str) -> str:
    """What the file keeps for a user."""
    return next(line.partition(":")[2] for line in file.read_text().split("\n") if line.startswith(name + ":"))
