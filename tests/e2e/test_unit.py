"""deploy/tokenserver.service without systemd: the sandbox that the unit asks for, around the real server.

systemd itself would need a machine that it has booted. Its system call sets are those of this machine's systemd; the
mounts, filters and limits are made here from the unit's own lines.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from ctypes.util import find_library
from dataclasses import dataclass
from typing import Any

import pytest
from harness import web
from harness.containers import Container, ImageSettings, container_host, on_this_machine
from harness.processes import Output, free_port, plain_environment, run
from harness.programs import ROOT, need, refuse

UNIT = (ROOT / "deploy" / "tokenserver.service").read_text()
USER = 10001

# What does nothing to a process that could be tried here, or needs systemd.
ELSEWHERE = {
    *("Type", "User", "Group", "ExecStart", "Restart", "RestartSec", "RestartPreventExitStatus", "KillMode"),
    *("TimeoutStopSec", "LimitCORE", "UMask", "ProtectHome", "RemoveIPC", "AmbientCapabilities", "ProtectClock"),
    *("ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables"),
    *("RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "SystemCallArchitectures"),
    "LogRateLimitIntervalSec",
}


def service() -> dict[str, list[str]]:
    """The lines of [Service], by key."""
    section = UNIT.partition("[Service]\n")[2].partition("\n[")[0]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def system_calls(name: str) -> set[str]:
    """The system calls of a set, `@system-service`, with those of the sets in it."""
    listed = run([need("systemd-analyze"), "syscall-filter", name], environment={"PATH": "/usr/bin:/bin"}, folder=ROOT)
    assert listed.ok, listed
    found: set[str] = set()
    for word in re.findall(r"^    ([@\w-]+)$", listed.stdout, re.MULTILINE):
        found |= system_calls(word) if word.startswith("@") else {word}
    return found


CLONE_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
EXECUTE, WRITE = 4, 2
AF_MAX = 46
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}


def filters(unit: dict[str, list[str]]) -> list[dict[str, Any]]:
    """The filters of the unit, as `container_entry` takes them."""
    allowed: set[str] = set()
    for value in unit.pop("SystemCallFilter"):
        if value.startswith("~"):
            allowed -= system_calls(value[1:])
        else:
            allowed |= system_calls(value)
    refused = getattr(errno, unit.pop("SystemCallErrorNumber")[0])
    found: list[dict[str, Any]] = []
    if unit.pop("MemoryDenyWriteExecute") == ["yes"]:
        rules = [(errno.EPERM, "mmap", [(2, EXECUTE | WRITE, EXECUTE | WRITE)])]
        rules += [(errno.EPERM, name, [(2, EXECUTE, EXECUTE)]) for name in ("mprotect", "pkey_mprotect")]
        found.append({"default": 0, "rules": rules})
    if unit.pop("RestrictNamespaces") == ["yes"]:
        rules = [(errno.EPERM, name, [(0, flag, flag)]) for name in ("clone", "unshare") for flag in CLONE_NAMESPACES]
        found.append({"default": 0, "rules": rules})
    families = {FAMILIES[name] for name in unit.pop("RestrictAddressFamilies")[0].split()}
    others = [number for number in range(1, AF_MAX) if number not in families]
    rules = [(errno.EAFNOSUPPORT, "socket", [(0, 0xFFFFFFFF, number)]) for number in others]
    found.append({"default": 0, "rules": rules})
    # The last one, since it does not allow to load another.
    calls = sorted(allowed | system_calls("@default"))
    return [*found, {"default": refused, "rules": [(0, name, []) for name in calls]}]


@dataclass
class Unit:
    """The service, started; `password` is of the user `admin`."""

    container: Container
    port: int
    password: str

    def ask(self, script: str) -> Output:
        """Run a Python script in the same sandbox."""
        return self.container.execute(sys.executable, "-c", script)


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unit]:
    """The server as the unit starts it, with files that `init` made for its user."""
    if find_library("seccomp") is None:
        refuse("libseccomp2 is not installed")
    facts = service()
    assert facts.pop("ProtectSystem") == ["strict"]
    assert facts.pop("ReadWritePaths") == ["-/etc/tokenserver/state"]
    assert facts.pop("NoNewPrivileges") == facts.pop("PrivateTmp") == facts.pop("PrivateDevices") == ["yes"]
    assert facts.pop("CapabilityBoundingSet") == [""]
    assert (facts.pop("ProtectProc"), facts.pop("ProcSubset")) == (["invisible"], ["pid"])
    limit = int(facts.pop("LimitNOFILE")[0])
    folder = tmp_path_factory.mktemp("unit")
    etc = folder / "volumes" / "etc"
    port = free_port()
    init = [sys.executable, "-m", "tokenserver", "init", str(etc), "--listen", f"127.0.0.1:{port}"]
    made = run(init, environment=plain_environment(folder), folder=folder)
    password = re.search(r"password +(\S+)", made.stdout)
    assert password is not None, made
    for path in (etc, *etc.rglob("*")):
        os.chown(path, USER, USER)
    command = shlex.split(facts["ExecStart"][0])
    image = on_this_machine(ImageSettings(entrypoint=command, user=(USER, USER)))
    try:
        found = filters(facts)
    except AssertionError as error:
        refuse(f"systemd-analyze cannot list system calls here: {error}")
    assert set(facts) <= ELSEWHERE, f"the test does not know {set(facts) - ELSEWHERE}"
    with container_host(folder) as host:
        volumes = ["etc:/etc/tokenserver:ro", "etc/state:/etc/tokenserver/state"]
        spec = {"ulimits": {"nofile": limit}, "volumes": volumes, "read_only": True}
        spec |= {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
        container = host.create("unit", spec, image, environment={"PATH": "/usr/bin:/bin"})
        sandbox = {
            "filters": found,
            "private": ["/tmp", "/var/tmp"],  # noqa: S108 - they are made private
            "proc": "hidepid=invisible,subset=pid",
            "devices": ["null", "zero", "full", "random", "urandom", "tty", "shm"],
        }
        file = host.folder / f"{container.daemon.name}.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **sandbox}))
        probe = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
        host.start_when(container, lambda: container.execute(sys.executable, "-c", probe).ok)
        yield Unit(container, port, password[1])


def test_the_server_serves_in_it(unit: Unit) -> None:
    """It is ready, and a login gets a token: what the sandbox forbids is nothing that the server does."""
    target = web.token_target("localhost:5000", ["repository:users/admin/x:pull,push"])
    header = web.basic("admin", unit.password)["Authorization"]
    done = unit.ask(
        "import json, urllib.request as u\n"
        f"base = 'http://127.0.0.1:{unit.port}'\n"
        "print(u.urlopen(base + '/readyz', timeout=20).status)\n"
        f"asked = u.Request(base + {target!r}, headers={{'Authorization': {header!r}}})\n"
        "print('token' in json.load(u.urlopen(asked, timeout=20)))\n"
    )
    assert done.stdout.split() == ["200", "True"], (done, unit.container.daemon.log)


@pytest.mark.parametrize(
    ("script", "refusal"),
    [
        pytest.param("open('/etc/tokenserver/x', 'w')", "Read-only file system", id="files"),
        pytest.param("import os; os.chown('/tmp', 0, 0)", "Operation not permitted", id="system-call"),
        pytest.param("import mmap; mmap.mmap(-1, 4096, prot=7)", "Operation not permitted", id="executable-memory"),
        pytest.param("import socket; socket.socket(socket.AF_NETLINK)", "not supported", id="address-family"),
        pytest.param(
            "import ctypes, os; c = ctypes.CDLL(None, use_errno=True); c.unshare(0x10000000)\n"
            "raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))",
            "Operation not permitted",
            id="namespace",
        ),
        pytest.param("open('/proc/cpuinfo')", "No such file", id="proc"),
        pytest.param("open('/dev/vda')", "No such file", id="devices"),
    ],
)
def test_what_the_sandbox_forbids(script: str, refusal: str, unit: Unit) -> None:
    """Each line of the unit that restricts, tried: else the test above would show nothing."""
    done = unit.ask(script)
    assert done.code == 1
    assert refusal in done.stderr


def test_it_stops_within_the_units_time(unit: Unit) -> None:
    """SIGTERM to the main process alone, as KillMode=mixed has it."""
    seconds = float(re.search(r"TimeoutStopSec=(\d+)s", UNIT)[1])  # type: ignore[index]  # it is there
    assert unit.container.stop(seconds) == 0
