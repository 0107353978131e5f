"""The login in the browser, as RFC 8628 has it. See docs/design/threats.md#threat-168."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from helper_worlds import refresh_token
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.credential_helper.token_server.device_flow import (
    AT_MOST,
    MAX_END,
    DeviceInvitation,
    GrantedLogin,
    LoginFailed,
    Poll,
    await_login,
    end_of,
    json_object,
    read_invitation,
)

OFFER = {
    "device_code": "secret-device-code",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://auth.example.com/device",
    "verification_uri_complete": "https://auth.example.com/device?user_code=WDJB-MJHT",
    "expires_in": 600,
    "interval": 5,
}


def offer(**changes: Any) -> bytes:
    """The answer of the endpoint; None takes a member away."""
    return json.dumps({name: value for name, value in {**OFFER, **changes}.items() if value is not None}).encode()


def test_invitation() -> None:
    """Its parts; nothing secret is in its repr."""
    found = read_invitation(200, offer())
    assert (found.user_code, found.url, found.seconds, found.interval) == (
        "WDJB-MJHT",
        OFFER["verification_uri"],
        600,
        5,
    )
    assert found.complete_url == OFFER["verification_uri_complete"]
    assert "secret-device-code" not in repr(found)


def test_what_may_be_absent() -> None:
    """The interval is five seconds, and the complete URL the other one."""
    found = read_invitation(200, offer(interval=None, verification_uri_complete=None))
    assert (found.interval, found.complete_url) == (5, found.url)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        pytest.param(404, b"", "offers no login by the browser", id="no endpoint"),
        pytest.param(405, b"", "offers no login by the browser", id="no method"),
        pytest.param(400, b"{}", r"refuses to offer .* \(400\)", id="refused"),
        pytest.param(503, b"\xff", r"\(503\)", id="down"),
        *(
            pytest.param(200, body, "cannot be understood", id=name)
            for name, body in {
                "no JSON": b"x",
                "no object": b"[]",
                "no device code": offer(device_code=None),
                "an empty one": offer(device_code=""),
                "a long one": offer(device_code="a" * 1001),
                "control characters": offer(device_code="a\nb"),
                "no user code": offer(user_code=None),
                "a long user code": offer(user_code="A" * 101),
                "plain http": offer(verification_uri="http://auth.example.com/device"),
                "a program": offer(verification_uri_complete="file:///bin/sh"),
                "control characters in the URL": offer(verification_uri_complete="https://a/\x1b]8;;"),
                "no end": offer(expires_in=None),
                "text for a number": offer(expires_in="600"),
                "a Boolean": offer(expires_in=True),
                "negative": offer(interval=-1),
                "beyond all time": offer(expires_in=MAX_END),
                "NaN": offer(expires_in=float("nan")),
            }.items()
        ),
    ],
)
def test_no_invitation(status: int, body: bytes, message: str) -> None:
    """Nothing of it is shown to anybody."""
    with pytest.raises(LoginFailed, match=message):
        read_invitation(status, body)


PENDING = Poll(400, b'{"error":"authorization_pending"}')
SLOW = Poll(400, b'{"error":"slow_down"}')
NOTHING = Poll(0, b"")


def granted(**more: Any) -> Poll:
    """The answer after the person has confirmed."""
    return Poll(200, json.dumps({"refresh_token": refresh_token(), "access_token": "x", **more}).encode())


def waited(answers: list[Poll], seconds: float = 600, interval: float = 5) -> tuple[GrantedLogin, list[float]]:
    """The outcome, and the pauses before each poll."""
    pauses: list[float] = []
    clock = [0.0]

    def sleep(pause: float) -> None:
        pauses.append(pause)
        clock[0] += pause

    invitation = DeviceInvitation("code", "USER", "https://a", "https://a", seconds, interval)
    login = await_login(invitation, lambda: answers.pop(0), monotonic=lambda: clock[0], sleep=sleep)
    return login, pauses


@pytest.mark.parametrize(
    ("answers", "pauses"),
    [
        pytest.param([granted()], [5], id="no poll before the first interval"),
        pytest.param([PENDING, PENDING, granted()], [5, 5, 5], id="pending"),
        pytest.param([SLOW, PENDING, SLOW, granted()], [5, 10, 10, 15], id="five seconds more, for all polls"),
        pytest.param([NOTHING, NOTHING, granted()], [5, 10, 20], id="no answer: half as often"),
        pytest.param([Poll(503, b""), granted()], [5, 10], id="503"),
        pytest.param([Poll(429, b""), granted()], [5, 10], id="429"),
    ],
)
def test_pace(answers: list[Poll], pauses: list[float]) -> None:
    """RFC 8628, section 3.5."""
    assert waited(answers)[1] == pauses


def test_an_interval_of_nothing() -> None:
    """Is a second."""
    assert waited([PENDING, granted()], interval=0)[1] == [1, 1]


def test_the_end() -> None:
    """As the server said, or unknown."""
    login, _ = waited([granted(refresh_token_expires_in=3600)])
    assert (login.token, login.seconds) == (refresh_token(), 3600)
    assert refresh_token() not in repr(login)
    assert waited([granted()])[0].seconds is None
    assert [end_of(found) for found in (0, -1, True, 1.5, "1", MAX_END + 1)] == [None] * 6


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        pytest.param([Poll(400, b'{"error":"access_denied"}')], "denied in the browser", id="denied"),
        pytest.param([Poll(400, b'{"error":"expired_token"}')], "code has expired", id="expired"),
        pytest.param([Poll(400, b'{"error":"invalid_grant"}')], r"refuses it \(400\)", id="another error"),
        pytest.param([Poll(401, b"\x1b[2J")], r"refuses it \(401\)", id="no JSON"),
        pytest.param([Poll(400, b'{"error":["x"]}')], r"refuses it \(400\)", id="no text"),
        pytest.param([Poll(200, b"{}")], "without a refresh token", id="no token"),
        pytest.param([Poll(200, b'{"refresh_token":"x y"}')], "without a refresh token", id="another text"),
        pytest.param([Poll(200, b'{"refresh_token":7}')], "without a refresh token", id="a number"),
    ],
)
def test_failures(answers: list[Poll], message: str) -> None:
    """One line in our own words."""
    with pytest.raises(LoginFailed, match=message):
        waited(answers)


@pytest.mark.parametrize(("seconds", "at_most"), [(600, AT_MOST), (20, 20)])
def test_nobody_confirms(seconds: float, at_most: float) -> None:
    """Two minutes at most, or as long as the code is valid."""
    pauses: list[float] = []
    clock = [0.0]

    def sleep(pause: float) -> None:
        pauses.append(pause)
        clock[0] += pause

    invitation = DeviceInvitation("code", "USER", "https://a", "https://a", seconds, 5)
    with pytest.raises(LoginFailed, match="in time"):
        await_login(invitation, lambda: PENDING, monotonic=lambda: clock[0], sleep=sleep)
    assert at_most - 5 <= sum(pauses) <= at_most


@given(st.integers(0, 700), st.binary(max_size=50))
def test_any_answer(status: int, body: bytes) -> None:
    """Any answer is an outcome."""
    for read in (lambda: read_invitation(status, body), lambda: waited([Poll(status, body), granted()])):
        with suppress(LoginFailed):
            read()
    assert isinstance(json_object(body), dict)
    assert json_object(b"[" * 100_000) == {}
