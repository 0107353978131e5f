"""Policy folders from git: extraction of the policy files of one revision, exactly as committed.

The files are read from the object store and not from `git archive`, for which attributes in the tree could omit or
change them.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tokenserver.documents.files import create_file
from tokenserver.errors import Fault, LoadError
from tokenserver.policy.loading.folder import SUFFIXES

_LINK, _SUBMODULE = "120000", "160000"


@dataclass(frozen=True, slots=True)
class Revisions:
    """Two revisions of one folder; `path` is the folder relative to the top of the repository."""

    top: Path
    path: str
    old: str
    new: str


def parse_revisions(text: str, folder: Path) -> Revisions:
    """Parse `OLD..NEW`, or `OLD...NEW` for the changes since the merge base; an omitted revision is HEAD.

    Raises:
        LoadError: no such revisions, no repository, or no git.
    """
    old, dots, new = text.partition("...") if "..." in text else text.partition("..")
    if not dots:
        raise LoadError([Fault("--git", 0, "", f"{text!r}: must be two revisions such as main..HEAD")])
    # The folder may not exist now; its nearest existing ancestor must be in the repository.
    place = folder.absolute()
    while not place.is_dir():
        place = place.parent
    top = Path(os.fsdecode(_git(place, "rev-parse", "--show-toplevel").removesuffix(b"\n")))
    try:
        path = folder.absolute().resolve().relative_to(top.resolve())
    except ValueError:
        raise LoadError([Fault(str(folder), 0, "", f"does not lie in the repository {top}")]) from None
    commits = [_commit(top, name or "HEAD") for name in (old, new)]
    if dots == "...":
        commits[0] = _git(top, "merge-base", *commits).decode().strip()
    return Revisions(top, "" if path == Path() else path.as_posix(), *commits)


def extract(revisions: Revisions, commit: str, folder: Path) -> None:
    """Write the policy files of a commit into the empty `folder`.

    Raises:
        LoadError: the folder is not in that commit, or has a policy file that is a symbolic link.
    """
    name = f"{commit[:12]}:{revisions.path}"
    listing = _git(revisions.top, "ls-tree", "-r", "-z", "--full-tree", f"{commit}:{revisions.path}")
    blobs: list[tuple[str, PurePosixPath]] = []
    for entry in listing.decode("utf-8", "surrogateescape").split("\0"):
        facts, _, path = entry.partition("\t")
        if not path.lower().endswith(SUFFIXES):
            continue
        mode, _, blob = facts.split(" ")
        if mode == _LINK:
            raise LoadError([Fault(f"{name}/{path}", 0, "", "is a symbolic link; commit the file itself")])
        if mode == _SUBMODULE:
            raise LoadError([Fault(f"{name}/{path}", 0, "", "is a submodule, not a file; rename its folder")])
        file = PurePosixPath(path)
        if file.is_absolute() or ".." in file.parts:  # git creates no such tree, but an attacker can
            raise LoadError([Fault(f"{name}/{path}", 0, "", "leads out of the folder")])
        blobs.append((blob, file))
    contents = _blobs(revisions.top, [blob for blob, _ in blobs])
    for (_, file), content in zip(blobs, contents, strict=True):
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        for parent in target.relative_to(folder).parents:
            (folder / parent).chmod(0o700)  # the loader rejects folders and files that others can change
        create_file(target, content)


def _commit(top: Path, name: str) -> str:
    return _git(top, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").decode().strip()


def _blobs(top: Path, names: list[str]) -> list[bytes]:
    """The contents of objects, as `git cat-file --batch` prints them: a line with the size, the content, a newline."""
    rest = _git(top, "cat-file", "--batch", given="".join(f"{name}\n" for name in names).encode())
    contents = []
    for name in names:
        head, _, rest = rest.partition(b"\n")
        _, *facts = head.split(b" ")
        if len(facts) != 2:  # "missing" instead of kind and size
            raise LoadError([Fault("--git", 0, "", f"object {name} is not in this clone of the repository")])
        size = int(facts[1])
        contents.append(rest[:size])
        rest = rest[size + 1 :]
    return contents


def _git(place: Path, *arguments: str, given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and revisions are behind --end-of-options
            ["git", "-C", str(place), *arguments],  # noqa: S607 - git is looked up in PATH
            input=given,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise LoadError([Fault("--git", 0, "", "needs the program git, which is not installed")]) from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")
        raise LoadError([Fault("--git", 0, "", f"git says: {said}")])
    return done.stdout
