"""The contract of `Authenticator` at a real directory; other sources: tests/authn/test_authenticator.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from authenticator_contract import GOOD, NAME, AuthenticatorContract
from harness.authority import Authority
from harness.slapd import BASE, READER, Slapd, person, slapd

from tokenserver.authn.authenticator import Authenticator
from tokenserver.config.sources.ldap import Ldap
from tokenserver.server.sources.password_sources import ldap_directory

pytestmark = pytest.mark.real("slapd")


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


BACKENDS: Mapping[str, Callable[[Slapd], Authenticator]] = {"ldap": _ldap, "ldap, by template": _template}

CANNOT_TELL_UNKNOWN = {"ldap, by template"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory that takes an empty password for success."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    folder: Path = tmp_path_factory.mktemp("slapd")
    with slapd(folder, authority, extra="allow bind_anon_cred bind_anon_dn") as running:
        running.add(person("alice", GOOD))
        yield running


class TestLdap(AuthenticatorContract):
    """A directory, with a service account and without one."""

    @pytest.fixture(scope="class", params=sorted(BACKENDS))
    @classmethod
    def kind(cls, request: pytest.FixtureRequest) -> str:
        """How the directory is configured."""
        return str(request.param)

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, kind: str, server: Slapd) -> Authenticator:
        """The directory; its only user is alice."""
        return BACKENDS[kind](server)

    @pytest.fixture
    def finds(self, kind: str) -> bool:
        """Without a service account nobody can be found without a password."""
        return kind not in CANNOT_TELL_UNKNOWN

    @pytest.fixture
    def unknown(self, kind: str) -> str | None:
        """Without a service account, an unknown user looks like a wrong password."""
        return "InvalidCredentials" if kind in CANNOT_TELL_UNKNOWN else None
