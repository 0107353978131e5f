"""docs/shell-completion.md: the commands of each shell, run as written in a new home, and what Tab completes then."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "shell-completion.md"

# Asks as the Tab key would: zsh's own completion needs a terminal, so its script is only loaded.
ASKS = {
    "bash": """\
COMP_WORDS=(tokenserver policy wh) COMP_CWORD=2
"$(complete -p tokenserver | sed 's/.*-F \\([^ ]*\\).*/\\1/')" tokenserver
printf '%s\\n' "${COMPREPLY[@]}"
""",
    "zsh": "autoload -Uz compinit && compinit -u; . ~/.zshrc; print ${_comps[tokenserver]}",
    "fish": "complete -C 'tokenserver policy wh' | string split -f 1 \\t",
}
COMPLETES = {
    "bash": ["what-can", "who-can", "why"],
    "zsh": ["_tokenserver_completion"],
    "fish": ["what-can", "who-can", "why"],
}
STARTS = {"bash": ["bash", "--norc", "-c"], "zsh": ["zsh", "-f", "-c"], "fish": ["fish", "-c"]}


def commands(shell: str) -> str:
    """The commands of the page for this shell."""
    found = re.search(rf"^<!-- test: {shell} -->\n```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, f"the page has no commands for {shell}"
    return found[1]


@pytest.mark.parametrize("shell", sorted(ASKS))
def test_the_commands_turn_completion_on(shell: str, tmp_path: Path) -> None:
    """From an empty home; they are run by a plain POSIX shell, and work from a new shell of the user."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    environment = {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    run("sh", "-euc", commands(shell))
    load = ". ~/.bashrc\n" if shell == "bash" else ""
    assert sorted(run(*STARTS[shell], load + ASKS[shell]).split()) == COMPLETES[shell]


def test_the_page_has_every_shell() -> None:
    """All blocks of commands on the page are among those above."""
    text = PAGE.read_text()
    assert sorted(re.findall(r"^<!-- test: (\w+) -->$", text, re.MULTILINE)) == sorted(ASKS)
    assert text.count("```sh") == len(ASKS)
