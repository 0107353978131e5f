"""`store` and `erase`. See docs/design/threats.md#threat-163."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helper_worlds import ISSUER, NOW, REALM, REGISTRY, HelperWorld, answer, refresh_token

from tokenserver.credential_helper.keeping import erase, keep
from tokenserver.credential_helper.protocol import KeepRequest, keep_request

REVOKE = f"{ISSUER}/revoke"


@pytest.fixture
def world(tmp_path: Path) -> HelperWorld:
    """A registry that names our token server, and nothing stored."""
    return HelperWorld(tmp_path / "store")


def request(server: str = REGISTRY, secret: str | None = None) -> KeepRequest:
    """What docker hands over after a login."""
    members = {"ServerURL": server, "Username": "<token>", "Secret": secret or refresh_token()}
    return keep_request(json.dumps(members).encode())


def test_what_is_kept_is_bound(world: HelperWorld) -> None:
    """To the token server that the registry names at that moment."""
    keep(request(f"https://{REGISTRY}/v1/"), world.outside)
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert (found.server, found.username, found.secret) == (f"https://{REGISTRY}/v1/", "<token>", refresh_token())
    assert (found.realm, found.service, found.checked, found.probed, found.ends) == (REALM, REGISTRY, NOW, NOW, None)


def test_a_registry_that_does_not_answer(world: HelperWorld) -> None:
    """The login is kept, and bound at the next look."""
    world.replies = {}
    keep(request(), world.outside)
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert (found.realm, found.needs_check(NOW)) == (None, True)


def test_an_entry_below_a_registry(world: HelperWorld) -> None:
    """Is nobody's business."""
    keep(request("https://index.docker.io/v1/access-token"), world.outside)
    assert world.asked == []
    assert set(world.logins.every()) == {"index.docker.io/v1/access-token"}


def test_a_login_in_place_of_another(world: HelperWorld) -> None:
    """The old refresh token is revoked; the same one again is not."""
    world.replies[REVOKE] = answer()
    keep(request(), world.outside)
    keep(request(), world.outside)
    assert REVOKE not in world.urls()
    keep(request(secret=refresh_token("n")), world.outside)
    assert [form["token"] for form in world.forms(REVOKE)] == [refresh_token()]


def test_what_a_client_hands_back(world: HelperWorld) -> None:
    """A token that it was answered as a password is still a token, and ends when it did."""
    world.keep(ends=NOW + 60)
    members = {"ServerURL": REGISTRY, "Username": "token", "Secret": refresh_token()}
    keep(keep_request(json.dumps(members).encode()), world.outside)
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert (found.username, found.ends) == ("<token>", NOW + 60)
    keep(keep_request(json.dumps({**members, "Secret": "a password"}).encode()), world.outside)
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert (found.username, found.ends) == ("token", None)


def test_erase(world: HelperWorld) -> None:
    """Revoked where it came from, and forgotten; what is not there is no fault."""
    world.replies[REVOKE] = answer()
    world.keep()
    assert erase(REGISTRY, world.outside) is True
    assert world.logins.file.read() == {}
    assert world.urls() == [REVOKE]
    assert erase(REGISTRY, world.outside) is False
    assert world.said == []


def test_a_token_server_that_does_not_answer(world: HelperWorld) -> None:
    """The login is forgotten here, and a line says that it still holds there."""
    world.keep()
    assert erase(REGISTRY, world.outside) is True
    assert world.logins.file.read() == {}
    assert "still holds" in world.said[0]


def test_one_login_for_several_registries(world: HelperWorld) -> None:
    """Ends with the last of them."""
    world.replies[REVOKE] = answer()
    world.keep()
    world.keep("b.example.com")
    erase(REGISTRY, world.outside)
    assert world.urls() == []
    erase("b.example.com", world.outside)
    assert world.urls() == [REVOKE]
