"""A run of lines of one chain with consecutive numbers, what its digests prove, and how two runs join."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256

from tokenserver.audit.chain.findings import LogPlace
from tokenserver.exchange.audit_chain.links import GROUP, Link

NOWHERE = LogPlace("", 0)


@dataclass(slots=True)
class LineGroup:
    """Lines that a digest is about, as far as they are known: their texts, and the number and place of the first.

    `digest` is that in the link of the first one.
    """

    number: int
    place: LogPlace
    texts: list[bytes]
    digest: str = sha256(b"").hexdigest()


@dataclass(slots=True)
class Run:
    """Consecutive lines of a chain.

    `claim` is the first digest that is about lines before the run, and `before` those lines before it that the run has.
    `group` has the lines since the last digest; `is_anchored` says that it is known from its beginning.
    """

    first: Link
    first_place: LogPlace
    first_time: str
    group: LineGroup
    is_anchored: bool
    last: int = 0
    place: LogPlace = NOWHERE
    time: str = ""
    claim: Link | None = None
    claim_place: LogPlace = NOWHERE
    before: list[bytes] = field(default_factory=list)
    sealed: int = 0
    is_closed: bool = False
    unsealed_since: str = ""

    @property
    def held(self) -> int:
        """Bytes of the texts that it holds."""
        return sum(map(len, self.before)) + sum(map(len, self.group.texts))

    def text(self, number: int) -> bytes | None:
        """The text of the line of this number, if it is held."""
        for start, texts in ((self.first.number, self.before), (self.group.number, self.group.texts)):
            if 0 <= number - start < len(texts):
                return texts[number - start]
        return None


Check = Callable[[Run, LineGroup, Link, LogPlace], None]
"""Compares a group with the digest of the line after it, in this place, of the chain of the run."""


def proves(group: LineGroup, link: Link) -> bool:
    """Whether the digest of the line after a group is that of its lines."""
    count = link.number - link.cut - group.number
    if count <= 0:  # the first one may have been cut off itself, and so the digest is still that of the lines before it
        return link.digest == group.digest
    return sha256(b"".join(group.texts[:count])).hexdigest() == link.digest


def begin(link: Link, text: bytes, place: LogPlace, time: str) -> Run:
    """A run of one line."""
    run = Run(
        link,
        place,
        time,
        LineGroup(link.number, place, [text], link.digest),
        is_anchored=link.number == 1 or bool(link.digest),
    )
    if link.digest:
        run.claim, run.claim_place = link, place
    run.last, run.place, run.time = link.number, place, time
    return run


def append(run: Run, link: Link, text: bytes, place: LogPlace, check: Check) -> None:
    """Append a line that joins; call it with those that have a digest, and where a group would grow beyond its size."""
    if link.digest and not run.is_anchored:  # the first digest of the run
        run.claim, run.claim_place, run.before = link, place, run.group.texts
    else:
        check(run, run.group, link, place)
    run.group, run.is_anchored = LineGroup(link.number, place, [text], link.digest), True


def joins(run: Run, link: Link) -> bool:
    """Whether the line of this link may come next: at most lines that were cut off are missing between."""
    return run.last < link.number and link.number - 1 - link.cut <= run.last


def join(run: Run, after: Run, check: Check) -> None:
    """Append a run that joins."""
    group = replace(run.group, texts=run.group.texts + (after.before if after.claim else after.group.texts))
    if after.claim is None:
        run.group = group
        if len(group.texts) > GROUP:  # somebody took a digest off
            check(run, group, Link(after.first.chain, group.number + GROUP), after.place)
            run.group.texts = group.texts[:GROUP]
    else:
        if run.is_anchored:
            check(run, group, after.claim, after.claim_place)
        else:
            run.claim, run.claim_place, run.before = after.claim, after.claim_place, group.texts
        run.group, run.is_anchored = after.group, True
    continue_as(run, after)


def join_overlapping(run: Run, after: Run, check: Check) -> None:
    """Append a run that repeats the last lines of this one and goes on; its texts count, if they can be compared."""
    if after.claim is not None and after.claim.number <= run.last:
        run.group, run.is_anchored = after.group, True
        continue_as(run, after)
        return
    others = after.first.number - run.group.number
    if others >= 0:
        del run.group.texts[others:]
    else:
        leading = after.before if after.claim else after.group.texts
        del leading[: run.last + 1 - after.first.number]
    join(run, after, check)


def continue_as(run: Run, after: Run) -> None:
    """Take over where a run ends, and its seals."""
    run.last, run.place, run.time = after.last, after.place, after.time
    if after.sealed:
        run.sealed, run.is_closed, run.unsealed_since = after.sealed, after.is_closed, after.unsealed_since
    else:
        run.is_closed = False
        run.unsealed_since = run.unsealed_since or after.unsealed_since
