"""helm, which keeps charts in registries; not among `CLIENTS`, since it neither deletes, mounts nor lists."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from harness.clients import Client
from harness.images import Image
from harness.processes import Output
from harness.registries import Registry

VERSION = "0.1.0"
"""The version of every chart here, which is also its tag."""

_CHART = "apiVersion: v2\nname: {name}\nversion: {version}\n"


class Helm(Client):
    """One user's helm. It pushes a chart named for the last segment of the repository."""

    name = "helm"
    program = "helm"
    method = "POST"
    refusal = "unauthorized: authentication required"
    wrong_password = "unauthorized: {message}"
    tag = VERSION

    def login(self, registry: Registry, user: str, password: str) -> Output:
        words = ("registry", "login", "--plain-http", "--username", user, "--password-stdin", registry.host)
        return self.run(*words, stdin=password)

    def push(self, registry: Registry, image: Image, repository: str) -> Output:  # noqa: ARG002 - a chart is no image
        namespace, _, name = repository.rpartition("/")
        chart = self.machine.folder / f"{name}-{VERSION}.tgz"
        _pack(chart, name)
        return self.run("push", "--plain-http", chart, f"oci://{registry.host}/{namespace}")

    def pull(self, registry: Registry, repository: str) -> Output:
        return self.run("pull", "--plain-http", f"oci://{registry.host}/{repository}", "--version", VERSION)


class Helm4(Helm):
    """helm's next major version."""

    name = "helm4"
    program = "helm4"
    nightly = True


HELMS: tuple[type[Client], ...] = (Helm, Helm4)


def _pack(file: Path, name: str) -> None:
    data = _CHART.format(name=name, version=VERSION).encode()
    with tarfile.open(file, "w:gz") as archive:
        entry = tarfile.TarInfo(f"{name}/Chart.yaml")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
