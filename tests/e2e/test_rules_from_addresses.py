"""A running server decides like the words of the contract, for clients at several addresses.

The policies use every word that a condition, a group or a pattern can have, captures and `not` too; what is expected is
computed in this file, from the documents alone (docs/design/policy-language.md), and shares no code with the server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import product
from pathlib import Path

import pytest
from harness import web
from harness.server import ANONYMOUS, Setup, TokenServer, serving

SERVICE = "reg.test"
PROXY = "127.0.0.1/32"

GROUPS = {"web": {"ann", "ben"}, "data": {"cleo"}, "ops": {"dora"}}
RULED = {"reg-web-rw": {"ann", "ben"}, "reg-data-rw": {"cleo", "dora"}, "reg-a-b-rw": {"ann"}, "reg-a--rw": {"ben"}}
"""Groups whose names follow a rule, for captures."""
INCLUDING = {"builders": {"web", "data"}, "staff": {"builders", "ops"}}
"""Groups by the groups that they include, in an order in which every one is known before it is included."""

PEOPLE = ("ann", "ben", "cleo", "dora", ANONYMOUS)
ADDRESSES = ("10.0.0.1", "10.1.0.1", "10.1.2.3", "192.0.2.7", "198.51.100.9", "2001:db8::1", "2001:db8:1::1", "::1")
NAMES = (
    *("web/shop", "data/lake", "ops/x", "builders/x", "staff/x", "ann/x", "ben/x", "cleo/x/y", "t/shared1/x"),
    *("t/shared2/x", "public/a", "public/a/b", "vault/ann/x", "vault/ben/x", "frozen/shared1/x", "other"),
    *("team/web/x", "team/data/x", "team/data/prod/x", "team/a-b/x", "shared/web-x", "shared/data", "shared/a-b-c"),
    *("shared/a--c", "box/ann-tool", "box/annie-tool", "box/x-ben", "box/old-ben", "web/for-web", "data/for-web"),
)


@dataclass(frozen=True)
class Stated:
    """One rule as a person reads it."""

    effect: str
    to: Sequence[str]
    pattern: str
    actions: frozenset[str]
    but: Sequence[str] = ()
    within: Sequence[str] = ()
    outside: Sequence[str] = ()
    kind: str = ""
    without: Sequence[str] = ()

    def text(self, number: int) -> str:
        """The rule as it is written in a policy file."""
        when = [f"{key}: {quoted(values)}" for key, values in self.networks() if values]
        when += [f"kind: {self.kind}"] if self.kind else []
        parts = [f"id: r{number}", f"to: {quoted(self.to)}", f"repositories: {quoted([self.pattern])}"]
        parts += [f"not: {quoted(self.without)}"] if self.without else []
        parts += [f"actions: {quoted(sorted(self.actions))}", *([f"except: {quoted(self.but)}"] if self.but else [])]
        parts += [f"when: {{{', '.join(when)}}}"] if when else []
        return f"  - {{{', '.join(parts)}}}"

    def networks(self) -> list[tuple[str, Sequence[str]]]:
        """Its conditions on the address."""
        return [("from", self.within), ("not_from", self.outside)]

    def applies(self, person: str, address: str, name: str) -> bool:
        """Whether it applies to the client and the name."""
        kind = "password" if person else "anonymous"
        return (
            any(means(one, person) for one in self.to)
            and not any(means(one, person) for one in self.but)
            and self.kind in ("", kind)
            and (not self.within or is_in(address, self.within))
            and not is_in(address, self.outside)
            and any(re.fullmatch(one, name) for one in expressions(self.pattern, person, self.to))
            and not any(re.fullmatch(one, name) for part in self.without for one in expressions(part, person))
        )


def quoted(texts: Sequence[str]) -> str:
    return json.dumps(list(texts))


def groups_of(person: str) -> set[str]:
    """The groups of the policy files that have the person as a member, also through other groups."""
    found = {name for name, users in (GROUPS | RULED).items() if person in users}
    for name, others in INCLUDING.items():
        if found & others:
            found.add(name)
    return found


def means(principal: str, person: str) -> bool:
    """Whether a principal means the person."""
    sort, _, name = principal.partition(":")
    if "{" in name:
        return captured([principal], person) != set()
    if sort == "group":
        return name in groups_of(person)
    return {"everyone": True, "authenticated": person != "", "anonymous": person == "", "user": name == person}[sort]


def captured(principals: Sequence[str], person: str) -> set[str]:
    """What principals such as `group:reg-{team}-rw` capture of the names of the person's groups, where it is legal."""
    found = set()
    for principal in principals:
        before, _, after = principal.removeprefix("group:").partition("{team}")
        around = re.compile(re.escape(before) + "([a-z0-9]+(?:-+[a-z0-9]+)*)" + re.escape(after))
        found |= {match[1] for match in map(around.fullmatch, groups_of(person)) if match and "{" in principal}
    return found


def is_in(address: str, networks: Sequence[str]) -> bool:
    return any(ip_address(address) in ip_network(network) for network in networks)


def expressions(pattern: str, person: str, to: Sequence[str] = ()) -> Iterator[str]:
    """The pattern as regular expressions, one for each value of `${group}`, or of `${team}` as captured by `to`."""
    if "${user}" in pattern and not person:
        return
    values = captured(to, person) if "${team}" in pattern else groups_of(person) if "${group}" in pattern else {""}
    for value in sorted(values):
        filled = pattern.replace("${user}", person).replace("${group}", value).replace("${team}", value)
        parts = (
            "[^/]+(/[^/]+)*" if part == "**" else re.escape(part).replace(r"\*", "[^/]*") for part in filled.split("/")
        )
        yield "/".join(parts)


def rule(effect: str, to: str, pattern: str, actions: str = "pull", **more: str) -> Stated:
    """A rule; lists are separated by spaces."""
    lists = {key: more[key].split() for key in ("but", "within", "outside", "without") if key in more}
    return Stated(effect, to.split(), pattern, frozenset(actions.split()), kind=more.get("kind", ""), **lists)


RULES = [
    rule("allow", "everyone", "public/**", outside="198.51.100.0/24 2001:db8:1::/48"),
    rule("allow", "authenticated", "${user}/**", "pull push delete", outside="192.0.2.0/24"),
    rule("allow", "group:staff", "${group}/*", "pull push", within="10.0.0.0/8 2001:db8::/32", outside="10.1.0.0/16"),
    rule("allow", "group:builders", "*/shared1/**", "pull push", but="user:ben"),
    rule("allow", "group:builders", "*/shared2/**", outside="10.1.2.0/24"),
    rule("allow", "group:ops user:ann", "vault/${user}/*", within="10.1.0.0/16"),
    rule("allow", "everyone", "other", kind="anonymous", within="192.0.2.0/24 ::/0"),
    rule("allow", "group:staff", "**", but="group:data", within="10.1.2.0/24"),
    rule("deny", "everyone", "frozen/**", "push", but="group:ops"),
    rule("deny", "group:staff", "*/shared2/**", but="group:data", outside="10.0.0.0/8"),
    rule("deny", "group:builders", "web/*", "push", within="10.0.0.0/16"),
    rule("allow", "group:reg-{team}-rw", "team/${team}/**", "pull push", without="*/data/prod/**"),
    rule("allow", "group:reg-{team}-rw group:{team}ers", "shared/${team}-*", outside="192.0.2.0/24"),
    rule("allow", "authenticated", "box/${user}-*", "pull push"),
    rule("allow", "authenticated", "box/*-${user}", without="box/old-*"),
    rule("allow", "group:staff", "${group}/for-${group}"),
    rule("deny", "group:reg-{team}-rw", "*/${team}/x", "push", within="10.1.2.0/24"),
    rule("deny", "everyone", "box/**", "push", within="2001:db8:1::/48", without="box/ann-*"),
    rule("deny", "authenticated", "ben/**", "delete", outside="10.0.0.0/8 2001:db8::/32"),
]


def policies() -> str:
    """The policy file with all groups and rules."""
    lines = ["version: 1", "groups:"]
    lines += [f"  {name}: {{users: [{', '.join(sorted(users))}]}}" for name, users in (GROUPS | RULED).items()]
    lines += [f"  {name}: {{includes: [{', '.join(sorted(others))}]}}" for name, others in INCLUDING.items()]
    for effect in ("allow", "deny"):
        lines += [f"{effect}:", *(one.text(number) for number, one in enumerate(RULES) if one.effect == effect)]
    return "\n".join(lines) + "\n"


def expected(person: str, address: str, name: str) -> set[str]:
    """What the client gets on the name."""
    applying = [one for one in RULES if one.applies(person, address, name)]
    allowed, denied = (
        {action for one in applying if one.effect == effect for action in one.actions} for effect in ("allow", "deny")
    )
    return allowed - denied


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that learns the client's address from a proxy."""
    folder: Path = tmp_path_factory.mktemp("addresses")
    people = {person: f"password of {person}" for person in PEOPLE if person}
    settings = {"server": {"trusted_proxies": [PROXY]}}
    with serving(folder, Setup(people, {"rules.yaml": policies()}, {SERVICE: "universal"}, settings)) as running:
        yield running


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("person", PEOPLE)
def test_the_server_decides_like_the_contract(server: TokenServer, person: str, address: str) -> None:
    """On every name, for every action."""
    scopes = [f"repository:{name}:pull,push,delete" for name in NAMES]
    login = web.basic(person, server.people[person]) if person else {}
    answer = server.request("GET", web.token_target(SERVICE, scopes), headers=login | {"X-Forwarded-For": address})
    assert answer.status == 200
    granted = {one["name"]: set(one["actions"]) for one in web.claims(answer.json()["token"])["access"]}
    assert {name: granted.get(name, set()) for name in NAMES} == {
        name: expected(person, address, name) for name in NAMES
    }


def test_the_sample_tells_the_addresses_apart() -> None:
    """Every rule decides something in it, and every address matters."""
    sample = list(product(PEOPLE, ADDRESSES, NAMES))
    for one in RULES:
        assert any(one.applies(*client) for client in sample), one
    answers = {
        address: [expected(person, address, name) for person in PEOPLE for name in NAMES] for address in ADDRESSES
    }
    assert len({str(found) for found in answers.values()}) >= len(ADDRESSES) - 1
