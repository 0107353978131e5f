"""BuildKit: `buildctl` with a `buildkitd` of its own. No build here runs a command, so no container is started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from harness.clients import Client, Credentials, Start
from harness.images import Image
from harness.processes import Daemon, Output
from harness.programs import need
from harness.registries import Registry


class Buildkit(Client):
    """Builds and pushes in one step; the session of `buildctl` gets the tokens, with the credentials of its user."""

    name = "buildkit"
    program = "buildctl"
    refusal = "insufficient_scope: authorization failed"
    method = "POST"
    needs_root = True
    one_identity = True
    has_daemon = True
    nightly = True
    cannot: ClassVar[Mapping[str, str]] = {
        "login": "uses what docker login stored",
        "delete": "has no command for it",
        "catalog": "has no command for it",
    }

    def launch(self, start: Start) -> None:
        folder = self.machine.folder
        socket = folder / "b.sock"
        self.options = ("--addr", f"unix://{socket}")
        command: list[str | Path] = [
            *(need("buildkitd"), "--root", folder / "root", "--addr", f"unix://{socket}"),
            *("--oci-worker=true", "--containerd-worker=false", "--oci-worker-snapshotter=native"),
            *("--oci-worker-binary", need("runc"), "--oci-worker-net=host"),
        ]
        environment = self.machine.environment
        start(
            Daemon("buildkitd", self.machine.enter(command), environment=environment, folder=folder),
            lambda: socket.exists() and self.run("debug", "workers").ok,
        )

    def build(self, dockerfile: str, output: str) -> Output:
        """Build this Dockerfile in the folder `context`."""
        context = self.machine.folder / "context"
        context.mkdir(exist_ok=True)
        (context / "Dockerfile").write_text(dockerfile)
        return self.run(
            *("build", "--progress=plain", "--frontend=dockerfile.v0", "--output", output),
            *("--local", f"context={context}", "--local", f"dockerfile={context}"),
        )

    def push(self, registry: Registry, image: Image, repository: str) -> Output:
        context = self.machine.folder / "context"
        context.mkdir(exist_ok=True)
        (context / "layer.tar").write_bytes(image.layer.read_bytes())
        return self.build("FROM scratch\nADD layer.tar /\n", _pushed(registry, repository))

    def pull(self, registry: Registry, repository: str) -> Output:
        target = self.machine.folder / "pulled.tar"
        return self.build(f"FROM {registry.host}/{repository}:1\n", f"type=oci,dest={target}")

    def mount(self, registry: Registry, source: str, target: str, reader: Credentials | None = None) -> Output:
        # An image that is nothing but its base image. Layers that were downloaded before would be uploaded again.
        assert reader is None, "both sides have the same credentials"
        return self.build(f"FROM {registry.host}/{source}:1\n", _pushed(registry, target))


def _pushed(registry: Registry, repository: str) -> str:
    return f"type=image,name={registry.host}/{repository}:1,push=true"
