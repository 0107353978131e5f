"""The commit of a digest: computed as the server does, on every branch, without touching the working tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.documents.files import DEFAULT_LIMIT
from tokenserver.errors import LoadError
from tokenserver.policy.history import git_search
from tokenserver.policy.history.git_search import find_in_git
from tokenserver.policy.loading.git_revisions import git_folder, read_blobs
from tokenserver.policy.loading.loader import compile_policies, digest_of

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

START = 1_790_000_000


def git(place: Path, *arguments: str, at: int | str = START) -> str:
    """Run git without the settings of this machine, at this time."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": str(place)}
    names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {f"GIT_{who}_DATE": f"{at} +0000" for who in ("AUTHOR", "COMMITTER")}
    environment = {**os.environ, **settings, **names, **dates}
    done = subprocess.run(["git", "-C", str(place), *arguments], capture_output=True, check=True, env=environment)
    return done.stdout.decode().strip()


class History:
    """A repository whose commits hold policies with one rule for a user; `digests` are as a server computes them."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.policies = top / "site" / "policies"
        self.policies.mkdir(parents=True)
        self.digests: dict[str, str] = {}
        self.commits: dict[str, str] = {}
        git(top, "init", "-q", "-b", "main")

    def commit(self, user: str, at: int | str) -> None:
        """Commit policies for this user at this time."""
        text = f'version: 1\nallow:\n  - {{id: a, to: ["user:{user}"], repositories: ["web/**"], role: writer}}\n'
        write(self.policies / "a.yaml", text)
        self.digests[user] = compile_policies(self.policies)[0].digest
        git(self.top, "add", "-A")
        git(self.top, "commit", "-q", "-m", user, at=at)
        self.commits[user] = git(self.top, "rev-parse", "HEAD")

    def found(self, digest: str, at: int = START) -> tuple[str, int] | None:
        """The commit that is found, and its time."""
        past = find_in_git(git_folder(self.policies), digest, datetime.fromtimestamp(at, UTC))
        if past is None:
            return None
        assert past.compiled(None, None).digest == past.digest
        return past.origin, int(past.since.timestamp())


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Three commits, an hour apart, with files that the server does not read."""
    made = History(tmp_path)
    write(made.policies / ".hidden.yaml", "no: policy\n")
    write(made.policies / ".git-sync" / "b.yaml", "no: policy\n")
    write(made.policies / "README.md", "no policy\n")
    write(made.top / "outside.yaml", "no: policy\n")
    for hour, user in enumerate(("ann", "bob", "eve")):
        made.commit(user, START + 3600 * hour)
    return made


@pytest.mark.parametrize(("user", "hour"), [("ann", 0), ("bob", 1), ("eve", 2)])
@pytest.mark.parametrize("at", [-1, 0, 5])
def test_each_commit_is_found(user: str, hour: int, at: int, history: History) -> None:
    """Whenever the moment is: clocks differ, and policies can be live before or long after their commit."""
    expected = (f"commit {history.commits[user][:12]}", START + 3600 * hour)
    assert history.found(history.digests[user], START + 3600 * at) == expected
    assert history.found(history.digests[user][:8]) == expected


def test_the_working_tree_is_left_alone(history: History) -> None:
    """Changes that are not committed stay, and are not looked at."""
    write(history.policies / "a.yaml", "changed")
    assert history.found(history.digests["ann"]) is not None
    assert (history.policies / "a.yaml").read_text() == "changed"
    assert git(history.top, "status", "--porcelain") == "M site/policies/a.yaml"


def test_the_commit_nearest_before_the_moment(history: History) -> None:
    """Of several with the same files, as after a revert."""
    history.commit("ann", START + 3600 * 3)
    commits = git(history.top, "rev-list", "--reverse", "HEAD").splitlines()
    assert history.found(history.digests["ann"], START + 3600 * 2) == (f"commit {commits[0][:12]}", START)
    assert history.found(history.digests["ann"], START + 3600 * 4) == (f"commit {commits[3][:12]}", START + 3600 * 3)


def test_other_branches_and_forgotten_commits(history: History) -> None:
    """Servers may follow another branch, and history is rewritten."""
    git(history.top, "checkout", "-q", "-b", "release", history.commits["ann"])
    history.commit("mia", START + 60)
    git(history.top, "checkout", "-q", "main")
    git(history.top, "reset", "-q", "--hard", history.commits["bob"])
    for user in ("mia", "eve"):
        found = history.found(history.digests[user])
        assert found is not None, user
        assert found[0] == f"commit {history.commits[user][:12]}"


def test_a_merge(history: History) -> None:
    """A tree that only a merge has."""
    git(history.top, "checkout", "-q", "-b", "side", history.commits["bob"])
    write(history.policies / "b.yaml", "version: 1\ngroups: {g: {users: [ann]}}\n")
    git(history.top, "add", "-A")
    git(history.top, "commit", "-q", "-m", "side", at=START + 4 * 3600)
    git(history.top, "checkout", "-q", "main")
    git(history.top, "merge", "-q", "--no-edit", "side", at=START + 5 * 3600)
    digest = compile_policies(history.policies)[0].digest
    assert history.found(digest) == (f"commit {git(history.top, 'rev-parse', 'HEAD')[:12]}", START + 5 * 3600)


def test_commits_that_no_server_could_load(history: History) -> None:
    """A link, text that is none, and a commit without the folder: the others are still found."""
    (history.policies / "link.yaml").symlink_to("a.yaml")
    git(history.top, "add", "-A")
    git(history.top, "commit", "-q", "-m", "link", at=START + 4 * 3600)
    (history.policies / "link.yaml").unlink()
    (history.policies / "latin.yaml").write_bytes(b"\xe4")
    git(history.top, "add", "-A")
    git(history.top, "commit", "-q", "-m", "latin", at=START + 5 * 3600)
    git(history.top, "rm", "-q", "-r", "site")
    git(history.top, "commit", "-q", "-m", "gone", at=START + 6 * 3600)
    history.policies.mkdir(parents=True)
    assert history.found(history.digests["ann"], START + 7 * 3600) is not None
    assert history.found("f" * 64) is None


def test_a_commit_of_a_time_that_does_not_exist(history: History) -> None:
    """docs/design/threats.md#threat-259: its author has chosen it, and its policies are found nevertheless."""
    history.commit("zoe", "@99999999999999")
    found = find_in_git(git_folder(history.policies), history.digests["zoe"], datetime.now(UTC))
    assert found is not None
    assert found.since.year == 9999
    assert history.found(history.digests["ann"], START + 7 * 3600) is not None


def test_a_commit_with_a_file_that_no_server_reads(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/design/threats.md#threat-259: its content is not read, and other commits are found."""
    write(history.policies / "big.yaml", "x" * (DEFAULT_LIMIT + 1))
    git(history.top, "add", "-A")
    git(history.top, "commit", "-q", "-m", "big", at=START + 4 * 3600)
    big = git(history.top, "rev-parse", "HEAD:site/policies/big.yaml")
    asked: list[str] = []

    def noted(top: Path, names: list[str]) -> list[bytes]:
        asked.extend(names)
        return read_blobs(top, names)

    monkeypatch.setattr(git_search, "read_blobs", noted)
    assert history.found(history.digests["ann"], START + 7 * 3600) is not None
    assert asked
    assert big not in asked


def test_the_top_of_a_repository(tmp_path: Path) -> None:
    """All of it is the policy folder."""
    write(tmp_path / "a.yaml", 'version: 1\nallow:\n  - {id: a, to: [everyone], repositories: ["x"], role: reader}\n')
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "x")
    digest = compile_policies(tmp_path)[0].digest
    found = find_in_git(git_folder(tmp_path), digest, datetime.now(UTC))
    assert found is not None
    assert [*found.texts] == ["a.yaml"]


def test_a_repository_without_commits(tmp_path: Path) -> None:
    """There is nothing to find."""
    git(tmp_path, "init", "-q")
    assert find_in_git(git_folder(tmp_path), "0" * 64, datetime.now(UTC)) is None


def test_files_that_do_not_compile_any_more(history: History) -> None:
    """Such as of an older version of the server: the faults name the commit."""
    write(history.policies / "a.yaml", "version: 0\n")
    git(history.top, "commit", "-q", "-a", "-m", "old")
    write(history.policies / "a.yaml", "version: 1\n")
    past = find_in_git(git_folder(history.policies), digest_of({"a.yaml": "version: 0\n"}), datetime.now(UTC))
    assert past is not None
    with pytest.raises(LoadError, match=f"{past.origin}:a.yaml:1: "):
        past.compiled(None, None)
