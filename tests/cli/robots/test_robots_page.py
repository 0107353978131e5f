"""docs/robots.md: its policy loads, its commands work, and its description of a key is that of the program."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from configuration import MINIMAL
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.access_keys import KEY_PATTERN, RANDOM_BYTES, MalformedAccessKey, compose_key, parse_key
from tokenserver.authn import chain
from tokenserver.authn.robots import declared
from tokenserver.cli import main
from tokenserver.config.load import load_settings
from tokenserver.credentials import AccessKeyForm

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "robots.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def policy_with_secret() -> str:
    """The policy of the page with the line of the secret, which is shown apart from it."""
    whole, addition, _ = blocks("yaml")
    secrets = addition.partition("  ci-web:\n")[2]
    return whole.replace('    owners: ["group:web"]\n', f'    owners: ["group:web"]\n{secrets}')


@pytest.mark.parametrize("policy", [blocks("yaml")[0], policy_with_secret()], ids=["without-secret", "with-secret"])
def test_the_policy(policy: str, tmp_path: Path) -> None:
    """It loads, its tests hold, and the robot is listed."""
    folder = tmp_path / "policies"
    folder.mkdir(mode=0o755)
    (folder / "web.yaml").write_text(policy)
    run = CliRunner().invoke
    tested = run(main, ["policy", "test", "--policies", str(folder)])
    assert (tested.exit_code, tested.stderr) == (0, "")
    shown = run(main, ["robots", "show", "ci-web", "--policies", str(folder)]).stdout
    assert ("3f9K2mQx7LbT" in shown) is ("secrets:" in policy)


def test_the_configuration(tmp_path: Path) -> None:
    """It limits secrets to 90 days."""
    config = tmp_path / "tokenserver.yaml"
    config.write_text(MINIMAL + blocks("yaml")[2])
    config.chmod(0o644)
    assert load_settings(config, {}).robots.max_lifetime == 90 * 86_400


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of this program, in a new site with the page's policy."""
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["init", "."]).exit_code == 0
    Path("policies/web.yaml").write_text(blocks("yaml")[0] + "...\n")  # as the files of a new site end
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("tokenserver ")]
    assert len(lines) == 7
    for line in lines:
        _, *words = shlex.split(line, comments=True)
        assert (words, CliRunner().invoke(main, words).exit_code) == (words, 0)


def test_the_regular_expression() -> None:
    """The published one, in its own block and in the example."""
    assert f"```\n{KEY_PATTERN}\n```" in PAGE
    assert KEY_PATTERN.removeprefix(r"\b").removesuffix(r"\b") in blocks("python")[0]


def is_key(text: str) -> bool:
    """The function of the page."""
    names: dict[str, Any] = {}
    exec(compile(blocks("python")[0], "docs/robots.md", "exec"), names)  # noqa: S102 - the page is ours
    return bool(names["is_key"](text))


@given(
    st.sampled_from(AccessKeyForm),
    st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES),
    st.integers(0, 65),
    st.sampled_from("0aZ_"),
)
def test_the_checksum(form: AccessKeyForm, random: bytes, place: int, typed: str) -> None:
    """The page's function accepts what the program accepts, also with one character replaced."""
    text = compose_key(form, random).text.reveal()
    assert is_key(text)
    changed = text[:place] + typed + text[place + 1 :]
    try:
        parse_key(changed)
    except MalformedAccessKey:
        assert not is_key(changed)
    else:
        assert is_key(changed)


def test_the_messages() -> None:
    """Each message of the table is one of the program."""
    texts = re.findall(r"^\| `(the access key [^`…]+?) ?…?` \|", PAGE, re.MULTILINE)
    sources = Path(declared.__file__).read_text("utf-8") + Path(chain.__file__).read_text("utf-8")
    assert len(texts) == 4
    assert [text for text in texts if text not in sources] == []
