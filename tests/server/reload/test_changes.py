"""What a reload changed, for the log: by names, a few of each kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.file import HtpasswdEntry
from tokenserver.credentials import Secret
from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.keys.store import init_keys, load_keys
from tokenserver.server.reload.changes import describe_change
from tokenserver.server.reload.watch import FileStates, Loaded
from tokenserver.tokens.issuer import TokenIssuer

DOTS = "." * 52


def users(**hashes: str) -> Htpasswd:
    return Htpasswd(
        "local",
        "users",
        [HtpasswdEntry(name, 1, Secret(f"$2b$04${DOTS}{mark}")) for name, mark in hashes.items()],
    )


def files(*paths: str, size: int = 1) -> FileStates:
    """The folder `/p` with these files."""
    return {"/p": ("folder", 1)} | {f"/p/{path}": (1, 1, 1, size, 1, 1) for path in paths}


def described(before: object, after: object, old: FileStates | None = None, new: FileStates | None = None) -> str:
    return describe_change(before, Loaded(after, old or {}, new or {}))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(users(ann="."), users(ann="."), "", id="nothing"),
        pytest.param(users(ann=".", bob="."), users(ann="O", eve="."), "added eve; removed bob; changed ann", id="all"),
        pytest.param(
            users(),
            users(**dict.fromkeys("abcde", ".")),
            "added a, b, c and 2 more",
            id="many",
        ),
    ],
)
def test_users(before: Htpasswd, after: Htpasswd, expected: str) -> None:
    """Those who came, went, or have another password, by name; a hash never shows."""
    assert described(before, after) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(files("a.yaml"), files("a.yaml"), "", id="nothing"),
        pytest.param(files("a.yaml"), files("a.yaml", size=2), "changed a.yaml", id="changed"),
        pytest.param(
            files("teams/a.yaml", "b.yaml"),
            files("teams/c.yaml", "b.yaml"),
            "added teams/c.yaml; removed teams/a.yaml",
            id="came and went",
        ),
        pytest.param({"/f/ca.pem": (1,) * 6}, {"/f/ca.pem": (2,) * 6}, "changed ca.pem", id="a single file"),
        pytest.param({"/f/ca.pem": (2,)}, {"/f/ca.pem": (2,) * 6}, "added ca.pem", id="a file that was missing"),
        pytest.param({}, {}, "", id="no files"),
        pytest.param(files(), files("a\nb.yaml"), r"added a\nb.yaml", id="a name that fakes a line"),
    ],
)
def test_files(before: FileStates, after: FileStates, expected: str) -> None:
    """Relative to their folder, which is not named; a missing file is none."""
    assert described(object(), object(), before, after) == expected


def test_keys(tmp_path: Path) -> None:
    """By their ids, which are public: what came, went, and which one signs now."""
    now = datetime.now(UTC)
    init_keys(tmp_path, issuer="auth", algorithm=Algorithm.ES256, now=now)
    first = load_keys(tmp_path, now=now)
    old = first.active
    new = replace(old, id="new-key")
    waiting = replace(first, next=(new,))
    signing = replace(first, active=new, retired=(old,))
    assert described(issuer(first), issuer(first)) == ""
    assert described(issuer(first), issuer(waiting)) == "added new-key (next)"
    assert described(issuer(waiting), issuer(signing)) == f"new-key is now active; {old.id} is now retired"
    assert described(issuer(signing), issuer(replace(signing, retired=()))) == f"removed {old.id}"


def issuer(ring: KeyRing) -> TokenIssuer:
    return TokenIssuer(ring, now=lambda: 0.0, new_id=lambda: "id")
