"""The `tokenserver` command, also `python -m tokenserver`: no process ends with a traceback."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn


def run() -> NoReturn:
    """Run the command line, and end this process with its exit code.

    After Ctrl-C the process ends by SIGINT, so that a shell's loop ends as well; the shell reports 130. An error that
    nobody has foreseen is one line; `python -X dev -m tokenserver` shows its traceback.
    """
    try:
        # Not above: these imports take long enough for a Ctrl-C.
        from tokenserver.cli import main  # noqa: PLC0415 - see above

        code = _code(main)
    except KeyboardInterrupt:
        _say("interrupted")
        code = 130
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        _say(f"internal error: {_describe(error)}; python -X dev -m tokenserver shows more")
        code = 70
    _end(code)


def _code(main: object) -> int | str | None:
    """What the command ends with; click ends every command with `SystemExit`."""
    assert callable(main)  # noqa: S101 - the command itself
    try:
        main()
    except SystemExit as error:
        return error.code
    return 0


def _describe(error: Exception) -> str:
    """The kind of an error and where it was raised. Its text may hold anything, so it is left out."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" in {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
    return f"{type(error).__name__}{place}"


def _say(message: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads it
        os.write(2, f"tokenserver: {message}\n".encode("ascii", "backslashreplace"))


def _end(code: int | str | None) -> NoReturn:
    """End the process; what a broken output has left unwritten is dropped, or Python would report it after all."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if code == 130:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)  # without effect for the first process of a container
    sys.exit(code)


if __name__ == "__main__":
    run()
