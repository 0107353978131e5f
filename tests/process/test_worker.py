"""Start-up of a worker: files that no longer load end it with a log line each. The rest needs real workers (e2e)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tokenserver.errors import Fault, LoadError
from tokenserver.process import worker
from tokenserver.process.supervisor import Heartbeats
from tokenserver.process.worker import WorkerSetup, load_worker
from tokenserver.runtime.cpu_affinity import WorkerCores
from tokenserver.server.shared_state import NOTHING_SHARED

CONFIG = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
registries: [{service: registry.example.com}]
anonymous: true
policies: policies
keys: keys
"""


def test_files_that_no_longer_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They have changed since the start checked them: exit code 2, each fault in the log, and no traceback."""

    def refused(*_: Any, **__: Any) -> None:
        raise LoadError([Fault("p.yaml", 3, "allow[0]", "is wrong"), Fault("users", 1, "", "is missing")])

    ended_with: list[int] = []
    monkeypatch.setattr(worker, "end_with", ended_with.append)
    monkeypatch.setattr(worker, "harden_process", lambda: None)
    monkeypatch.setattr("tokenserver.web.application.load_application", refused)
    (tmp_path / "c.yaml").write_text(CONFIG)
    setup = WorkerSetup(tmp_path / "c.yaml", None, WorkerCores(1), NOTHING_SHARED, None, None, ())
    with (tmp_path / "audit").open("w") as audit:
        monkeypatch.setattr(sys, "stdout", audit)
        with pytest.raises(SystemExit) as left:
            load_worker(setup, Heartbeats(1), 0)
    assert (left.value.code, ended_with) == (2, [os.getpid()])
    assert caplog.messages == [
        "a worker cannot start: p.yaml:3: allow[0]: is wrong",
        "a worker cannot start: users:1: is missing",
    ]
    assert all(record.exc_info is None for record in caplog.records)
