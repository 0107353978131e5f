"""The benchmarks that tell of a regression, with a few requests each: that they still fit what they measure."""

from __future__ import annotations

import pytest

from bench import fresh, history

PARTS = {"whole", "parse", "authenticate and decide", "token", "audit", "body", "rest"}


@pytest.mark.parametrize(
    ("title", "parts"),
    [
        pytest.param("anonymous, ES256", PARTS, id="by part"),
        pytest.param("known user, GET", PARTS, id="with a login"),
        pytest.param("known user, POST", {"whole"}, id="as a whole"),
    ],
)
def test_a_row_of_new_repositories(title: str, parts: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part is measured with what the part before it made; every request is answered."""
    monkeypatch.setattr(fresh, "BATCH", 4)
    monkeypatch.setattr(fresh, "WARM", 1)
    row = next(one for one in fresh.ROWS if one.title == title)
    found = fresh.measured(row, 2)
    assert {name for name in found if not name.startswith("(")} == parts
    assert found["whole"] > 0


def test_a_run_beside_the_releases() -> None:
    """Rows have one line and releases one column each, the oldest first; tables without a yardstick are left out."""
    run = {"work": {"bare": {"share": 1.0}, "new": {"share": 0.12345}}, "start": {"3": {"seconds": 1.0}}}
    releases = {"0.10.0": {"work": {"bare": 1.0, "old": 0.5}}, "0.9.0": {"work": {"old": 0.25}}}
    lines = history.table(releases | {history.THIS_RUN: history.ratios(run)}).splitlines()
    assert [line.split() for line in lines] == [
        ["share", "of", "the", "yardstick", "0.9.0", "0.10.0", "this", "run"],
        ["work:", "old", "0.250", "0.500"],
        ["work:", "bare", "1.000", "1.000"],
        ["work:", "new", "0.123"],
    ]
