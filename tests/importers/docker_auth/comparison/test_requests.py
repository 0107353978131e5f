"""Requests at the boundaries of a configuration: they reach every entry."""

from __future__ import annotations

from tokenserver.importers.docker_auth.comparison.choices import Choices
from tokenserver.importers.docker_auth.comparison.compare import theirs
from tokenserver.importers.docker_auth.comparison.requests import STRANGER, values_of
from tokenserver.importers.docker_auth.model import (
    AclEntry,
    AclMatch,
    DockerAuthConfig,
    PeerBackend,
    PeerServerSettings,
    PeerTokenSettings,
)
from tokenserver.importers.docker_auth.reader import read_docker_auth

CONFIG = """\
users: {ann: {password: x, labels: {team: [web]}}, "": {}}
ldap_auth: {addr: "x:636"}
acl:
  - {match: {ip: 10.1.0.0/16, name: "in/*"}, actions: [pull]}
  - {match: {account: ann, name: "${account}/*"}, actions: [pull]}
  - {match: {name: "${labels:team}/only"}, actions: [pull]}
  - {match: {labels: {team: data}}, actions: [pull]}
  - {match: {account: zoe, service: two}, actions: [pull]}
  - {match: {name: "/^(a|b)\\\\/x.*$/"}, actions: [pull]}
  - {match: {name: lib}, actions: [pull]}
  - {match: {ip: "255.255.255.255"}, actions: [pull]}
"""


def test_every_entry_is_reached() -> None:
    """By some of a few thousand requests, which are the same every time."""
    config = read_docker_auth(CONFIG, "auth.yml")
    values = values_of(config, ["one", "two"], ["more", "NOT/LEGAL"])
    assert "more" in values.names
    assert "NOT/LEGAL" not in values.names
    requests = [values.any_request(Choices(seed).below) for seed in range(8_000)]
    reached = {entry.line for request in requests for entry in [theirs(config, request)[1]] if entry is not None}
    assert reached == {entry.line for entry in config.acl or ()}
    assert STRANGER in {request.account for request in requests}


def test_no_accounts() -> None:
    """Only anonymous clients ask."""
    values = values_of(read_docker_auth("acl: []", "auth.yml"), ["one"])
    assert values.any_request(Choices(1).below).account == ""


def test_large_configurations() -> None:
    """Values are bounded; an entry without a match has none."""
    entries = [
        AclEntry(n, AclMatch(name=f"n{n}/*", ip=f"10.{n % 250}.{n // 250}.0/24"), ("pull",)) for n in range(2_000)
    ]
    backends = {"ldap_auth": PeerBackend("ldap_auth", 1, {})}
    config = DockerAuthConfig(
        "auth.yml", PeerServerSettings(), PeerTokenSettings(), {}, (AclEntry(1, None, None), *entries), backends
    )
    values = values_of(config, ["one"])
    assert len(values.names) < 3_000
    assert len(values.addresses) < 3_000
