"""Tests for the policy files: requests that both sides answer alike, a few for each entry. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from tokenserver.authn.usernames import name_problem
from tokenserver.identity import spell_group
from tokenserver.importers.docker_auth.comparison.compare import Undecided, theirs
from tokenserver.importers.docker_auth.comparison.ours import OurSide
from tokenserver.importers.docker_auth.model import DockerAuthConfig, PeerRequest
from tokenserver.importers.policy_text import PolicyTest, PolicyText
from tokenserver.scopes import REPOSITORY_ACTIONS, in_order

_PER_ENTRY = 2
_MAX_TESTS = 80


def with_tests(
    files: Mapping[str, PolicyText], config: DockerAuthConfig, ours: OurSide, requests: Iterable[PeerRequest]
) -> dict[str, PolicyText]:
    """The files with tests in those that are for the requests' registries."""
    tests: dict[str, list[PolicyTest]] = {name: [] for name in files}
    for request, test in _tests(config, ours, requests):
        name = next((name for name, file in files.items() if not file.registries), None)
        if name is None:
            name = next((name for name, file in files.items() if request.service in file.registries), None)
        if name is not None:
            tests[name].append(test)
    return {name: replace(file, tests=tuple(tests[name])) for name, file in files.items()}


def _tests(
    config: DockerAuthConfig, ours: OurSide, requests: Iterable[PeerRequest]
) -> Iterator[tuple[PeerRequest, PolicyTest]]:
    counts: Counter[int] = Counter()
    needs_address = any(entry.match is not None and entry.match.ip for entry in config.acl or ())
    seen: set[tuple[object, ...]] = set()
    for request in requests:
        actions = REPOSITORY_ACTIONS if request.type == "repository" else ("*",)
        asked = replace(request, actions=actions)
        known = (asked.account, asked.name, asked.type, asked.service, asked.ip)
        if known in seen or (asked.account and name_problem(asked.account)) or not ours.can_be_asked(asked):
            continue
        seen.add(known)
        try:
            granted, entry = theirs(config, asked)
        except Undecided:
            continue
        if granted != ours.granted(asked) or counts[id(entry)] >= _PER_ENTRY:
            continue
        counts[id(entry)] += 1
        yield asked, _test(asked, granted, ours, needs_address=needs_address)
        if counts.total() >= _MAX_TESTS:
            return


def _test(request: PeerRequest, granted: frozenset[str], ours: OurSide, *, needs_address: bool) -> PolicyTest:
    client: dict[str, str | tuple[str, ...]] = {}
    if request.account:
        client["user"] = request.account
        groups = ours.identity(request).groups
        if groups:
            client["groups"] = tuple(map(spell_group, sorted(groups)))
    where = request.name if request.type == "repository" else f"{request.type}:{request.name}"
    settings = {"service": request.service} | ({"from": request.ip} if request.ip and needs_address else {})
    refused = frozenset(request.actions) - granted
    return PolicyTest(client, _items(granted, where), _items(refused, where), settings)


def _items(actions: frozenset[str], where: str) -> tuple[str, ...]:
    return (f"{','.join(in_order(actions))} {where}",) if actions else ()
