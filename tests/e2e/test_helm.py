"""helm keeps charts in registries: its login, push and pull against both generations of Distribution."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from harness.machine import Machine
from harness.processes import Output
from harness.programs import need
from harness.scene import Scene

CHART = "apiVersion: v2\nname: {name}\nversion: 0.1.0\n"


class Helm:
    """One user's helm."""

    def __init__(self, machine: Machine, scene: Scene) -> None:
        self.file, self.machine, self.scene = need("helm"), machine, scene

    def login(self, user: str, password: str) -> Output:
        host = self.scene.registry.host
        words = ("registry", "login", "--plain-http", "--username", user, "--password-stdin", host)
        return self.machine.run(self.file, *words, stdin=password)

    def push(self, namespace: str, name: str) -> Output:
        chart = self.machine.folder / f"{name}-0.1.0.tgz"
        _pack(chart, name)
        return self.machine.run(
            self.file, "push", "--plain-http", chart, f"oci://{self.scene.registry.host}/{namespace}"
        )

    def pull(self, repository: str) -> Output:
        name = f"oci://{self.scene.registry.host}/{repository}"
        return self.machine.run(self.file, "pull", "--plain-http", name, "--version", "0.1.0")


def _pack(file: Path, name: str) -> None:
    data = CHART.format(name=name).encode()
    with tarfile.open(file, "w:gz") as archive:
        entry = tarfile.TarInfo(f"{name}/Chart.yaml")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))


@pytest.fixture
def helm(machine: Machine, scene: Scene) -> Helm:
    """helm on a machine of its own, with nobody signed in."""
    return Helm(machine, scene)


@pytest.mark.parametrize("person", ["ann", "bob"])
def test_login(helm: Helm, scene: Scene, person: str) -> None:
    """A password with everything in it goes through a form, asked for by POST."""
    output = helm.login(*scene.credentials(person))
    assert output.ok, str(output)
    assert {(request.method, request.user, request.status) for request in scene.watch.requests()} == {
        ("POST", person, 200)
    }


def test_login_with_a_wrong_password(helm: Helm, scene: Scene) -> None:
    """Refused, however often it tries, and nothing is kept."""
    output = helm.login("ann", "wrong")
    assert not output.ok, str(output)
    assert {event.outcome for event in scene.events("ann")} == {"invalid_credentials"}
    assert {request.status for request in scene.watch.requests()} == {401}
    assert not helm.pull("web/x").ok


def test_push_and_pull(helm: Helm, scene: Scene) -> None:
    """A writer's chart arrives, and a reader gets it; each token holds exactly what was asked."""
    repository = scene.new_name("web")
    assert helm.login(*scene.credentials("ann")).ok
    output = helm.push("web", repository.removeprefix("web/"))
    assert output.ok, str(output)
    assert scene.registry.holds(repository, "0.1.0")
    granted = {action for event in scene.events("ann") for action in event.actions(f"repository:{repository}")}
    assert granted == {"pull", "push"}
    assert helm.login(*scene.credentials("ben")).ok
    output = helm.pull(repository)
    assert output.ok, str(output)
    assert {action for event in scene.events("ben") for action in event.actions(f"repository:{repository}")} == {"pull"}


@pytest.mark.parametrize("person", ["ben", "eve"])
def test_push_where_it_is_not_granted(helm: Helm, scene: Scene, person: str) -> None:
    """The registry takes nothing."""
    repository = scene.new_name("web")
    assert helm.login(*scene.credentials(person)).ok
    output = helm.push("web", repository.removeprefix("web/"))
    assert not output.ok, str(output)
    assert not scene.registry.holds(repository, "0.1.0")
    assert not any("push" in event.actions(f"repository:{repository}") for event in scene.events(person))
