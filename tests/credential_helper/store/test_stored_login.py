"""Logins that are kept: when to look at them again, and their form in the file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from helper_worlds import NOW, REALM, refresh_token
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.credential_helper.store.stored_login import (
    CHECK_SECONDS,
    PROBE_SECONDS,
    StoredLogin,
    UnreadableLogins,
    is_refresh_token,
    read_logins,
    write_logins,
)


def login(secret: str | None = None, **more: Any) -> StoredLogin:
    """One that has just been looked at."""
    facts: dict[str, Any] = {"realm": REALM, "service": "s", "checked": NOW, "probed": NOW} | more
    return StoredLogin("s", "<token>", refresh_token() if secret is None else secret, **facts)


@pytest.mark.parametrize(
    ("found", "is_ready"),
    [
        pytest.param(login(), True, id="fresh"),
        pytest.param(login(ends=NOW + 1), True, id="with an end"),
        pytest.param(login(ends=NOW), False, id="ended"),
        pytest.param(login(checked=NOW - CHECK_SECONDS + 1), True, id="checked"),
        pytest.param(login(checked=NOW - CHECK_SECONDS), False, id="to be checked"),
        pytest.param(login(checked=NOW + 1), False, id="the clock was set back"),
        pytest.param(login(probed=NOW - PROBE_SECONDS + 1), True, id="probed"),
        pytest.param(login(probed=NOW - PROBE_SECONDS), False, id="to be probed"),
        pytest.param(login("password", probed=0), True, id="passwords are not probed"),
        pytest.param(login(""), False, id="no secret"),
        pytest.param(login("", in_keyring=True), False, id="a keyring that gave none"),
    ],
)
def test_is_ready(found: StoredLogin, is_ready: bool) -> None:
    """Whether it is answered without a request."""
    assert found.is_ready(NOW) is is_ready


def test_has_secret() -> None:
    """In the file or in the keyring."""
    assert [login().has_secret, login("", in_keyring=True).has_secret, login("").has_secret] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (refresh_token(), True),
        (refresh_token(form="s"), True),
        (refresh_token(form="p"), False),
        (refresh_token() + "a", False),
        (refresh_token() + "\n", False),
        (" " + refresh_token(), False),
        (None, False),
        (7, False),
    ],
)
def test_is_refresh_token(text: object, expected: bool) -> None:
    """Refresh tokens and sessions, and nothing around them."""
    assert is_refresh_token(text) is expected


TEXTS = st.text(max_size=20)
MOMENTS = st.integers(-(10**12), 10**12)
LOGINS = st.builds(
    StoredLogin,
    TEXTS,
    TEXTS,
    TEXTS,
    realm=st.none() | TEXTS,
    service=TEXTS,
    ends=st.none() | MOMENTS,
    checked=MOMENTS,
    probed=MOMENTS,
    in_keyring=st.booleans(),
)


@given(st.dictionaries(TEXTS, LOGINS, max_size=3))
def test_what_is_written_is_read(logins: dict[str, StoredLogin]) -> None:
    """All of it."""
    found = read_logins(write_logins(logins))
    assert write_logins(found) == write_logins(logins)


def content(**changes: Any) -> bytes:
    """A file with one registry, changed."""
    value = json.loads(write_logins({"r": login("x")}))
    value["registries"]["r"] |= changes
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "found",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b"{}",
        b'{"registries": []}',
        b'{"registries": {}}',
        b'{"version": 2, "registries": {}}',
        b'{"version": 1, "registries": {"r": 1}}',
        content(realm=1),
        content(ends="x"),
        content(ends=True),
        content(checked=None),
        content(secret=None),
        content(in_keyring=0),
    ],
)
def test_unreadable(found: bytes) -> None:
    """Nothing is guessed."""
    with pytest.raises(UnreadableLogins):
        read_logins(found)
