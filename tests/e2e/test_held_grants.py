"""`grant: held`: a client that keeps its first token, as oras-py does, pushes with it; and what it never gets by it.

oras-py asks for `pull` at its first request of a repository, whatever it is about to do, and sends that token with
every later request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml
from harness import registries, web
from harness.images import MANIFEST_TYPE, Image
from harness.registries import KEEPER, Registry
from harness.server import ANONYMOUS, Setup, TokenServer, serving
from harness.waiting import until

HELD, ASKED = "registry2.test", "registry3.test"
"""The same kind of registry twice; only one has `grant: held`."""


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server with both registries."""
    people = {name: setup.people[name] for name in ("ann", "ben", "mia", KEEPER)}
    entries = [{"service": HELD, "grant": "held"}, {"service": ASKED}]
    with serving(
        tmp_path_factory.mktemp("server"), replace(setup, people=people, settings={"registries": entries})
    ) as one:
        yield one


held, asked = registries.own_registry(HELD), registries.own_registry(ASKED)


def push_with_the_first_token(registry: Registry, image: Image, repository: str) -> int:
    """Push an image in the order of oras-py, with the token of the first challenge; the status of the last request."""
    challenge = registry.request("GET", f"/v2/{repository}/manifests/1", None)
    assert challenge.status == 401
    assert f'scope="repository:{repository}:pull"' in (challenge.header("www-authenticate") or "")
    token = registry.server.token(registry.service, [f"repository:{repository}:pull"], person="ann")
    for digest, blob in image.blobs.items():
        started = registry.request("POST", f"/v2/{repository}/blobs/uploads/", token)
        if started.status != 202:
            return started.status
        registry.put_blob(repository, digest, blob, token)
    target = f"/v2/{repository}/manifests/1"
    return registry.request("PUT", target, token, image.manifest, Content_Type=MANIFEST_TYPE).status


def test_a_first_token_pushes_where_it_is_held(held: Registry, asked: Registry, image: Image) -> None:
    """With `grant: asked` the registry refuses; with `held` the image is there."""
    assert push_with_the_first_token(asked, image, "web/first") == 401
    assert not asked.holds("web/first")
    assert push_with_the_first_token(held, image, "web/first") == 201
    assert held.holds("web/first")


@pytest.mark.parametrize(
    ("person", "scope", "granted"),
    [
        pytest.param("ann", "repository:web/x:pull", "pull,push", id="a writer"),
        pytest.param("mia", "repository:web/x:pull", "delete,pull,push", id="a maintainer"),
        pytest.param("ben", "repository:web/x:pull", "pull", id="a reader"),
        pytest.param("ben", "repository:web/x:push", "pull", id="a reader who asks for more"),
        pytest.param("ann", "repository:web/prod/x:pull", "pull", id="what a deny rule forbids"),
        pytest.param("ann", "repository:secret/x:pull", "", id="somebody else's"),
        pytest.param("ann", "repository:web/x:", "", id="no action"),
        pytest.param("ann", "registry:catalog:*", "", id="the catalog"),
        pytest.param(ANONYMOUS, "repository:public/x:pull", "pull", id="nobody"),
    ],
)
def test_what_a_token_holds(person: str, scope: str, granted: str, server: TokenServer) -> None:
    """All that the policies allow on the repository that was asked for, and on no other; the audit event has both."""
    mark = server.audit.mark()
    access = web.claims(server.token(HELD, [scope], person=person))["access"]
    assert ["".join(",".join(sorted(one["actions"]))) for one in access] == ([granted] if granted else [])
    assert {f"{one['type']}:{one['name']}" for one in access} <= {scope.rpartition(":")[0]}
    (event,) = server.audit.events(mark)
    assert event.fields["grant"] == "held"
    assert event.fields["asked"] == [scope]
    assert [sorted(one.rpartition(":")[2].split(",")) for one in event.fields["granted"]] == (
        [granted.split(",")] if granted else []
    )


def test_a_change_of_the_key_takes_effect(server: TokenServer) -> None:
    """Within seconds and without a restart; a token that was decided before is not reused."""

    def held_now() -> bool:
        access = web.claims(server.token(ASKED, ["repository:web/x:pull"], person="ann"))["access"]
        return set(access[0]["actions"]) == {"pull", "push"}

    assert not held_now()
    before = server.config.read_text()
    settings = yaml.safe_load(before)
    settings["registries"][1]["grant"] = "held"
    try:
        replace_text(server, yaml.safe_dump(settings))
        until(held_now, in_a_row=8)
    finally:
        replace_text(server, before)
    until(lambda: not held_now(), in_a_row=8)


def replace_text(server: TokenServer, text: str) -> None:
    """Replace the configuration as editors do, so that no half of it is ever read."""
    new = server.config.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o600)
    new.rename(server.config)
