"""Syntax of one entry under `delegate:` in a root file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenserver.documents.document import Path
from tokenserver.policy.model import Principals
from tokenserver.policy.patterns import Pattern, parse_pattern
from tokenserver.policy.principals import principals_of
from tokenserver.policy.syntax.reader import Reader, one_of
from tokenserver.policy.terms import parse_delegated_file, parse_lifetime, parse_principal
from tokenserver.scopes import ACTIONS

_KEYS = ("file", "repositories", "actions", "max_lifetime", "principals", "contact")
MAX_CONTACT = 200


@dataclass(frozen=True, slots=True)
class Delegation:
    """The limits of one delegated file.

    `actions` has `*` expanded. `principals` None: its rules may name any principal. `max_lifetime`, in seconds, limits
    every token in which one of its rules grants something. `contact` says how users reach the owners.
    """

    place: Path
    file: str
    patterns: tuple[Pattern, ...]
    actions: frozenset[str]
    max_lifetime: int | None
    principals: Principals | None
    contact: str | None = None


def read_delegation(reader: Reader, value: Any, place: Path) -> Delegation | None:
    """Read one entry, or None after a fault."""
    faults = len(reader.faults)
    content = reader.mapping(value, place, _KEYS)
    if not content:
        return None
    for key, example in (
        ("file", "file: teams/web.yaml"),
        ("repositories", 'repositories: ["web/**"]'),
        ("actions", "actions: [pull, push, delete]"),
    ):
        if key not in content:
            reader.fault(place, f"{key} is missing; for example {example}")
    file = reader.term(content["file"], (*place, "file"), parse_delegated_file) if "file" in content else None
    patterns: list[Pattern] = []
    actions: list[str] = []
    principals: Principals | None = None
    if "repositories" in content:
        patterns = reader.terms(content["repositories"], (*place, "repositories"), parse_pattern)
    if "actions" in content:
        actions = reader.terms(content["actions"], (*place, "actions"), one_of(ACTIONS, "action"))
    if "principals" in content:
        principals = principals_of(reader.terms(content["principals"], (*place, "principals"), parse_principal))
    lifetime = None
    if "max_lifetime" in content:
        lifetime = _read_lifetime(reader, content["max_lifetime"], (*place, "max_lifetime"))
    contact = reader.line(content["contact"], (*place, "contact"), MAX_CONTACT) if "contact" in content else None
    if len(reader.faults) > faults or file is None:
        return None
    return Delegation(
        place,
        file,
        tuple(patterns),
        frozenset(ACTIONS) if "*" in actions else frozenset(actions),
        lifetime,
        principals,
        contact,
    )


def _read_lifetime(reader: Reader, value: Any, place: Path) -> int | None:
    # As in the configuration, a plain number counts seconds.
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return reader.term(f"{value}s" if is_number else value, place, parse_lifetime)
