"""Policies of the past in git: the commit whose policy files have a digest. Nothing is checked out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from tokenserver.documents.files import text_of
from tokenserver.errors import LoadError
from tokenserver.policy.history.past_policies import PastPolicies
from tokenserver.policy.loading.folder import MAX_DEPTH
from tokenserver.policy.loading.git_revisions import GitFolder, Revision, git_output, policy_blobs, read_blobs
from tokenserver.policy.loading.loader import digest_of


def find_in_git(folder: GitFolder, digest: str, moment: datetime) -> PastPolicies | None:
    """The policies whose digest begins with `digest`, in any commit of the clone; None if there are none.

    Commits before `moment` are looked at first, the last one first, then those after it; of branches as well, and
    those that only the log of references still knows.

    Raises:
        LoadError: git fails, or is not installed.
    """
    seen: set[str] = set()
    blobs: dict[str, bytes] = {}
    for commit, seconds, tree in _trees(folder, _near_first(_commits(folder), moment.timestamp())):
        if tree in seen:
            continue
        seen.add(tree)
        try:
            texts, blobs = _texts(folder, commit, blobs)
        except LoadError:
            continue  # a tree that no server could load so, such as one with links
        found = digest_of(texts)
        if found.startswith(digest):
            origin = f"commit {commit[:12]}"
            return PastPolicies(found, texts, origin, _moment(seconds))
    return None


def _commits(folder: GitFolder) -> list[tuple[str, int]]:
    """The commits that touch the folder, each with its time."""
    path = ("--", folder.path) if folder.path else ()
    listed = git_output(
        folder.top, "--literal-pathspecs", "rev-list", "--all", "--reflog", "--full-history", "--timestamp", *path
    )
    found = (line.split(" ") for line in listed.decode("ascii").splitlines())
    return [(commit, int(seconds)) for seconds, commit in found]


def _near_first(commits: Iterable[tuple[str, int]], moment: float) -> list[tuple[str, int]]:
    """Those before the moment, the last first; then those after it, the first first."""
    return sorted(commits, key=lambda one: (one[1] > moment, abs(moment - one[1]), one[0]))


def _moment(seconds: int) -> datetime:
    """The time of a commit, which its author chooses, up to the last one that there is."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def _trees(folder: GitFolder, commits: list[tuple[str, int]]) -> Iterator[tuple[str, int, str]]:
    """The commits that have the folder, with their times and the ids of its tree."""
    asked = "".join(f"{commit}:{folder.path}\n" for commit, _ in commits)
    found = git_output(folder.top, "cat-file", "--batch-check", given=asked.encode("utf-8", "surrogateescape"))
    for (commit, seconds), line in zip(commits, found.splitlines(), strict=True):
        tree, _, kind = line.partition(b" ")
        if kind.startswith(b"tree "):
            yield commit, seconds, tree.decode("ascii")


def _texts(folder: GitFolder, commit: str, known: dict[str, bytes]) -> tuple[dict[str, str], dict[str, bytes]]:
    """The policy files of a commit as a server reads them, and their blobs. Few differ from those of the last commit.

    Raises:
        LoadError: a policy file that is no file, or no text.
    """
    named = [(blob, file) for blob, file in policy_blobs(folder, Revision(commit, commit)) if _is_read(file.parts)]
    missing = [blob for blob in dict.fromkeys(blob for blob, _ in named) if blob not in known]
    contents = {**known, **dict(zip(missing, read_blobs(folder.top, missing), strict=True))}
    blobs = {blob: contents[blob] for blob, _ in named}
    texts = {str(file): text_of(blobs[blob], folder.top / folder.path / file) for blob, file in named}
    return texts, blobs


def _is_read(parts: tuple[str, ...]) -> bool:
    """Whether the loader reads a file at this path: none that is hidden, and none that is too deep."""
    return len(parts) <= MAX_DEPTH + 1 and not any(part.startswith(".") for part in parts)
