"""docs/tracing.md: its configuration loads, its headers are headers, and its table has the spans that there are."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from configuration import MINIMAL, folder, load

from tokenserver.config.telemetry.tracing import TracingSettings
from tokenserver.runtime.tracing.exporter import MAX_QUEUED
from tokenserver.runtime.tracing.results import SPAN_RESULTS
from tokenserver.runtime.tracing.spans import MAX_SPANS
from tokenserver.server.tracing import NOT_INSTALLED, read_headers

__all__ = ["folder"]

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tracing.md").read_text("utf-8")
PACKAGE = "".join(path.read_text("utf-8") for path in (ROOT / "tokenserver").rglob("*.py"))


def block(language: str) -> str:
    """The only block of code in this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_configuration(folder: Path) -> None:
    """It is one, and the short form is one too."""
    section = load(folder, MINIMAL + block("yaml")).tracing
    assert section is not None
    assert section.model_dump(exclude_unset=True).keys() == yaml.safe_load(block("yaml"))["tracing"].keys()
    assert load(folder, MINIMAL + "tracing: {}\n").tracing == TracingSettings()


def test_the_headers() -> None:
    """The server reads them."""
    assert read_headers(block("text"), "f") == {"Authorization": "Bearer KEY-OF-THE-COLLECTOR"}


@pytest.mark.parametrize(
    "name", re.findall(r"`([a-z ]+)`", "".join(re.findall(r"^\| (`[a-z ]+`(?:, `[a-z ]+`)*) \|", PAGE, re.MULTILINE)))
)
def test_a_span(name: str) -> None:
    """Each that the table names is in the code (tests/e2e/test_tracing.py shows those of an exchange)."""
    assert f'"{name}"' in PACKAGE


def test_figures() -> None:
    """Bounds and words are those of the code."""
    assert f"A request has {MAX_SPANS} spans at\nmost" in PAGE
    assert f"keeps {MAX_QUEUED} spans that wait" in PAGE
    assert all(f"`{result}`" in PAGE for result in SPAN_RESULTS)
    defaults = TracingSettings()
    assert (f"{defaults.sample} by default" in PAGE, defaults.endpoint in PAGE) == (True, True)


def test_an_event_is_found_by_its_trace(tmp_path: Path) -> None:
    """The command of the page finds the event of the page."""
    (command,) = re.findall(r"^grep .*$", PAGE, re.MULTILINE)
    (tmp_path / "audit.log").write_text('{"trace_id":"0"}\n' + block("json"))
    found = subprocess.run(shlex.split(command), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout == block("json")
    assert json.loads(found.stdout)["trace_id"] in command


def test_the_extra() -> None:
    """What the page installs, and what the server asks for, is an extra of the package."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for text in (PAGE, NOT_INSTALLED):
        (extra,) = set(re.findall(r"pip install 'tokenserver\[(\w+)\]'", text))
        assert [requirement.partition(">")[0] for requirement in extras[extra]] == ["opentelemetry-proto"]
