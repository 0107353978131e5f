"""The terminal at which the credential helper speaks to a person: standard error, or the terminal behind it."""

from __future__ import annotations

import os

from tokenserver.printable import cut, one_line

_LONGEST = 500


def say(text: str) -> None:
    """One line on standard error, which clients pass on. Control characters are escaped."""
    write_line(2, text)


def write_line(descriptor: int, text: str) -> None:
    """One line on a descriptor; one that is closed is no fault of the request."""
    try:
        os.write(descriptor, f"{cut(one_line(text), _LONGEST)}\n".encode(errors="backslashreplace"))
    except OSError:
        return


def terminal() -> int | None:
    """A descriptor of the terminal where a person started this; None without one, or in the background."""
    try:
        if os.isatty(2):
            return 2 if _is_in_foreground(2) else None
        opened = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    if _is_in_foreground(opened):
        return opened
    os.close(opened)
    return None


def _is_in_foreground(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
