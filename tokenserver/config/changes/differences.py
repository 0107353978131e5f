"""Differences between two configurations: which keys changed, by their place in the file and never by their value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tokenserver.config.fields import Section
from tokenserver.config.registries import RegistrySettings
from tokenserver.config.settings import Settings
from tokenserver.config.sources.user_source import UserSource

MAX_LISTED = 8
"""How many keys a sentence names."""

FieldPath = tuple[str, ...]


class KeyChange(NamedTuple):
    """One changed key: as people write it, `registries[registry.example.com].compat`, and its path of field names,
    without entries of lists: `("registries", "compat")`."""

    key: str
    path: FieldPath


def changed_keys(old: Settings, new: Settings) -> tuple[KeyChange, ...]:
    """Every key whose value differs, in the order of the settings.

    Registries are matched by their service and user sources by their name, so an inserted entry is one change. A
    section that appears or disappears is one change as well.
    """
    return tuple(_in_section(old, new, "", ()))


def listed(keys: Sequence[str]) -> str:
    """The keys as part of a sentence: at most `MAX_LISTED` of them, and how many more there are."""
    more = len(keys) - MAX_LISTED
    return ", ".join(keys[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _in_section(old: Section, new: Section, shown: str, path: FieldPath) -> Iterator[KeyChange]:
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        key, deeper = (f"{shown}.{name}" if shown else name), (*path, name)
        if isinstance(before, Section) and isinstance(after, Section):
            yield from _in_section(before, after, key, deeper)
        elif name in ("registries", "authentication"):
            yield from _in_list(_by_name(before), _by_name(after), key, deeper)
        else:
            yield KeyChange(key, deeper)


def _in_list(old: dict[str, Section], new: dict[str, Section], shown: str, path: FieldPath) -> Iterator[KeyChange]:
    for name, before in old.items():
        if name not in new:
            yield KeyChange(f"{shown}[{name}] (removed)", path)
        else:
            yield from _in_section(before, new[name], f"{shown}[{name}]", path)
    yield from (KeyChange(f"{shown}[{name}] (added)", path) for name in new if name not in old)
    if [name for name in old if name in new] != [name for name in new if name in old]:
        yield KeyChange(f"{shown} (order)", path)


def _by_name(entries: Iterable[RegistrySettings | UserSource]) -> dict[str, Section]:
    return {entry.service if isinstance(entry, RegistrySettings) else entry.name: entry for entry in entries}
