"""Syntax of one entry under `delegate:` in a root file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tokenserver.documents.document import Path
from tokenserver.patterns import Pattern, PatternError, parse_pattern
from tokenserver.policy.machines.claim_globs import ClaimError, parse_claim_glob
from tokenserver.policy.machines.workloads import Required
from tokenserver.policy.model import Principals
from tokenserver.policy.principals import principals_of
from tokenserver.policy.syntax.machines import parse_source, read_claims
from tokenserver.policy.syntax.reader import Reader, one_of
from tokenserver.policy.terms import parse_delegated_file, parse_lifetime, parse_principal
from tokenserver.scopes import ACTIONS

_KEYS = ("file", "repositories", "actions", "max_lifetime", "principals", "robots", "workloads", "contact")
_NAME_GLOB = re.compile(r"[a-z0-9._*-]+", re.ASCII)
_VARIABLE = re.compile(r"\$\{(\w+)\}", re.ASCII)
MAX_CONTACT = 200

_Term = TypeVar("_Term")


@dataclass(frozen=True, slots=True)
class WorkloadLimits:
    """The workloads that a delegated file may declare: of these sources (None: any), with claims that imply these."""

    sources: frozenset[str] | None
    claims: Required


@dataclass(frozen=True, slots=True)
class Delegation:
    """The limits of one delegated file.

    `actions` has `*` expanded. `principals` None: its rules may name any principal. `max_lifetime`, in seconds, limits
    every token in which one of its rules grants something. `contact` says how users reach the owners. `robots` are
    globs for the names of the robots that the file may declare; `workloads` None: it may declare no workloads.
    """

    place: Path
    file: str
    patterns: tuple[Pattern, ...]
    actions: frozenset[str]
    max_lifetime: int | None
    principals: Principals | None
    contact: str | None = None
    robots: tuple[Pattern, ...] = ()
    workloads: WorkloadLimits | None = None


def read_delegation(reader: Reader, value: Any, place: Path) -> Delegation | None:
    """Read one entry; None if it does not say which file it is about.

    What cannot be read does not limit the file, so that a fault here does not make its rules look wrong.
    """
    content = reader.mapping(value, place, _KEYS, {"not": "fix: deny that part in this file, which no team can lift"})
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
    principals: Principals | None = None
    patterns = _read_all(reader, content, place, "repositories", _parse_limit) or [parse_pattern("**")]
    actions = _read_all(reader, content, place, "actions", one_of(ACTIONS, "action")) or ["*"]
    if "principals" in content:
        named = _read_all(reader, content, place, "principals", parse_principal)
        principals = principals_of(named) if named else None
    lifetime = None
    if "max_lifetime" in content:
        lifetime = _read_lifetime(reader, content["max_lifetime"], (*place, "max_lifetime"))
    contact = reader.line(content["contact"], (*place, "contact"), MAX_CONTACT) if "contact" in content else None
    robots: list[Pattern] = []
    if "robots" in content:
        robots = _read_all(reader, content, place, "robots", parse_name_glob) or [parse_name_glob("*")]
    workloads = None
    if "workloads" in content:
        workloads = _read_limits(reader, content["workloads"], (*place, "workloads"))
    if file is None:
        return None
    return Delegation(
        place,
        file,
        tuple(patterns),
        frozenset(ACTIONS) if "*" in actions else frozenset(actions),
        lifetime,
        principals,
        contact,
        tuple(robots),
        workloads,
    )


def parse_name_glob(text: str) -> Pattern:
    """A glob for the names of machines.

    Raises:
        ClaimError: no glob inside one name.
    """
    if "**" in text or _NAME_GLOB.fullmatch(text) is None:
        raise ClaimError(f"{text!r}: must be a name of a robot (a-z 0-9 . _ -), in which * is any text, such as web-*")
    return parse_claim_glob(text)


def _read_limits(reader: Reader, value: Any, place: Path) -> WorkloadLimits:
    faults = len(reader.faults)
    content = reader.mapping(value, place, ("from", "claims"))
    for key, example in (("from", "from: [github]"), ("claims", 'claims: {repository_owner_id: "65"}')):
        if content and key not in content:
            reader.fault(place, f"{key} is missing; for example {example}")
    sources = reader.terms(content["from"], (*place, "from"), parse_source, or_one=True) if "from" in content else []
    claims = read_claims(reader, content["claims"], (*place, "claims")) if "claims" in content else ()
    return WorkloadLimits(frozenset(sources), claims) if len(reader.faults) == faults else WorkloadLimits(None, ())


def _parse_limit(text: str) -> Pattern:
    captured = next((name for name in _VARIABLE.findall(text) if name not in ("user", "group")), None)
    if captured is not None:
        raise PatternError(f"{text!r}: only rules have captures; fix: write * in place of ${{{captured}}}")
    return parse_pattern(text)


def _read_lifetime(reader: Reader, value: Any, place: Path) -> int | None:
    # As in the configuration, a plain number counts seconds.
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return reader.term(f"{value}s" if is_number else value, place, parse_lifetime)


def _read_all(
    reader: Reader, content: dict[str, Any], place: Path, key: str, parse: Callable[[str], _Term]
) -> list[_Term]:
    """The terms of a list; none if any of them has a fault, or if the key is missing."""
    faults = len(reader.faults)
    found = reader.terms(content[key], (*place, key), parse) if key in content else []
    return found if len(reader.faults) == faults else []
