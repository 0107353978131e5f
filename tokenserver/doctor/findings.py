"""Findings: the result of a check, with a message, the value on both sides, and a fix. Pure.

Any text here may come from a foreign file or server, so it is truncated and stripped of control characters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

MAX_SHOWN = 400
MAX_FIX = 2000
"""Characters of a fix, so that no command in it is cut off."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    `ok`: True, passed; False, tokens are rejected or clients are misdirected; None, a warning if there is a `fix`,
    otherwise a note. `ours` and `theirs` are the values on both sides, if any. `is_open` marks a registry that is open
    to anyone.
    """

    check: str
    ok: bool | None
    message: str
    ours: str | None = None
    theirs: str | None = None
    fix: str | None = None
    is_open: bool = False

    @property
    def is_actionable(self) -> bool:
        """Whether there is something to fix."""
        return self.fix is not None

    def as_json(self) -> dict[str, str | bool | None]:
        """The members of one finding in `--json`; the fix is called `mend` there."""
        return {"check": self.check, "ok": self.ok, "ours": self.ours, "theirs": self.theirs, "mend": self.fix}


def passed(check: str, message: str, *, ours: str | None = None, theirs: str | None = None) -> Finding:
    """A passed check."""
    return Finding(check, True, shown(message), *_values(ours, theirs))


def failed(check: str, message: str, fix: str, *, ours: str | None = None, theirs: str | None = None) -> Finding:
    """A fault and its fix."""
    return Finding(check, False, shown(message), *_values(ours, theirs), shown(fix, MAX_FIX))


def open_registry(message: str, fix: str, *, theirs: str) -> Finding:
    """A fault: the registry is open to anyone."""
    return replace(failed("auth", message, fix, ours="token", theirs=theirs), is_open=True)


def by_urgency(findings: Iterable[Finding]) -> list[Finding]:
    """The findings in their order, except that what is to be fixed comes first: open registries, faults, warnings."""
    return sorted(findings, key=_urgency)


_SAID_ONCE = frozenset({"realm", "service", "issuer", "algorithm", "autoredirect", "delete"})
"""Checks of one value of the registry: from whatever side it is seen to be wrong, it is the same fault."""

_EXPLAIN_A_KEY = frozenset({"rootcertbundle", "jwks", "kid", "cert", "compat", "algorithm", "audience"})
"""Faults because of which a registry also rejects the token's key."""


def without_echoes(findings: Iterable[Finding]) -> list[Finding]:
    """The findings about one registry without those that repeat another one from another side.

    A wrong value is reported once, by the finding that has its place. A key that is missing in the registry's files is
    not reported again as the token's key. If the registry accepts the token, that outweighs what was computed here.
    """
    found = list(findings)
    faults = {one.check for one in found if one.ok is False}
    if "time" in faults:  # a token is too new, or already expired, because of what the clocks differ
        found = [replace(one, ok=False) if one.check == "clock" and one.is_actionable else one for one in found]
    if any(one.check == "verdict" and one.ok for one in found):
        found = [one for one in found if not _is_outvoted(one)]
    kept: list[Finding] = []
    for one in found:
        is_echo = one.check == "key" and one.ok is False and bool(faults & _EXPLAIN_A_KEY)
        if one.check in _SAID_ONCE and one.is_actionable:
            is_echo = one.check in faults and (one.ok is None or any(_is_fault(other, one.check) for other in kept))
        if not is_echo:
            kept.append(one)
    return kept


def _is_outvoted(finding: Finding) -> bool:
    """Whether a registry that accepts the token refutes the finding: it trusts the key, and knows the algorithm."""
    return _is_fault(finding, "key") or (finding.check == "algorithm" and finding.ok is None)


def _is_fault(finding: Finding, check: str) -> bool:
    return finding.check == check and finding.ok is False


def _urgency(finding: Finding) -> int:
    if finding.is_open:
        return 0
    if finding.ok is False:
        return 1
    return 2 if finding.is_actionable else 3


def warning(check: str, message: str, fix: str, *, ours: str | None = None, theirs: str | None = None) -> Finding:
    """A warning: it works for now, or cannot be verified from here."""
    return Finding(check, None, shown(message), *_values(ours, theirs), shown(fix, MAX_FIX))


def note(check: str, message: str, *, ours: str | None = None, theirs: str | None = None) -> Finding:
    """Information that requires no action."""
    return Finding(check, None, shown(message), *_values(ours, theirs))


def exit_code(findings: Iterable[Finding]) -> int:
    """0 if nothing needs fixing, else 1."""
    return 1 if any(finding.is_actionable for finding in findings) else 0


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """Untrusted text as one printable line of at most `limit` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cut)


def _values(ours: str | None, theirs: str | None) -> tuple[str | None, str | None]:
    """The values on both sides; if one of them does not look like what it is, both are quoted."""
    spell = quoted if any(text is not None and looks_different(text) for text in (ours, theirs)) else shown
    return None if ours is None else spell(ours), None if theirs is None else spell(theirs)


def looks_different(text: str) -> bool:
    """Whether a reader cannot see what the text is: blanks at an end, two in a row, invisible characters."""
    return text != text.strip() or "  " in text or not text.isprintable()


def quoted(text: str, limit: int = MAX_SHOWN) -> str:
    """Untrusted text in quotes, with everything that is not visible as an escape, as in JSON."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return '"' + "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in cut) + '"'
