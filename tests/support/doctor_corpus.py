"""The causes of rejected tokens, as data: tests/corpus/doctor, read into types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "corpus" / "doctor"
HEALTHY = "healthy"
"""The kind of the set-ups in which there is nothing to find."""

NAMED = "named"
"""What a case scores unless it says otherwise: the finding comes first, and with its fix."""

SEVERITIES = ("fault", "warning", "refused")


@dataclass(frozen=True)
class Says:
    """What the doctor has to say first: a check, how severe it is, and pieces of its text.

    `refused` is a file or an option that the doctor does not take, with exit code 2. `also` are checks that may follow.
    """

    check: str
    severity: str
    texts: tuple[str, ...]
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One cause, or a healthy set-up. README.md in the folder explains the keys."""

    kind: str
    name: str
    cause: str
    says: Mapping[str, Says | None]
    number: str = ""
    seen: tuple[str, ...] = ()
    registry: str = "distribution3"
    service: str = "universal.test"
    change: Mapping[str, Any] = field(default_factory=dict)
    replaced: str | None = None
    later: Mapping[str, Any] = field(default_factory=dict)
    second: Mapping[str, Any] | None = None
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    starts: bool | None = True
    works: bool | None = False
    proxy: str = ""
    upstream: str = ""
    server_proxy: str = ""
    issuer: str = ""
    server: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    clock: str = ""
    tls: Mapping[str, Any] | None = None
    url: str = ""
    client: Mapping[str, str] = field(default_factory=dict)
    user: str = "ann"
    password: str = ""
    wants: str = "pull"
    arguments: tuple[str, ...] = ()
    token: str = ""
    repair: Mapping[str, Any] = field(default_factory=dict)
    by_hand: str = ""
    outside: str = ""
    verdict: str = NAMED

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.name}"


def read(folder: Path = FOLDER) -> tuple[tuple[Case, ...], dict[str, str]]:
    """All cases in order, and the title of each kind."""
    cases: list[Case] = []
    titles: dict[str, str] = {}
    for file in sorted(folder.glob("*.yaml")):
        whole = yaml.safe_load(file.read_text("utf-8"))
        kind = file.stem.partition("-")[2]
        titles[kind] = whole["title"]
        defaults = whole.get("defaults", {})
        cases += [_case(kind, name, {**defaults, **entry}) for name, entry in whole["cases"].items()]
    return tuple(cases), titles


def _case(kind: str, name: str, entry: Mapping[str, Any]) -> Case:
    known = {one.name for one in fields(Case)}
    unknown = entry.keys() - known
    assert not unknown, f"{kind}-{name}: {unknown}"
    tuples = {key: tuple(entry[key]) for key in ("seen", "arguments") if key in entry}
    says = {view: _says(value) for view, value in entry.get("says", {}).items()}
    return Case(**{**entry, **tuples, "kind": kind, "name": name, "says": says})


def _says(value: Sequence[Any] | Mapping[str, Any]) -> Says | None:
    """`[check, severity, text…]`, or a mapping with `first` as that list and `also`; `[]` is nothing to fix."""
    if not value:
        return None
    first, also = (value["first"], value["also"]) if isinstance(value, Mapping) else (value, ())
    check, severity, *texts = first
    assert severity in SEVERITIES, severity
    return Says(check, severity, tuple(texts), tuple(also))
