"""Workloads: machines that policy files know by the claims of their issuer's tokens, and which of them a client is.

A client is every declared workload whose claims it has, as a user is in several groups.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tokenserver.identity import Claims
from tokenserver.patterns import Pattern
from tokenserver.policy.machines.claim_globs import accepts, is_accepted, is_literal
from tokenserver.policy.machines.claim_names import Aliases, short_names
from tokenserver.policy.machines.literal_heads import LiteralHeads

Required = tuple[tuple[str, tuple[Pattern, ...]], ...]
"""By name, the globs of a claim: one of its values must match one of them."""

MAX_KNOWN = 1024
"""Clients whose memberships are kept."""

_WITHOUT_GROUP = "\0"
_WHERE = "\n"


def membership(name: str) -> str:
    """The name of a workload among the groups of a client: that of no group, since names have no control characters."""
    return _WITHOUT_GROUP + name


def workload_of(group: str) -> str | None:
    """The workload whose `membership` this is; None for a group."""
    return group[1:] if group.startswith(_WITHOUT_GROUP) else None


@dataclass(frozen=True, slots=True)
class Workload:
    """A declared workload: clients of the source `source` that have all `claims`.

    `source` empty: of any source. `aliases` are short names that its claims have instead of their paths, which clients
    have as well. `file` and `line` say where it is declared.
    """

    name: str
    source: str
    claims: Required
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    aliases: tuple[tuple[str, str], ...] = ()

    @property
    def known(self) -> Required:
        """All that is known of the claims of its clients: `claims`, and those with short names by their paths, too."""
        if not self.aliases:
            return self.claims
        paths = dict(self.aliases)
        return (*self.claims, *((paths[name], globs) for name, globs in self.claims if name in paths))

    def spelled(self, aliases: Aliases) -> Workload:
        """The same workload, with the short names of its claims where there are any."""
        if not aliases:
            return self
        short = short_names(aliases)
        claims = tuple((short.get(name, name), globs) for name, globs in self.claims)
        return replace(self, claims=claims, aliases=tuple(sorted(aliases.items())))

    def has(self, source: str, claims: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether a client of this source with these claims is the workload."""
        return self.source in ("", source) and all(
            any(accepts(globs, value) for value in claims.get(name, ())) for name, globs in self.claims
        )

    def implies(self, other: Workload) -> bool:
        """Whether every client that is this workload is the other one as well."""
        return other.source in ("", self.source) and requires(self.known, other.claims)


def requires(claims: Required, others: Required) -> bool:
    """Whether every client with `claims` has the `others`, too."""
    return all(
        any(mine == name and all(is_accepted(glob, globs) for glob in own) for mine, own in claims)
        for name, globs in others
    )


def where_claims(workload: Workload | None, claims: Required) -> Workload:
    """The clients of a workload (None: of any) that have these claims as well, as a workload without a declaration."""
    base = workload or Workload("", "", ())
    name = f"{base.name}{_WHERE}{spell_claims(claims)}"
    return Workload(name, base.source, (*base.claims, *claims)).spelled(dict(base.aliases))


def spell_claims(claims: Required) -> str:
    """Claims in words, such as `environment is production or staging and ref is refs/heads/*`.

    Different claims have different words: values with a blank or a quotation mark are JSON strings.
    """
    return " and ".join(f"{name} is {' or '.join(map(_spell_value, globs))}" for name, globs in claims)


def _spell_value(glob: Pattern) -> str:
    is_plain = " " not in glob.text and '"' not in glob.text
    return glob.text if is_plain else json.dumps(glob.text, ensure_ascii=False)


def shown_workload(name: str) -> str:
    """The displayed name of a workload: `web`, or `web where environment is production`."""
    plain, _, claims = name.partition(_WHERE)
    return f"{plain} where {claims}" if claims else plain


def base_of(name: str) -> str:
    """The declared workload of which `when: {claims: …}` takes a part, or the workload itself; empty: any workload."""
    return name.partition(_WHERE)[0]


def is_declared(name: str) -> bool:
    """Whether policy files can declare a workload of this name; others stand for `when: {claims: …}`."""
    return _WHERE not in name


@dataclass(frozen=True, slots=True)
class Workloads:
    """All workloads of a tree by name. Created by `Workloads.of_all`."""

    by_name: Mapping[str, Workload]
    heads: LiteralHeads[Workload] = field(init=False, repr=False, compare=False)
    """Those of `unpinned`, by the texts that the values of their claims begin with."""
    by_pin: Mapping[tuple[str, str], tuple[Workload, ...]] = field(repr=False)
    """By the name and one value of the claim that fewest others have in common."""
    unpinned: tuple[Workload, ...] = field(repr=False)
    """Those without a claim of literal values."""
    demanded: Mapping[str, frozenset[str]] = field(repr=False)
    """By source, the names of the claims that some workload of it has; of a workload of any source, by `""`."""
    narrowed: list[tuple[str, Claims, Claims]] = field(default_factory=list, init=False, repr=False, compare=False)
    """The last client and its `decisive` claims: each request of a workload asks for the same ones several times."""
    known: dict[tuple[str, Claims], frozenset[str]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """The memberships of clients by their decisive claims, which jobs of a workload share; at most `MAX_KNOWN`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "heads", LiteralHeads.of((one, one.claims) for one in self.unpinned))

    @classmethod
    def of_all(cls, workloads: Iterable[Workload]) -> Workloads:
        """The table of `workloads`, whose names differ."""
        by_name = {one.name: one for one in workloads}
        pins = {name: [*_pins(one)] for name, one in by_name.items()}
        frequency = Counter(pin for some in pins.values() for pinned in some for pin in pinned)
        by_pin: dict[tuple[str, str], list[Workload]] = {}
        unpinned: list[Workload] = []
        for name, one in by_name.items():
            if not pins[name]:
                unpinned.append(one)
                continue
            rarest = min(pins[name], key=lambda pinned: max(map(frequency.__getitem__, pinned)))
            for pin in rarest:
                by_pin.setdefault(pin, []).append(one)
        demanded: dict[str, frozenset[str]] = {}
        for one in by_name.values():
            demanded[one.source] = demanded.get(one.source, frozenset()).union(name for name, _ in one.claims)
        return cls(by_name, {pin: tuple(found) for pin, found in by_pin.items()}, tuple(unpinned), demanded)

    def aliases_of(self, source: str) -> Aliases:
        """Short names of the claims of this source -> their paths, as far as its workloads tell."""
        return next((dict(one.aliases) for one in self.by_name.values() if one.source == source and one.aliases), {})

    def deciding(self, source: str) -> frozenset[str]:
        """The names of the claims that decide which workloads a client of this source is."""
        return self.demanded.get(source, frozenset()) | self.demanded.get("", frozenset())

    def decisive(self, source: str, claims: Claims) -> Claims:
        """Those of the claims on which depends which workloads a client of this source is: few of dozens."""
        for known_source, known_claims, found in self.narrowed:
            if known_claims is claims and known_source == source:
                return found
        names = self.deciding(source)
        found = frozenset([claim for claim in claims if claim[0] in names])
        self.narrowed[:] = [(source, claims, found)]
        return found

    def memberships(self, source: str, claims: Claims) -> frozenset[str]:
        """The `membership` of each workload that a client of this source with these claims is.

        None if it is no declared one: more claims alone make nobody a client.
        """
        decisive = self.decisive(source, claims)
        held = self.known.get((source, decisive))
        if held is None:
            held = self._memberships(source, decisive)
            if len(self.known) >= MAX_KNOWN:
                self.known.clear()
            self.known[source, decisive] = held
        return held

    def _memberships(self, source: str, claims: Claims) -> frozenset[str]:
        """The memberships of a client with these decisive claims."""
        if not self.by_name:
            return frozenset()
        pinned = [one for pin in claims for one in self.by_pin.get(pin, ())]
        candidates = dict.fromkeys((*pinned, *self.heads.candidates(claims)))
        if not candidates:
            return frozenset()
        values: dict[str, tuple[str, ...]] = {}
        for name, value in claims:
            values[name] = (*values.get(name, ()), value)
        held = [one.name for one in candidates if one.has(source, values)]
        return frozenset(map(membership, held)) if any(map(is_declared, held)) else frozenset()

    def are_declared(self, source: str, claims: Claims) -> bool:
        """Whether such a client is any workload that policy files declare."""
        return bool(self.memberships(source, claims))

    def more_claims(self, name: str) -> Required:
        """The claims that `when: {claims: …}` adds to the workload; none for a declared one."""
        base = self.by_name.get(base_of(name))
        known = 0 if base is None else len(base.claims)
        return () if is_declared(name) else self.by_name[name].claims[known:]

    def implied(self, *names: str) -> frozenset[str]:
        """The `membership` of each workload that every client is which is all the workloads `names`, which have the
        same source or none. Themselves are included.
        """
        known = [self.by_name[name] for name in names if name in self.by_name]
        claims = tuple(dict.fromkeys(claim for one in known for claim in one.known))
        whole = Workload("", max((one.source for one in known), default=""), claims)
        literal = {(claim, glob.text) for claim, globs in claims for glob in globs}
        found = (other for pin in literal if pin in self.by_pin for other in self.by_pin[pin])
        candidates = dict.fromkeys((*found, *self.unpinned)) if known else {}
        own = frozenset(map(membership, names))
        return own.union(membership(other.name) for other in candidates if whole.implies(other))


def _pins(workload: Workload) -> Iterator[tuple[tuple[str, str], ...]]:
    """Each claim of literal values, as pairs of its name and a value."""
    for name, globs in workload.claims:
        if all(map(is_literal, globs)):
            yield tuple((name, glob.text) for glob in globs)


NO_WORKLOADS = Workloads.of_all(())
