"""Questions in addresses: defaults, other names of a registry, and registries that do not exist."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from configuration import MINIMAL

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.web.pages.policies.questions import Question, asked_question


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two registries, the first with another name."""
    config = tmp_path / "tokenserver.yaml"
    text = MINIMAL.replace("[{service: registry.example.com}]", "[{service: first, also: [one]}, {service: second}]")
    config.write_text(text)
    config.chmod(0o644)
    return load_settings(config, {})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({}, Question("first", "pull", ""), id="nothing"),
        pytest.param({"service": "one"}, Question("first", "pull", ""), id="alias"),
        pytest.param({"service": ""}, Question("first", "pull", ""), id="empty"),
        pytest.param({"action": "push", "repository": " web/x "}, Question("first", "push", "web/x"), id="blanks"),
        pytest.param({"repository": "x" * 3000}, Question("first", "pull", "x" * 1024), id="long"),
        pytest.param({"service": "none"}, Question("first", "pull", "", is_elsewhere=True), id="unknown"),
    ],
)
def test_questions(settings: Settings, query: Mapping[str, str], expected: Question) -> None:
    """The first registry, unless another one is asked for."""
    found = asked_question(settings, query)
    assert found == expected
    assert found.is_complete is (bool(expected.name) and not expected.is_elsewhere)
