"""What each client prints when access is denied: found in its output, recorded, and printed as a section of a page.

`client_texts.json` is the record. `scripts/client-texts` makes it anew from real runs of test_client_texts.py, and that
test holds each entry against the real client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from harness.clients import Client
from harness.compatibility import HELMS, VERSIONS
from harness.every_client import CLIENTS
from harness.helm import Helm, Helm4
from harness.processes import Output
from harness.programs import ROOT
from harness.registries import Registry

PAGE = ROOT / "docs" / "when-it-is-denied.md"
RECORD = Path(__file__).with_suffix(".json")

KINDS: tuple[type[Client], ...] = (*CLIENTS, Helm, Helm4)
LABELS = {**VERSIONS, **HELMS}
DISTRIBUTION, ZOT = "Distribution 2.8.2 and 3.1.1", "zot 1.4.3"

SITUATIONS = {
    "password": "A wrong password, at the login, or at a pull if the login only stores it (crane, ctr and others):",
    "pull": "A pull that is not granted:",
    "push": "A push that is not granted:",
}

UNSTEADY = {
    ("dockerd", "push", "zot"): "the docker engine retries a push for fifty seconds before it prints `unauthorized`",
    ("ctr", "push", "zot"): "ctr prints that it gave up after its retries, or the status 401, whichever comes first",
}
"""Runs without one text, or without one in reasonable time, and why."""

REGISTRIES = {"distribution2": "distribution", "distribution3": "distribution", "zot": "zot"}
"""The registries that clients are denied at, and the record that each has to agree with."""

BEGIN = (
    "<!-- client texts: printed by scripts/client-texts from real runs, held by tests/e2e/test_client_texts.py -->\n"
)
END = "<!-- end of client texts -->\n"

Record = dict[str, dict[str, dict[str, list[str]]]]
"""Lines by record (`distribution`, `zot`), situation and name of the client."""


class Case(NamedTuple):
    """One run of one client."""

    kind: type[Client]
    situation: str
    registry: str


def cases() -> Iterator[Case]:
    """All runs, without those that are `UNSTEADY`."""
    for registry in REGISTRIES:
        for situation in SITUATIONS:
            for kind in KINDS:
                lacks = situation != "password" and situation in kind.cannot
                if not lacks and (kind.name, situation, registry) not in UNSTEADY:
                    yield Case(kind, situation, registry)


def decisive_lines(output: Output) -> list[str]:
    """The client's last message: all lines from `Error` on, or of a fatal log line's message, or the last line."""
    printed = [line for line in output.text.splitlines() if line.strip()]
    lines = [line.strip() for line in printed]
    fatal = re.fullmatch(r'time="[^"]*" level=fatal msg=(".*")', lines[-1])
    if fatal:
        return [line for line in str(json.loads(fatal[1])).splitlines() if line]
    starts = [number for number, line in enumerate(printed) if re.match(r"(\w+: )?Error", line)]
    return lines[starts[-1] :] if starts else lines[-1:]


def without_names(lines: list[str], registry: Registry, repository: str) -> list[str]:
    """The lines with the names of the pages here instead of those of one run."""
    names = {
        f"http://{registry.host}": "https://registry.example.com",
        registry.server.realm: "https://auth.example.com/token",
        registry.host: "registry.example.com",
        registry.service: "registry.example.com",
        repository: "web/site",
        quote(repository, safe=""): quote("web/site", safe=""),
    }
    return [re.sub(r"\b[0-9a-f]{64}\b", "…", _replaced(line, names)) for line in lines]


def _replaced(line: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        line = line.replace(old, new)
    return line


def recorded() -> Record:
    """The record as it is committed."""
    record: Record = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def section(record: Record) -> str:
    """The section of the page, between its marks."""
    parts = [BEGIN]
    for situation, title in SITUATIONS.items():
        rows = _merged(record["distribution"][situation])
        parts.append(f"\n{title}\n\n| client | text |\n| --- | --- |\n{_rows(rows)}")
    parts.append(f"\nThese clients print other texts if the registry is {ZOT}:\n\n")
    parts.append("| client | operation | text |\n| --- | --- | --- |\n")
    for situation in SITUATIONS:
        usual = record["distribution"][situation]
        other = {name: lines for name, lines in record["zot"][situation].items() if lines != usual[name]}
        parts.append(_rows(_merged(other), situation))
    parts.append("\nNot listed, since the text varies or takes long:\n\n")
    parts.extend(f"* {reason}\n" for reason in UNSTEADY.values())
    return "".join([*parts, "\n", END])


def _merged(texts: Mapping[str, list[str]]) -> dict[tuple[str, ...], list[str]]:
    """The clients that print the same lines, by these lines."""
    merged: dict[tuple[str, ...], list[str]] = {}
    for kind in KINDS:
        if kind.name in texts:
            merged.setdefault(tuple(texts[kind.name]), []).append(LABELS[kind.name])
    return merged


def _rows(merged: Mapping[tuple[str, ...], list[str]], *more: str) -> str:
    cells = (
        [", ".join(labels), *more, "<br>".join(f"`{_cell(line)}`" for line in lines)]
        for lines, labels in merged.items()
    )
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _cell(line: str) -> str:
    assert "`" not in line, "would end the code in its cell"
    return line.replace("|", "\\|")


def page(text: str, record: Record) -> str:
    """The page with the section of this record instead of its own."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert all([begin, end]), f"{PAGE.name} lacks the marks of the section"
    return before + section(record) + after
