"""The report of an import: its counts, its two forms, and what a foreign text cannot do in them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.importers.report import MAX_NOTE, MAX_TEXT, Construct, ImportReport, Verdict

EXACT = Construct("auth.yml:3", "entry one", Verdict.EXACT, became=("entry-1",))
DIFFERENT = Construct("auth.yml:9", "entry two", Verdict.DIFFERENT, "grants less", "ask", "ann pull web/x")
LOST = Construct("auth.yml:7", "entry three", Verdict.NOT_TRANSLATED, "no such thing here")
REPORT = ImportReport("auth.yml", (EXACT, DIFFERENT, LOST), ("Copy the file.", "Restart."))

MARKDOWN = """\
# Import of auth.yml

| verdict | constructs |
|---|---|
| exact | 1 |
| different | 1 |
| not translated | 1 |

## Next

1. Copy the file.
2. Restart.

## Not translated

* `auth.yml:7`: `entry three`
  no such thing here

## Translated with a difference

* `auth.yml:9`: `entry two`
  grants less
  Answered differently: `ann pull web/x`
  Instead: ask

## Translated exactly

* `auth.yml:3`: `entry one`
  Became: `entry-1`
"""


def test_the_counts() -> None:
    """By verdict, in their order, without those that are not there."""
    assert REPORT.counts() == {Verdict.EXACT: 1, Verdict.DIFFERENT: 1, Verdict.NOT_TRANSLATED: 1}
    assert list(REPORT.counts()) == [Verdict.EXACT, Verdict.DIFFERENT, Verdict.NOT_TRANSLATED]


def test_what_needs_a_look() -> None:
    """All but the exact ones, in their order."""
    assert REPORT.noteworthy() == [DIFFERENT, LOST]


def test_for_people() -> None:
    """What needs work comes first."""
    assert REPORT.as_markdown() == MARKDOWN


def test_for_machines() -> None:
    """Members that are empty are left out."""
    assert REPORT.as_json() == {
        "source": "auth.yml",
        "counts": {"exact": 1, "different": 1, "not translated": 1},
        "constructs": [
            {"place": "auth.yml:3", "text": "entry one", "verdict": "exact", "became": ["entry-1"]},
            {
                "place": "auth.yml:9",
                "text": "entry two",
                "verdict": "different",
                "note": "grants less",
                "instead": "ask",
                "witness": "ann pull web/x",
            },
            {"place": "auth.yml:7", "text": "entry three", "verdict": "not translated", "note": "no such thing here"},
        ],
        "next": ["Copy the file.", "Restart."],
    }


def test_nothing_was_found() -> None:
    """An empty source has a report as well."""
    assert ImportReport("x", ()).as_markdown() == "# Import of x\n\n| verdict | constructs |\n|---|---|\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a\n## Next\n", "a\\n## Next\\n", id="lines"),
        pytest.param("\x1b[31mred", "\\x1b[31mred", id="colours"),
        pytest.param("a` **b** `", "a' **b** '", id="backquotes"),
        pytest.param("x" * (MAX_TEXT + 1), "x" * (MAX_TEXT - 1) + "…", id="long"),
    ],
)
def test_a_foreign_text(text: str, shown: str) -> None:
    """It stays on its line, between its backquotes, and is truncated."""
    markdown = ImportReport("x", (Construct(text, text, Verdict.EXACT),)).as_markdown()
    assert markdown.endswith(f"\n* `{shown}`: `{shown}`\n")


def test_a_foreign_note() -> None:
    """It has no HTML, no link and no picture, which could tell somebody that the report was read."""
    note = "<img src=x> ![a](http://x.example/a) " + "x" * MAX_NOTE
    markdown = ImportReport(note, (Construct("p", "t", Verdict.CLOSED, note, note),), (note,)).as_markdown()
    assert "<img" not in markdown
    assert "](" not in markdown
    assert markdown.count("…") == 4


@given(st.text(), st.text(), st.sampled_from(Verdict))
def test_any_text_makes_one_entry(place: str, text: str, verdict: Verdict) -> None:
    """The lines of a report are ours, and its JSON is written without loss of form."""
    construct = Construct(place, text, verdict, text, text, text, (text,))
    report = ImportReport(text, (construct,), (text,))
    lines = report.as_markdown().split("\n")
    assert len([line for line in lines if line.startswith("* ")]) == 1
    assert len(lines) == (18 if text else 15)
    said = json.loads(json.dumps(report.as_json()))
    assert said["constructs"][0]["verdict"] == verdict
