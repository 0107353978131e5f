"""docker_auth's configuration file: what becomes of its keys, what is ignored, and how fast it is read."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_peer_yaml import peer_yaml

from tokenserver.errors import LoadError
from tokenserver.importers.docker_auth.model import (
    AclEntry,
    AclMatch,
    PeerServerSettings,
    PeerTokenSettings,
    UnknownKey,
)
from tokenserver.importers.docker_auth.reader import read_docker_auth

WHOLE = """\
server:
  addr: :5001
  real_ip_header: X-Forwarded-For
  real_ip_pos: -2
  letsencrypt: {email: a@example.com}
  tls_min_version: TLS12
token: {issuer: Acme, expiration: 900.0, disable_legacy_key_id: on}
users:
  "": {}
  yes: {password: $2y$05$x, labels: {group: [web, dev], empty: }}
  123:
  gone: ~
  there: Null
ldap_auth:
  addr: ldap.example.com
  tls: yes
  labels:
    title: {attribute: title, parse_cn: true}
mongo_auth: {dial_info: {addrs: [a, b], timeout: 10s}, colection: x}
acl_mongo: {cache_ttl: 1m}
google_auth: {level_token_db: {path: /x}, redis_token_db: {redis_options: {addr: "a:1"}}}
acl:
- match: {account: "", name: "a/*", ip: 10.0.0.0/8, labels: {group: web, dept: }}
  actions: [pull, "*"]
  comment: first
- match: {account:"admin", team: web}
  actions:
  comment:
- actions: []
  reason: none
bogus: {anything: [1]}
"""


def test_a_whole_file() -> None:
    """Every kind of key."""
    config = read_docker_auth(WHOLE, "auth.yml")
    assert config.server == PeerServerSettings(
        line=1,
        addr=":5001",
        real_ip_header="X-Forwarded-For",
        real_ip_pos=-2,
        letsencrypt={"email": "a@example.com", "cache_dir": "", "host": ""},
        tls={"tls_min_version": "TLS12"},
    )
    assert config.token == PeerTokenSettings(line=7, issuer="Acme", expiration=900, disable_legacy_key_id=True)
    assert config.users is not None
    assert [(user.name, user.line, user.password_hash) for user in config.users.values()] == [
        ("", 9, None),
        ("yes", 10, "$2y$05$x"),
        ("there", 13, None),
    ]
    assert config.users["yes"].labels == {"group": ("web", "dev"), "empty": ()}
    assert config.acl == (
        AclEntry(
            23,
            AclMatch(account="", name="a/*", ip="10.0.0.0/8", labels=(("dept", ""), ("group", "web"))),
            ("pull", "*"),
            "first",
        ),
        AclEntry(26, AclMatch(), None, None, (('match.account:"admin"', 26), ("match.team", 26))),
        AclEntry(29, None, (), None, (("reason", 30),)),
    )
    assert (config.acl_line, config.users_line) == (22, 8)
    assert config.unknown_keys == (
        UnknownKey("mongo_auth.colection", 19),
        UnknownKey('acl[1].match.account:"admin"', 26),
        UnknownKey("acl[1].match.team", 26),
        UnknownKey("acl[2].reason", 30),
        UnknownKey("bogus", 31),
    )


def test_backends() -> None:
    """Sections that are not modelled keep their values and lines, in the order in which docker_auth asks them."""
    backends = read_docker_auth(WHOLE, "auth.yml").backends
    assert list(backends) == ["google_auth", "ldap_auth", "mongo_auth", "acl_mongo"]
    ldap = backends["ldap_auth"]
    assert ldap.line == 14
    assert ldap.values == {
        "addr": "ldap.example.com",
        "tls": "yes",
        "labels": {"title": {"attribute": "title", "parse_cn": True}},
    }
    assert ldap.lines["labels.title.parse_cn"] == 18
    assert backends["mongo_auth"].values == {"dial_info": {"addrs": ("a", "b"), "timeout": 10_000_000_000}}
    assert backends["acl_mongo"].values == {"cache_ttl": 60_000_000_000}
    assert backends["google_auth"].values == {
        "level_token_db": {"path": "/x"},
        "redis_token_db": {"redis_options": {"addr": "a:1"}},
    }


@pytest.mark.parametrize(
    ("text", "users", "acl"),
    [
        pytest.param("", False, False, id="nothing"),
        pytest.param("users: {}\nacl: []", True, True, id="empty ones"),
        pytest.param("users:\nacl: ~", False, False, id="nulls"),
        pytest.param("users: {}\nusers:", False, False, id="a later null"),
    ],
)
def test_absent_is_not_empty(text: str, users: bool, acl: bool) -> None:
    """An empty section is there, a null is not."""
    config = read_docker_auth(text, "auth.yml")
    assert (config.users is not None, config.acl is not None) == (users, acl)


def test_faults_have_lines() -> None:
    """All of them, with their paths."""
    with pytest.raises(LoadError) as caught:
        read_docker_auth("token:\n  expiration: 15m\nusers:\n  a: {labels: {g: web}}\n", "auth.yml")
    assert [str(fault) for fault in caught.value.faults] == [
        "auth.yml:2: token.expiration: must be an integer, not another value",
        "auth.yml:4: users.a.labels.g: must be a list, not another value",
    ]


def test_thousands_of_rules() -> None:
    """Two thousand are read in a fraction of a second; the time grows with their number alone."""
    entry = '- match: {{account: "user{0}", name: "team{0}/*"}}\n  actions: [pull, push]\n  comment: rule {0}\n'
    text = "acl:\n" + "".join(entry.format(number) for number in range(2_000))
    begin = time.process_time()
    config = read_docker_auth(text, "auth.yml")
    assert time.process_time() - begin < 1
    assert config.acl is not None
    assert len(config.acl) == 2_000


@given(st.randoms(use_true_random=False).map(peer_yaml))
def test_any_configuration(text: str) -> None:
    """It is read, or there is a fault."""
    with suppress(LoadError):
        read_docker_auth(text, "auth.yml")
