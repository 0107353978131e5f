"""Policy folders from git: revisions, and the policy files of one, exactly as committed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tokenserver.documents.files import DEFAULT_LIMIT
from tokenserver.errors import LoadError
from tokenserver.policy.loading.git_revisions import GitFolder, Revision, extract, parse_comparison

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(place: Path, *arguments: str, given: bytes = b"") -> str:
    """Run git without the settings of this machine."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": str(place)}
    names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "-C", str(place), *arguments],
        input=given,
        capture_output=True,
        check=True,
        env={**os.environ, **settings, **names},
    )
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two commits of the folder `policies`, on two branches since then."""
    top = tmp_path / "repository"
    folder = top / "policies" / "teams"
    folder.mkdir(parents=True)
    git(top, "init", "-q", "-b", "main")
    (top / "policies" / "a.yaml").write_bytes(b"one\r\n")
    (folder / "b.YML").write_text("two\n")
    (folder / "notes.txt").write_text("no policy\n")
    (top / "outside.yaml").write_text("outside\n")
    commit(top, "first")
    git(top, "branch", "other")
    (top / "policies" / "a.yaml").write_text("three\n")
    commit(top, "second")
    git(top, "checkout", "-q", "other")
    (top / "policies" / "a.yaml").write_text("four\n")
    commit(top, "third")
    return top


def commit(top: Path, message: str) -> None:
    """Commit everything."""
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", message)


def fault(revisions: str, folder: Path) -> str:
    """The fault of these revisions."""
    with pytest.raises(LoadError) as caught:
        parse_comparison(revisions, folder)
    (found,) = caught.value.faults
    return str(found)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        pytest.param("main..other", "main", "other", id="two revisions"),
        pytest.param("main...other", "main~1", "other", id="since the merge base"),
        pytest.param("main~1..", "main~1", "other", id="up to HEAD"),
        pytest.param("..main", "other", "main", id="from HEAD"),
        pytest.param("..", "other", "other", id="HEAD twice"),
    ],
)
def test_revisions(text: str, old: str, new: str, repository: Path) -> None:
    """Names become commits, so that a branch that moves meanwhile changes nothing."""
    commits = (git(repository, "rev-parse", old), git(repository, "rev-parse", new))
    found = parse_comparison(text, repository / "policies")
    assert found.folder == GitFolder(repository.resolve(), "policies")
    assert found.new is not None
    assert (found.old.id, found.new.id) == commits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("main..nowhere", "--git: 'nowhere': no such revision in ", id="no revision"),
        pytest.param("main..--help", "--git: '--help': no such revision in ", id="an option"),
        pytest.param(
            "main..main:policies", "--git: 'main:policies': no such revision in ", id="a folder and no commit"
        ),
    ],
)
def test_no_revisions(text: str, expected: str, repository: Path) -> None:
    """The name that is wrong; a revision is never taken for an option."""
    assert fault(text, repository / "policies").startswith(expected)


def test_a_folder_elsewhere(repository: Path, tmp_path: Path) -> None:
    """The folder must be in a repository, but it need not exist any more."""
    assert "not a git repository" in fault("a..b", tmp_path / "nowhere" / "policies")
    assert parse_comparison("main..other", repository / "gone" / "deep").folder.path == "gone/deep"
    assert parse_comparison("main..other", repository).folder.path == ""
    assert "does not lie in the repository" in fault("main..other", repository / "gone" / ".." / ".." / "x")


def test_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the program."""
    monkeypatch.setenv("PATH", "")
    assert fault("main..other", repository) == "--git: needs the program git, which is not installed"


def texts_in(folder: Path) -> dict[str, bytes]:
    """The contents of all files, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if not path.is_dir()}


def extracted(repository: Path, commit_: str, folder: Path, path: str = "policies") -> dict[str, bytes]:
    """The policy files of a commit."""
    folder.mkdir()
    extract(GitFolder(repository, path), Revision(commit_, git(repository, "rev-parse", commit_)), folder)
    return texts_in(folder)


def test_the_files_of_a_commit(repository: Path, tmp_path: Path) -> None:
    """Policy files alone, byte for byte, whatever is in the working tree; nobody else can change them."""
    assert extracted(repository, "main~1", tmp_path / "1") == {"a.yaml": b"one\r\n", "teams/b.YML": b"two\n"}
    assert extracted(repository, "main", tmp_path / "2")["a.yaml"] == b"three\n"
    assert extracted(repository, "main", tmp_path / "3", path="")["outside.yaml"] == b"outside\n"
    for path in (tmp_path / "1", *(tmp_path / "1").rglob("*")):
        assert path.stat().st_mode & 0o022 == 0


def test_attributes_change_nothing(repository: Path, tmp_path: Path) -> None:
    """`export-ignore` and line endings are about archives and check-outs, and could hide a deny rule."""
    (repository / ".gitattributes").write_text("*.yaml export-ignore eol=crlf ident\n")
    (repository / "policies" / "a.yaml").write_text("$Id$\n")
    commit(repository, "attributes")
    assert extracted(repository, "HEAD", tmp_path / "1")["a.yaml"] == b"$Id$\n"


def test_odd_contents(repository: Path, tmp_path: Path) -> None:
    """Names and contents come back whatever bytes they have."""
    contents = {"empty.yaml": b"", "no newline.yaml": b"x", "b\nc.yaml": b"1\n\n2\n", "\udcff.yaml": b"\0\xff\n"}
    for name, content in contents.items():
        (repository / "policies" / name).write_bytes(content)
    commit(repository, "odd")
    found = extracted(repository, "HEAD", tmp_path / "1")
    assert {name: found[name] for name in contents} == contents


def test_a_link_is_a_fault(repository: Path, tmp_path: Path) -> None:
    """What it leads to is not in the commit; a link that is no policy file is no matter."""
    (repository / "policies" / "link.txt").symlink_to("a.yaml")
    (repository / "policies" / "c.yaml").symlink_to("/etc/passwd")
    commit(repository, "link")
    with pytest.raises(LoadError, match=r"policies/c\.yaml: is a symbolic link; commit the file itself"):
        extracted(repository, "HEAD", tmp_path / "1")
    assert texts_in(tmp_path / "1") == {}


def test_a_submodule_is_a_fault(repository: Path, tmp_path: Path) -> None:
    """Its content is in another repository, so a folder called like a policy file cannot be read from this one."""
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},policies/sub.yaml")
    git(repository, "commit", "-q", "-m", "submodule")
    with pytest.raises(LoadError, match=r"policies/sub\.yaml: is a submodule, not a file"):
        extracted(repository, "HEAD", tmp_path / "1")


def test_a_file_that_no_server_reads(repository: Path, tmp_path: Path) -> None:
    """docs/design/threats.md#threat-259: too large for the loader, so it is not taken out of git either."""
    (repository / "policies" / "big.yaml").write_text("x" * (DEFAULT_LIMIT + 1))
    commit(repository, "big")
    with pytest.raises(LoadError, match=rf"policies/big\.yaml: is larger than {DEFAULT_LIMIT} bytes"):
        extracted(repository, "HEAD", tmp_path / "1")
    (repository / "policies" / "big.yaml").write_text("x" * DEFAULT_LIMIT)
    commit(repository, "fits")
    assert len(extracted(repository, "HEAD", tmp_path / "2")["big.yaml"]) == DEFAULT_LIMIT


def test_an_object_that_is_missing(repository: Path, tmp_path: Path) -> None:
    """A damaged or partial clone has no policies, rather than fewer."""
    blob = git(repository, "rev-parse", "HEAD:policies/a.yaml")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(LoadError, match="is not in this clone of the repository"):
        extracted(repository, "HEAD", tmp_path / "1")


def test_a_tree_that_leads_out(repository: Path, tmp_path: Path) -> None:
    """git makes no such tree, but whoever writes objects by hand can; nothing is written outside of the folder."""
    blob = git(repository, "hash-object", "-w", "--stdin", given=b"evil\n")
    entry = b"100644 evil.yaml\0" + bytes.fromhex(blob)
    inner = git(repository, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", given=entry)
    entry = b"40000 ..\0" + bytes.fromhex(inner)
    outer = git(repository, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", given=entry)
    made = git(repository, "commit-tree", outer, "-m", "evil")
    folder = tmp_path / "inside"
    folder.mkdir()
    with pytest.raises(LoadError, match="leads out of the folder"):
        extract(GitFolder(repository, ""), Revision(made, made), folder)
    assert not (tmp_path / "evil.yaml").exists()


def test_a_folder_that_the_commit_does_not_have(repository: Path, tmp_path: Path) -> None:
    """It is a fault, not an empty folder."""
    with pytest.raises(LoadError, match="has no such folder; git says: "):
        extracted(repository, "HEAD", tmp_path / "1", path="nowhere")


def test_a_repository_with_a_name_that_is_not_text(tmp_path: Path) -> None:
    """A path of any bytes works as any other."""
    top = tmp_path / "caf\udce9"
    try:
        top.mkdir()
    except OSError:
        pytest.skip("this file system only takes UTF-8 names")
    git(top, "init", "-q", "-b", "main")
    (top / "a.yaml").write_text("a\n")
    commit(top, "first")
    assert parse_comparison("HEAD..HEAD", top).folder.top == top.resolve()
