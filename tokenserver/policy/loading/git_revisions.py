"""Policies from git: the files of a revision or of the index, exactly as committed or staged, compiled.

The files are read from the object store and not from `git archive`, for which attributes in the tree could omit or
change them.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tokenserver.documents.files import DEFAULT_LIMIT, create_file
from tokenserver.errors import Fault, LoadError
from tokenserver.policy.loading.folder import SUFFIXES
from tokenserver.policy.loading.linker import FileTests
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.machines.claim_names import Aliases
from tokenserver.policy.model import PolicySet

STAGED = "staged"
"""How `Revision.name` calls what is in the index."""

_LINK, _SUBMODULE = "120000", "160000"
SHALLOW = (
    "this is a shallow clone, which lacks older commits and other branches;"
    " fix: git fetch --unshallow origin '+refs/heads/*:refs/remotes/origin/*'"
    " (GitHub Actions: fetch-depth: 0 for actions/checkout; GitLab CI: GIT_DEPTH: 0)"
)


@dataclass(frozen=True, slots=True)
class GitFolder:
    """A folder in the working tree `top` of a repository; `path` is relative to it, empty for all of it."""

    top: Path
    path: str


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit, or the tree of the index: the `name` that was asked for, and the object's `id`."""

    name: str
    id: str

    @property
    def short(self) -> str:
        """The commit as faults and notes name it."""
        return STAGED if self.name == STAGED else self.id[:12]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two revisions of one folder; `new` is None for the files that are in the folder now."""

    folder: GitFolder
    old: Revision
    new: Revision | None


def git_folder(folder: Path) -> GitFolder:
    """Where the folder lies in its repository. It may be missing in the working tree.

    Raises:
        LoadError: no repository, or no git.
    """
    place = folder.absolute()
    while not place.is_dir():
        place = place.parent
    top = _top(place)
    try:
        path = folder.absolute().resolve().relative_to(top.resolve())
    except ValueError:
        raise LoadError([Fault(str(folder), 0, "", f"does not lie in the repository {top}")]) from None
    return GitFolder(top, "" if path == Path() else path.as_posix())


def parse_revision(name: str, folder: GitFolder) -> Revision:
    """The commit that `name` stands for.

    Raises:
        LoadError: there is none; in a shallow clone, with how to get it.
    """
    found = _run(folder.top, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
    if found.returncode != 0:
        hint = SHALLOW if is_shallow(folder) else f"fix: correct the name, or git fetch (git says: {_said(found)})"
        raise _fault(f"{name!r}: no such revision in {folder.top}; {hint}")
    return Revision(name, found.stdout.decode().strip())


def parse_comparison(text: str, folder: Path, *, staged: bool = False) -> Comparison:
    """Parse what to compare, as `git diff` does.

    `REV`: with the files of the folder now, or if `staged` with the index. `OLD..NEW`: two revisions. `OLD...NEW`: NEW
    with the merge base of both. A revision that is left out is HEAD.

    Raises:
        LoadError: no such revisions, no merge base, no repository, or no git.
    """
    old, dots, new = text.partition("...") if "..." in text else text.partition("..")
    if dots and staged:
        raise _fault(f"{text!r}: with --staged, name one revision, which the index is compared with")
    of = git_folder(folder)
    first = parse_revision(old or "HEAD", of)
    if staged:
        return Comparison(of, first, Revision(STAGED, git_output(of.top, "write-tree").decode().strip()))
    if not dots:
        return Comparison(of, first, None)
    second = parse_revision(new or "HEAD", of)
    return Comparison(of, _merge_base(of, first, second) if dots == "..." else first, second)


def compile_revision(
    folder: GitFolder,
    revision: Revision,
    services: frozenset[str] | None = None,
    claim_aliases: Mapping[str, Aliases] | None = None,
) -> tuple[PolicySet, tuple[FileTests, ...]]:
    """Like `compile_policies`, for the files of a revision.

    Raises:
        LoadError: every fault of the files, as `REVISION:FOLDER/FILE`; or the folder is not in that revision.
    """
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch).resolve() / "policies"
        place.mkdir(mode=0o700)
        extract(folder, revision, place)
        try:
            return compile_policies(place, services=services, claim_aliases=claim_aliases)
        except LoadError as error:
            name = f"{revision.short}:{folder.path}"
            raise LoadError(
                [replace(fault, file=fault.file.replace(str(place), name, 1)) for fault in error.faults]
            ) from None


def extract(folder: GitFolder, revision: Revision, place: Path) -> None:
    """Write the policy files of a revision into the empty folder `place`.

    Raises:
        LoadError: the folder is not in that revision, or has a policy file that is a symbolic link.
    """
    blobs = policy_blobs(folder, revision)
    contents = read_blobs(folder.top, [blob for blob, _ in blobs])
    for (_, file), content in zip(blobs, contents, strict=True):
        target = place / file
        target.parent.mkdir(parents=True, exist_ok=True)
        for parent in target.relative_to(place).parents:
            (place / parent).chmod(0o700)  # the loader rejects folders and files that others can change
        create_file(target, content)


def policy_blobs(folder: GitFolder, revision: Revision) -> list[tuple[str, PurePosixPath]]:
    """The policy files of a revision: the id of each blob, and its name in the folder.

    Raises:
        LoadError: the folder is not in that revision, or has a policy file that is no file of its own, or is larger
            than the loader reads.
    """
    name = f"{revision.short}:{folder.path}"
    listed = _run(folder.top, "ls-tree", "-r", "-l", "-z", "--full-tree", f"{revision.id}:{folder.path}")
    if listed.returncode != 0:
        raise _fault(f"{revision.name!r} ({name}): has no such folder; git says: {_said(listed)}")
    blobs: list[tuple[str, PurePosixPath]] = []
    for entry in listed.stdout.decode("utf-8", "surrogateescape").split("\0"):
        facts, _, path = entry.partition("\t")
        if not path.lower().endswith(SUFFIXES):
            continue
        mode, _, blob, size = facts.split()
        if mode == _LINK:
            raise LoadError([Fault(f"{name}/{path}", 0, "", "is a symbolic link; commit the file itself")])
        if mode == _SUBMODULE:
            raise LoadError([Fault(f"{name}/{path}", 0, "", "is a submodule, not a file; rename its folder")])
        if size.isdecimal() and int(size) > DEFAULT_LIMIT:  # of an object that this clone lacks, git does not know it
            raise LoadError([Fault(f"{name}/{path}", 0, "", f"is larger than {DEFAULT_LIMIT} bytes")])
        file = PurePosixPath(path)
        if file.is_absolute() or ".." in file.parts:  # git creates no such tree, but an attacker can
            raise LoadError([Fault(f"{name}/{path}", 0, "", "leads out of the folder")])
        blobs.append((blob, file))
    return blobs


def _top(place: Path) -> Path:
    """The top of the working tree that `place` lies in.

    In a hook of a linked worktree, git sets GIT_DIR and then takes every folder that it runs in for the top. Hooks run
    in the real one.
    """
    top, own = _lines(git_output(place, *_WHERE))
    here = Path.cwd()
    if place != here and place.is_relative_to(here):
        outside = _run(here, *_WHERE)
        if outside.returncode == 0:
            outer, of = _lines(outside.stdout)
            if of == own:
                return Path(outer)
    return Path(top)


def _lines(printed: bytes) -> list[str]:
    """Lines of paths, which need not be UTF-8."""
    return os.fsdecode(printed).removesuffix("\n").split("\n")


_WHERE = ("rev-parse", "--show-toplevel", "--absolute-git-dir")


def _merge_base(folder: GitFolder, old: Revision, new: Revision) -> Revision:
    found = _run(folder.top, "merge-base", old.id, new.id)
    if found.returncode != 0:
        hint = SHALLOW if is_shallow(folder) else f"fix: compare the two themselves with {old.name}..{new.name}"
        raise _fault(f"{old.name!r} and {new.name!r} have no common commit; {hint}")
    return Revision(f"{old.name}...{new.name}", found.stdout.decode().strip())


def is_shallow(folder: GitFolder) -> bool:
    """Whether the clone lacks older commits."""
    return git_output(folder.top, "rev-parse", "--is-shallow-repository").strip() == b"true"


def read_blobs(top: Path, names: list[str]) -> list[bytes]:
    """The contents of these objects.

    Raises:
        LoadError: one of them is not in this clone.
    """
    # `git cat-file --batch` prints a line with the size, the content, a newline.
    rest = git_output(top, "cat-file", "--batch", given="".join(f"{name}\n" for name in names).encode())
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


def git_output(place: Path, *arguments: str, given: bytes = b"") -> bytes:
    """What git prints in this folder.

    Raises:
        LoadError: it failed, or is not installed.
    """
    done = _run(place, *arguments, given=given)
    if done.returncode != 0:
        raise _fault(f"git says: {_said(done)}")
    return done.stdout


def _run(place: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - no shell, and revisions are behind --end-of-options
            ["git", "-C", str(place), *arguments],  # noqa: S607 - git is looked up in PATH
            input=given,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise _fault("needs the program git, which is not installed") from None


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")


def _fault(problem: str) -> LoadError:
    return LoadError([Fault("--git", 0, "", problem)])
