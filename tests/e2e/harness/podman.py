"""podman and podman-compose as on a machine of their own: a network namespace, and folders that hide the system's.

`podman` needs cgroups and namespaces, so a test is skipped where a container does not start.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.machine import PRIVATE
from harness.processes import Daemon, Output, plain_environment, run, running
from harness.programs import need, need_root, refuse

PROJECT = "e2e"

_PREPARE = (
    'for name in {names}; do mount -t tmpfs tmpfs "$name" || exit 1; done; ip link set lo up; touch {ready}; '
    "exec sleep 1000000"
)
_SECONDS = 180.0


class Engine:
    """Runs podman in the namespaces of `holder`, with the folders `storage` and `run` of buildah in `storage`.

    `folder` is for its own files, and the home of the commands.
    """

    def __init__(self, folder: Path, storage: Path, holder: Daemon) -> None:
        self._folder = folder
        self._holder = holder
        self.environment = plain_environment(folder)
        self._podman = folder / "podman"
        options = f"--root {storage}/storage --runroot {storage}/run --tmpdir {folder}/libpod --storage-driver vfs"
        options += " --cgroup-manager cgroupfs --events-backend file"
        self._podman.write_text(f'#!/bin/sh\nexec {need("podman")} {options} "$@"\n')
        self._podman.chmod(0o755)

    def enter(self, *command: str | Path) -> Output:
        """Run a command on the machine of this engine."""
        words = ["nsenter", f"--target={self._holder.pid}", "--net", "--mount", *map(str, command)]
        return run(words, environment=self.environment, folder=self._folder, seconds=_SECONDS)

    def podman(self, *words: str | Path) -> Output:
        """One podman command."""
        return self.enter(self._podman, *words)

    def compose(self, file: Path, *words: str) -> Output:
        """One podman-compose command for this file, with limits that this machine permits.

        Without a capability that containers often lack, nobody may raise a limit.
        """
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        limits = {"ulimits": {"nofile": min(hard, 65536), "nproc": 1000}}
        override = self._folder / "limits.yaml"
        override.write_text(json.dumps({"services": dict.fromkeys(("setup", "tokenserver", "registry"), limits)}))
        options: list[str | Path] = [
            "--podman-path",
            self._podman,
            "--project-name",
            PROJECT,
            "--file",
            file,
            "--file",
            override,
        ]
        return self.enter(need("podman-compose"), *options, *words)

    def container(self, service: str) -> str:
        """The name of a service's container."""
        return f"{PROJECT}_{service}_1"


@contextmanager
def engine(folder: Path, storage: Path) -> Iterator[Engine]:
    """An engine without containers; skips the test where this machine does not permit one."""
    need_root("podman with a bridge")
    need("podman-compose")
    for name in ("tmp", "run", ".config/containers"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    policy = {"default": [{"type": "insecureAcceptAnything"}]}
    (folder / ".config/containers/policy.json").write_text(json.dumps(policy))
    ready = folder / "ready"
    names = " ".join(name for name in PRIVATE if Path(name).is_dir())
    script = _PREPARE.format(names=names, ready=ready)
    command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script]
    with running(
        Daemon("machine", command, environment=plain_environment(folder), folder=folder), ready.exists
    ) as holder:
        found = Engine(folder, storage, holder)
        probe = found.podman(
            "run", "--rm", "--ulimit=nofile=64", "--ulimit=nproc=64", "localhost/base", "sh", "-c", ":"
        )
        if not probe.ok:
            refuse(f"podman starts no container here: {probe.text.strip()}")
        yield found
