"""Groups that include groups of the tree: the faults of undefined names, cycles, and too many members."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tokenserver.documents.document import Document
from tokenserver.documents.document import Path as Place
from tokenserver.documents.hints import Hints
from tokenserver.errors import Fault
from tokenserver.policy.group_names import is_root, shown_name
from tokenserver.policy.groups import Group, included
from tokenserver.policy.loading.delegation import Home
from tokenserver.policy.syntax.file import PolicyFile

MAX_MEMBERS = 1_000_000
"""How many groups and their members all `includes` of the tree together may bring."""

MAX_SHOWN = 6
"""How many groups of a cycle a fault names."""


@dataclass(frozen=True, slots=True)
class _Definition:
    """A group of the tree as written, and where."""

    group: Group
    document: Document
    place: Place

    def fault(self, message: str) -> Fault:
        return self.document.fault((*self.place, "includes"), message)


def include_faults(files: Mapping[str, PolicyFile], *, is_whole: bool) -> list[Fault]:
    """The faults of `includes` in these files. Without `is_whole`, undefined names are not reported.

    A group of a root file includes groups of root files; one of a delegated file also those of its own file.
    """
    if not any(group.includes for file in files.values() for _, group in file.groups):
        return []
    defined = {
        home.group(group).name: _Definition(home.group(group), file.document, place)
        for name, file in files.items()
        for home in [Home.of(name, file)]
        for place, group in file.groups
    }
    faults = [*_undefined(files)] if is_whole else []
    faults += _cycles(defined)
    return faults or [*_too_many(defined)]


def _undefined(files: Mapping[str, PolicyFile]) -> Iterator[Fault]:
    hints = Hints()
    of_roots = {group.name for name, file in files.items() if is_root(name) for _, group in file.groups}
    for name, file in files.items():
        known = of_roots if is_root(name) else of_roots.union(group.name for _, group in file.groups)
        where = "no file at the top" if is_root(name) else "neither this file nor one at the top"
        for place, group in file.groups:
            for missing in sorted(group.includes - known):
                others = known - {group.name}
                hint = f"{hints.nearest(missing, others)}; " if others else ""
                message = f"{where} defines a group {missing!r}; {hint}fix: put a directory group under groups: instead"
                yield file.document.fault((*place, "includes"), message)


def _cycles(defined: Mapping[str, _Definition]) -> Iterator[Fault]:
    """A fault for each `includes` that leads back to a group on the way to it."""
    done: set[str] = set()
    for start in defined:
        way: list[str] = []
        pending = [iter([start])]
        while pending:
            name = next(pending[-1], None)
            if name is None:
                pending.pop()
                done.update(way[len(pending) - 1 :])
                del way[len(pending) - 1 :]
            elif name in way:
                yield defined[way[-1]].fault(_spell_cycle(way[way.index(name) :]))
            elif name in defined and name not in done:
                way.append(name)
                pending.append(iter(sorted(defined[name].group.includes)))


def _spell_cycle(names: Sequence[str]) -> str:
    shown = [*map(shown_name, names)]
    if len(shown) > MAX_SHOWN:
        shown[MAX_SHOWN // 2 : -MAX_SHOWN // 2] = [f"{len(shown) - MAX_SHOWN} more groups"]
    way = ", which includes ".join([*shown[1:], shown[0]])
    return f"a group cannot include itself: {shown[0]} includes {way}; fix: remove one of these"


def _too_many(defined: Mapping[str, _Definition]) -> Iterator[Fault]:
    written = {name: one.group for name, one in defined.items()}
    left = MAX_MEMBERS
    for name, one in defined.items():
        if one.group.includes:
            for group in included(written, name):
                left -= 1 + len(group.users) + len(group.groups)
                if left < 0:
                    message = f"with it, the groups of the tree include more than {MAX_MEMBERS:,} members"
                    yield one.fault(f"{message}; fix: include less, or use groups of a directory")
                    return
