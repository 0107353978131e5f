"""How well the doctor names a cause: the words of the score, and the table of all causes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from doctor_corpus import HEALTHY, NAMED, Says

from harness.doctor_case import Report, Said

PARTLY, MISSED, WRONG, FALSE = "partly", "missed", "wrong", "false"
VERDICTS = (NAMED, PARTLY, MISSED, WRONG, FALSE)
"""From best to worst: the finding comes first with its fix; it is among others or lacks words; none; another; one in a
healthy set-up."""


def verdict(report: Report, says: Says | None) -> str:
    """The verdict on one run."""
    if says is None:
        return FALSE if report.said or report.code else NAMED
    if says.severity == "refused":
        text = report.text
        if report.code == 2:
            return NAMED if says.check in text and all(word in text for word in says.texts) else PARTLY
        return WRONG if report.said else MISSED
    if not report.said:
        return WRONG if report.code == 2 else MISSED
    right = [one for one in report.said if one.check == says.check]
    if not right:
        return WRONG
    return NAMED if _is_named(report.said, says) else PARTLY


def _is_named(said: Sequence[Said], says: Says) -> bool:
    first, *others = said
    is_it = (first.check, first.severity) == (says.check, says.severity)
    return is_it and all(word in first.text for word in says.texts) and {one.check for one in others} <= {*says.also}


def worst(verdicts: Iterable[str]) -> str:
    """The verdict on a case: that of its worst run."""
    return max(verdicts, key=VERDICTS.index)


def table(results: Iterable[tuple[str, str, str]]) -> list[str]:
    """The lines of the score: for each kind the number of cases by verdict. A result is kind, verdict, repair."""
    rows: dict[str, Counter[str]] = {}
    repairs: Counter[str] = Counter()
    for kind, how, repair in results:
        rows.setdefault(kind, Counter())[how] += 1
        repairs[repair] += kind != HEALTHY
    total = sum((count for kind, count in rows.items() if kind != HEALTHY), Counter[str]())
    lines = [f"{'kind':12}" + "".join(f"{word:>8}" for word in VERDICTS)]
    named = [*rows.items(), ("all causes", total)]
    lines += [f"{kind:12}" + "".join(f"{count[word]:>8}" for word in VERDICTS) for kind, count in named]
    applied = ", ".join(f"{word}: {number}" for word, number in sorted(repairs.items()) if word)
    return [*lines, f"fixes: {applied}"]
