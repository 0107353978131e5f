"""deploy/monitoring/dashboard.json: up to date, about every metric, and in the form that Grafana imports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from types import ModuleType
from typing import Any

import pytest
from script_modules import load_script

GRAFANA_UNITS = {"short", "s", "reqps", "percentunit"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """scripts/dashboard, as a module."""
    return load_script("dashboard")


def shown(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The panels that show something."""
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def overlapping(panels: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """The ids of panels that lie on one another."""

    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        place = panel["gridPos"]
        return {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}

    return [(a["id"], b["id"]) for a, b in combinations(panels, 2) if cells(a) & cells(b)]


def test_the_file_is_up_to_date(script: ModuleType) -> None:
    """After a change of metrics or panels: scripts/dashboard."""
    assert script.FILE.read_text("utf-8") == script.text()


def test_every_metric_has_a_panel_or_a_reason(script: ModuleType) -> None:
    """And no reason is left for one that has a panel, or is gone."""
    defined = {table.name: name for name, table in script.TABLES.items()}
    panels = {panel.metric for row in script.ROWS.values() for panel in row}
    left_out = {defined[name] for name in script.LEFT_OUT}
    assert panels | left_out == {*defined.values(), *script.OF_EXPOSITION}
    assert panels & left_out == set()
    assert all(script.LEFT_OUT.values())


def test_panels(script: ModuleType) -> None:
    """Each has an id and a title of its own, a text, a unit, the data source of the variable, and labels that exist."""
    panels = list(shown(script.dashboard()))
    ids = [panel["id"] for panel in script.dashboard()["panels"]]
    assert len(set(ids)) == len(ids) > 30
    assert len({panel["title"] for panel in panels}) == len(panels)
    assert all(panel["description"] for panel in panels)
    assert {panel["fieldConfig"]["defaults"]["unit"] for panel in panels} == GRAFANA_UNITS
    sources = [panel["datasource"] for panel in panels] + [panel["targets"][0]["datasource"] for panel in panels]
    assert {json.dumps(source) for source in sources} == {json.dumps({"type": "prometheus", "uid": "${datasource}"})}


def test_labels_exist(script: ModuleType) -> None:
    """A query and its legend name labels of the metric, or of its target."""
    ours = {"workers": set(), "build_info": {"version"}, "policy": {"digest"}, "buckets": {"outcome", "le"}}
    for panel in (panel for row in script.ROWS.values() for panel in row):
        labels = ours.get(panel.metric) or set(getattr(script.TABLES.get(panel.metric), "labels", ()))
        grouped = {name for names in re.findall(r"by \(([^)]*)\)", panel.query) for name in names.split(", ")}
        selected = set(re.findall(r",(\w+)=", panel.query))
        in_legend = set(re.findall(r"{{(\w+)}}", panel.legend))
        assert grouped | selected <= labels | {"instance"}, panel.title
        assert in_legend <= grouped, panel.title


@pytest.mark.parametrize(
    ("places", "found"),
    [
        pytest.param([(0, 0, 12, 8), (12, 0, 12, 8)], [], id="side by side"),
        pytest.param([(0, 0, 12, 8), (11, 7, 12, 8)], [(0, 1)], id="a corner"),
    ],
)
def test_overlapping(places: list[tuple[int, int, int, int]], found: list[tuple[int, int]]) -> None:
    """The check of the next test finds what it should."""
    panels = [{"id": number, "gridPos": dict(zip("xywh", place, strict=True))} for number, place in enumerate(places)]
    assert overlapping(panels) == found


def test_no_panel_lies_on_another(script: ModuleType) -> None:
    """Nor beyond the right edge."""
    panels = script.panels()
    assert overlapping(panels) == []
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= script.WIDTH for panel in panels)


def test_variables(script: ModuleType) -> None:
    """Those that queries use are those that people choose from."""
    dashboard = script.dashboard()
    declared = {one["name"] for one in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard)))
    assert used - {"__rate_interval"} == declared
