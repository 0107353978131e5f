"""docs/single-sign-on.md: its settings load, its commands work, and its texts are those of the pages."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tokenserver.authn.oidc import refusals
from tokenserver.cli import main
from tokenserver.cli.stored.opening import open_site
from tokenserver.config.load import load_settings
from tokenserver.storage.people.openid_people import OpenIdPeople

PAGE = (Path(__file__).parents[3] / "docs" / "single-sign-on.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Commands in a new site."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    assert runner.invoke(main, ["init", ".", "--url", "https://auth.example.com"]).exit_code == 0
    secret = tmp_path / "oidc-secret"
    secret.touch(mode=0o600)
    secret.write_text("s3cret")
    return runner


def with_section(section: str) -> None:
    """Lay the settings of the page over those of `init`."""
    config = Path("tokenserver.yaml")
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | yaml.safe_load(section)))


@pytest.mark.parametrize("section", blocks("yaml"), ids=lambda one: re.findall(r"preset: (\w+)", one)[0])
def test_the_settings(run: CliRunner, section: str) -> None:
    """Each is complete, and `check` prints the redirect URI."""
    with_section(section)
    result = run.invoke(main, ["check"])
    assert result.exit_code == 0, result.output
    (source,) = load_settings(Path("tokenserver.yaml"), {}).oidc_sources
    assert f"redirect URI: https://auth.example.com/login/callback/{source.name}" in result.output


def test_the_commands(run: CliRunner) -> None:
    """In their order; somebody has logged in before."""
    with_section(blocks("yaml")[0])
    site = open_site(Path("tokenserver.yaml"))
    people = OpenIdPeople(site.store.database, site.store.keys, now=time.time)
    people.log_in("corp", sub="1", subject="ann@example.com", groups=frozenset())
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert [line.split()[1] for line in commands] == ["check", "people", "people"]
    for line in commands:
        result = run.invoke(main, shlex.split(line)[1:])
        assert result.exit_code == 0, result.output
    assert people.find("corp", "ann@example.com") is None


def test_the_texts() -> None:
    """What the page about refused logins quotes is what the pages say, up to the first value."""
    quoted = re.findall(r"^\| ([A-Z][^|]*?) \|", PAGE, re.MULTILINE)
    known = [text for name, text in vars(refusals).items() if name.isupper()]
    said = [re.sub(r"\{\w+\}", "…", text) for text in known] + ["The server cannot answer now."]
    for text in quoted:
        beginning = text.removesuffix(" …").removesuffix(".")
        assert any(one.startswith(beginning) for one in said), text
