"""One entry of an ACL as boxes of requests: what it grants at most, and what it hides from later entries. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from tokenserver.importers.docker_auth.model import ANYTHING, AclEntry, AclMatch
from tokenserver.importers.docker_auth.shapes.name_shapes import NameShape
from tokenserver.importers.docker_auth.translation.account_readings import clients_of
from tokenserver.importers.docker_auth.translation.boxes import (
    AddressSet,
    Exclusion,
    Network,
    RequestBox,
    parsed,
    patterns_meet,
    shrunk,
)
from tokenserver.importers.docker_auth.translation.matching import is_regex, text_matches
from tokenserver.importers.docker_auth.translation.name_readings import EntryPart, names_of
from tokenserver.importers.docker_auth.translation.people import PeerWorld, RemainingPeople
from tokenserver.patterns import matches
from tokenserver.scopes import ACTIONS

EVERY_ACTION = frozenset(ACTIONS)

_HARMLESS = frozenset({"comments", "description", "desc", "note", "notes", "id", "title"})
"""Keys of an entry that are ignored, and that nobody takes for a condition."""

CATALOG = "catalog"


@dataclass(frozen=True, slots=True)
class EntryRegion:
    """An entry as sets of requests. `place` is its index, from 0.

    It grants `actions` in `boxes`, which are not wider than the entry; `cuts` are not narrower. `traps` and `doubts`
    say why these differ, and `remarks` what else is to know.
    """

    place: int
    entry: AclEntry
    actions: frozenset[str]
    boxes: tuple[RequestBox, ...]
    cuts: tuple[Exclusion, ...]
    traps: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    are_cuts_exact: bool = True
    """Whether the cuts are not wider than what docker_auth matches."""

    @property
    def is_exact(self) -> bool:
        """Whether the boxes are the entry, so that it hides what they have and nothing else."""
        return not self.traps and not self.doubts


def region_of(place: int, entry: AclEntry, world: PeerWorld, *, keep_traps: bool) -> EntryRegion:
    """The region of an entry."""
    actions, doubts, remarks = _actions(entry.actions)
    if entry.match is None:
        return EntryRegion(place, entry, frozenset(), (), (), (), ("docker_auth does not start with a null match",))
    match = entry.match
    ignored = [key for key, _ in entry.ignored_keys if key not in _HARMLESS]
    clients = clients_of(match, world, keep_traps=keep_traps)
    names = names_of(match, clients, world, keep_traps=keep_traps)
    narrow_services, wide_services = _services(match, world)
    traps = [text for text in (clients.trap, names.trap) if text]
    doubts += [text for text in (clients.doubt, names.doubt) if text]
    remarks += [names.note] if names.note else []
    if narrow_services != wide_services:
        traps.append("the expression for the service has no anchors, so it is also found inside of longer names")
    services = wide_services if keep_traps else narrow_services
    if ignored:
        traps.insert(0, f"docker_auth ignores {', '.join(ignored)}, so the entry is for more than it seems")
    kinds = _kinds(match, doubts)
    network = ip_network(match.ip, strict=False) if match.ip else None
    is_closed = bool(ignored) and not keep_traps
    boxes = [] if is_closed else list(_boxes(names.parts, services, network, kinds))
    cuts = list(_cuts(names.parts, wide_services, network, kinds))
    if not narrow_services and match.service and not wide_services:
        remarks.append("no registry here has such a service")
    is_guessed = world.is_open and bool(clients.trap or names.trap)
    are_exact = not (doubts or is_guessed or any(shape.without for part in names.parts for shape in part.shapes))
    return EntryRegion(
        place, entry, actions, tuple(boxes), tuple(cuts), tuple(traps), tuple(doubts), tuple(remarks), are_exact
    )


def _actions(actions: tuple[str, ...] | None) -> tuple[frozenset[str], list[str], list[str]]:
    """The actions that an entry grants, and what to say about others that it lists."""
    if actions is None:
        return frozenset(), [], ["without actions, docker_auth drops the connection; nothing is granted here"]
    if actions == (ANYTHING,):
        return EVERY_ACTION, [], []
    known = EVERY_ACTION.intersection(actions)
    unknown = sorted(set(actions) - known)
    doubts = [f"actions that no registry knows are not signed: {', '.join(unknown)}"] if unknown else []
    if ANYTHING in known and known != EVERY_ACTION:
        known -= {ANYTHING}
        doubts.append('"*" in a list with other actions is none of the wildcard, and is not signed here')
    return known, doubts, []


def _services(match: AclMatch, world: PeerWorld) -> tuple[frozenset[str], frozenset[str]]:
    pattern = match.service
    if pattern is None:
        return world.services, world.services
    wide = frozenset(one for one in world.services if "${" in pattern or text_matches(pattern, one))
    if "${" in pattern:
        return frozenset(), wide
    if is_regex(pattern) and "^" not in pattern and "$" not in pattern:
        anchored = f"/^(?:{pattern[1:-1]})$/"
        narrow = frozenset(one for one in wide if text_matches(anchored, one))
        return (narrow or wide), wide
    return wide, wide


def _kinds(match: AclMatch, doubts: list[str]) -> tuple[bool, ...]:
    """The types of resources: False for repositories, True for the registry."""
    pattern = match.type
    if pattern is not None and "${" in pattern:
        doubts.append("the type is compared with a placeholder")
        return False, True
    found = tuple(
        is_registry
        for is_registry, name in ((False, "repository"), (True, "registry"))
        if pattern is None or text_matches(pattern, name)
    )
    if not found:
        doubts.append("registries have repositories and the catalog only, so tokens for other types are not signed")
    return found


def _boxes(
    parts: Iterable[EntryPart], services: frozenset[str], network: Network | None, kinds: tuple[bool, ...]
) -> Iterator[RequestBox]:
    for part in parts:
        if part.narrow.is_empty or not services:
            continue
        people, addresses = RemainingPeople(part.narrow), AddressSet(network)
        if False in kinds:
            for patterns, without in _grouped(part.shapes):
                yield RequestBox(people, patterns, without, services, addresses)
        if True in kinds and any(_has_catalog(shape) for shape in part.shapes):
            yield RequestBox(people, (CATALOG,), (), services, addresses, is_registry=True)


def _grouped(shapes: Iterable[NameShape]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Patterns with the exceptions that they share."""
    found: dict[tuple[str, ...], list[str]] = {}
    for shape in shapes:
        found.setdefault(shape.without, []).append(shape.pattern)
    return [(shrunk(patterns), without) for without, patterns in found.items()]


def _has_catalog(shape: NameShape) -> bool:
    names = [shape.pattern, *shape.without]
    covered = ["${" not in one and matches(parsed(one), [CATALOG], None, ()) for one in names]
    return covered[0] and not any(covered[1:])


def _cuts(
    parts: Iterable[EntryPart], services: frozenset[str], network: Network | None, kinds: tuple[bool, ...]
) -> Iterator[Exclusion]:
    for part in parts:
        if part.wide.is_empty or not part.widest or not services:
            continue
        if False in kinds:
            yield Exclusion(part.wide, part.widest, services, network)
        if True in kinds and any(patterns_meet(one, CATALOG) for one in part.widest):
            yield Exclusion(part.wide, (CATALOG,), services, network, is_registry=True)
