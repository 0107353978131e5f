"""docs/storage.md: its settings load, and its commands work as they are written there, one after the other."""

from __future__ import annotations

import json
import re
import shlex
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from configuration import MINIMAL, load
from storage_commands import store_at
from stored_credentials import PLAIN

from tokenserver.cli import main
from tokenserver.storage.selection import Selection
from tokenserver.storage.upkeep.pruning import KEPT_DAYS

PAGE = (Path(__file__).parents[3] / "docs" / "storage.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"`tokenserver (storage \w+)", PAGE)


def test_the_commands_of_the_page(site: Path) -> None:
    """With a credential that is revoked after the backup; what the page says of it holds after each restore."""
    store = store_at(site)
    live = replace(PLAIN, ends=int(time.time()) + 86_400)
    ids = [store.create(live, at_most=9)[0].id for _ in range(2)]
    left: dict[str, int] = {}
    for command in "".join(BLOCKS).splitlines():
        _, *words = shlex.split(command)
        result = CliRunner().invoke(main, words)
        assert (command, result.exit_code) == (command, 0), result.stderr
        left[" ".join(words)] = sum(one.ended is None for one in store_at(site).listed(Selection()))
        if words[1] == "backup":
            store.end(Selection(ids=frozenset(ids[:1])), by="ann", reason="lost")
            (site / "audit.jsonl").write_text(json.dumps({"displaced": ids[:1]}) + "\n")
    assert left == {
        "storage backup backup.db": 2,
        "storage check": 1,
        "storage restore backup.db": 0,
        "storage restore backup.db --replay audit.jsonl": 1,
        "storage restore backup.db --keep": 2,
        "storage reseal --new-key": 2,
        "storage reseal --retire 1": 0,
    }


def test_every_command_that_is_named_exists() -> None:
    """Also those in the middle of a sentence."""
    assert set(INLINE) == {"storage init", "storage migrate", "storage restore", "storage prune"}
    for name in INLINE:
        assert CliRunner().invoke(main, [*name.split(), "--help"]).exit_code == 0


@pytest.mark.parametrize("text", re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
def test_settings(text: str, folder: Path) -> None:
    """Each is a whole section."""
    assert load(folder, MINIMAL + text).storage is not None


def test_figures(folder: Path) -> None:
    """The grace and the days are those of the code."""
    assert load(folder, MINIMAL).storage_grace == 15 * 60
    assert "`storage_grace` (15 minutes by default)" in PAGE
    assert f"for {KEPT_DAYS} days after their end" in PAGE
