"""The index over all rules: found by the literal beginning of a pattern, then by who could be meant.

A decision looks at the rules that could matter to this name and this identity and at no others, so that its time
does not grow with the number of teams.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from tokenserver.identity import Identity
from tokenserver.policy.model import Bucket, Entry, Index, Rule
from tokenserver.policy.patterns import matches_below
from tokenserver.scopes import Resource

_NONE: dict[str, tuple[Entry, ...]] = {}
"""Kept once, since most buckets have no entry for a user, or none for a group."""


def build_index(rules: Iterable[Rule]) -> Index:
    """The index over `rules`, whose order does not matter."""
    broad: dict[tuple[str, str], list[Entry]] = {}
    by_user: dict[tuple[str, str], dict[str, list[Entry]]] = {}
    by_group: dict[tuple[str, str], dict[str, list[Entry]]] = {}
    for rule in rules:
        for pattern in rule.patterns:
            key, entry = (rule.resource_type, pattern.prefix), (rule, pattern)
            if not rule.to.are_named:
                broad.setdefault(key, []).append(entry)
                continue
            for user in rule.to.users:
                by_user.setdefault(key, {}).setdefault(user, []).append(entry)
            for group in rule.to.groups:
                by_group.setdefault(key, {}).setdefault(group, []).append(entry)
    index: dict[str, dict[str, Bucket]] = {}
    for key in {*broad, *by_user, *by_group}:
        resource_type, prefix = key
        index.setdefault(resource_type, {})[prefix] = Bucket(
            tuple(broad.pop(key, ())), _frozen(by_user.pop(key, {})), _frozen(by_group.pop(key, {}))
        )
    return index


def prefixes(segments: list[str]) -> list[str]:
    """Every literal beginning that a pattern for this name can have, from none to all of it."""
    return ["", *accumulate(segments, "{}/{}".format)]


def matching_rules(index: Index, resource: Resource, identity: Identity, groups: frozenset[str]) -> list[Rule]:
    """The rules with a pattern that covers `resource` and that could mean the identity, each once.

    Whether a rule does mean it (`except`), its condition and its services are for the caller to look at.
    """
    buckets = index.get(resource.type)
    if buckets is None:
        return []
    user = None if identity.is_anonymous else identity.subject
    segments = resource.name.split("/")
    found: dict[str, Rule] = {}
    # The loops stand here and not in generators: this is the hottest place of an exchange after the signature.
    for prefix in prefixes(segments):
        bucket = buckets.get(prefix)
        if bucket is None:
            continue
        entries = bucket.broad
        if user is not None:
            entries += bucket.by_user.get(user, ())
            if bucket.by_group:
                for group in groups:
                    entries += bucket.by_group.get(group, ())
        for rule, pattern in entries:
            if rule.id not in found and matches_below(pattern, segments, user, groups):
                found[rule.id] = rule
    return list(found.values())


def _frozen(entries: dict[str, list[Entry]]) -> dict[str, tuple[Entry, ...]]:
    return {name: tuple(found) for name, found in entries.items()} if entries else _NONE
