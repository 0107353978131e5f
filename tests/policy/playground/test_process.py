"""The process that examines: one line for each stage, and limits that hold."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from playground_trees import NOW, TREE

from tokenserver.policy.playground.examination import Examination, with_parts
from tokenserver.policy.playground.process import MAX_CPU_SECONDS, MAX_MEMORY
from tokenserver.policy.playground.question import PlaygroundQuestion

LIMITS = """
import json, os, resource
from tokenserver.policy.playground import process
process.examine = lambda question: iter(())
process.main()
names = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_CORE")
limits = {name: resource.getrlimit(getattr(resource, name))[0] for name in names}
try:
    with open("written", "w") as file:
        file.write("x")
except OSError as error:
    limits["error"] = error.errno
print(json.dumps({**limits, "nice": os.nice(0)}))
"""


def asked(*arguments: str, folder: Path) -> list[bytes]:
    """The lines that a process prints for the question about the unchanged tree."""
    question = PlaygroundQuestion(TREE, TREE, NOW).as_json()
    done = subprocess.run(
        [sys.executable, *arguments], input=question.encode(), capture_output=True, check=True, cwd=folder
    )
    return done.stdout.splitlines()


def test_stages(tmp_path: Path) -> None:
    """Each line has what is known so far."""
    lines = asked("-m", "tokenserver.policy.playground.process", folder=tmp_path)
    found = [with_parts(Examination(), json.loads(line)) for line in lines]
    assert [(one.tests is None, one.lint is None, one.difference is None) for one in found] == [
        (True, True, True),
        (False, True, True),
        (False, False, True),
        (False, False, False),
    ]


def test_lower_limits_stay(tmp_path: Path) -> None:
    """Those that the server was given are not lifted."""
    lower = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (7, 7))\n"
    ignored = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    (line,) = asked("-c", lower + ignored + LIMITS, folder=tmp_path)
    assert json.loads(line)["RLIMIT_CPU"] == 7


def test_limits(tmp_path: Path) -> None:
    """Memory, time and priority, and no file can be written. docs/design/threats.md#threat-173"""
    (line,) = asked("-c", "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + LIMITS, folder=tmp_path)
    facts = json.loads(line)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    assert facts["RLIMIT_AS"] == (MAX_MEMORY if hard in (-1, resource.RLIM_INFINITY) else min(hard, MAX_MEMORY))
    assert (facts["RLIMIT_CPU"], facts["RLIMIT_FSIZE"], facts["RLIMIT_CORE"]) == (MAX_CPU_SECONDS, 0, 0)
    assert facts["nice"] >= os.nice(0)
    assert "error" in facts
    assert not (tmp_path / "written").exists() or (tmp_path / "written").read_text() == ""
