"""What a check found: one sentence, the value on both sides, and the mend. Pure.

Everything here may come from a stranger's file or server, so it is bounded and without control characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

MAX_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check. `says` is a sentence for people.

    `ok` is True: passed; False: tokens are refused or clients led astray; None: a warning where there is a `mend`,
    else something to know that asks for nothing. `ours` and `theirs` are the values on both sides, where there are
    any. `is_open` marks a registry that lets in everybody.
    """

    check: str
    ok: bool | None
    says: str
    ours: str | None = None
    theirs: str | None = None
    mend: str | None = None
    is_open: bool = False

    @property
    def counts(self) -> bool:
        """Whether somebody has something to do."""
        return self.mend is not None

    def as_json(self) -> dict[str, str | bool | None]:
        """The five members that `--json` promises."""
        return {"check": self.check, "ok": self.ok, "ours": self.ours, "theirs": self.theirs, "mend": self.mend}


def passed(check: str, says: str, *, ours: str | None = None, theirs: str | None = None) -> Finding:
    """A check that is well."""
    return Finding(check, True, shown(says), _value(ours), _value(theirs))


def failed(check: str, says: str, mend: str, *, ours: str | None = None, theirs: str | None = None) -> Finding:
    """A fault, with what mends it."""
    return Finding(check, False, shown(says), _value(ours), _value(theirs), shown(mend))


def unprotected(says: str, mend: str, *, theirs: str) -> Finding:
    """A registry that lets in everybody."""
    return replace(failed("auth", says, mend, ours="token", theirs=theirs), is_open=True)


def by_urgency(findings: Iterable[Finding]) -> list[Finding]:
    """The findings in their order, but first those about registries that let in everybody."""
    return sorted(findings, key=lambda finding: not finding.is_open)


def doubtful(check: str, says: str, mend: str, *, ours: str | None = None, theirs: str | None = None) -> Finding:
    """A warning: it works, or cannot be told from here, and somebody should look."""
    return Finding(check, None, shown(says), _value(ours), _value(theirs), shown(mend))


def known(check: str, says: str, *, ours: str | None = None, theirs: str | None = None) -> Finding:
    """Something to know that asks for nothing."""
    return Finding(check, None, shown(says), _value(ours), _value(theirs))


def exit_code(findings: Iterable[Finding]) -> int:
    """0: nobody has anything to do; 1: somebody has."""
    return 1 if any(finding.counts for finding in findings) else 0


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """Text from anywhere as one printable line of at most `limit` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cut)


def _value(text: str | None) -> str | None:
    return None if text is None else shown(text)
