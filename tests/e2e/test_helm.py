"""helm keeps charts in registries: its login, push and pull against both generations of Distribution."""

from __future__ import annotations

import pytest
from harness.clients import Client
from harness.every_client import row
from harness.helm import HELMS, VERSION
from harness.scene import Scene

every_helm = pytest.mark.parametrize("kind", [row(kind) for kind in HELMS])


@every_helm
@pytest.mark.parametrize("person", ["ann", "bob"])
def test_login(kind: type[Client], scene: Scene, person: str) -> None:
    """A password with everything in it goes through a form, asked for by POST."""
    helm = scene.client(kind)
    output = helm.login(scene.registry, *scene.credentials(person))
    assert output.ok, str(output)
    assert {(request.method, request.user, request.status) for request in scene.watch.requests()} == {
        ("POST", person, 200)
    }


@every_helm
def test_login_with_a_wrong_password(kind: type[Client], scene: Scene) -> None:
    """Refused, however often it tries, and nothing is kept."""
    helm = scene.client(kind)
    output = helm.login(scene.registry, "ann", "wrong")
    assert not output.ok, str(output)
    assert {event.outcome for event in scene.events("ann")} == {"invalid_credentials"}
    assert {request.status for request in scene.watch.requests()} == {401}
    assert not helm.pull(scene.registry, "web/x").ok


@every_helm
def test_push_and_pull(kind: type[Client], scene: Scene) -> None:
    """A writer's chart arrives, and a reader gets it; each token holds exactly what was asked."""
    helm = scene.client(kind)
    repository = scene.new_name("web")
    assert helm.login(scene.registry, *scene.credentials("ann")).ok
    output = helm.push(scene.registry, scene.image, repository)
    assert output.ok, str(output)
    assert scene.registry.holds(repository, VERSION)
    granted = {action for event in scene.events("ann") for action in event.actions(f"repository:{repository}")}
    assert granted == {"pull", "push"}
    assert helm.login(scene.registry, *scene.credentials("ben")).ok
    output = helm.pull(scene.registry, repository)
    assert output.ok, str(output)
    assert {action for event in scene.events("ben") for action in event.actions(f"repository:{repository}")} == {"pull"}


@every_helm
@pytest.mark.parametrize("person", ["ben", "eve"])
def test_push_where_it_is_not_granted(kind: type[Client], scene: Scene, person: str) -> None:
    """The registry takes nothing."""
    helm = scene.client(kind)
    repository = scene.new_name("web")
    assert helm.login(scene.registry, *scene.credentials(person)).ok
    output = helm.push(scene.registry, scene.image, repository)
    assert not output.ok, str(output)
    assert not scene.registry.holds(repository, VERSION)
    assert not any("push" in event.actions(f"repository:{repository}") for event in scene.events(person))
