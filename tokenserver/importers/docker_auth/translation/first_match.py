"""First match wins, as allow and deny rules whose order does not matter. Pure.

An entry grants an action where it matches and no earlier entry without that action does. So each entry becomes allow
rules for its region without those of such earlier entries, or the earlier entry becomes deny rules for what no entry
before it grants. Nothing is ever granted that the first matching entry does not grant: what cannot be spelled out is
left out of the rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from tokenserver.importers.docker_auth.translation.boxes import (
    AddressSet,
    Exclusion,
    RequestBox,
    is_hidden,
    is_inside,
    meets,
    minus,
)
from tokenserver.importers.docker_auth.translation.entry_regions import EVERY_ACTION, EntryRegion
from tokenserver.importers.docker_auth.translation.people import RemainingPeople

MAX_RULES = 64
"""Rules of one entry."""

_CHEAP_DENY = 2


@dataclass(frozen=True, slots=True)
class RulePiece:
    """A rule of an entry: it allows, or denies, `actions` in the box."""

    region: EntryRegion
    is_deny: bool
    actions: frozenset[str]
    box: RequestBox


@dataclass(frozen=True, slots=True)
class Translated:
    """The rules of a list of entries.

    `lossy` are the places of entries of which something is missing in them; `hidden` those that are never reached.
    """

    pieces: tuple[RulePiece, ...]
    lossy: frozenset[int]
    hidden: frozenset[int]


@dataclass(slots=True)
class _Translation:
    finder: _Finder
    hidden: frozenset[int]
    needless: frozenset[int]
    allowed: dict[int, list[RulePiece]] = field(default_factory=dict)
    denied: dict[int, frozenset[str]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    denies: list[RulePiece] = field(default_factory=list)
    lossy: set[int] = field(default_factory=set)

    def allows(self, region: EntryRegion) -> list[RulePiece]:
        """The allow rules of an entry."""
        if not region.boxes or not region.actions or region.place in self.needless:
            return []
        near = [one for one in self.finder.before(region) if one.place not in self.hidden]
        hiding = [one for one in near if not region.actions <= one.actions]
        for one in hiding:
            if not one.actions:
                self._deny(one, _CHEAP_DENY)
        while True:
            pieces, failed = self._pieces(region, hiding)
            if not failed:
                granted = [piece for one in near for piece in self.allowed.get(one.place, ())]
                self.allowed[region.place] = kept = list(_news(pieces, granted))
                return kept
            for one in failed:
                self._deny(one, MAX_RULES)
                if one.place not in self.denied:
                    self.refused.add(one.place)

    def _pieces(
        self, region: EntryRegion, hiding: Sequence[EntryRegion]
    ) -> tuple[list[RulePiece], Sequence[EntryRegion]]:
        """The rules of an entry, by the actions that the same earlier entries hide; or those that must deny first."""
        by_hiding: dict[tuple[int, ...], set[str]] = defaultdict(set)
        for action in region.actions:
            places = tuple(
                at
                for at, one in enumerate(hiding)
                if action not in one.actions and action not in self.denied.get(one.place, frozenset())
            )
            by_hiding[places].add(action)
        pieces: list[RulePiece] = []
        for places, actions in sorted(by_hiding.items()):
            boxes = list(region.boxes)
            for at in places:
                rest, is_exact = _cut(boxes, hiding[at].cuts, at_most=True)
                is_exact = rest == boxes or (is_exact and hiding[at].are_cuts_exact)
                boxes = rest
                if not is_exact and hiding[at].place not in self.refused:
                    return [], [hiding[at]]
                if len(boxes) > MAX_RULES:
                    untried = [hiding[one] for one in places if hiding[one].place not in self.refused]
                    if untried:
                        return [], untried
                    boxes, is_exact = boxes[:MAX_RULES], False
                if not is_exact:
                    self.lossy.add(region.place)
            granted = EVERY_ACTION if "*" in actions else frozenset(actions)
            pieces += [RulePiece(region, False, granted, box) for box in boxes]
        return pieces, ()

    def _deny(self, region: EntryRegion, limit: int) -> None:
        """Deny what the entry refuses, where no earlier entry grants it; unless that takes too many rules."""
        if region.place in self.denied or region.place in self.refused or not region.is_exact:
            return
        lacking = EVERY_ACTION - region.actions
        before = [one for one in self.finder.before(region) if one.place not in self.hidden]
        earlier = [one for one in before if not one.actions.isdisjoint(lacking)]
        by_granting: dict[tuple[int, ...], set[str]] = defaultdict(set)
        for action in lacking:
            by_granting[tuple(at for at, one in enumerate(earlier) if action in one.actions)].add(action)
        pieces: list[RulePiece] = []
        for places, actions in sorted(by_granting.items()):
            boxes = list(region.boxes)
            for at in places:
                if not _is_plain(earlier[at]):
                    return
                boxes, is_exact = _cut(boxes, _grants(earlier[at]), at_most=False)
                if len(boxes) > limit or not is_exact:
                    return
            if actions == {"*"} and not all(box.is_registry for box in boxes):
                return  # no rule denies the literal alone
            pieces += [RulePiece(region, True, frozenset(actions), box) for box in boxes]
        if len(pieces) > limit:
            return
        self.denied[region.place] = lacking
        self.denies += pieces


def translate_entries(regions: Sequence[EntryRegion]) -> Translated:
    """The rules of all entries together."""
    finder = _Finder(regions)
    hidden = frozenset(region.place for region in regions if _is_hidden(region, finder, lambda _: True))
    # What is closed in an earlier entry may be meant by this one.
    needless = frozenset(
        region.place for region in regions if region.place in hidden and _is_hidden(region, finder, _is_open)
    )
    work = _Translation(finder, hidden, needless)
    allows = [piece for region in regions for piece in work.allows(region)]
    pieces = [*_merged(allows), *work.denies]
    return Translated(tuple(pieces), frozenset(work.lossy), needless)


def _is_open(region: EntryRegion) -> bool:
    return not region.traps


def _is_hidden(region: EntryRegion, finder: _Finder, counts: Callable[[EntryRegion], bool]) -> bool:
    """Whether earlier entries that count match whatever this one would, each of its cuts by one of them."""
    near = (one for one in finder.before(region) if one.are_cuts_exact and counts(one))
    earlier = [cut for one in near for cut in one.cuts]
    return bool(region.cuts) and all(any(is_hidden(cut, one) for one in earlier) for cut in region.cuts)


def _news(pieces: Iterable[RulePiece], granted: Sequence[RulePiece]) -> Iterator[RulePiece]:
    """The pieces without what earlier ones grant already."""
    for piece in pieces:
        actions = piece.actions
        for one in granted:
            if actions & one.actions and is_inside(piece.box, one.box):
                actions -= one.actions
        if piece.box.is_registry:
            actions &= {"*"}
        if "*" in actions and not piece.box.is_registry:
            actions = piece.actions
        if actions:
            yield replace(piece, actions=actions)


def _cut(boxes: Sequence[RequestBox], cuts: Iterable[Exclusion], *, at_most: bool) -> tuple[list[RequestBox], bool]:
    """The boxes without the cuts, and whether that is exact."""
    found, is_exact = list(boxes), True
    for cut in cuts:
        rest: list[RequestBox] = []
        for box in found:
            one = minus(box, cut, at_most=at_most)
            rest += one.boxes
            is_exact = is_exact and one.is_exact
        found = list(dict.fromkeys(rest))
        if len(found) > 4 * MAX_RULES:
            return found, False
    return found, is_exact


def _box(cut: Exclusion) -> RequestBox:
    return RequestBox(
        RemainingPeople(cut.people), cut.patterns, (), cut.services, AddressSet(cut.network), cut.is_registry
    )


def _grants(region: EntryRegion) -> list[Exclusion]:
    """What an entry grants, as cuts; without the boxes that have exceptions."""
    return [
        Exclusion(box.people.people, box.patterns, box.services, box.addresses.network, box.is_registry)
        for box in region.boxes
        if not box.without
    ]


def _is_plain(region: EntryRegion) -> bool:
    return region.is_exact and not any(box.without for box in region.boxes)


class _Finder:
    """Earlier entries whose cuts may meet the boxes, or cuts, of an entry."""

    def __init__(self, regions: Sequence[EntryRegion]) -> None:
        self._by_segment: dict[str, list[EntryRegion]] = defaultdict(list)
        for region in regions:
            for segment in _segments(region):
                self._by_segment[segment].append(region)
        self._regions = regions

    def before(self, region: EntryRegion) -> list[EntryRegion]:
        """The earlier entries that may meet it, in their order."""
        segments = _segments(region)
        if "" in segments:
            near: Iterable[EntryRegion] = self._regions[: region.place]
        else:
            near = (one for segment in (*segments, "") for one in self._by_segment.get(segment, ()))
        found = {one.place: one for one in near if one.place < region.place}
        whole = [_box(cut) for cut in region.cuts]
        return [
            found[place]
            for place in sorted(found)
            if any(meets(box, cut) for box in whole for cut in found[place].cuts)
        ]


def _segments(region: EntryRegion) -> set[str]:
    """The first segments of its names; empty for any."""
    found = {pattern.split("/")[0] for cut in region.cuts for pattern in cut.patterns}
    return {"" if "*" in one or "$" in one else one for one in found}


def _merged(pieces: Iterable[RulePiece]) -> Iterator[RulePiece]:
    """Pieces that differ in their patterns alone, as one."""

    def key(piece: RulePiece) -> tuple[object, ...]:
        box = piece.box
        return (
            piece.region.place,
            piece.actions,
            box.people,
            box.without,
            box.services,
            box.addresses,
            box.is_registry,
        )

    for _, group in groupby(pieces, key):
        found = list(group)
        patterns = dict.fromkeys(pattern for piece in found for pattern in piece.box.patterns)
        yield replace(found[0], box=replace(found[0].box, patterns=tuple(patterns)))
