"""Exit codes of all commands, and how a command ends that is interrupted or cannot write.

docs/run-in-production.md says what a supervisor makes of the codes of `serve`.
"""

from __future__ import annotations

import contextlib
import errno
import sys
from collections.abc import Iterator
from typing import NoReturn

import click

from tokenserver.cli.terminal import OutputClosed, OutputFailed, echo

OK = 0
"""Done, or the answer is yes."""

NO = 1
"""The answer is no, there are findings, or it is too early; the command itself worked."""

ADDRESS_IN_USE = 1
"""`serve`: another process listens on the address. A supervisor retries after 1; 2 says that files are at fault."""

WRONG_USE = 2
"""Wrong options, or faulty files; nothing was done. click ends with the same code for options that it rejects."""

LESS_ACCESS = 3
"""`policy diff`: the change only takes access away."""

NEW_ACCESS = 4
"""`policy diff`: the change grants access that did not exist before."""

INTERNAL_ERROR = 70
"""An error of this program, or no memory (`EX_SOFTWARE` of sysexits.h)."""

CANNOT_WRITE = 74
"""The output could not be written, so an answer may be incomplete (`EX_IOERR`)."""

INTERRUPTED = 130
"""Ctrl-C: 128 and the number of SIGINT, as shells report it."""

READER_GONE = 141
"""Whatever reads the output has closed it, as `head` does: 128 and the number of SIGPIPE."""


@contextlib.contextmanager
def ended_properly() -> Iterator[None]:
    """Turn what can happen to any command into one line on standard error and an exit code.

    Raises:
        SystemExit: in place of an interrupt, an unanswered prompt, and an error of the operating system.
    """
    try:
        yield
    except KeyboardInterrupt:
        _end(INTERRUPTED, "interrupted")
    except click.Abort as error:
        # click makes one of both; what it was is kept as the context.
        if isinstance(error.__context__, EOFError):
            _end(WRONG_USE, "nothing was typed; nothing was done")
        _end(INTERRUPTED, "interrupted")
    except OutputClosed:
        raise SystemExit(READER_GONE) from None
    except OutputFailed as error:
        _end(CANNOT_WRITE, f"standard output: cannot be written: {error.reason}")
    except MemoryError:
        _end(INTERNAL_ERROR, "there is no memory left")
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise SystemExit(READER_GONE) from None
        reason = error.strerror or type(error).__name__
        if error.filename is None and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF}:
            _end(CANNOT_WRITE, f"cannot be written: {reason}")  # click's own output, such as that of --help
        place = "" if error.filename is None else f"{error.filename}: "
        _end(WRONG_USE, f"{place}cannot be used: {reason}")
    except Exception as error:
        if not _was_interrupted(error):
            raise
        _end(INTERRUPTED, "interrupted")


def _was_interrupted(error: BaseException) -> bool:
    """Whether an error was raised while an interrupt passed, such as by a library that checks its own state then."""
    context = error.__context__
    return context is not None and (isinstance(context, KeyboardInterrupt) or _was_interrupted(context))


def _end(code: int, message: str) -> NoReturn:
    if sys.stderr is not None and sys.stderr.isatty():
        echo(err=True)  # the cursor is behind a prompt or ^C
    echo(message, err=True, fg="red")
    raise SystemExit(code) from None
