"""What a running server keeps its keys out of: core files, other processes' reach, its own environment."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from harness.processes import children_of
from harness.server import TokenServer

DUMPABLE = """
import ctypes, resource
from tokenserver.process.process_limits import harden_process
before = ctypes.CDLL(None).prctl(3)
harden_process()
print(before, ctypes.CDLL(None).prctl(3), *resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_no_core_file_and_no_debugger() -> None:
    """PR_SET_DUMPABLE 0 and RLIMIT_CORE 0; the first number shows that there was something to switch off.

    See docs/design/threats.md#threat-66.
    """
    done = subprocess.run([sys.executable, "-c", DUMPABLE], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "0", "0", "0"]


def test_every_process_of_the_server_is_hardened(tokenserver: TokenServer) -> None:
    """The one that people start, and each worker, which holds the keys."""
    processes = [tokenserver.daemon.pid, *children(tokenserver.daemon.pid)]
    assert len(processes) > 1
    for pid in processes:
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), limits


def test_no_secret_in_what_processes_show_of_themselves(tokenserver: TokenServer) -> None:
    """`ps e` and `ps f`: neither passwords nor lines of keys stand in the environment or on the command line."""
    secrets = set(tokenserver.people.values())
    for file in (tokenserver.folder / "keys").rglob("*.key"):
        secrets |= {line for line in file.read_text().splitlines() if not line.startswith("-----")}
    assert len(secrets) > len(tokenserver.people)
    for pid in (tokenserver.daemon.pid, *children(tokenserver.daemon.pid)):
        shown = b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("environ", "cmdline"))
        assert shown != b""
        assert not [secret for secret in secrets if secret.encode() in shown]


def children(pid: int) -> list[int]:
    """The processes that it has started, and theirs."""
    own = children_of(pid)
    return [*own, *(further for one in own for further in children(one))]
