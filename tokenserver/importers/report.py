"""The report of an import: a verdict on every construct of the source, with what to do about it. Pure.

Any text here may come from a foreign file, so it is truncated and stripped of control characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from tokenserver.printable import cut, one_line

MAX_TEXT = 300
"""Characters of the text of a construct."""

MAX_NOTE = 2000


class Verdict(StrEnum):
    """What became of a construct of the source."""

    EXACT = "exact"
    """It means the same here, for every request."""

    DIFFERENT = "different"
    """It was translated, and the note says how it differs. It never grants more than in the source."""

    NOT_TRANSLATED = "not translated"
    """It has no counterpart here; the note says why, and `instead` what to write."""

    CLOSED = "closed"
    """A trap of the source, which granted more than its author can have meant. It is closed here."""

    KEPT = "kept"
    """Such a trap, kept open because the operator asked for it."""


@dataclass(frozen=True, slots=True)
class Construct:
    """One construct of the source.

    `place` is its file and line, or its path in a document; `text` what is written there. `witness` is a request that
    is answered differently here, as one line. `instead` says what to write, or to do. `became` names the rules, groups
    or keys that it was translated to.
    """

    place: str
    text: str
    verdict: Verdict
    note: str = ""
    instead: str = ""
    witness: str = ""
    became: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The members of one construct in `--json`, without those that are empty."""
        members: dict[str, object] = {
            "place": _line(self.place, MAX_TEXT),
            "text": _line(self.text, MAX_TEXT),
            "verdict": str(self.verdict),
        }
        for name in ("note", "instead", "witness"):
            if value := getattr(self, name):
                members[name] = _line(value, MAX_NOTE)
        if self.became:
            members["became"] = [_line(name, MAX_TEXT) for name in self.became]
        return members


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a source. `source` names it, and `next_steps` are sentences for the operator, in their order."""

    source: str
    constructs: tuple[Construct, ...]
    next_steps: tuple[str, ...] = field(default=())

    def counts(self) -> dict[Verdict, int]:
        """The number of constructs by verdict, in the order of the verdicts; those without a construct are left out."""
        counted = Counter(construct.verdict for construct in self.constructs)
        return {verdict: counted[verdict] for verdict in Verdict if counted[verdict]}

    def noteworthy(self) -> list[Construct]:
        """The constructs that an operator has to look at: all but the exact ones."""
        return [construct for construct in self.constructs if construct.verdict is not Verdict.EXACT]

    def as_json(self) -> dict[str, object]:
        """The report for machines."""
        return {
            "source": _line(self.source, MAX_TEXT),
            "counts": {str(verdict): count for verdict, count in self.counts().items()},
            "constructs": [construct.as_json() for construct in self.constructs],
            "next": list(self.next_steps),
        }

    def as_markdown(self) -> str:
        """The report for people, as the file `REPORT.md` of the new folder."""
        return "".join(self._sections())

    def _sections(self) -> Iterable[str]:
        yield f"# Import of {_inline(self.source)}\n\n"
        yield "| verdict | constructs |\n|---|---|\n"
        yield from (f"| {verdict} | {count} |\n" for verdict, count in self.counts().items())
        if self.next_steps:
            yield "\n## Next\n\n"
            yield from (f"{number}. {_inline(step)}\n" for number, step in enumerate(self.next_steps, 1))
        for verdict, title in _TITLES.items():
            constructs = [construct for construct in self.constructs if construct.verdict is verdict]
            if constructs:
                yield f"\n## {title}\n\n"
                yield from (_entry(construct) for construct in constructs)


_TITLES = {
    Verdict.NOT_TRANSLATED: "Not translated",
    Verdict.KEPT: "Traps that are kept open",
    Verdict.CLOSED: "Traps that are closed",
    Verdict.DIFFERENT: "Translated with a difference",
    Verdict.EXACT: "Translated exactly",
}


def _entry(construct: Construct) -> str:
    lines = [f"* `{_code(construct.place, MAX_TEXT)}`: `{_code(construct.text, MAX_TEXT)}`\n"]
    if construct.note:
        lines.append(f"  {_inline(construct.note)}\n")
    if construct.witness:
        lines.append(f"  Answered differently: `{_code(construct.witness, MAX_NOTE)}`\n")
    if construct.instead:
        lines.append(f"  Instead: {_inline(construct.instead)}\n")
    if construct.became:
        lines.append(f"  Became: {', '.join(f'`{_code(name, MAX_TEXT)}`' for name in construct.became)}\n")
    return "".join(lines)


def _line(text: str, limit: int) -> str:
    return cut(one_line(text), limit)


def _code(text: str, limit: int) -> str:
    """The text between backquotes, which it cannot end."""
    return _line(text, limit).replace("`", "'")


def _inline(text: str) -> str:
    """The text as Markdown without HTML, and without links and pictures, which a foreign text could add."""
    return _line(text, MAX_NOTE).replace("<", "&lt;").replace("](", "]\\(")
