"""What every user source must keep to (`Authenticator`); a new one gets one entry in `BACKENDS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from harness.authority import Authority
from harness.slapd import BASE, READER, Slapd, person, slapd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenserver.authn.authenticator import Authenticator
from tokenserver.authn.htpasswd.backend import Htpasswd, parse_users
from tokenserver.authn.passwords import hash_password
from tokenserver.config.ldap import Ldap
from tokenserver.config.settings import UserSource
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials
from tokenserver.identity import Identity, Kind
from tokenserver.server.compose import ldap_directory

pytestmark = pytest.mark.real("slapd")

GOOD = "wonderland"
NAME = "here"
NAMES = st.text(st.characters(), min_size=0, max_size=20) | st.sampled_from(["alice", "ALICE", " alice", "*", "\0"])


def _htpasswd(_: Slapd) -> Authenticator:
    return Htpasswd(NAME, "users", parse_users(f"alice:{hash_password(GOOD)}\n", "users"))


def _ldap(server: Slapd, **more: Any) -> Authenticator:
    values = {
        "name": NAME,
        "preset": "openldap",
        "url": server.tls_url,
        "ca_file": str(server.ca_file),
        "base": BASE,
        "bind_dn": READER,
        "bind_password": server.reader_password,
        **more,
    }
    return ldap_directory(Ldap.model_validate({key: value for key, value in values.items() if value is not None}))


def _template(server: Slapd) -> Authenticator:
    template = f"cn={{user}},ou=people,{BASE}"
    return _ldap(server, bind_dn=None, bind_password=None, user_dn_template=template)


BACKENDS: Mapping[str, tuple[str, Callable[[Slapd], Authenticator]]] = {
    "htpasswd": ("htpasswd", _htpasswd),
    "ldap": ("ldap", _ldap),
    "ldap, by template": ("ldap", _template),
}
"""Each backend, under the key that configures it."""

CANNOT_TELL_UNKNOWN = {"ldap, by template"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory that takes an empty password for success."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    folder: Path = tmp_path_factory.mktemp("slapd")
    with slapd(folder, authority, extra="allow bind_anon_cred bind_anon_dn") as running:
        running.add(person("alice", GOOD))
        yield running


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a backend."""
    return str(request.param)


@pytest.fixture(scope="module")
def backend(kind: str, server: Slapd) -> Authenticator:
    """The backend; its only user is alice."""
    return BACKENDS[kind][1](server)


def ask(backend: Authenticator, user: str, password: str) -> Identity | str | None:
    """The backend's answer, an error by its name; anything that the contract does not have fails."""
    try:
        return backend.authenticate(Password(user, Secret(password)))
    except (InvalidCredentials, BackendUnavailable) as error:
        return type(error).__name__


def test_every_kind_of_source_is_here() -> None:
    """Whatever `authentication` may name has kept the contract."""
    assert {key for key, _ in BACKENDS.values()} == set(UserSource.model_fields)


def test_right(backend: Authenticator) -> None:
    """An identity of its own, with a subject, of the kind that was brought."""
    found = ask(backend, "alice", GOOD)
    assert isinstance(found, Identity)
    assert (found.subject, found.source, found.kind, backend.name) == ("alice", NAME, Kind.PASSWORD, NAME)
    assert not found.is_anonymous


def test_wrong(backend: Authenticator) -> None:
    """The user is mine: no other source is asked."""
    assert ask(backend, "alice", "wrong") == "InvalidCredentials"


def test_unknown(kind: str, backend: Authenticator) -> None:
    """Not mine: the next one is asked, unless nobody can tell."""
    expected = "InvalidCredentials" if kind in CANNOT_TELL_UNKNOWN else None
    assert ask(backend, "nobody", GOOD) == expected


@pytest.mark.parametrize(
    "password", ["", "\0", f"{GOOD}\0", f"\0{GOOD}", f"{GOOD} ", f" {GOOD}", GOOD.upper(), GOOD[:-1]]
)
def test_nearly_right(backend: Authenticator, password: str) -> None:
    """Rows 1 and 13, at the backend itself: no password but the right one, and never the empty one."""
    assert ask(backend, "alice", password) == "InvalidCredentials"


@given(user=NAMES, password=st.sampled_from(["", "\0", "x\0"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_empty_password_is_nobody_s(backend: Authenticator, user: str, password: str) -> None:
    """Row 1: for every name, at every backend."""
    assert not isinstance(ask(backend, user, password), Identity)


@given(user=NAMES, password=st.text(st.characters(), max_size=100))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_has_an_answer(backend: Authenticator, user: str, password: str) -> None:
    """Whatever is typed gives one of the answers, and is never anybody but alice."""
    found = ask(backend, user, password)
    assert found in (None, "InvalidCredentials") or (
        isinstance(found, Identity) and (found.subject, password) == ("alice", GOOD)
    )
