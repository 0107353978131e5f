"""buildah with a storage of its own, a base image made here, and packages from a folder of wheels.

A build then needs no registry, and no package index either.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base_image import make_root
from harness.machine import Machine
from harness.processes import Output, run
from harness.programs import ROOT, need, need_root

BUILD_SECONDS = 900


@dataclass
class Builder:
    """buildah on a machine with a storage of its own, and the folder of wheels."""

    machine: Machine
    wheels: Path

    @property
    def folder(self) -> Path:
        """Where its storage is, and the home of its commands."""
        return self.machine.folder

    def run(self, *words: str | Path, seconds: float = BUILD_SECONDS) -> Output:
        """One buildah command, which must succeed."""
        options = ["--storage-driver", "vfs", f"--root={self.folder}/storage", f"--runroot={self.folder}/run"]
        environment = {**self.machine.environment, "BUILDAH_ISOLATION": "chroot"}
        command = self.machine.enter([need("buildah"), *options, *words])
        done = run(command, environment=environment, folder=self.folder, seconds=seconds)
        assert done.ok, done
        return done

    def build(self, tag: str, *options: str | Path, tree: Path = ROOT, image_format: str = "docker") -> Output:
        """Build the Containerfile of this project, or of a copy of it."""
        pip = self.folder / "pip.conf"
        pip.write_text("[global]\nno-index = true\nfind-links = /packages\n")
        return self.run(
            *("build", "--format", image_format, "--build-arg", "BASE=localhost/base", "--pull=never", "--no-cache"),
            *("--secret", f"id=pip.conf,src={pip}", "--volume", f"{self.wheels}:/packages:ro"),
            *("--file", tree / "deploy/Containerfile", "--tag", tag, *options, tree),
        )

    def inspect(self, tag: str) -> dict[str, Any]:
        """The image's configuration, as docker shows it."""
        found: dict[str, Any] = json.loads(self.run("inspect", "--type", "image", tag).stdout)
        return found

    @property
    def base(self) -> str:
        """The base image with its digest."""
        (found,) = json.loads(self.run("images", "--json", "localhost/base").stdout)
        return f"localhost/base@{found['digest']}"

    def settings(self, folder: Path) -> dict[str, str]:
        """Variables with which any buildah works on this storage, and finds the wheels while it builds."""
        storage, containers = folder / "storage.conf", folder / "containers.conf"
        places = f'graphroot = "{self.folder}/storage"\nrunroot = "{self.folder}/run"\n'
        storage.write_text(f'[storage]\ndriver = "vfs"\n{places}')
        containers.write_text(f'[containers]\nvolumes = ["{self.wheels}:/packages:ro"]\n')
        return {
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_CONF": str(containers),
        }


@contextmanager
def image_builder(wheels: Path) -> Iterator[Builder]:
    """With the base image in its storage, and every wheel of the image in an empty folder."""
    need("buildah")
    need_root("buildah's chroot isolation")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(wheels), "--require-hashes"]
    for name in ("requirements.txt", "requirements-build.txt"):
        subprocess.run([*command, "-r", str(ROOT / name)], check=True, env=os.environ, timeout=BUILD_SECONDS)
    with tempfile.TemporaryDirectory(prefix="e2e", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        made = Builder(Machine(folder), wheels)
        (folder / "base").mkdir()
        make_root(folder / "base")
        (folder / "Containerfile").write_text("FROM scratch\nCOPY base /\nENV PATH=/usr/local/bin:/usr/bin\n")
        made.run("build", "--tag", "localhost/base", "--file", folder / "Containerfile", folder)
        yield made
