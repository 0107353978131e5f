"""docs/metrics.md lists every metric with its labels, and speaks of no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tokenserver.metrics.definitions import Layout
from tokenserver.metrics.exposition import Page
from tokenserver.metrics.recorder import Gauges, Meter, StorageGauges
from tokenserver.metrics.shared_rows import Board

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text("utf-8")


def served() -> dict[str, set[str]]:
    """Every metric of a whole server, as the page calls it, with its labels."""
    from datetime import UTC, datetime

    layout = Layout(services=("reg",), sources=("corp",), directories=("corp",), keys=("keys",), issuers=("github",))
    board = Board(layout, workers=1)
    row = board.claim()
    assert row is not None
    end = datetime(2030, 1, 1, tzinfo=UTC)
    reading = Gauges(
        *("ab" * 32, 0, 0, 0, {}, {}, {}),
        is_throttling_alone=False,
        ends={"keys": (end, end)},
        issuer_keys={"github": (0.5, False)},
        storage=StorageGauges(0.5, ends={"key": 5}),
    )
    Meter(board.layout, row, {"reg": "reg"}).sample(reading, now=1.0, monotonic=1.0)
    text = Page(board, now=lambda: 2.0, monotonic=lambda: 2.0).text().decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


def test_the_page_lists_every_metric_and_its_labels() -> None:
    """Nothing is measured that nobody can read about."""
    table = PAGE.partition("## What there is")[2].partition("\n\nEvery label")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    listed = {row[1].strip(" `"): set(re.findall(r"`([^`]+)`", row[2])) for row in rows}
    assert listed == served()


@pytest.mark.parametrize(
    "name", ["docs/metrics.md", "deploy/monitoring/alerts.yaml", "deploy/monitoring/dashboard.json"]
)
def test_alerts_and_queries_speak_of_what_there_is(name: str) -> None:
    """An alert on a metric that does not exist never fires."""
    known = served()
    series = {*known, *(f"{name}_bucket" for name in known)}
    named = set(re.findall(r"\btokenserver_[a-z_]+", (ROOT / name).read_text("utf-8")))
    assert named <= series
    assert len(named) > 10
