"""The commands of docs/users.md work as they are written there, one after the other."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.cli import main

PAGE = (Path(__file__).parents[3] / "docs" / "users.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^```sh\n(tokenserver users .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_has_commands() -> None:
    """The next test is about something."""
    assert [len(section.splitlines()) for section in SECTIONS] == [5, 1, 4, 1]


@pytest.mark.parametrize("section", SECTIONS)
def test_commands(section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with a password of twelve characters on standard input."""
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["init", "."]).exit_code == 0
    if "users set ann" not in section:
        assert CliRunner().invoke(main, ["users", "set", "ann"], input="twelve chars").exit_code == 0
    for line in section.splitlines():
        _, *words = shlex.split(line.partition(" <")[0], comments=True)
        result = CliRunner().invoke(main, words, input="twelve chars")
        # Of the samples' own-namespace, as the page says.
        said = "cannot be a segment of a repository name" if "robot$web+ci" in words else ""
        assert (words, result.exit_code, bool(result.stderr)) == (words, 0, bool(said))
        assert said in result.stderr


def test_the_file_of_the_page() -> None:
    """Its comment is what the server reads."""
    comment = re.search(r"^# tokenserver-account: .*$", PAGE, re.MULTILINE)
    assert comment is not None
    (entry,) = parse_users(f"{comment[0]}\nann:!$2b$10${'.' * 53}\n", "users")
    assert str(entry.account) == "disabled, until 2999-12-31"
