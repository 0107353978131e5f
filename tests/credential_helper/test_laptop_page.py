"""docs/laptop.md: its settings load, its commands exist, and the lines that it explains are those that are printed.

Its commands are run, one after the other, by tests/e2e/test_laptop.py.
"""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest
from syntax_trees import names, nodes

from tokenserver.credential_helper.people import _configured, _parser
from tokenserver.credential_helper.program import USAGE
from tokenserver.credential_helper.settings import read_settings

PAGE = (Path(__file__).parents[2] / "docs" / "laptop.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_docker_s_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `login` know the registry."""
    (tmp_path / "config.json").write_text(blocks("json")[0])
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert _configured() == ["registry.example.com"]


def test_settings() -> None:
    """Both examples load, and the whole one has every member, each with its row."""
    _, short, whole = blocks("json")
    assert read_settings(short.encode()).as_password is True
    assert read_settings(whole.encode()).registries == ["registry.example.com:5000"]
    table = PAGE.partition("| member | meaning |")[2]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(json.loads(whole))


def test_commands() -> None:
    """Each exists, with its options."""
    lines = [line.split() for block in blocks("sh") for line in block.splitlines()]
    ours = [words[1:] for words in lines if words[0] == "docker-credential-tokenserver"]
    assert [words[0] for words in ours] == ["version", "login", "status", "logout", "login"]
    for words in ours[1:]:
        assert _parser().parse_args(words).run is not None
    assert {"version", "login", "status", "logout"} <= set(re.findall(r"\w+", USAGE))


@cache
def printed() -> str:
    """Every text in the helper."""
    return "\0".join(
        "".join(str(part.value) if isinstance(part, ast.Constant) else "\1" for part in node.values)
        if isinstance(node, ast.JoinedStr)
        else str(node.value)
        for module in names()
        if module.startswith("credential_helper/")
        for node in nodes(module)
        if isinstance(node, ast.JoinedStr | ast.Constant)
    )


LINES = re.findall(
    r"^\| `([^`]*)` \| [^|]+ \| [^|]+ \|$", PAGE.partition("| line |")[2].partition("## ")[0], re.MULTILINE
)


@pytest.mark.parametrize("line", LINES)
def test_lines(line: str) -> None:
    """What the page quotes is in the helper, word for word."""
    parts = [part for piece in line.split("…") for part in re.split(r"(?<=:) |; (?=fix)", piece.strip(" :;."))]
    assert [part for part in parts if len(part) > 3 and part not in printed()] == []


def test_the_lines_are_found() -> None:
    """Where no line is found, none is wrong."""
    assert len(LINES) == 13
