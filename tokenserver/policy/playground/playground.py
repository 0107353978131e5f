"""The playground of one worker: examines one edited tree at a time, in a process of its own that it ends in time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from threading import Lock

import tokenserver
from tokenserver.errors import TokenserverError
from tokenserver.policy.model import PolicySet
from tokenserver.policy.playground.edits import Edits, edit_faults, edited
from tokenserver.policy.playground.examination import Examination, first, with_parts
from tokenserver.policy.playground.process import MAX_CPU_SECONDS, MAX_MEMORY
from tokenserver.policy.playground.question import PlaygroundQuestion, Surroundings

MAX_SECONDS = 15.0
"""How long one examination may take."""

_STAGES = ("faults", "tests", "lint", "difference")


class PlaygroundBusy(TokenserverError):
    """Another tree is being examined; the caller may try again in a few seconds."""


class Playground:
    """Examines edits of the live policies. Nothing is read from disk, and nothing is written.

    `seconds` is how long one examination may take; what is known by then is the answer.
    """

    def __init__(self, seconds: float = MAX_SECONDS) -> None:
        self._seconds = seconds
        self._only_one = Lock()

    def examine(self, live: PolicySet, edits: Edits, surroundings: Surroundings, now: datetime) -> Examination:
        """What is wrong with the live files with these edits, and what they change; no text makes it fail.

        Raises:
            PlaygroundBusy: another thread has one examined.
        """
        problems, more = first(edit_faults(live.texts, edits))
        if problems:
            return Examination(faults=problems, more_faults=more)
        question = PlaygroundQuestion(edited(live.texts, edits), live.texts, now, surroundings, live.is_marked)
        if not self._only_one.acquire(blocking=False):
            raise PlaygroundBusy("another change is being examined; fix: try again in a few seconds")
        try:
            return _asked(question, self._seconds)
        finally:
            self._only_one.release()


def _asked(question: PlaygroundQuestion, seconds: float) -> Examination:
    """The answer of a process, as far as it came in time."""
    home = str(Path(tokenserver.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-P", "-B", "-m", "tokenserver.policy.playground.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PYTHONPATH": home, "PYTHONIOENCODING": "utf-8"},  # none of the server's settings
    )
    try:
        printed, _ = process.communicate(question.as_json().encode("ascii"), timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        printed, _ = process.communicate()
        return _understood(printed, f"it took longer than {seconds:g} seconds")
    if process.returncode == -signal.SIGXCPU:
        return _understood(printed, f"it took more than {MAX_CPU_SECONDS} seconds of computing time")
    if process.returncode != 0:
        return _understood(printed, f"it needs more than {MAX_MEMORY // 2**20} MiB, or failed otherwise")
    return _understood(printed, "")


def _understood(printed: bytes, problem: str) -> Examination:
    """The last whole line, with what is missing after it."""
    *lines, _ = printed.split(b"\n")
    found = with_parts(Examination(), json.loads(lines[-1])) if lines else Examination()
    if not problem or found.faults:
        return found
    missing = _STAGES[len(lines) :]
    return with_parts(found, {"unfinished": [f"not finished ({problem}): {', '.join(missing)}"]})
