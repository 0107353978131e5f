"""`login`, `status` and `logout`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helper_worlds import ISSUER, NOW, REALM, REGISTRY, HelperWorld, answer, challenge, refresh_token

from tokenserver.credential_helper.outside import Outside
from tokenserver.credential_helper.people import for_people
from tokenserver.credential_helper.protocol import RejectedRequest

DEVICE, REVOKE = f"{ISSUER}/device/code", f"{ISSUER}/revoke"
OFFER = answer(device_code="code", user_code="WDJB", verification_uri=f"{ISSUER}/device", expires_in=600, interval=5)
OTHER = "other.example.com"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HelperWorld:
    """Two registries of one token server, whose person confirms; docker's configuration is empty."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    granted = answer(refresh_token=refresh_token(), refresh_token_expires_in=3600)
    replies: dict[str, Any] = {DEVICE: OFFER, REALM: granted, REVOKE: answer()}
    replies |= {f"https://{name}/v2/": challenge(service=name) for name in (REGISTRY, OTHER)}
    return HelperWorld(tmp_path / "store", replies)


def run(world: HelperWorld, *arguments: str) -> int:
    """Run a command; gives its exit code."""

    def open_outside(*_: str) -> Outside:
        return world.outside

    try:
        return for_people(arguments, open_outside)
    except SystemExit as error:
        return int(error.code or 0)


def test_login(world: HelperWorld) -> None:
    """One confirmation for both, as they have one token server."""
    assert run(world, "login", REGISTRY, f"https://{OTHER}/", "--service", "third.example.com") == 0
    assert set(world.logins.every()) == {REGISTRY, OTHER, "third.example.com"}
    assert [one for one in world.urls() if one == DEVICE] == [DEVICE]
    assert world.said[-1] == f"logged in at {REGISTRY}, {OTHER}"


def test_login_at_what_docker_is_configured_for(world: HelperWorld, tmp_path: Path) -> None:
    """Without a name, those for which docker's configuration names this helper."""
    helpers = {REGISTRY: "tokenserver", OTHER: "pass"}
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": helpers}))
    assert run(world, "login") == 0
    assert set(world.logins.every()) == {REGISTRY}


@pytest.mark.parametrize("content", [None, "", "[]", '{"credHelpers": 7}', '{"credHelpers": {}}'])
def test_login_at_nothing(content: str | None, world: HelperWorld, tmp_path: Path, capsys: Any) -> None:
    """Is wrong use."""
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert run(world, "login") == 2
    assert "name a registry" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        pytest.param(None, "does not answer", id="down"),
        pytest.param(challenge("http://auth.example.com/token"), "names http://auth.example.com/token", id="http"),
        pytest.param(answer(200), "names no token server", id="open"),
    ],
)
def test_login_where_there_is_none(reply: Any, said: str, world: HelperWorld) -> None:
    """The other registry is logged in at all the same."""
    world.replies[f"https://{REGISTRY}/v2/"] = reply
    assert run(world, "login", REGISTRY, OTHER) == 1
    assert said in world.said[0]
    assert set(world.logins.every()) == {OTHER}


def test_login_that_is_denied(world: HelperWorld) -> None:
    """Nothing is kept."""
    world.replies[REALM] = answer(400, error="access_denied")
    assert run(world, "login", REGISTRY) == 1
    assert world.said[-1] == f"no login at {REGISTRY}: it was denied in the browser"
    assert world.logins.every() == {}


def test_login_at_a_server_that_is_not_trusted(world: HelperWorld) -> None:
    """Where trusted ones are listed."""
    world.settings.token_servers = ["https://else.example.com"]
    assert run(world, "login", REGISTRY) == 1
    assert "not in tokenServers" in world.said[0]


def test_login_at_no_registry(world: HelperWorld) -> None:
    """An entry below one is none."""
    with pytest.raises(RejectedRequest, match="is no registry"):
        run(world, "login", f"{REGISTRY}/team")


def test_a_login_that_was_revoked_is_replaced_by_the_person(world: HelperWorld) -> None:
    """A login by name also accepts another token server than before: the person wants it."""
    world.keep(realm="https://old.example.com/token")
    assert run(world, "login", REGISTRY) == 0
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert found.realm == REALM


def test_status(world: HelperWorld, capsys: Any) -> None:
    """Where, at which token server, and until when; no secret."""
    assert run(world, "status") == 0
    assert "there is no login" in world.said[0]
    world.keep(ends=NOW + 60)
    world.keep(OTHER, ends=NOW - 60)
    world.keep("third.example.com", realm=None)
    world.keep("ended.example.com", secret="")
    assert run(world, "status") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{OTHER}  {ISSUER}  ended 2027-01-15T07:59:00Z",
        f"{REGISTRY}  {ISSUER}  until 2027-01-15T08:01:00Z",
        "third.example.com  unknown  no end is known",
    ]
    assert run(world, "status", "--json") == 0
    logins = json.loads(capsys.readouterr().out)["logins"]
    assert [one["ends"] for one in logins] == ["2027-01-15T07:59:00Z", "2027-01-15T08:01:00Z", None]
    assert set(logins[0]) == {"registry", "realm", "service", "ends", "kept_in"}


def test_logout(world: HelperWorld) -> None:
    """One, all, and none."""
    world.keep()
    world.keep(OTHER, secret=refresh_token("o"))
    world.keep("third.example.com", secret=refresh_token("t"))
    assert run(world, "logout", REGISTRY) == 0
    assert run(world, "logout", REGISTRY) == 1
    assert world.said == [f"there is no login at {REGISTRY}"]
    assert run(world, "logout") == 0
    assert world.logins.every() == {}
    assert len(world.forms(REVOKE)) == 3


@pytest.mark.parametrize("arguments", [["login", "--servce", "x"], ["status", "x"], ["--nothing"]])
def test_wrong_use(arguments: list[str], world: HelperWorld, capsys: Any) -> None:
    """One line, exit code 2."""
    assert run(world, *arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_help(world: HelperWorld, capsys: Any) -> None:
    """Names the commands."""
    assert run(world, "--help") == 0
    assert {"login", "status", "logout"} <= set(capsys.readouterr().out.split())
