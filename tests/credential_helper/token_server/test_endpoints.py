"""What the helper asks of registries and token servers. See docs/design/threats.md#threat-167."""

from __future__ import annotations

from pathlib import Path

import pytest
from helper_worlds import ISSUER, REALM, REGISTRY, HelperWorld, answer, challenge, refresh_token

from tokenserver.credential_helper.token_server.device_flow import LoginFailed
from tokenserver.credential_helper.token_server.endpoints import (
    Held,
    NamedServer,
    invite,
    named_by,
    poll,
    probe,
    revoke,
)
from tokenserver.credential_helper.token_server.reply import ServerReply

URL = f"https://{REGISTRY}/v2/"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(challenge(), NamedServer(True, REALM, REGISTRY), id="challenge"),
        pytest.param(ServerReply(200, b""), NamedServer(True), id="open to everybody"),
        pytest.param(ServerReply(401, b"", ('Basic realm="x"',)), NamedServer(True), id="passwords"),
        pytest.param(ServerReply(401, b"", ("Bearer",)), NamedServer(True), id="malformed"),
        pytest.param(ServerReply(503, b"", challenge().challenges), NamedServer(False), id="down"),
        pytest.param(ServerReply(307, b"", challenge().challenges), NamedServer(False), id="redirect"),
        pytest.param(None, NamedServer(False), id="no answer"),
    ],
)
def test_named_by(reply: ServerReply | None, expected: NamedServer, tmp_path: Path) -> None:
    """Only a 401 names a token server."""
    world = HelperWorld(tmp_path, {URL: reply})
    assert named_by(REGISTRY, world.fetch) == expected


def test_this_machine(tmp_path: Path) -> None:
    """By https first, then by plain http."""
    world = HelperWorld(tmp_path, {"http://localhost:5000/v2/": challenge()})
    assert named_by("localhost:5000", world.fetch).realm == REALM
    assert world.urls() == ["https://localhost:5000/v2/", "http://localhost:5000/v2/"]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(answer(200, access_token="x"), (Held.YES, None), id="yes"),
        pytest.param(answer(200, refresh_token_expires_in=60), (Held.YES, 60), id="with its end"),
        pytest.param(answer(401), (Held.NO, None), id="no"),
        pytest.param(answer(400, error="invalid_grant"), (Held.NO, None), id="no, in OAuth's words"),
        pytest.param(answer(400, error="invalid_request"), (Held.UNKNOWN, None), id="another error"),
        pytest.param(answer(503), (Held.UNKNOWN, None), id="down"),
        pytest.param(answer(404), (Held.UNKNOWN, None), id="no such grant"),
        pytest.param(None, (Held.UNKNOWN, None), id="no answer"),
    ],
)
def test_probe(reply: ServerReply | None, expected: tuple[Held, int | None], tmp_path: Path) -> None:
    """A refusal is one only if the server says so."""
    world = HelperWorld(tmp_path, {REALM: reply})
    assert probe(REALM, "s", refresh_token(), world.fetch) == expected
    (form,) = world.forms(REALM)
    assert form == {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token(),
        "service": "s",
        "client_id": "tokenserver-helper",
    }


def test_revoke(tmp_path: Path) -> None:
    """At the token server of the realm; nowhere where there is none."""
    world = HelperWorld(tmp_path, {f"{ISSUER}/revoke": [answer(200), answer(503), None]})
    assert [revoke(REALM, refresh_token(), world.fetch) for _ in range(3)] == [True, False, False]
    assert [form["token"] for form in world.forms(f"{ISSUER}/revoke")] == [refresh_token()] * 3
    assert revoke("http://auth.example.com/token", refresh_token(), world.fetch) is False
    assert len(world.asked) == 3


def test_invite(tmp_path: Path) -> None:
    """Each service is named."""
    world = HelperWorld(tmp_path, {})
    with pytest.raises(LoginFailed, match="does not answer"):
        invite(ISSUER, ["a", "b"], world.fetch)
    assert world.asked[0].form == [("client_id", "tokenserver-helper"), ("service", "a"), ("service", "b")]


def test_an_invitation_is_read(tmp_path: Path) -> None:
    """Out of the answer of the server."""
    reply = answer(200, device_code="d", user_code="BCDF-GHJK", verification_uri=f"{ISSUER}/device", expires_in=600)
    found = invite(ISSUER, ["a"], HelperWorld(tmp_path, {f"{ISSUER}/device/code": reply}).fetch)
    assert (found.device_code, found.user_code) == ("d", "BCDF-GHJK")


def test_poll(tmp_path: Path) -> None:
    """With the grant of RFC 8628; no answer has status 0."""
    world = HelperWorld(tmp_path, {REALM: [answer(400, error="x"), None]})
    assert [poll(REALM, "code", world.fetch).status for _ in range(2)] == [400, 0]
    assert world.forms(REALM)[0] == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "code",
        "client_id": "tokenserver-helper",
    }
