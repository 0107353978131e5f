"""The revision of the policy folder: from real repositories, git-sync's and ConfigMaps' layouts, and hostile ones."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tokenserver.server.changes.checkout import Checkout, checkout_of

TEXT = "version: 1\n"
TEXTS = {"p.yaml": TEXT, "teams/web.yml": TEXT}
REVISION = "0123456789abcdef0123456789abcdef01234567"

Git = Callable[..., str]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with a policy folder, committed."""
    top = tmp_path / "repository"
    for name, text in TEXTS.items():
        path = top / "policies" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (top / "policies" / "README.md").write_text("no policy")
    git(top, "init", "--initial-branch=main")
    git(top, "add", ".")
    git(top, "commit", "--message=first")
    return top


def git(place: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "protocol.file.allow=always"]
    command = ["git", "-C", str(place), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def head(place: Path) -> str:
    return git(place, "rev-parse", "HEAD")


def test_a_branch(top: Path) -> None:
    """The commit and the branch, and that the files are the committed ones."""
    assert checkout_of(top / "policies", TEXTS) == Checkout(head(top), "main", is_clean=True)
    assert checkout_of(top / "policies", TEXTS).members == {"revision": head(top), "branch": "main", "clean": True}


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param({"p.yaml": TEXT + "#", "teams/web.yml": TEXT}, id="changed"),
        pytest.param({"p.yaml": TEXT}, id="removed"),
        pytest.param({**TEXTS, "q.yaml": TEXT}, id="added"),
    ],
)
def test_files_that_are_not_the_committed_ones(top: Path, texts: dict[str, str]) -> None:
    """What counts is what was loaded, not what git status says."""
    assert checkout_of(top / "policies", texts) == Checkout(head(top), "main", is_clean=False)


def test_files_that_could_not_be_loaded(top: Path) -> None:
    """The commit is known, and nothing is said of the files."""
    assert checkout_of(top / "policies", None).members == {"revision": head(top), "branch": "main"}


def test_the_folder_is_all_of_the_repository(top: Path) -> None:
    """Names are relative to the folder, wherever it lies."""
    texts = {f"policies/{name}": text for name, text in TEXTS.items()}
    assert checkout_of(top, texts) == Checkout(head(top), "main", is_clean=True)


def detach(top: Path) -> Path:
    git(top, "checkout", "--detach")
    return top


def pack(top: Path) -> Path:
    git(top, "tag", "one")
    git(top, "pack-refs", "--all")
    git(top, "gc")
    return top


def link(top: Path) -> Path:
    git(top, "worktree", "add", "--detach", str(top.parent / "linked"))
    return top.parent / "linked"


def link_a_branch(top: Path) -> Path:
    git(top, "worktree", "add", "-b", "other", str(top.parent / "linked"))
    return top.parent / "linked"


def submodule(top: Path) -> Path:
    outer = top.parent / "outer"
    outer.mkdir()
    git(outer, "init", "--initial-branch=main")
    git(outer, "submodule", "add", str(top), "inner")
    return outer / "inner"


@pytest.mark.parametrize(
    ("prepare", "branch"),
    [
        pytest.param(detach, None, id="a detached head"),
        pytest.param(pack, "main", id="packed references and objects"),
        pytest.param(link, None, id="a linked working tree, as git-sync makes it"),
        pytest.param(link_a_branch, "other", id="a linked working tree with a branch"),
        pytest.param(submodule, "main", id="a submodule"),
    ],
)
def test_layouts_of_git(top: Path, prepare: Callable[[Path], Path], branch: str | None) -> None:
    """Whatever git makes of it, the commit is the one that git names."""
    place = prepare(top)
    assert checkout_of(place / "policies", TEXTS) == Checkout(head(place), branch, is_clean=True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(f".worktrees/{REVISION}", REVISION, id="git-sync 4"),
        pytest.param(f"rev-{REVISION}", REVISION, id="git-sync 3"),
        pytest.param(f".worktrees/{REVISION}{REVISION[:24]}", REVISION + REVISION[:24], id="SHA-256"),
        pytest.param(f".worktrees/{REVISION[:39]}", None, id="too short"),
        pytest.param(f"x{REVISION}", None, id="another name"),
    ],
)
def test_a_path_that_names_the_revision(tmp_path: Path, path: str, expected: str | None) -> None:
    """git-sync without its repository in reach: the target of the link has the revision."""
    (tmp_path / path / "policies").mkdir(parents=True)
    (tmp_path / "current").symlink_to(path)
    assert checkout_of(tmp_path / "current" / "policies", TEXTS) == Checkout(expected)


def test_a_mounted_configmap(tmp_path: Path) -> None:
    """The version of the volume is what its link points to."""
    (tmp_path / "..2026_11_30_21_05_01.1234567890").mkdir()
    (tmp_path / "..data").symlink_to("..2026_11_30_21_05_01.1234567890")
    assert checkout_of(tmp_path, TEXTS).members == {"volume": "..2026_11_30_21_05_01.1234567890"}


def no_repository(git_folder: Path) -> None:
    for path in sorted(git_folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def text_in_head(git_folder: Path) -> None:
    (git_folder / "HEAD").write_text("root:x:0:0:secret\n")


def way_out(git_folder: Path) -> None:
    (git_folder / "HEAD").write_text("ref: refs/heads/../../../secret\n")


def pipe(git_folder: Path) -> None:
    (git_folder / "HEAD").unlink()
    os.mkfifo(git_folder / "HEAD")


def lost_branch(git_folder: Path) -> None:
    (git_folder / "refs" / "heads" / "main").unlink()


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        pytest.param(no_repository, Checkout(), id="an empty .git"),
        pytest.param(text_in_head, Checkout(), id="no head"),
        pytest.param(way_out, Checkout(), id="a reference that leads out"),
        pytest.param(pipe, Checkout(), id="a pipe"),
        pytest.param(lost_branch, Checkout(None, "main"), id="a branch without a commit"),
    ],
)
def test_damage(top: Path, damage: Callable[[Path], None], expected: Checkout) -> None:
    """What is not as git writes it is unknown; nothing of it is quoted, and nothing blocks."""
    damage(top / ".git")
    assert checkout_of(top / "policies", TEXTS) == expected


def test_nothing_of_the_repository_is_run(top: Path, tmp_path: Path) -> None:
    """docs/design/threats.md#threat-223: neither hooks, nor filters, monitors, aliases or helpers for transport."""
    proof = tmp_path / "proof"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\necho run >> {proof}\n")
    script.chmod(0o700)
    for name in ("post-checkout", "post-index-change", "reference-transaction", "fsmonitor-watchman"):
        (top / ".git" / "hooks").mkdir(exist_ok=True)
        (top / ".git" / "hooks" / name).symlink_to(script)
    (top / ".gitattributes").write_text("* filter=evil\n")
    settings = {
        "core.fsmonitor": str(script),
        "core.pager": str(script),
        "core.sshCommand": str(script),
        "core.gitProxy": str(script),
        "core.askPass": str(script),
        "core.alternateRefsCommand": str(script),
        "filter.evil.clean": str(script),
        "filter.evil.smudge": str(script),
        "alias.ls-tree": f"!{script}",
        "remote.origin.url": f"ext::{script}",
        "remote.origin.uploadpack": str(script),
        "remote.origin.promisor": "true",
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "protocol.ext.allow": "always",
    }
    with (top / ".git" / "config").open("a") as file:
        for name, value in settings.items():
            section, _, key = name.rpartition(".")
            first, _, rest = section.partition(".")
            head_line = f'[{first} "{rest}"]' if rest else f"[{first}]"
            file.write(f'{head_line}\n\t{key} = "{value}"\n')
    assert checkout_of(top / "policies", TEXTS).revision is not None
    # Without the objects of the commit, git would fetch them.
    for path in (top / ".git" / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    assert checkout_of(top / "policies", TEXTS).is_clean is None
    assert not proof.exists()


def test_without_git(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The revision is known; whether the files are the committed ones is not."""
    monkeypatch.setattr(os, "defpath", "/nowhere")
    assert checkout_of(top / "policies", TEXTS) == Checkout(head(top), "main")
