"""Random configurations of docker_auth over small alphabets, translated, with all that can be asked about them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime

from hypothesis import strategies as st

from tokenserver.importers.docker_auth.comparison.compare import Disagreement, disagreements
from tokenserver.importers.docker_auth.comparison.ours import OurSide
from tokenserver.importers.docker_auth.comparison.requests import values_of
from tokenserver.importers.docker_auth.model import (
    AclEntry,
    AclMatch,
    DockerAuthConfig,
    PeerBackend,
    PeerRequest,
    PeerServerSettings,
    PeerTokenSettings,
    StaticUser,
)

SERVICES = frozenset({"one", "two"})
NOW = datetime(2026, 1, 1, tzinfo=UTC)

ACCOUNTS = [
    None,
    "",
    "ann",
    "bob",
    "*",
    "a*",
    "/.+/",
    "/ann|bob/",
    "/^(ann|bob)$/",
    "/^(.+)@x$/",
    "/an/",
    "[ab]*",
    "zoe",
]
NAMES = [
    None, "*", "*/*", "a/*", "a/b", "${account}/*", "${account}", "x-${account}", "/^a\\/.*$/", "/a/", "/^a/", "a?",
    "[ab]/*",
    "${account:1}/*", "${labels:g}/*", "x-${labels:g}", "${labels:g}/${labels:h}", "/^[a-z]+$/", "catalog", "/.*/",
    "**",
    "A/*", "/^(a|b)\\/[^\\/]+$/", "/^a.b/", "/(ab)*/", "${labels:g}/${account}", "/^a.+$/", "b*", "${labels:g}",
]  # fmt: skip
TYPES = [None, None, None, "repository", "registry", "re*", "plugin"]
IPS = [None, None, None, "10.0.0.0/8", "10.1.0.0/16", "10.0.0.1", "::1", "192.0.2.0/24"]
PATTERNS_OF_SERVICES = [None, None, None, "one", "two", "t*", "/o/", "none"]
LABELS = [(), (), (), (("g", "a"),), (("g", "/a|b/"),), (("g", "*"),), (("g", "a"), ("h", "c")), (("h", "/^c$/"),)]
ACTIONS = [
    ("*",),
    ("pull",),
    ("pull", "push"),
    (),
    ("push",),
    ("*", "pull"),
    ("pull", "push", "delete"),
    None,
    ("odd",),
]

entries = st.builds(
    lambda account, type_, name, ip, service, labels, actions, ignored: AclEntry(
        line=1, match=AclMatch(account, type_, name, ip, service, labels), actions=actions, ignored_keys=ignored
    ),
    st.sampled_from(ACCOUNTS),
    st.sampled_from(TYPES),
    st.sampled_from(NAMES),
    st.sampled_from(IPS),
    st.sampled_from(PATTERNS_OF_SERVICES),
    st.sampled_from(LABELS),
    st.sampled_from(ACTIONS),
    st.sampled_from([(), (), (), (), (), (("match.team", 1),)]),
)
_labels = st.fixed_dictionaries(
    {},
    optional={
        "g": st.lists(st.sampled_from(["a", "b", "ab", "a/b", "*"]), max_size=2, unique=True).map(tuple),
        "h": st.lists(st.sampled_from(["c", "d"]), max_size=2, unique=True).map(tuple),
    },
)
users = st.dictionaries(
    st.sampled_from(["", "ann", "bob", "a", "Ann", "a@x", "a/b", "b-"]),
    _labels.map(lambda labels: StaticUser("", 1, "hash", labels)),
    min_size=1,
    max_size=4,
)


def _configured(acl: list[AclEntry], accounts: dict[str, StaticUser], *, is_open: bool) -> DockerAuthConfig:
    numbered = tuple(
        AclEntry(place + 10, one.match, one.actions, one.comment, one.ignored_keys) for place, one in enumerate(acl)
    )
    backends = {"ldap_auth": PeerBackend("ldap_auth", 2, {})} if is_open else {}
    return DockerAuthConfig("auth.yml", PeerServerSettings(), PeerTokenSettings(), accounts, numbered, backends)


configurations = st.builds(
    lambda acl, accounts, is_open: _configured(acl, accounts, is_open=is_open),
    st.lists(entries, min_size=1, max_size=6),
    users,
    st.booleans(),
)


def requests_about(config: DockerAuthConfig, count: int, seed: int = 1) -> Iterator[PeerRequest]:
    """Some of the requests at the boundaries of a configuration."""
    choose = random.Random(seed).randrange  # noqa: S311 - no secret
    extra = [
        "a",
        "b",
        "ab",
        "a/b",
        "a/a",
        "b/x",
        "ann/x",
        "bob/x",
        "x-ann",
        "x-a",
        "a-b",
        "a1",
        "a.b/x",
        "a@x/y",
        "catalog",
    ]
    values = values_of(config, SERVICES, extra)
    for _ in range(count):
        yield values.any_request(choose)


def all_disagreements(config: DockerAuthConfig, ours: OurSide, count: int = 120) -> Iterator[Disagreement]:
    """How both sides differ about some requests."""
    return disagreements(config, ours, requests_about(config, count))
