"""Syntax of `robots:`, `workloads:` and claims, in policy files and their tests."""

from __future__ import annotations

import re
from typing import Any

from tokenserver.access_keys import DeclaredSecret, parse_hash_line, parse_key_id
from tokenserver.documents.document import Path
from tokenserver.errors import TokenserverError
from tokenserver.identity import WORKLOAD_PREFIX, Claims, Identity, Kind
from tokenserver.patterns import Pattern
from tokenserver.policy.machines.claim_globs import MAX_VALUE, ClaimError, parse_claim_glob
from tokenserver.policy.machines.robots import Robot, parse_machine_name, subject_of
from tokenserver.policy.machines.workloads import Required, Workload
from tokenserver.policy.model import Principal
from tokenserver.policy.syntax.conditions import read_moment
from tokenserver.policy.syntax.reader import Reader, kind_of
from tokenserver.policy.terms import TermError, parse_network, parse_principal

MAX_DESCRIPTION = 300
MAX_NOTE = 200
MAX_CLAIM = 255
"""Limit for the characters of a claim's name, with those of the objects that it is in."""

_ROBOT_KEYS = ("description", "owners", "secrets")
_SECRET_KEYS = ("id", "hash", "expires", "networks", "note")
_SECRET_HINTS = {"secret": "fix: write hash: with the line that tokenserver robots secret new NAME --for-file prints"}
_WORKLOAD_KEYS = ("description", "from", "claims")
_EMPTY_ROBOT = "is empty; fix: write a description, or nothing at all after the colon"
_CLAIM = re.compile(r"[!-~]+", re.ASCII)
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def read_robot(reader: Reader, name: str, value: Any, place: Path) -> Robot | None:
    """Read one entry under `robots`; None after a fault."""
    faults = len(reader.faults)
    known = reader.term(name, place, parse_machine_name)
    content: dict[str, Any] = {}
    if value == {}:
        reader.fault(place, _EMPTY_ROBOT)
    elif value is not None:  # else a robot whose secrets are all elsewhere
        content = reader.mapping(value, place, _ROBOT_KEYS)
    description = _read_line(reader, content, place, "description", MAX_DESCRIPTION)
    owners = reader.terms(content["owners"], (*place, "owners"), parse_owner) if "owners" in content else []
    secrets = []
    if content.get("secrets", ()) not in (None, [], ()):  # the last secret is ended by removing its line
        items = reader.items(content["secrets"], (*place, "secrets"))
        secrets = [one for at, item in items if (one := _read_secret(reader, item, at)) is not None]
    if known is None or len(reader.faults) > faults:
        return None
    line = reader.document.line(place)
    spelled = tuple(dict.fromkeys(f"{owner.sort}:{owner.name}" for owner in owners))
    return Robot(known, description, spelled, tuple(secrets), reader.document.file, line)


def parse_owner(text: str) -> Principal:
    """A person or a group that looks after a robot.

    Raises:
        TermError: something else, such as everybody who logs in.
    """
    owner = parse_principal(text)
    if owner.sort not in ("user", "group"):
        raise TermError(f"{text!r}: an owner is a user or a group, such as group:web")
    return owner


def _read_secret(reader: Reader, value: Any, place: Path) -> DeclaredSecret | None:
    content = reader.mapping(value, place, _SECRET_KEYS, _SECRET_HINTS)
    if not content:
        return None
    for key, example in (("id", "3f9K2mQx7LbT"), ("hash", "sha256:9f2c…"), ("expires", "2027-03-01")):
        if key not in content:
            reader.fault(place, f"{key} is missing; for example {key}: {example}")
    identifier = reader.term(content["id"], (*place, "id"), parse_key_id) if "id" in content else None
    digest = reader.term(content["hash"], (*place, "hash"), parse_hash_line) if "hash" in content else None
    expires = read_moment(reader, content["expires"], (*place, "expires")) if "expires" in content else None
    networks = []
    if "networks" in content:
        networks = reader.terms(content["networks"], (*place, "networks"), parse_network, or_one=True)
    note = _read_line(reader, content, place, "note", MAX_NOTE)
    if identifier is None or digest is None or expires is None:
        return None
    return DeclaredSecret(identifier, digest, expires, tuple(networks), note)


def read_workload(reader: Reader, name: str, value: Any, place: Path) -> Workload | None:
    """Read one entry under `workloads`; None after a fault."""
    faults = len(reader.faults)
    known = reader.term(name, place, parse_machine_name)
    content = reader.mapping(value, place, _WORKLOAD_KEYS)
    _read_line(reader, content, place, "description", MAX_DESCRIPTION)
    for key, example in (("from", "github"), ("claims", '{repository_id: "74"}')):
        if content and key not in content:
            reader.fault(place, f"{key} is missing; for example {key}: {example}")
    source = reader.term(content["from"], (*place, "from"), parse_source) if "from" in content else None
    claims = read_claims(reader, content["claims"], (*place, "claims")) if "claims" in content else ()
    if known is None or source is None or len(reader.faults) > faults:
        return None
    return Workload(known, source, claims, reader.document.file, reader.document.line(place))


def parse_source(text: str) -> str:
    """The name of a workload source of the configuration.

    Raises:
        TermError: no such name.
    """
    if _SOURCE.fullmatch(text) is None:
        raise TermError(f"{text!r}: must be the name of a workload source of the configuration, such as github")
    return text


def read_claims(reader: Reader, value: Any, place: Path) -> Required:
    """Claims that a workload must have, by name: a glob, or a list of globs of which one must match."""
    found = []
    for name, item in reader.mapping(value, place).items():
        at = (*place, name)
        claim = reader.term(name, at, parse_claim)
        globs = [one for one in (_read_glob(reader, *entry) for entry in _one_or_more(reader, item, at)) if one]
        if claim is not None:
            found.append((claim, tuple(dict.fromkeys(globs))))
    return tuple(sorted(found, key=lambda one: one[0]))


def parse_claim(text: str) -> str:
    """The name of a claim; `/` goes into an object, as in `kubernetes.io/serviceaccount/name`.

    Raises:
        ClaimError: not 1 to 255 characters of ASCII without blanks.
    """
    if len(text) > MAX_CLAIM or _CLAIM.fullmatch(text) is None:
        raise ClaimError(f"{text!r}: the name of a claim has 1 to {MAX_CLAIM} characters of ASCII, and no blanks")
    return text


def _one_or_more(reader: Reader, value: Any, place: Path) -> list[tuple[Path, Any]]:
    return reader.items(value, place) if isinstance(value, list) else [(place, value)]


def _read_glob(reader: Reader, place: Path, value: Any) -> Pattern | None:
    text = _read_value(reader, place, value)
    try:
        return None if text is None else parse_claim_glob(text)
    except TokenserverError as error:
        reader.fault(place, str(error))
        return None


def _read_value(reader: Reader, place: Path, value: Any) -> str | None:
    """A value as text: booleans and whole numbers compare as they are in JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value
    hint = ""
    if isinstance(value, float):
        hint = "; quote it if text is meant"
    elif isinstance(value, dict) and value:
        name = f"{place[-1]}/{next(iter(value))}"
        hint = f"; fix: write the way to the value as the claim's name, such as {name}"
    reader.fault(place, f"must be text, a whole number, true or false, not {kind_of(value)}{hint}")
    return None


def read_machine(reader: Reader, content: dict[str, Any], place: Path) -> Identity | None:
    """The identity of a test: `{robot: NAME}`, or `{workload: {from: SOURCE, claims: {…}}}`; None after a fault."""
    if len(content) > 1:
        reader.fault(place, "is one client: a user, a robot or a workload")
        return None
    if "robot" in content:
        name = reader.term(content["robot"], (*place, "robot"), parse_machine_name)
        return None if name is None else robot_identity(name)
    at: Path = (*place, "workload")
    faults = len(reader.faults)
    entry = reader.mapping(content["workload"], at, ("from", "claims"))
    for key in ("from", "claims"):
        if entry and key not in entry:
            reader.fault(at, f"{key} is missing; for example {{from: github, claims: {{repository_id: 74}}}}")
    source = reader.term(entry["from"], (*at, "from"), parse_source) if "from" in entry else None
    claims = _read_values(reader, entry["claims"], (*at, "claims")) if "claims" in entry else frozenset()
    return None if source is None or len(reader.faults) > faults else workload_identity(source, claims)


def _read_values(reader: Reader, value: Any, place: Path) -> Claims:
    """The claims of a client, each with one or several values, which are not globs and may be empty."""
    found = []
    for name, item in reader.mapping(value, place).items():
        claim = reader.term(name, (*place, name), parse_claim)
        for at, one in _one_or_more(reader, item, (*place, name)):
            text = _read_value(reader, at, one)
            if text is not None and (len(text) > MAX_VALUE or not text.isprintable()):
                reader.fault(at, f"a value of a claim has at most {MAX_VALUE} printable characters")
            elif claim is not None and text is not None:
                found.append((claim, text))
    return frozenset(found)


def robot_identity(name: str) -> Identity:
    """The robot of this name."""
    return Identity(subject_of(name), Kind.ROBOT)


def workload_identity(source: str, claims: Claims) -> Identity:
    """A client of this workload source with these claims; its subject has their `sub`."""
    sub = next((value for name, value in sorted(claims) if name == "sub"), "")
    return Identity(f"{WORKLOAD_PREFIX}{source}:{sub}", Kind.WORKLOAD, source, claims=claims)


def _read_line(reader: Reader, content: dict[str, Any], place: Path, key: str, most: int) -> str:
    return (reader.line(content[key], (*place, key), most) or "") if key in content else ""
