"""deploy/monitoring/alerts.yaml: each alert has a severity, labels that exist, and a section of docs/runbook.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "monitoring" / "alerts.yaml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
TARGET = {"job", "instance"}


def labels_of(expression: str) -> set[str]:
    """The labels that an alert has after its outermost aggregation; those of a target, where there is none."""
    found = re.search(r"\bby \(([^)]*)\)", expression)
    return set(found[1].split(", ")) - {"le"} if found else TARGET


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        pytest.param("up == 0", {"job", "instance"}, id="none"),
        pytest.param("min by (job, keys) (x) < 2", {"job", "keys"}, id="aggregated"),
        pytest.param("histogram_quantile(0.9, sum by (job, le) (x))", {"job"}, id="buckets"),
        pytest.param("count by (job) (count by (job, digest) (x)) > 1", {"job"}, id="twice"),
    ],
)
def test_labels_of(expression: str, labels: set[str]) -> None:
    """What the next test compares with."""
    assert labels_of(expression) == labels


@pytest.mark.parametrize(
    "rule", [pytest.param(rule, id=f"{rule['alert']} {rule['labels']['severity']}") for rule in RULES]
)
def test_an_alert(rule: dict[str, Any]) -> None:
    """Its summary names labels that it has; else Prometheus leaves a gap there."""
    assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= labels_of(rule["expr"])
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_the_runbook_has_a_section_for_each_alert() -> None:
    """In the order of the file, and each says the same three things."""
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
    alerts = list(dict.fromkeys(rule["alert"] for rule in RULES))
    assert list(sections) == alerts
    assert len(alerts) > 20
    for text in sections.values():
        assert re.findall(r"^\*\*([^*]+)\*\*[:,]", text, re.MULTILINE) == ["It means", "Look at", "Do"]
