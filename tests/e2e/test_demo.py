"""`tokenserver demo`: the printed commands, run as they are printed, with real registries and clients."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.machine import Machine
from harness.processes import Daemon, Output, answers, run
from harness.programs import ROOT, need
from harness.terminal import commands_in, typing

pytestmark = pytest.mark.alone  # two demos at the same time could choose the same free ports

REGISTRIES = ("docker-registry", "distribution3", "zot")

DENIED = re.compile(r"denied|unauthorized|authentication required", re.IGNORECASE)


@dataclass
class Demo:
    """A demo that runs in `folder`, whose name needs quoting in a shell."""

    folder: Path
    machine: Machine
    daemon: Daemon

    @property
    def said(self) -> str:
        return self.daemon.stderr.read_text()

    @property
    def commands(self) -> list[str]:
        return commands_in(self.said)

    @property
    def password(self) -> str:
        found = re.search(r"^password  (\S+)    \(not shown again\)$", self.said, re.MULTILINE)
        assert found is not None, self.said
        return found[1]

    @property
    def ports(self) -> list[int]:
        """The ports of the server and of the registry."""
        return [int(port) for port in re.findall(r"^(?:ready at|registry) .*localhost:(\d+)", self.said, re.MULTILINE)]

    def run(self, command: str) -> Output:
        """Run a printed command as it is."""
        words = self.machine.enter(["bash", "-euc", command])
        return run(words, environment=self.machine.environment, folder=self.folder)

    def login(self, command: str) -> str:
        """Run the printed login at a terminal: paste the password where it asks for it, or as its input."""
        asks = "--password-stdin" not in command
        answer = ("assword", f"{self.password}\n") if asks else ("", f"{self.password}\n\x04")
        words = self.machine.enter(["bash", "-euc", command])
        return typing(words, [answer], environment=self.machine.environment, folder=self.folder)


def _start(demo: Demo) -> None:
    demo.daemon.start(lambda: "Try in a second terminal:" in demo.said)


def _demo(tmp_path: Path, registry: str, client: str) -> Demo:
    machine = Machine(tmp_path / "home")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / client).symlink_to(need(client))
    for program in ("sh", "setpriv"):
        (programs / program).symlink_to(need(program))
    machine.environment |= {"PATH": f"{programs}:{machine.environment['PATH']}", "PYTHONPATH": str(ROOT)}
    # Nothing else, so that the demo finds this client.
    environment = machine.environment | {"PATH": str(programs)}
    folder = tmp_path / "a folder"
    folder.mkdir()
    command = [sys.executable, "-m", "tokenserver", "demo", "de mo", "--registry", str(need(registry))]
    return Demo(folder, machine, Daemon("demo", command, environment=environment, folder=folder))


@pytest.fixture
def demo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Demo]:
    """A running demo with this registry and this client; at the end nothing of it is left."""
    registry, client = request.param
    made = _demo(tmp_path, registry, client)
    _start(made)
    try:
        yield made
    finally:
        made.daemon.stop()


def _processes_of(folder: Path) -> list[str]:
    """The command lines of the processes that work in this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder:
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def _is_gone(demo: Demo, ports: list[int], seconds: float = 10) -> bool:
    """Whether nothing of the demo runs or listens any more, at the latest after these seconds."""
    deadline = time.monotonic() + seconds
    while _processes_of(demo.folder) or any(map(answers, ports)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize(
    "demo",
    [
        *(pytest.param((registry, "crane"), id=f"{registry}-crane") for registry in REGISTRIES),
        pytest.param(("docker-registry", "skopeo"), id="docker-registry-skopeo"),
    ],
    indirect=True,
)
def test_the_printed_commands_log_in_push_and_explain_a_denied_push(demo: Demo) -> None:
    """In the order in which they are printed: login, push, denied push, why. Then Ctrl-C ends everything."""
    login, push, denied, why = demo.commands
    demo.login(login)
    pushed = demo.run(push)
    assert pushed.ok, f"{pushed}\n{demo.said}"
    refused = demo.run(denied)
    assert not refused.ok
    assert DENIED.search(refused.text), refused
    explained = demo.run(why)
    assert explained.code == 1, explained
    assert "production images come from the release pipeline" in explained.text
    assert demo.said.count(demo.password) == 1

    ports = demo.ports
    assert len(ports) == 2
    demo.daemon.signal(signal.SIGINT)
    assert demo.daemon.wait(30) == 0
    assert _is_gone(demo, ports)
    own = [line for line in demo.said.splitlines() if not line.startswith('{"time"')]  # the rest is the server's log
    assert own[-1] == "Stopping …"


@pytest.mark.parametrize(
    "demo", [pytest.param(("docker-registry", "crane"), id="docker-registry-crane")], indirect=True
)
def test_a_second_start_keeps_everything(demo: Demo) -> None:
    """The same ports, keys and user; the password is not shown again, but the command that sets a new one is."""
    password, ports = demo.password, demo.ports
    demo.daemon.signal(signal.SIGINT)
    assert demo.daemon.wait(30) == 0
    demo.daemon.stderr.unlink()
    _start(demo)
    assert demo.ports == ports
    (renew,) = re.findall(r"^password  created at the first start; a new one: (.*)$", demo.said, re.MULTILINE)
    assert password not in demo.said
    assert "Creating" not in demo.said
    set_again = run(
        ["bash", "-euc", renew],
        environment=demo.machine.environment,
        folder=demo.folder,
        stdin="another-password-of-ann",
    )
    assert set_again.ok, set_again


@pytest.mark.parametrize(
    "demo", [pytest.param(("docker-registry", "crane"), id="docker-registry-crane")], indirect=True
)
def test_a_killed_demo_leaves_no_process_behind(demo: Demo) -> None:
    """Also SIGKILL, which it cannot handle, ends the server with its workers, and the registry."""
    ports = demo.ports
    assert len(_processes_of(demo.folder)) > 3
    os.kill(_demo_pid(demo), signal.SIGKILL)
    assert _is_gone(demo, ports, seconds=30), _processes_of(demo.folder)


def _demo_pid(demo: Demo) -> int:
    """`setpriv`, with which the harness starts programs, has become the demo."""
    return demo.daemon.pid


@pytest.mark.parametrize(
    "demo", [pytest.param(("docker-registry", "crane"), id="docker-registry-crane")], indirect=True
)
def test_a_registry_that_ends_ends_the_demo(demo: Demo) -> None:
    """With its name, its exit code and its log."""
    (registry,) = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if _is_registry(path, demo)]
    os.kill(registry, signal.SIGKILL)
    assert demo.daemon.wait(30) != 0
    assert "docker-registry has ended with exit code -9; its log: 'de mo/registry.log'" in demo.said
    assert _is_gone(demo, demo.ports)


def _is_registry(path: Path, demo: Demo) -> bool:
    try:
        return "registry.yml" in path.read_text() and (path.parent / "cwd").readlink() == demo.folder
    except OSError:
        return False


def test_without_a_registry_it_says_what_to_install(tmp_path: Path) -> None:
    """And creates nothing."""
    machine = Machine(tmp_path / "home")
    command = [sys.executable, "-m", "tokenserver", "demo", "demo", "--registry", "no-such-registry"]
    environment = machine.environment | {"PYTHONPATH": str(ROOT)}
    output = run(command, environment=environment, folder=tmp_path)
    assert output.code == 1
    assert "No registry is installed (no-such-registry)." in output.stderr
    assert "sudo apt install docker-registry" in output.stderr
    assert not (tmp_path / "demo").exists()
