"""Rule index: rules by the literal segments of their patterns, then by principal.

A decision looks only at rules that could apply to its name and identity, so its time does not grow with the number of
teams, nor with that of patterns that begin with a wildcard and have some literal segment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from tokenserver.identity import Identity, Kind
from tokenserver.patterns import SegmentKind, matches, matches_below
from tokenserver.policy.model import Bucket, Entry, Index, Rule
from tokenserver.scopes import Resource

FEW = 4
"""Up to this many entries with one prefix are not indexed by principal: trying them all is faster."""

_NONE: dict[str, tuple[Entry, ...]] = {}
"""Shared, since most buckets have no entry for a user, or none for a group."""

_NOWHERE: dict[str, Bucket] = {}
"""Shared, since most buckets have no patterns with a literal segment after a wildcard."""


def build_index(rules: Iterable[Rule], *, few: int = FEW) -> Index:
    """The index over `rules`, in any order. `few` affects the cost of a decision, never its result."""
    found: dict[str, dict[str, dict[str, list[Entry]]]] = {}
    for rule in rules:
        by_first = found.setdefault(rule.resource_type, {})
        for pattern in rule.patterns:
            first = pattern.prefix.partition("/")[0]
            by_first.setdefault(first, {}).setdefault(pattern.prefix, []).append((rule, pattern))
    return {
        resource_type: {
            first: {prefix: _bucket(entries, few) for prefix, entries in by_prefix.items()}
            for first, by_prefix in by_first.items()
        }
        for resource_type, by_first in found.items()
    }


IndexKey = tuple[str, str]
"""A resource type, and the first segment of a pattern's literal prefix (empty: there is none)."""


def index_keys(rules: Iterable[Rule]) -> frozenset[IndexKey]:
    """The keys of an index under which the rules are."""
    return frozenset(
        (rule.resource_type, pattern.prefix.partition("/")[0]) for rule in rules for pattern in rule.patterns
    )


def updated_index(index: Index, near: Iterable[Rule], touched: Iterable[IndexKey]) -> Index:
    """The index after a change under the keys `touched`; `near` are all rules that are now under any of them.

    Everything under other keys is shared with `index`, which is not modified.
    """
    changed = build_index(near)
    updated = {resource_type: dict(by_first) for resource_type, by_first in index.items()}
    for resource_type, first in touched:
        by_prefix = changed.get(resource_type, {}).get(first)
        if by_prefix is not None:
            updated.setdefault(resource_type, {})[first] = by_prefix
        else:
            updated.get(resource_type, {}).pop(first, None)
    return {resource_type: by_first for resource_type, by_first in updated.items() if by_first}


def _bucket(entries: list[Entry], few: int) -> Bucket:
    if len(entries) <= few:
        return Bucket(tuple(entries), _NONE, _NONE, _NOWHERE)
    others, by_literal = _split(entries)
    buckets = {text: _by_principal(some, few, _NOWHERE) for text, some in by_literal.items()} or _NOWHERE
    return _by_principal(others, few, buckets)


def _split(entries: list[Entry]) -> tuple[list[Entry], dict[str, list[Entry]]]:
    """The entries without a literal segment after the prefix, and the others by their rarest one."""
    texts = [[one.text for one in pattern.rest if one.kind is SegmentKind.LITERAL] for _, pattern in entries]
    frequency = Counter(text for some in texts for text in some)
    others: list[Entry] = []
    by_literal: dict[str, list[Entry]] = {}
    for entry, some in zip(entries, texts, strict=True):
        if some:
            by_literal.setdefault(min(some, key=frequency.__getitem__), []).append(entry)
        else:
            others.append(entry)
    return others, by_literal


def _by_principal(entries: list[Entry], few: int, by_literal: Mapping[str, Bucket]) -> Bucket:
    if len(entries) <= few:
        return Bucket(tuple(entries), _NONE, _NONE, by_literal)
    broad: list[Entry] = []
    by_user: dict[str, list[Entry]] = {}
    by_group: dict[str, list[Entry]] = {}
    for entry in entries:
        to = entry[0].to
        if not to.are_named:
            broad.append(entry)
            continue
        for user in to.users:
            by_user.setdefault(user, []).append(entry)
        for group in to.groups:
            by_group.setdefault(group, []).append(entry)
    return Bucket(tuple(broad), _frozen(by_user), _frozen(by_group), by_literal)


def prefixes(segments: list[str]) -> list[str]:
    """Every literal prefix that a pattern for this name can have, from the empty one to the whole name."""
    return ["", *accumulate(segments, "{}/{}".format)]


def buckets_for(index: Index, resource_type: str, segments: list[str]) -> list[Bucket]:
    """The buckets of all patterns whose literal segments allow that they cover the name with these `segments`."""
    by_first = index.get(resource_type, {})
    found = list(by_first.get("", {}).values())
    own = by_first.get(segments[0], {}) if segments else {}
    if own:
        for prefix in accumulate(segments, "{}/{}".format):
            if prefix in own:
                found.append(own[prefix])
    for bucket in found[:]:
        if bucket.by_literal:
            found += [bucket.by_literal[text] for text in dict.fromkeys(segments) if text in bucket.by_literal]
    return found


def matching_rules(index: Index, resource: Resource, identity: Identity, groups: frozenset[str]) -> list[Rule]:
    """The rules with a pattern that covers `resource` and that could apply to the identity, each once.

    The caller checks exceptions, condition and services.
    """
    user = None if identity.kind is Kind.ANONYMOUS else identity.subject
    value = None if user is None else identity.user_value
    segments = resource.name.split("/")
    found: dict[int, Rule] = {}  # by identity, which is the cheapest key
    # Plain loops instead of generators: only the signature takes more of an exchange.
    for bucket in buckets_for(index, resource.type, segments):
        entries = bucket.broad
        if user is not None:
            if bucket.by_user:
                entries += bucket.by_user.get(user, ())
            if bucket.by_group:
                for group in groups:
                    entries += bucket.by_group.get(group, ())
        for rule, pattern in entries:
            if id(rule) not in found and matches_below(pattern, segments, value, groups):
                if rule.without and is_taken_away(rule, segments):
                    continue
                found[id(rule)] = rule
    return list(found.values())


def is_taken_away(rule: Rule, segments: Sequence[str]) -> bool:
    """Whether the rule's `not` has the name with these `segments`, which its patterns cover."""
    return any(matches(pattern, segments, None, ()) for pattern in rule.without)


def _frozen(entries: dict[str, list[Entry]]) -> dict[str, tuple[Entry, ...]]:
    return {name: tuple(found) for name, found in entries.items()} if entries else _NONE
