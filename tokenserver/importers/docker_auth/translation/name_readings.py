"""The condition of an entry on the name, read as sets of names, for all of its clients or for some of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from tokenserver.importers.docker_auth.model import AclMatch, Labels
from tokenserver.importers.docker_auth.shapes.name_shapes import (
    EVERY_NAME,
    NameSet,
    NameShape,
    glob_names,
    quoted,
    regex_names,
)
from tokenserver.importers.docker_auth.shapes.pattern_spelling import CAPTURE, CAPTURED, USER
from tokenserver.importers.docker_auth.translation.account_readings import ClientReading, group_principal, label_group
from tokenserver.importers.docker_auth.translation.matching import account_submatches, is_regex
from tokenserver.importers.docker_auth.translation.people import AUTHENTICATED, ClientSet, PeerWorld, listed
from tokenserver.scopes import is_path_component

PLACEHOLDER = re.compile(r"\$\{(?:(account|type|name|service)(?::([0-9]+))?|labels:([^}]*))\}")
"""A placeholder: the field and the number of its submatch, or the label."""

_LIVE = frozenset("*?[\\")
_MAX_COMBINATIONS = 256


@dataclass(frozen=True, slots=True)
class EntryPart:
    """Clients, with the names that an entry is about for them: what it grants at most, and what it hides at least."""

    narrow: ClientSet
    shapes: tuple[NameShape, ...]
    wide: ClientSet
    widest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameReading:
    """The parts of an entry; `trap` and `doubt` say why its readings differ, `note` what else to know."""

    parts: tuple[EntryPart, ...]
    trap: str = ""
    doubt: str = ""
    note: str = ""


def names_of(match: AclMatch, clients: ClientReading, world: PeerWorld, *, keep_traps: bool) -> NameReading:
    """What an entry is about: its names, by the clients for whom they differ."""
    pattern = match.name
    if pattern is None:
        return _plain(EVERY_NAME, clients)
    used = list(PLACEHOLDER.finditer(pattern))
    if not used and "${" not in pattern:
        names, trap = _names(pattern, keep_traps=keep_traps)
        return _plain(names, clients, trap)
    if any(found[1] in ("name", "service") for found in used) or "${" in PLACEHOLDER.sub("", pattern):
        doubt = "the name is compared with itself, with the service, or with an unknown placeholder"
        return NameReading((_hidden(clients),), doubt=doubt)
    labels = {found[3] for found in used if found[3] is not None}
    is_plain_account = all(found[3] is not None or (found[1] == "account" and not found[2]) for found in used)
    if is_plain_account and not labels:
        return _with_account(pattern, clients, keep_traps=keep_traps)
    if is_plain_account and len(labels) == 1 and clients.is_unrestricted:
        return _with_label(pattern, labels.pop(), clients, world, keep_traps=keep_traps)
    return _one_by_one(match, clients, world, keep_traps=keep_traps)


def _plain(names: NameSet, clients: ClientReading, trap: str = "", note: str = "") -> NameReading:
    part = EntryPart(clients.narrow, names.shapes, clients.wide, names.widest)
    return NameReading((part,), trap, names.inexact, note)


def _names(pattern: str, *, keep_traps: bool) -> tuple[NameSet, str]:
    """The names of a pattern without placeholders; the second is why a regular expression is a trap, if it is one."""
    if not pattern:
        return NameSet((), ()), ""
    if not is_regex(pattern):
        return glob_names(pattern), ""
    searched = regex_names(pattern[1:-1], anchored=False)
    if pattern.startswith("/^") and "|" not in pattern:
        return searched, ""
    anchored = regex_names(pattern[1:-1], anchored=True)
    if not anchored.shapes or anchored.shapes == searched.shapes:
        return searched, ""
    trap = "the expression has no anchors, so it is also found inside of longer names"
    if keep_traps:
        return searched, trap
    return NameSet(anchored.shapes, searched.widest, anchored.inexact), trap


def _with_account(pattern: str, clients: ClientReading, *, keep_traps: bool) -> NameReading:
    names, trap = _names(_replaced(pattern, {}, USER), keep_traps=keep_traps)
    first = EntryPart(clients.narrow, names.shapes, clients.wide, names.widest)
    return NameReading((first, *_odd_accounts(pattern, clients, keep_traps=keep_traps)), trap, names.inexact)


def _odd_accounts(pattern: str, clients: ClientReading, *, keep_traps: bool) -> Iterator[EntryPart]:
    """Parts for static accounts whose names are no path components, and so nothing that `${user}` stands for."""
    for account in sorted(clients.wide.static):
        if is_path_component(account):
            continue
        names, _ = _names(_replaced(pattern, {}, quoted(account)), keep_traps=keep_traps)
        if names.widest:
            alone = listed([account], [account])
            yield EntryPart(_common(clients.narrow, alone), names.shapes, alone, names.widest)


def _common(people: ClientSet, alone: ClientSet) -> ClientSet:
    return alone if alone.static <= people.static else listed(())


def _with_label(pattern: str, label: str, clients: ClientReading, world: PeerWorld, *, keep_traps: bool) -> NameReading:
    """The names with the value of one label in them, which a group captures."""
    names, trap = _names(_replaced(pattern, {label: CAPTURE}, USER), keep_traps=keep_traps)
    static = frozenset(name for name in clients.wide.static if name and world.accounts[name].get(label))
    group = f"group:{label_group(label, f'{{{CAPTURED}}}')}"
    captured = ClientSet(static, frozenset({group}), (group,))
    groups = dict.fromkeys(group_principal(label, one) for name in static for one in world.accounts[name][label])
    wide = ClientSet(static, frozenset({group}), tuple(groups))
    if world.is_open:
        wide = ClientSet(static, frozenset({AUTHENTICATED}), (AUTHENTICATED,))
    parts = [EntryPart(captured, names.shapes, wide, names.widest)]
    doubt = names.inexact
    live = "the value of a label is not quoted, so wildcards in it match" if world.is_open else ""
    odd: dict[str, list[str]] = {}
    for account in sorted(clients.wide.static):
        for value in world.accounts[account].get(label, ()):
            if not (account and is_path_component(value) and is_path_component(account)):
                odd.setdefault(account, []).append(value)
    for account, values in odd.items():
        alone = listed([account], [account])
        for value in values:
            names, _ = _names(_replaced(pattern, {label: value}, quoted(account)), keep_traps=keep_traps)
            if not names.widest:
                continue
            is_live = not _LIVE.isdisjoint(value) or is_regex(value)
            live = f"the value {value!r} of a label is not quoted, so wildcards in it match" if is_live else live
            is_kept = keep_traps or not is_live
            parts.append(EntryPart(alone if is_kept else listed(()), names.shapes, alone, names.widest))
            doubt = doubt or names.inexact
    return NameReading(tuple(parts), trap or live, doubt)


def _one_by_one(match: AclMatch, clients: ClientReading, world: PeerWorld, *, keep_traps: bool) -> NameReading:
    """The names of each static account, with the values of the placeholders for it."""
    trap = doubt = ""
    found: dict[tuple[NameSet, bool], list[str]] = {}
    for account in sorted(clients.wide.static):
        for pattern, is_live in _expansions(match, account, world.accounts[account]):
            names, why = _names(pattern, keep_traps=keep_traps)
            trap = trap or why
            if is_live:
                trap = trap or f"the value of a placeholder is not quoted, so wildcards in it match: {pattern}"
            doubt = doubt or names.inexact
            if names.widest:
                found.setdefault((names, is_live and not keep_traps), []).append(account)
        if len(found) > _MAX_COMBINATIONS:
            return NameReading((_hidden(clients),), trap, f"it stands for more than {_MAX_COMBINATIONS} sets of names")
    parts = []
    for (names, is_closed), accounts in found.items():
        people = listed(accounts, world.accounts)
        narrow = listed(clients.narrow.static.intersection(accounts), world.accounts)
        parts.append(EntryPart(listed(()) if is_closed else narrow, names.shapes, people, names.widest))
    if world.is_open:
        parts.append(_hidden(clients))
        doubt = doubt or "only the accounts of the file are listed, since no variable is for this placeholder"
    note = "" if world.is_open else "the rules list the accounts of the file"
    return NameReading(tuple(parts), trap, doubt, note)


def _hidden(clients: ClientReading) -> EntryPart:
    return EntryPart(listed(()), (), clients.wide, ("**",))


def _expansions(match: AclMatch, account: str, labels: Labels) -> Iterator[tuple[str, bool]]:
    """The name patterns of an account, and whether a text in place of a placeholder has wildcards that match."""
    pattern = match.name or ""
    wanted = sorted({found[3] for found in PLACEHOLDER.finditer(pattern) if found[3] is not None})
    parts = account_submatches(match, account)
    own = {"${account}": quoted(account), "${type}": "repository", **parts}
    for values in product(*(labels.get(label, ()) for label in wanted)):
        texts = own | {f"${{labels:{label}}}": value for label, value in zip(wanted, values, strict=True)}
        text = PLACEHOLDER.sub(lambda found, texts=texts: texts.get(found[0], found[0]), pattern)  # type: ignore[misc]
        inserted = (*values, *parts.values())
        yield text, any(not _LIVE.isdisjoint(one) or (is_regex(text) and not one.isalnum()) for one in inserted)


def _replaced(pattern: str, labels: dict[str, str], account: str) -> str:
    return PLACEHOLDER.sub(lambda found: account if found[3] is None else labels[found[3]], pattern)
