"""Decisions of docker_auth: its recorded answers, and what the configuration file does not decide."""

from __future__ import annotations

import time

import pytest
from peer_answers import Answer, our_answers, recorded, verify
from peer_cases import HASHES, Case

from tokenserver.importers.docker_auth.evaluator import AskedElsewhere, answer, authorize
from tokenserver.importers.docker_auth.model import NO_LABELS, AclEntry, PeerAnswer, PeerRequest
from tokenserver.importers.docker_auth.reader import read_docker_auth
from tokenserver.importers.golang.expression import ExpressionBeyondLimits

RECORDED = [pytest.param(*each, id=each[0].name) for name in ("cases", "random") for each in recorded(name)]


@pytest.mark.parametrize(("case", "expected"), RECORDED)
def test_the_server_agrees(case: Case, expected: list[Answer] | None) -> None:
    """Every recorded answer, and whether the server starts."""
    assert our_answers(case) == expected


def request(name: str = "a", account: str = "ann", password: str | None = None) -> PeerRequest:
    """A request to pull."""
    return PeerRequest(account, name, ("pull",), password=password)


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        pytest.param("acl: [{match: {}, actions: [pull]}]", request(), (200, ("pull",)), id="an identity is given"),
        pytest.param("users: {ann: {}}\nacl: []", request(password="x"), (200, ()), id="no rule"),
        pytest.param("users: {}\nacl: []", request(password="x"), (401, ()), id="an unknown account"),
        pytest.param(
            f"users: {{ann: {{password: '{HASHES['123']}'}}}}\nacl: []", request(password="x"), (401, ()), id="wrong"
        ),
        pytest.param(
            f"users: {{ann: {{password: '{HASHES['123']}'}}}}\nldap_auth: {{}}\nacl: []",
            request(password="x"),
            (401, ()),
            id="a wrong password ends the search",
        ),
        pytest.param(
            "users: {ann: {labels: {g: [x]}}}\nacl: [{match: {labels: {g: x}}, actions: ['*']}]",
            request(password=""),
            (200, ("pull",)),
            id="labels of a static user",
        ),
        pytest.param("acl: [{match: {}}]", request(), (0, ()), id="no actions"),
    ],
)
def test_answers(text: str, asked: PeerRequest, expected: tuple[int, tuple[str, ...]]) -> None:
    """Status and granted actions."""
    found = answer(read_docker_auth(text, "f"), asked, verify)
    assert (found.status, found.granted) == expected


@pytest.mark.parametrize(
    ("text", "password", "source"),
    [
        pytest.param("users: {}\nxorm_auth: {}\nldap_auth: {}\nacl: []", "x", "ldap_auth", id="users"),
        pytest.param("ext_auth: {}\nacl: []", "x", "ext_auth", id="no static users"),
        pytest.param("acl: [{match: {name: b}, actions: [pull]}]\ncasbin_authz: {}", None, "casbin_authz", id="rules"),
        pytest.param("acl_mongo: {}", None, "acl_mongo", id="no static rules"),
    ],
)
def test_other_sources(text: str, password: str | None, source: str) -> None:
    """Where another source would be asked, its name is the answer."""
    with pytest.raises(AskedElsewhere, match=source):
        answer(read_docker_auth(text, "f"), request(password=password), verify)


def test_the_deciding_entry() -> None:
    """It is part of the answer, with its line."""
    config = read_docker_auth("acl:\n- match: {name: b}\n  actions: []\n- match: {}\n  actions: [push]", "f")
    found = authorize(config, request(), NO_LABELS)
    assert config.acl is not None
    assert found == PeerAnswer(200, (), config.acl[1])
    assert found.entry is not None
    assert found.entry.line == 4


def test_an_entry_without_match() -> None:
    """docker_auth does not start with it; here it matches nothing."""
    config = read_docker_auth("acl: [{actions: [pull]}]", "f")
    assert config.acl == (AclEntry(1, None, ("pull",)),)
    assert authorize(config, request(), NO_LABELS) == PeerAnswer(200)


def test_unknown_addresses() -> None:
    """They are in no network."""
    config = read_docker_auth("acl: [{match: {ip: 0.0.0.0/0}, actions: [pull]}]", "f")
    assert authorize(config, request(), NO_LABELS).entry is None
    config = read_docker_auth("acl: [{match: {ip: nonsense}, actions: [pull]}]", "f")
    assert authorize(config, PeerRequest("ann", "a", ("pull",), ip="::1"), NO_LABELS).entry is None


def test_too_many_combinations() -> None:
    """A product of label values is bounded."""
    config = read_docker_auth("acl: [{match: {name: '${labels:a}${labels:b}${labels:c}'}, actions: [pull]}]", "f")
    labels = {label: tuple(map(str, range(50))) for label in "abc"}
    with pytest.raises(ExpressionBeyondLimits, match="combinations"):
        authorize(config, request(), labels)


def test_thousands_of_rules() -> None:
    """A request that matches the last of two thousand takes a few milliseconds, once their expressions are parsed."""
    rule = '- match: {{account: "user{0}", name: "/^team{0}/.*$/"}}\n  actions: [pull]\n'
    text = "acl:\n" + "".join(rule.format(number) for number in range(2_000))
    config = read_docker_auth(text, "f")
    begin = time.process_time()
    assert authorize(config, request("team1999/x", "user1999"), NO_LABELS).granted == ("pull",)
    assert time.process_time() - begin < 1
