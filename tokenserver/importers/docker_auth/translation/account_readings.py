"""The conditions of an entry on the account and its labels, read as sets of clients. Pure.

Two readings: `narrow` is never wider than what docker_auth matches, `wide` never narrower.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tokenserver.identity import spell_group
from tokenserver.importers.docker_auth.model import AclMatch
from tokenserver.importers.docker_auth.shapes.atoms import (
    PRINTABLE,
    Anchor,
    Atom,
    Inexpressible,
    Sequence_,
    glob_sequence,
    texts,
)
from tokenserver.importers.docker_auth.shapes.regex_sequences import regex_sequences
from tokenserver.importers.docker_auth.translation.matching import is_regex, text_matches
from tokenserver.importers.docker_auth.translation.people import (
    ANONYMOUS,
    AUTHENTICATED,
    ClientSet,
    PeerWorld,
    authenticated,
    everybody,
    listed,
)
from tokenserver.policy.terms import TermError, parse_group, parse_user

_MAX_LISTED = 64
_NOBODY = listed(())


def label_group(label: str, value: str) -> str:
    """The group that an account is in because a label of it has this value, whichever source reports it."""
    return f"{label}={value}"


def group_principal(label: str, value: str) -> str:
    """The principal for the accounts of which a label has this value."""
    return f"group:{spell_group(label_group(label, value))}"


@dataclass(frozen=True, slots=True)
class ClientReading:
    """The clients of an entry, in both readings. `trap` and `doubt` say why these differ.

    `is_unrestricted`: everybody, or everybody with an account, whatever the labels are.
    """

    narrow: ClientSet
    wide: ClientSet
    trap: str = ""
    doubt: str = ""
    is_unrestricted: bool = False


def clients_of(match: AclMatch, world: PeerWorld, *, keep_traps: bool) -> ClientReading:
    """The clients for which the conditions on the account and its labels hold."""
    account = _account(match.account, world, keep_traps=keep_traps)
    if not match.labels:
        return account
    conditions = [_label(label, pattern, world, keep_traps=keep_traps) for label, pattern in match.labels]
    trap = next((one.trap for one in (account, *conditions) if one.trap), "")
    doubt = next((one.doubt for one in (account, *conditions) if one.doubt), "")
    if account.is_unrestricted and len(conditions) == 1:
        narrow, wide = (_within(one, account.wide.static) for one in (conditions[0].narrow, conditions[0].wide))
        return ClientReading(narrow, wide, trap, doubt)
    narrow = listed(account.narrow.static.intersection(*(one.narrow.static for one in conditions)), world.accounts)
    static = account.wide.static.intersection(*(one.wide.static for one in conditions))
    if not world.is_open:
        return ClientReading(narrow, listed(static, world.accounts), trap, doubt)
    wide = ClientSet(static, frozenset({AUTHENTICATED}), (AUTHENTICATED,))
    return ClientReading(
        narrow, wide, trap, doubt or "no principal is for clients for whom several conditions hold together"
    )


def _within(people: ClientSet, static: frozenset[str]) -> ClientSet:
    """The people, with anonymous clients only if they are in `static`."""
    kept = people.static & static
    principals = tuple(one for one in people.principals if one != ANONYMOUS)
    return ClientSet(kept, people.others, (*principals, ANONYMOUS) if "" in kept else principals)


def _account(pattern: str | None, world: PeerWorld, *, keep_traps: bool) -> ClientReading:
    if pattern is None or (pattern == "*" and not any("/" in name for name in world.accounts)):
        everyone = everybody(world)
        return ClientReading(everyone, everyone, is_unrestricted=True)
    if "${" in pattern:
        return ClientReading(_NOBODY, everybody(world), doubt="the account is compared with a placeholder")
    includes_nothing = _everything_in(pattern)
    if includes_nothing is not None:
        people = everybody(world) if includes_nothing else authenticated(world)
        return ClientReading(people, people, is_unrestricted=True)
    found = _texts(pattern)
    if found is not None and _is_plain(pattern):
        people = listed((name for name in found if not name or _is_user(name)), world.accounts)
        return ClientReading(people, people)
    wide = _accounts_like(pattern, world, if_unknown=True)
    if found is None:
        narrow = _accounts_like(pattern, world, if_unknown=False)
        return _listed_alone(narrow, wide, world, "names")
    names = [name for name in found if not name or _is_user(name)]
    return _finite(pattern, listed(names, world.accounts), wide, world, keep_traps=keep_traps)


def _accounts_like(pattern: str, world: PeerWorld, *, if_unknown: bool) -> ClientSet:
    found = (name for name in world.accounts if text_matches(pattern, name, if_unknown=if_unknown))
    return listed(found, world.accounts)


def _label(label: str, pattern: str, world: PeerWorld, *, keep_traps: bool) -> ClientReading:
    if "${" in pattern:
        return ClientReading(_NOBODY, everybody(world), doubt="a label is compared with a placeholder")
    found = _texts(pattern)
    if found is not None and _is_plain(pattern) and all(_is_group(label_group(label, value)) for value in found):
        people = _holding(label, found, world)
        return ClientReading(people, people)
    wide = _holders_like(label, pattern, world, if_unknown=True)
    if found is None or not all(_is_group(label_group(label, value)) for value in found):
        return _listed_alone(_holders_like(label, pattern, world, if_unknown=False), wide, world, "values")
    return _finite(pattern, _holding(label, found, world), wide, world, keep_traps=keep_traps)


def _holders_like(label: str, pattern: str, world: PeerWorld, *, if_unknown: bool) -> ClientSet:
    holders = world.holders.get(label, {}).items()
    found = (held for value, held in holders if text_matches(pattern, value, if_unknown=if_unknown))
    return listed(frozenset[str]().union(*found), world.accounts)


def _listed_alone(narrow: ClientSet, wide: ClientSet, world: PeerWorld, what: str) -> ClientReading:
    """The accounts of the file that match a pattern for any number of texts."""
    if narrow == wide and not world.is_open:
        return ClientReading(narrow, narrow)
    doubt = f"only accounts of the file are listed, since no principal is for all {what} like this"
    return ClientReading(narrow, _wider(wide) if world.is_open else wide, doubt=doubt)


def _finite(
    pattern: str, narrow: ClientSet, searched: ClientSet, world: PeerWorld, *, keep_traps: bool
) -> ClientReading:
    """The readings of a pattern for some texts; a regular expression without anchors is found in others as well."""
    if _is_plain(pattern) or (searched.static <= narrow.static and not world.is_open):
        return ClientReading(narrow, narrow)
    beyond = ", ".join(sorted(searched.static - narrow.static)[:3])
    trap = "the expression has no anchors, so it is also found in longer texts"
    if beyond:
        trap += f", such as those of {beyond}"
    kept = ClientSet(
        narrow.static | searched.static,
        narrow.others,
        tuple(dict.fromkeys((*narrow.principals, *searched.principals))),
    )
    wide = _wider(kept) if world.is_open else kept
    return ClientReading(kept if keep_traps else narrow, wide, trap)


def _wider(people: ClientSet) -> ClientSet:
    return ClientSet(people.static, frozenset({AUTHENTICATED}), (AUTHENTICATED, *people.principals))


def _holding(label: str, values: Iterable[str], world: PeerWorld) -> ClientSet:
    """The accounts of which a label has one of the values."""
    wanted = sorted(set(values))
    holders = world.holders.get(label, {})
    static = frozenset[str]().union(*(holders.get(value, ()) for value in wanted))
    groups = tuple(group_principal(label, value) for value in wanted)
    return ClientSet(static, frozenset(groups), (*groups, ANONYMOUS) if "" in static else groups)


def _is_user(name: str) -> bool:
    try:
        parse_user(name)
    except TermError:
        return False
    return True


def _is_group(name: str) -> bool:
    try:
        parse_group(spell_group(name))
    except TermError:
        return False
    return True


def _sequences(pattern: str) -> list[Sequence_] | None:
    """The sequences of a pattern; None if it has none."""
    if not is_regex(pattern):
        glob = glob_sequence(pattern)
        return [] if glob is None else [glob]
    try:
        return regex_sequences(pattern[1:-1])
    except Inexpressible:
        return None


def _texts(pattern: str) -> list[str] | None:
    """The texts that a pattern stands for, anchored; None if they are too many."""
    sequences = _sequences(pattern)
    try:
        return None if sequences is None else list(dict.fromkeys(texts(sequences, _MAX_LISTED)))
    except Inexpressible:
        return None


def _is_plain(pattern: str) -> bool:
    """Whether a pattern for some texts is not found inside of others."""
    return not is_regex(pattern) or _is_anchored(pattern)


def _is_anchored(pattern: str) -> bool:
    """Whether every alternative of a regular expression has both anchors."""
    for sequence in _sequences(pattern) or ():
        anchors = {one.is_begin for one in sequence if isinstance(one, Anchor)}
        if anchors != {True, False} or not isinstance(sequence[0], Anchor) or not isinstance(sequence[-1], Anchor):
            return False
    return True


def _everything_in(pattern: str) -> bool | None:
    """Whether a regular expression that is found in every text is also found in the empty one; None: not in every."""
    if not is_regex(pattern):
        return None
    found: bool | None = None
    for sequence in _sequences(pattern) or ():
        atoms = [one for one in sequence if isinstance(one, Atom)]
        if any(atom.characters != PRINTABLE for atom in atoms):
            continue
        needs = sum(atom.least if atom.is_run else 1 for atom in atoms)
        is_long_enough = len(atoms) <= 1 and (not atoms or atoms[0].is_run or len(sequence) == 1)
        if needs == 0 and (len(sequence) == 0 or atoms or len(sequence) == 1):
            return True
        if needs == 1 and is_long_enough:
            found = False
    return found
