"""What keeps keys inside of the process, and ids from being guessed."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tokenserver.compose import new_id

PROBE = """\
import ctypes, resource
from tokenserver.compose import harden_process
libc = ctypes.CDLL(None)
before = libc.prctl(3, 0, 0, 0, 0)
harden_process()
print(before, libc.prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_no_core_and_no_debugger() -> None:
    """Threat 66: no core file is written, and no process of the same user can look into this one."""
    output = subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True, timeout=60)
    assert output.stdout.split() == ["1", "0", "0", "0"]


def test_ids_do_not_repeat() -> None:
    """Threat 60: 100,000 ids of 128 bits, no two alike."""
    ids = {new_id() for _ in range(100_000)}
    assert len(ids) == 100_000
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)
