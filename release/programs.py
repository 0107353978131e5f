"""Runs the programs that a release takes: git, buildah, crane, helm and cosign."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class ReleaseError(Exception):
    """A step cannot be done; the text says why."""


def run(*words: str | Path, environment: Mapping[str, str] | None = None, folder: Path = ROOT) -> str:
    """Run a command, which is shown, and give what it prints to standard output.

    Raises:
        ReleaseError: it is not installed, or it fails.
    """
    command = [str(word) for word in words]
    print(f"+ {shlex.join(command)}", file=sys.stderr, flush=True)
    variables = {**os.environ, **(environment or {})}
    try:
        done = subprocess.run(command, cwd=folder, env=variables, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise ReleaseError(
            f"{command[0]} is not installed; scripts/release-tools installs crane, helm and cosign"
        ) from None
    if done.returncode:
        raise ReleaseError(f"{shlex.join(command[:3])} failed:\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def commit() -> str:
    """The revision that is released.

    Raises:
        ReleaseError: files differ from it.
    """
    if changed := run("git", "status", "--porcelain"):
        raise ReleaseError(f"the working tree differs from the commit; fix: commit or remove\n{changed}".rstrip())
    return run("git", "rev-parse", "HEAD").strip()


def commit_seconds() -> int:
    """When the revision was made: the time of every file in a release, so that a second build makes the same."""
    return int(run("git", "log", "-1", "--format=%ct"))
