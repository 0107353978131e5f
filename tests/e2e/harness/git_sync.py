"""A stand-in for git-sync 4, whose module builders cannot have: it takes its arguments and leaves its files, by git.

Written from what git-sync documents and does: a repository in the root, a linked working tree for each commit with a
relative `.git`, a link that is replaced by a rename, and the former tree removed at the next sync. It is no more than
that: no credentials, hooks, metrics or sparse checkouts.

usage: git_sync.py --repo=URL --root=FOLDER --link=NAME [--ref=…] [--depth=…] [--one-time | --period=…]
                   [--max-failures=…]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

DURATION = re.compile(r"([0-9]+)(ms|s|m|h)")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def duration(text: str) -> float:
    """Seconds of a duration in Go's form, of one unit."""
    found = DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"no duration: {text}")
    return int(found[1]) * SECONDS[found[2]]


def arguments() -> argparse.Namespace:
    """Those of git-sync that the chart uses; others are an error, as they are for git-sync."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--repo", required=True)
    parser.add_argument("--ref", default="HEAD")
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--link", required=True)
    parser.add_argument("--one-time", action="store_true")
    parser.add_argument("--period", type=duration, default=10.0)
    parser.add_argument("--max-failures", type=int, default=0)
    return parser.parse_args()


class GitSync:
    """One repository that is followed."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._root: Path = options.root
        self._link = self._root / options.link
        # The folders of a pod belong to other users than the processes in it.
        self._git("config", "--global", "safe.directory", "*", folder=Path("/"))
        self._git("config", "--global", "gc.autoDetach", "false", folder=Path("/"))
        self._git("config", "--global", "gc.pruneExpire", "now", folder=Path("/"))

    def _git(self, *words: str | Path, folder: Path | None = None) -> str:
        command = ["git", *map(str, words)]
        return subprocess.run(
            command, cwd=folder or self._root, check=True, capture_output=True, text=True
        ).stdout.strip()

    def sync(self) -> None:
        """Fetch, and publish the commit if it is another one than before."""
        if not (self._root / ".git").exists():
            self._git("init", "-b", "git-sync")
            self._git("remote", "add", "origin", self._options.repo)
        current = self._link.readlink().name if self._link.is_symlink() else ""
        depth = [] if self._options.depth == 0 else ["--depth", str(self._options.depth)]
        fetch = ["fetch", self._options.repo, self._options.ref, "--verbose", "--no-progress"]
        self._git(*fetch, "--prune", "--no-auto-gc", *depth)
        commit = self._git("rev-parse", "FETCH_HEAD^{}")
        if current != commit:
            self._git("reset", "--soft", commit)
            self._publish(self._new_tree(commit))
        self._clean_up()

    def _new_tree(self, commit: str) -> Path:
        tree = self._root / ".worktrees" / commit
        if tree.exists():
            shutil.rmtree(tree)
            self._git("worktree", "prune", "--verbose")
        self._git("worktree", "add", "--force", "--detach", tree, commit, "--no-checkout")
        (tree / ".git").write_text(f"gitdir: ../../.git/worktrees/{commit}\n")
        self._git("reset", "--hard", commit, "--", folder=tree)
        self._git("submodule", "update", "--init", "--recursive", folder=tree)
        return tree

    def _publish(self, tree: Path) -> None:
        new = self._link.with_name("tmp-link")
        new.symlink_to(os.path.relpath(tree, self._link.parent))
        new.replace(self._link)

    def _clean_up(self) -> None:
        current = self._link.resolve()
        stale = [tree for tree in (self._root / ".worktrees").iterdir() if tree != current]
        for tree in stale:
            shutil.rmtree(tree)
        if stale:
            self._git("worktree", "prune", "--verbose")
            self._git("reflog", "expire", "--expire-unreachable=all", "--all")
            self._git("gc")


def main() -> int:
    options = arguments()
    repository, failures = GitSync(options), 0
    while True:
        try:
            repository.sync()
            failures = 0
        except subprocess.CalledProcessError as error:
            sys.stderr.write(error.stderr)
            sys.stderr.flush()
            failures += 1
            if options.max_failures >= 0 and failures > options.max_failures:
                return 1
        else:
            if options.one_time:
                return 0
        time.sleep(options.period)


if __name__ == "__main__":
    sys.exit(main())
