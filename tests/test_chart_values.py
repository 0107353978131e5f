"""deploy/chart: its schema and README are what `scripts/chart` writes, and they cover every value and key."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml
from script_modules import load_script

from tokenserver import __version__
from tokenserver.config.introspection import paths
from tokenserver.config.settings import Settings

CHART = Path(__file__).parents[1] / "deploy" / "chart"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text("utf-8"))

SET_BY_THE_CHART = {
    ("policies",),
    ("storage",),
    ("server", "listen"),
    ("server", "metrics"),
    ("server", "management"),
    ("server", "notifications"),
    ("server", "tls"),
}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """scripts/chart, as a module."""
    return load_script("chart")


def test_schema(script: ModuleType) -> None:
    """The committed schema is up to date, with the one of tokenserver.yaml."""
    assert script.schema() == SCHEMA


def test_readme(script: ModuleType) -> None:
    """The committed README is up to date."""
    assert (CHART / "README.md").read_text("utf-8") == script.readme()


@pytest.mark.parametrize("name", ["alerts.yaml", "dashboard.json"])
def test_the_chart_has_the_files_of_monitoring(name: str, script: ModuleType) -> None:
    """Its copies, which helm can package, are those of deploy/monitoring."""
    text = (CHART.parent / "monitoring" / name).read_text("utf-8")
    assert (CHART / "files" / name).read_text("utf-8") == text == script.copies()[CHART / "files" / name]


def test_every_value_is_described(script: ModuleType) -> None:
    """Each default is at or below a described value, and each described value has a default that it accepts."""
    described = set(script.values_table())
    found = set()

    def walk(value: Any, path: str) -> None:
        if path in described or not isinstance(value, dict):
            found.add(path)
            return
        for key, inner in value.items():
            walk(inner, f"{path}.{key}" if path else key)

    walk({key: value for key, value in VALUES.items() if key != "config"}, "")
    assert found == described
    jsonschema.Draft7Validator(SCHEMA).validate(VALUES)


def place_of(path: tuple[str | int, ...]) -> dict[str, Any] | None:
    """What the chart's schema says about a key of tokenserver.yaml; None if it refuses it."""
    places = [SCHEMA["properties"]["config"]]
    for step in path:
        places = [inner for place in places for inner in _below(place, step)]
    return places[0] if places else None


def _below(place: dict[str, Any], step: str | int) -> list[dict[str, Any]]:
    if "$ref" in place:
        return _below(SCHEMA["$defs"][place["$ref"].removeprefix("#/$defs/")], step)
    choices = [
        inner
        for word in ("anyOf", "allOf", "oneOf")
        for choice in place.get(word, ())
        for inner in _below(choice, step)
    ]
    own = place.get("items") if isinstance(step, int) else place.get("properties", {}).get(step)
    return [*choices, *([own] if own else [])]


@pytest.mark.parametrize("path", sorted({path for path in paths(Settings) if path}, key=str), ids=str)
def test_every_configuration_key_can_be_expressed(path: tuple[str | int, ...]) -> None:
    """`config` has the key, or the chart sets it and says by which value."""
    owned = next((path[:length] for length in (1, 2) if path[:length] in SET_BY_THE_CHART), None)
    found = place_of(owned or path)
    assert found is not None
    if owned:
        assert found.keys() == {"description"}
        assert found["description"].startswith("Set by the chart: use ")


def test_the_versions_are_those_of_the_package() -> None:
    """The chart installs the version of the server that it belongs to."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
