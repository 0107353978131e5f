"""`tokenserver schema`: what it prints is a JSON Schema, for every kind of file."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator

from tokenserver.cli.main import main
from tokenserver.cli.schema import SCHEMAS


@pytest.mark.parametrize("kind", list(SCHEMAS))
def test_schema(kind: str) -> None:
    """It has a title, and describes every key at its top."""
    result = CliRunner().invoke(main, ["schema", kind])
    assert (result.exit_code, result.stderr) == (0, "")
    schema = json.loads(result.stdout)
    Draft7Validator.check_schema(schema)
    assert schema["title"]
    assert [name for name, key in schema["properties"].items() if not key.get("description")] == []


def test_unknown_kind() -> None:
    """The known ones are named."""
    result = CliRunner().invoke(main, ["schema", "policies"])
    assert result.exit_code == 2
    assert "'config', 'policy', 'registry'" in result.stderr
