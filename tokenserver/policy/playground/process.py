"""The process that examines: it reads a question, and writes a line for each stage, within limits of its own.

`python -m tokenserver.policy.playground.process` is started by `playground`; nobody else has a use for it.
"""

from __future__ import annotations

import json
import os
import resource
import sys

from tokenserver.policy.playground.examination import as_parts
from tokenserver.policy.playground.examine import examine
from tokenserver.policy.playground.question import PlaygroundQuestion

MAX_MEMORY = 1024 * 1024 * 1024
"""The address space of the process, in bytes."""

MAX_CPU_SECONDS = 20
"""Its computing time, in case that nobody ends it."""

_LEAST_URGENT = 19


def main() -> None:
    """Answer the question on standard input."""
    os.nice(_LEAST_URGENT)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)  # no file is written, whatever a text makes of the program
    _limit(resource.RLIMIT_CPU, MAX_CPU_SECONDS)
    _limit(resource.RLIMIT_AS, MAX_MEMORY)
    question = PlaygroundQuestion.from_json(sys.stdin.read())
    for found in examine(question):
        sys.stdout.write(json.dumps(as_parts(found)) + "\n")
        sys.stdout.flush()


def _limit(which: int, most: int) -> None:
    """Lower a limit of this process for good; one that is lower already stays."""
    _, hard = resource.getrlimit(which)
    lowest = most if hard == resource.RLIM_INFINITY else min(hard, most)
    resource.setrlimit(which, (lowest, lowest))


if __name__ == "__main__":
    main()
