"""The git revision of the policy folder, from the files of git, and whether the loaded files are the committed ones.

No command is run that could run another one: hooks, filters and file system monitors of the repository stay unused.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenserver.policy.loading.folder import SUFFIXES

GIT_SECONDS = 2.0
"""How long git may take to list the files of a commit; otherwise it stays unknown whether they are the loaded ones."""

MAX_FILE = 16 * 1024 * 1024
"""Bytes of a file of git that are read: `packed-refs` has one line for each branch and tag."""

_LEVELS = 64
_REVISION = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_IN_PATH = re.compile(r"(?:rev-)?([0-9a-f]{40}(?:[0-9a-f]{24})?)", re.ASCII)
_REF = re.compile(r"ref: (refs/[!-~]{1,1024})", re.ASCII)
_VOLUME = re.compile(r"\.\.[0-9]{4}_[0-9A-Za-z_.]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where the files of a folder come from, as far as it is known.

    `revision` is the commit, `branch` what is checked out. `is_clean` is whether the files are those of the commit.
    `volume` is the version of a mounted ConfigMap or Secret, as Kubernetes names it.
    """

    revision: str | None = None
    branch: str | None = None
    is_clean: bool | None = None
    volume: str | None = None

    @property
    def members(self) -> dict[str, str | bool]:
        """What is known, as members of an event."""
        facts = {"revision": self.revision, "branch": self.branch, "clean": self.is_clean, "volume": self.volume}
        return {name: value for name, value in facts.items() if value is not None}


def checkout_of(folder: Path, texts: Mapping[str, str] | None) -> Checkout:
    """The checkout that the folder lies in. Never raises.

    `texts` are its loaded files by name; None if they could not be loaded, so that nothing is said of them.
    """
    try:
        real = folder.resolve()
        volume = _volume(folder)
        place = next((one for one in (real, *real.parents[:_LEVELS]) if (one / ".git").exists()), None)
        git = None if place is None else _git_folder(place / ".git")
        if place is None or git is None:
            return Checkout(_revision_in(real), volume=volume)
        revision, branch = _head(git)
        if revision is None:
            return Checkout(_revision_in(real), branch, volume=volume)
        is_clean = None if texts is None else _is_clean(git, revision, real.relative_to(place).as_posix(), texts)
        return Checkout(revision, branch, is_clean, volume)
    except (OSError, ValueError):  # what git wrote is unreadable, or not what it writes
        return Checkout()


def _revision_in(path: Path) -> str | None:
    """The revision that a path names, as git-sync does: `.worktrees/REVISION` or `rev-REVISION`."""
    found = (_IN_PATH.fullmatch(part) for part in reversed(path.parts))
    return next((match.group(1) for match in found if match is not None), None)


def _volume(folder: Path) -> str | None:
    """The version of a volume of Kubernetes, which is what its link `..data` points to."""
    for place in (folder, *folder.parents[:_LEVELS]):
        link = place / "..data"
        if link.is_symlink():
            target = str(link.readlink())
            return target if _VOLUME.fullmatch(target) else None
    return None


def _git_folder(entry: Path) -> Path | None:
    """The folder of the repository: `.git` itself, or where the file `.git` of a linked working tree points."""
    if entry.is_dir():
        return entry
    kind, _, path = _read(entry).strip().partition(": ")
    return (entry.parent / path).resolve() if kind == "gitdir" else None


def _head(git: Path) -> tuple[str | None, str | None]:
    """The commit and the branch that are checked out."""
    text = _read(git / "HEAD").strip()
    if _REVISION.fullmatch(text):
        return text, None
    ref = _REF.fullmatch(text)
    if ref is None or ".." in text or "//" in text:
        return None, None
    name = ref.group(1)
    common = git / _read(git / "commondir").strip() if (git / "commondir").is_file() else git
    return next(_values_of(name, git, common), None), name.removeprefix("refs/heads/")


def _values_of(name: str, git: Path, common: Path) -> Iterator[str]:
    for place in dict.fromkeys((git, common)):
        if (place / name).is_file():
            text = _read(place / name).strip()
            if _REVISION.fullmatch(text):
                yield text
    if (common / "packed-refs").is_file():
        for line in _read(common / "packed-refs").splitlines():
            revision, _, packed = line.partition(" ")
            if packed == name and _REVISION.fullmatch(revision):
                yield revision


def _read(path: Path) -> str:
    """The text of a regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would block
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        return file.read(MAX_FILE).decode("utf-8", "surrogateescape")


def _is_clean(git: Path, revision: str, path: str, texts: Mapping[str, str]) -> bool | None:
    """Whether these are exactly the policy files of the commit; None if git cannot tell."""
    committed = _committed(git, f"{revision}:{'' if path == '.' else path}")
    if committed is None:
        return None
    algorithm = "sha1" if len(revision) == 40 else "sha256"
    return committed == {name: _blob(text, algorithm) for name, text in texts.items()}


def _committed(git: Path, tree: str) -> dict[str, str] | None:
    """The policy files of a tree with the ids of their contents."""
    # `ls-tree` reads objects and nothing else; a repository that lacks some must not fetch them.
    nothing = {"PATH": os.defpath, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
    environment = {**nothing, "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_TERMINAL_PROMPT": "0"}
    try:
        listed = subprocess.run(  # noqa: S603 - no shell, and the tree begins with a revision of hexadecimal digits
            ["git", f"--git-dir={git}", "--no-replace-objects", "ls-tree", "-r", "-z", "--full-tree", tree],  # noqa: S607 - git is looked up in the system's folders
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = {}
    for entry in listed.decode("utf-8", "surrogateescape").split("\0"):
        facts, _, name = entry.partition("\t")
        if name.lower().endswith(SUFFIXES):
            found[name] = facts.rpartition(" ")[2]
    return found


def _blob(text: str, algorithm: str) -> str:
    """The id that git gives to this content."""
    content = text.encode("utf-8", "surrogateescape")
    return hashlib.new(algorithm, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
