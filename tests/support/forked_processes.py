"""Processes that are forked from the test: they run a function of it, and Python is not started again."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


class Forked:
    """A child process that runs a function, and hands on what it returns as text."""

    def __init__(self, run: Callable[[], object]) -> None:
        self._reads, writes = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            code = 1
            try:
                os.write(writes, str(run()).encode())
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:  # it must never go on with the tests
                os._exit(code)
        os.close(writes)

    def ended(self) -> tuple[int, str]:
        """Wait for its end: the exit code, and the text."""
        with os.fdopen(self._reads) as output:
            text = output.read()
        _, status = os.waitpid(self._process, 0)
        return os.waitstatus_to_exitcode(status), text
