"""Containers without an engine: the namespaces, mounts and addresses that an engine makes, around the same processes.

A `Host` is a network namespace with a bridge, and containers hang on it. Ports are published by the real docker-proxy,
so that what comes to 127.0.0.1 of the host reaches a container from the address of the bridge. What runs is read from
Containerfile and compose.yaml; the root file system is this machine's, or that of an image that was built.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from harness.processes import Daemon, Output, plain_environment, run, running
from harness.programs import ROOT, need, need_root, refuse
from harness.waiting import PATIENCE_SECONDS

GATEWAY = "172.31.255.1"
"""The bridge's address on the host: the client's address as a container sees it."""

_ENTRY = Path(__file__).with_name("container_entry.py")
_FOREVER = "1000000"


@dataclass(frozen=True)
class ImageSettings:
    """What an image says about its containers. `owners`: owner and mode of folders that a new volume takes over.

    `files` and `programs` are laid over the root; `visible` folders of this machine are shown in it.
    """

    entrypoint: Sequence[str]
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: tuple[int, int] = (0, 0)
    folder: str = "/"
    owners: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    root: Path = Path("/")
    files: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, Path] = field(default_factory=dict)
    visible: Sequence[Path] = ()


def instructions(containerfile: Path) -> list[tuple[str, str]]:
    """The instructions of a Containerfile, with continued lines joined and comments left out."""
    text = re.sub(r"^#.*\n", "", containerfile.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines) if word]


def image_settings(containerfile: Path) -> ImageSettings:
    """The settings that the last stage gives to the image, and the folders that the one before makes for it."""
    steps = instructions(containerfile)
    last = max(number for number, (word, _) in enumerate(steps) if word == "FROM")
    found: dict[str, str] = {}
    environment: dict[str, str] = {}
    owners: dict[str, tuple[int, int]] = {}
    for _, rest in steps[:last]:
        for owner, mode, path in re.findall(r"install --directory --owner (\d+) .*?--mode (\d+) /rootfs(\S+)", rest):
            owners[path] = (int(owner), int(mode, 8))
    for word, rest in steps[last + 1 :]:
        if word == "ENV":
            environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        found[word] = rest
    user, group = map(int, found["USER"].split(":"))
    return ImageSettings(
        entrypoint=json.loads(found["ENTRYPOINT"]),
        command=json.loads(found["CMD"]),
        environment=environment,
        user=(user, group),
        folder=found["WORKDIR"],
        owners=owners,
    )


def on_this_machine(image: ImageSettings) -> ImageSettings:
    """The image of the server with this machine's root for a base, and the tests' interpreter at its place."""
    script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {{}}"$@"\n'
    folders = {ROOT, Path(sys.prefix), Path(sys.base_prefix)} - {Path("/usr")}
    return replace(
        image,
        files={
            "/opt/tokenserver/bin/tokenserver": script.format("-m tokenserver "),
            "/opt/tokenserver/bin/python": script.format(""),
        },
        visible=[one for one in folders if not folders & set(one.parents)],
    )


class Container:
    """One container. Its program's output is in `daemon`."""

    def __init__(self, name: str, host: Host, holder: int, address: str, daemon: Daemon, spec: Path) -> None:
        self.name = name
        self.address = address
        self.daemon = daemon
        self._host = host
        self._holder = holder
        self._spec = spec

    def accepts(self, port: int) -> bool:
        """Whether something listens at the container's address, as seen from the host."""
        script = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"
        return self._host.run(sys.executable, "-c", script, self.address, str(port)).ok

    def execute(self, *command: str, stdin: str = "") -> Output:
        """Run one more command in the container, as `docker exec` does."""
        spec = self._spec.with_name(f"{self._spec.stem}-exec.json")
        spec.write_text(json.dumps({**json.loads(self._spec.read_text()), "command": command}))
        folder = self._spec.parent
        return run(_launch(self._holder, spec), environment=plain_environment(folder), folder=folder, stdin=stdin)

    def stop(self, seconds: float) -> int:
        """SIGTERM to its first process, as engines do; gives its exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended within these seconds, after which an engine kills it.
        """
        self._signal(signal.SIGTERM)
        return self.daemon.wait(seconds)

    def remove(self) -> None:
        """Kill its first process, and with it all others of its namespace."""
        if self.daemon.is_running:
            self._signal(signal.SIGKILL)
        self.daemon.stop()

    def _signal(self, number: signal.Signals) -> None:
        """To the first process: unshare, which waits for it, passes no signal on."""
        for child in self.daemon.children:
            os.kill(child, number)


def _launch(holder: int, spec: Path) -> list[str]:
    """The command line that becomes a container in the network namespace of a process."""
    separate = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    return ["nsenter", f"--net=/proc/{holder}/ns/net", *separate, sys.executable, str(_ENTRY), str(spec)]


class Host:
    """A machine that runs containers: its loopback, its bridge, and the volumes of one composition."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._count = 1
        self.pid = self._namespace("host")
        self._ip("link", "set", "lo", "up")
        self._ip("link", "add", "br0", "type", "bridge")
        self._ip("addr", "add", f"{GATEWAY}/24", "dev", "br0")
        self._ip("link", "set", "br0", "up")

    def enter(self, command: Sequence[str | Path]) -> list[str]:
        """The command line that runs `command` on the host."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", *map(str, command)]

    def run(self, *command: str | Path) -> Output:
        """Run a command on the host."""
        return run(self.enter(command), environment=plain_environment(self.folder), folder=self.folder)

    def create(
        self,
        name: str,
        service: Mapping[str, Any],
        image: ImageSettings,
        environment: Mapping[str, str | None] | None = None,
    ) -> Container:
        """A container of a compose file's service, not started yet. `environment` changes or (None) removes variables.

        Its ports are published.
        """
        known = {"build", "image", "entrypoint", "command", "environment", "volumes", "ports", "user", "network_mode"}
        known |= {"read_only", "cap_drop", "security_opt", "stop_grace_period", "restart", "ulimits", "depends_on"}
        assert set(service) <= known | {"healthcheck"}, f"{name}: the harness does not know {set(service) - known}"
        holder = self._namespace(name)
        self._count += 1
        address = f"{GATEWAY.rpartition('.')[0]}.{self._count}"
        if service.get("network_mode") != "none":
            self._connect(holder, address)
        command = [*service.get("entrypoint", image.entrypoint)]
        command += service.get("command", [] if "entrypoint" in service else image.command)
        variables = {**image.environment, **service.get("environment", {}), **(environment or {})}
        spec = self.folder / f"{name}-{self._count}.json"
        scratch = self.folder / f"{name}-{self._count}"
        scratch.mkdir()
        facts = {
            "scratch": str(scratch),
            "image": str(image.root),
            "files": image.files,
            "programs": {path: str(source) for path, source in image.programs.items()},
            "visible": [str(path) for path in image.visible],
            "volumes": {path: self._volume(image, text) for path, text in _volumes(service)},
            "read_only": service.get("read_only", False),
            "folder": image.folder,
            "files_limit": service.get("ulimits", {}).get("nofile"),
            "drops_capabilities": service.get("cap_drop") == ["ALL"],
            "no_new_privileges": "no-new-privileges:true" in service.get("security_opt", ()),
            "user": image.user,
            "command": command,
            "environment": {name: value for name, value in variables.items() if value is not None},
        }
        spec.write_text(json.dumps(facts))
        environment_here = plain_environment(self.folder)
        daemon = Daemon(spec.stem, _launch(holder, spec), environment=environment_here, folder=self.folder)
        for published in service.get("ports", ()):
            self._publish(published, address)
        return Container(name, self, holder, address, daemon, spec)

    def start(self, container: Container, port: int) -> None:
        """Start its program, and wait until it accepts connections at `port`."""
        self.start_when(container, lambda: container.accepts(port))

    def start_when(self, container: Container, ready: Callable[[], bool]) -> None:
        """Start its program, and wait until it is `ready`."""
        self._stack.callback(container.remove)
        container.daemon.start(ready)

    def complete(self, container: Container, seconds: float = PATIENCE_SECONDS) -> int:
        """Run its program to the end; gives its exit code."""
        self._stack.callback(container.remove)
        container.daemon.start(lambda: True)
        return container.daemon.wait(seconds)

    def _namespace(self, name: str) -> int:
        """The process that holds a new network namespace."""
        outside = Path("/proc/self/ns/net").readlink()
        command = ["unshare", "--net", "sleep", _FOREVER]
        daemon = Daemon(f"{name}-network", command, environment=plain_environment(self.folder), folder=self.folder)

        def is_apart() -> bool:
            try:
                return Path(f"/proc/{daemon.pid}/ns/net").readlink() != outside
            except OSError:
                return False

        self._stack.enter_context(running(daemon, is_apart))
        return daemon.pid

    def _connect(self, holder: int, address: str) -> None:
        veth = f"veth{self._count}"
        self._ip("link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", str(holder))
        self._ip("link", "set", veth, "master", "br0", "up")
        for words in (
            ["link", "set", "lo", "up"],
            ["addr", "add", f"{address}/24", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
            ["route", "add", "default", "via", GATEWAY],
        ):
            subprocess.run(["nsenter", f"--net=/proc/{holder}/ns/net", "ip", *words], check=True)

    def _publish(self, published: str, address: str) -> None:
        host_ip, host_port, port = published.split(":")
        options = f"-proto tcp -host-ip {host_ip} -host-port {host_port} -container-ip {address} -container-port {port}"
        # It reports on descriptor 3 that it listens.
        script = f"exec {need('docker-proxy')} {options} 3>/dev/null"
        name = f"proxy-{host_port}-{self._count}"
        daemon = Daemon(
            name,
            self.enter(["sh", "-c", script]),
            environment=plain_environment(self.folder),
            folder=self.folder,
        )
        self._stack.enter_context(running(daemon, lambda: self._listens(host_ip, host_port)))

    def _listens(self, address: str, port: str) -> bool:
        return f"{address}:{port}" in self.run("ss", "-Hltn").stdout

    def _volume(self, image: ImageSettings, text: str) -> tuple[str, str]:
        """The folder behind a volume `NAME:PATH[:MODE]`; a new one takes the owner that the image's folder has."""
        name, path, *mode = text.split(":")
        assert not name.startswith((".", "/")), f"{text}: only named volumes are known here"
        folder = self.folder / "volumes" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            owner, permissions = image.owners.get(path, (0, 0o755))
            os.chown(folder, owner, owner)
            folder.chmod(permissions)
        return str(folder), mode[0] if mode else "rw"

    def _ip(self, *words: str) -> None:
        done = self.run("ip", *words)
        assert done.ok, done


def _volumes(service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for text in service.get("volumes", ()):
        yield text.split(":")[1], text


def composition(path: Path) -> dict[str, dict[str, Any]]:
    """The services of a compose file, in the order in which an engine starts them."""
    services: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["services"]
    ordered: dict[str, dict[str, Any]] = {}
    while len(ordered) < len(services):
        ready = [
            name
            for name, service in services.items()
            if name not in ordered and set(service.get("depends_on", ())) <= ordered.keys()
        ]
        assert ready, "services that wait for each other"
        ordered |= {name: services[name] for name in ready}
    return ordered


@contextmanager
def container_host(folder: Path) -> Iterator[Host]:
    """A host without containers; skips the test where this machine does not permit one."""
    need_root("a network namespace")
    for program in ("ip", "ss", "nsenter", "unshare", "docker-proxy"):
        need(program)
    probe = ["unshare", "--net", "--mount", "--pid", "--fork", "ip", "link", "add", "br0", "type", "bridge"]
    done = run(probe, environment=plain_environment(folder), folder=folder)
    if not done.ok:
        refuse(f"network namespaces are not permitted here: {done.text.strip()}")
    with ExitStack() as stack:
        yield Host(folder, stack)
