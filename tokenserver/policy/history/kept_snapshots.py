"""Kept snapshots: each version of the policies that was live, in a file of its own that is named by its digest.

A snapshot holds whole policy files, with the hash lines of robots' secrets: the digest is over the files as they are,
and without those lines it could not be checked any more. These are hashes of random keys, which cannot be guessed.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tokenserver.documents.files import read_file, write_file
from tokenserver.errors import Fault, LoadError
from tokenserver.policy.history.past_policies import LiveMachines, PastPolicies
from tokenserver.policy.machines.workloads import base_of
from tokenserver.policy.model import PolicySet

MAX_KEPT = 500
"""The snapshots of a folder; beyond, the oldest are removed."""

MAX_SNAPSHOT = 256 * 1024 * 1024
"""The largest snapshot that is read, in bytes."""

SUFFIX = ".json"

_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)

_NAME = re.compile(r"[0-9a-f]{64}\.json")


def keep(folder: Path, policies: PolicySet, now: datetime, *, most: int = MAX_KEPT) -> None:
    """Keep these policies in `folder`, which is made, and remove the oldest snapshots beyond `most`, but not these.

    A snapshot that is there already is believed only if it is whole and nobody else can have changed it.

    Raises:
        OSError: it could not be written; no part of a file is left.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{policies.digest}{SUFFIX}"
    facts = _facts(policies, now)
    if _is_there(path, facts):
        # The age is that of its last start, so that what is live is not the oldest.
        os.utime(path, follow_symlinks=False)
    else:
        write_file(path, json.dumps(facts).encode("ascii"))
    _prune(folder, path, most)


def kept_digests(folder: Path) -> list[str]:
    """The digests of all kept policies."""
    return sorted(path.name.removesuffix(SUFFIX) for path in _snapshots(folder))


def read_kept(folder: Path, digest: str) -> PastPolicies | None:
    """The kept policies with this digest; None if there are none.

    Raises:
        LoadError: the snapshot cannot be read, can be changed by other users, or is not one.
    """
    path = folder / f"{digest}{SUFFIX}"
    if not path.exists():
        return None
    content = read_file(path, limit=MAX_SNAPSHOT)
    try:
        return _past(path, json.loads(content))
    except _MALFORMED:
        raise LoadError([Fault(str(path), 0, "", "is no snapshot of policies; fix: take it from a backup")]) from None


def _is_there(path: Path, facts: Mapping[str, Any]) -> bool:
    """Whether the file has these facts, apart from the time."""
    try:
        found = json.loads(read_file(path, limit=MAX_SNAPSHOT, follow=False))
        _past(path, found)
    except (LoadError, *_MALFORMED):
        return False
    return {**found, "kept": ""} == {**facts, "kept": ""}


def _snapshots(folder: Path) -> list[Path]:
    """The files with names of snapshots; the folder may have others, which are not this server's."""
    return [path for path in folder.glob(f"*{SUFFIX}") if _NAME.fullmatch(path.name) is not None]


def _facts(policies: PolicySet, now: datetime) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "digest": policies.digest,
        "kept": now.astimezone(UTC).isoformat(timespec="seconds"),
        "files": {name: str(text) for name, text in policies.texts.items()},
    }
    if policies.offered:
        workloads = {base_of(name) for name in policies.groups.workloads.by_name} - {""}
        facts |= {"offered": policies.offered, "robots": sorted(policies.robots), "workloads": sorted(workloads)}
    return facts


def _past(path: Path, facts: Mapping[str, Any]) -> PastPolicies:
    texts = facts["files"]
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError
    machines = None
    if "offered" in facts:
        machines = LiveMachines(frozenset(facts["robots"]), frozenset(facts["workloads"]), str(facts["offered"]))
    since = datetime.fromisoformat(facts["kept"])
    if since.tzinfo is None:
        raise ValueError
    # By the name under which it was asked for: a file under another one's name does not have its digest.
    return PastPolicies(path.name.removesuffix(SUFFIX), texts, f"snapshot {path}", since, machines)


def _prune(folder: Path, current: Path, most: int) -> None:
    """Remove the oldest snapshots of this user; another process may do the same."""
    kept = []
    for path in _snapshots(folder):
        with suppress(FileNotFoundError):
            status = path.lstat()
            # What another user has put there must not push out what was live.
            if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                kept.append((status.st_mtime_ns, path))
    surplus = len(kept) - most
    for _, path in sorted(kept)[: max(0, surplus)]:
        if path != current:
            path.unlink(missing_ok=True)
