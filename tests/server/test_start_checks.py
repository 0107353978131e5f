"""Start-up checks: addresses, descriptors and shared counters that would stop a worker."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.processes import free_port

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.metrics.http import Listener
from tokenserver.server import start_checks
from tokenserver.server.start_checks import MIN_FILES, address_fault, listening_refused, reason, start_faults


def settings(folder: Path, server: str = "", more: str = "") -> Settings:
    """A configuration of which only the addresses and the throttle matter."""
    (folder / "c.yaml").write_text(
        f"issuer: a\nserver: {{url: 'http://localhost:5001'{server}}}\nregistries: [{{service: r}}]\n"
        f"anonymous: true\npolicies: p\nkeys: k\n{more}"
    )
    return load_settings(folder / "c.yaml", {})


def faults(found: Settings) -> list[str]:
    return [str(fault) for fault in start_faults(found, "c.yaml")]


@pytest.fixture
def other() -> Iterator[int]:
    """The port of something that listens and is no tokenserver."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_nothing_is_wrong(tmp_path: Path) -> None:
    """An address that is free."""
    assert faults(settings(tmp_path, f", listen: '127.0.0.1:{free_port()}'")) == []


def test_addresses_of_other_machines(tmp_path: Path) -> None:
    """Both are reported, each with its key and the system's reason."""
    found = faults(settings(tmp_path, ", listen: '192.0.2.1:5001', metrics: '192.0.2.1:9090'"))
    assert found == [
        "c.yaml: server.listen: cannot listen on 192.0.2.1:5001: Cannot assign requested address",
        "c.yaml: server.metrics: cannot listen on 192.0.2.1:9090: Cannot assign requested address",
    ]


def test_a_port_of_root(tmp_path: Path) -> None:
    """The right to listen on 443 is what a unit takes away, and how to give it back is in the message."""
    found = settings(tmp_path, ", listen: '0.0.0.0:443'")
    assert str(address_fault(found, "c.yaml", "listen", PermissionError(errno.EACCES, "Permission denied"))) == (
        "c.yaml: server.listen: cannot listen on 0.0.0.0:443: Permission denied; fix: a port from 1024 on, "
        "or the capability CAP_NET_BIND_SERVICE (AmbientCapabilities= of systemd)"
    )


def test_addresses_in_use(tmp_path: Path, other: int) -> None:
    """By a running server that is no fault, since `check` may run next to it; another program's metrics port is one."""
    assert faults(settings(tmp_path, f", listen: '127.0.0.1:{other}'")) == []


def test_metrics_of_a_running_server(tmp_path: Path) -> None:
    """The listener is asked whether it is a tokenserver."""
    port = free_port()
    Listener(("127.0.0.1", port), lambda: b"", "text/plain").start()
    assert faults(settings(tmp_path, f", listen: '127.0.0.1:{free_port()}', metrics: '127.0.0.1:{port}'")) == []


def test_metrics_where_another_program_listens(tmp_path: Path, other: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that says nothing is none of ours."""
    monkeypatch.setattr(start_checks, "PROBE_SECONDS", 0.05)
    (found,) = faults(settings(tmp_path, f", listen: '127.0.0.1:{free_port()}', metrics: '127.0.0.1:{other}'"))
    assert found.endswith(f"server.metrics: cannot listen on 127.0.0.1:{other}: Address already in use")


@pytest.mark.parametrize(
    ("hard", "is_enough"), [(MIN_FILES, True), (MIN_FILES - 1, False), (resource.RLIM_INFINITY, True)]
)
def test_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard: int, is_enough: bool) -> None:
    """The hard limit counts: the soft one is raised."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, hard))
    found = faults(settings(tmp_path, f", listen: '127.0.0.1:{free_port()}'"))
    assert (found == []) is is_enough
    assert is_enough or f"a process may have {hard} open files here, and needs {MIN_FILES}" in found[0]


def test_counters(tmp_path: Path) -> None:
    """A password file of Redis that is missing, reported with the file."""
    found = faults(settings(tmp_path, more="throttle: {redis: 'redis://localhost', redis_password_file: none}\n"))
    assert [one for one in found if "No such file" in one and str(tmp_path / "none") in one] != []


def test_metrics_need_forks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that are new programs do not share memory."""
    monkeypatch.setattr(start_checks, "is_forking", lambda: False)
    found = faults(settings(tmp_path, f", listen: '127.0.0.1:{free_port()}', metrics: '127.0.0.1:{free_port()}'"))
    assert [one for one in found if "server.metrics: needs forked worker processes" in one] != []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_listening(address: str) -> None:
    """None where it works; nothing stays open."""
    for _ in range(2):
        assert listening_refused((address, 0)) is None


def test_reasons() -> None:
    """The system's text, or that of an error without a number."""
    assert reason(OSError(errno.EACCES, "x")) == "Permission denied"
    assert reason(OSError("no number")) == "no number"
