"""A checkout as a stranger has it: a clone of this repository as it stands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from harness.programs import ROOT


def clone(above: Path, umask: int = 0o022) -> Path:
    """Clone the repository under this umask into a folder below `above`, with what is not committed yet."""
    origin, folder = above / "origin", above / "tokenserver"
    for name in _files():
        target = origin / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    author = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    for command in (
        ["git", "init", "--quiet", str(origin)],
        ["git", "-C", str(origin), "add", "--all", "--force"],
        ["git", "-C", str(origin), *author, "commit", "--quiet", "--message", "All"],
        ["git", "clone", "--quiet", str(origin), str(folder)],
    ):
        subprocess.run(command, check=True, umask=umask, capture_output=True)
    return folder


def _files() -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
