"""The benchmarks that tell of a regression, with a few requests each: that they still fit what they measure."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench import audit_chain, chain_switch, fresh, history
from tokenserver.errors import InvalidCredentials
from tokenserver.exchange.audit_chain.sink import ChainedSink
from tokenserver.exchange.observers import UnparsedRequest

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


def test_a_worker_that_switches_between_trails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event is written by the trail in use, and counted; the events of a chain are one chain."""
    table = chain_switch.SwitchTable(tmp_path / "table")
    monkeypatch.setattr(chain_switch.SwitchedTrail, "table", table, raising=False)
    with (tmp_path / "log").open("wb") as log, monkeypatch.context() as patched:
        patched.setattr("sys.stdout", log)
        trail = chain_switch.SwitchedTrail(ChainedSink(log.fileno()), now=lambda: 0.0, policy=lambda: "")
        for slot in (0, 1, 2, 3, 1):
            table.numbers[0] = slot
            trail.observe(UnparsedRequest("id", "GET", None), InvalidCredentials("wrong"), 0.0)
    links = [json.loads(line).get("chain", "").split(":") for line in (tmp_path / "log").read_bytes().splitlines()]
    assert [link[1:2] for link in links] == [[], ["1"], [], ["1"], ["2"]]
    assert table.events([os.getpid()]) == 5


def test_the_interval_of_a_median() -> None:
    """The median and the 95 % interval of order statistics: the 41st and the 60th of a hundred, as tables have it."""
    values = [float(number) for number in range(100)]
    assert audit_chain._shown(values, 1) == "49.5 (40.0 - 59.0)"
    assert audit_chain._shown([1.0], 0) == "1 (1 - 1)"
