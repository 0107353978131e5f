"""docs/access-keys.md and docs/lost-laptop.md: their settings load, and their commands work one after the other."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tokenserver.cli import main
from tokenserver.config.credentials import AccessKeySettings

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLE = "k7Qm2xZt9LbA"


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of this language."""
    text = (DOCS / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """The arguments of each command of this program."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("tokenserver ")]


@pytest.fixture
def _site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new site with the settings of the page, the user ann, and the robot of docs/robots.md."""
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    assert run(main, ["init", "."]).exit_code == 0
    assert run(main, ["users", "set", "ann"], input="twelve chars").exit_code == 0
    config = Path("tokenserver.yaml")
    (settings,) = blocks("access-keys.md", "yaml")
    storage, keys = settings.splitlines()
    assert storage in config.read_text()  # `init` has written it already, and the section with its defaults
    config.write_text(config.read_text().replace("access_keys: {}", keys))
    Path("policies/web.yaml").write_text(blocks("robots.md", "yaml")[0] + "...\n")


def test_the_settings() -> None:
    """Those of the page are the defaults, as it says."""
    (settings,) = blocks("access-keys.md", "yaml")
    assert AccessKeySettings.model_validate(yaml.safe_load(settings)["access_keys"]) == AccessKeySettings()


@pytest.mark.usefixtures("_site")
def test_access_keys() -> None:
    """The key that the first command makes is the one of the others."""
    identifier = ""
    lines = commands("access-keys.md")
    assert [words[1] for words in lines] == ["create", "list", "show", "list", "list", "rotate", "revoke"]
    for words in lines:
        meant = [identifier if word == EXAMPLE else word for word in words]
        result = CliRunner().invoke(main, meant)
        assert (words, result.exit_code) == (words, 0), result.output
        if words[1] == "create":
            identifier = result.stdout[5:17]
    options = {"--pull", "--push", "--actions", "--repositories", "--registry", "--network", "--expires"}
    table = (DOCS / "access-keys.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(--[a-z]+)", table, re.MULTILINE)) == options


@pytest.mark.usefixtures("_site")
def test_a_lost_laptop() -> None:
    """Each command finds what there is to end: the exit code would be 1 otherwise."""
    run = CliRunner().invoke
    assert run(main, ["access-keys", "create", "--user", "ann"]).exit_code == 0
    assert run(main, ["robots", "secret", "new", "ci-web"]).exit_code == 0
    ended = {"logins revoke": 1}  # no client has logged in here
    lines = commands("lost-laptop.md")
    assert len(lines) == 8
    for words in lines:
        result = run(main, words, input="twelve chars")
        assert (words, result.exit_code) == (words, ended.get(" ".join(words[:2]), 0)), result.output
