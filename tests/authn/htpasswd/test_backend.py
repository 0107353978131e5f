"""The users of an htpasswd file: how they are verified, what a rejected login costs, and how the file is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from htpasswd_users import GOOD, credentials
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.chain import Chain
from tokenserver.authn.htpasswd.backend import Htpasswd, HtpasswdFile, load_htpasswd
from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.authn.usernames import name_problem
from tokenserver.errors import Fault, InvalidCredentials, LoadError
from tokenserver.identity import Identity, Kind


@given(st.text(min_size=1, max_size=300))
def test_a_legal_name_can_log_in(name: str) -> None:
    """Every name that a file may contain passes the guards of the chain, so that every user added can log in."""
    if name_problem(name) is None:
        backend = Htpasswd("htpasswd", "users", parse_users(f"{name}:{GOOD}\n", "users"))
        identity = Chain([backend], anonymous=False, decoy=None).authenticate(credentials(name))
        assert identity == Identity(name, Kind.PASSWORD, "htpasswd")


@pytest.mark.parametrize("name", ["ann", "bob"])
def test_right(backend: Htpasswd, name: str) -> None:
    """The right password gives the identity, with the source's name and no groups."""
    identity = backend.authenticate(credentials(name))
    assert identity == Identity(subject=name, kind=Kind.PASSWORD, source="local", groups=frozenset())


@pytest.mark.parametrize("name", ["ann", "bob"])
@pytest.mark.parametrize("password", ["", "wrong", "Secret", "secret ", "secret\0", "secret" * 1000])
def test_wrong(backend: Htpasswd, name: str, password: str) -> None:
    """Any other password is wrong, and the audit event says so."""
    with pytest.raises(InvalidCredentials) as caught:
        backend.authenticate(credentials(name, password))
    assert caught.value.reason == "wrong password"


@pytest.mark.parametrize("name", ["ANN", "Ann", "ann ", " ann", "\uff41nn", "carol", "", "ann\0"])
def test_not_mine(backend: Htpasswd, name: str) -> None:
    """Names are compared exactly: another spelling is a different, unknown user."""
    assert backend.authenticate(credentials(name)) is None


def test_what_is_told_of_a_source(backend: Htpasswd) -> None:
    """Names, the file and its warnings are visible; hashes are not."""
    assert (backend.name, backend.file, sorted(backend.users)) == ("local", "users", ["ann", "bob"])
    assert backend.warnings == (
        Fault(
            "users",
            1,
            "ann",
            "bcrypt cost 4 is quick to guess; 10 or more is advised; fix: tokenserver users set ann --file users",
        ),
        Fault(
            "users",
            2,
            "bob",
            "argon2id with 64 KiB and 1 passes is quick to guess; 19456 KiB and 2 are advised;"
            " fix: tokenserver users set bob --file users",
        ),
    )
    assert GOOD not in repr((backend, parse_users(f"ann:{GOOD}\n", "users"), backend.warnings))


def test_load(tmp_path: Path) -> None:
    """A file is read and checked; the source knows its path."""
    file = tmp_path / "users"
    file.write_text(f"ann:{GOOD}\n")
    file.chmod(0o600)
    backend = load_htpasswd(file, "local")
    assert (backend.name, backend.file, sorted(backend.users)) == ("local", str(file), ["ann"])


def test_load_again(tmp_path: Path) -> None:
    """Nothing is rebuilt while the text is unchanged; a rejected file changes nothing."""
    path = tmp_path / "users"
    path.write_text(f"ann:{GOOD}\n")
    path.chmod(0o600)
    file = HtpasswdFile(path, "local")
    first = file.load()
    path.write_text(f"ann:{GOOD}\n")
    assert file.load() is first
    path.write_text("ann\n")
    with pytest.raises(LoadError, match=r"users:1: .*is not NAME:HASH"):
        file.load()
    path.write_text(f"ann:{GOOD}\n")
    assert file.load() is first
    path.write_text(f"ann:{GOOD}\nbob:{GOOD}\n")
    assert [sorted(one.users) for one in (first, file.load())] == [["ann"], ["ann", "bob"]]


def test_load_what_was_read_already(tmp_path: Path) -> None:
    """It replaces the file's current content, which may be incomplete; faults still name the file."""
    path = tmp_path / "users"
    path.write_text("half of")
    file = HtpasswdFile(path, "local")
    assert sorted(file.load(f"bob:{GOOD}\n".encode()).users) == ["bob"]
    for content, fault in ((b"ann\n", r"users:1: .*is not NAME:HASH"), (b"ann:\xff", r"users:1: is not UTF-8 text")):
        with pytest.raises(LoadError, match=fault):
            file.load(content)


@pytest.mark.parametrize(
    ("content", "mode", "fault"),
    [
        pytest.param(b"ann:\xe9\n", 0o600, "FILE:1: is not UTF-8 text", id="Latin-1"),
        pytest.param(
            b"",
            0o666,
            "FILE: can be changed by others (mode 0666); fix: chmod go-w FILE",
            id="writable by all",
        ),
        pytest.param(b"ann\n", 0o600, "FILE:1: is not NAME:HASH; fix: sed -i '1s/^/#/' FILE", id="a malformed line"),
    ],
)
def test_load_refuses(content: bytes, mode: int, fault: str, tmp_path: Path) -> None:
    """Files that others can change, or that are no htpasswd files, do not load."""
    file = tmp_path / "users"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(LoadError) as caught:
        load_htpasswd(file, "local")
    assert str(caught.value) == fault.replace("FILE", str(file))


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is a fault, not an empty file."""
    with pytest.raises(LoadError, match="cannot be read: No such file or directory"):
        load_htpasswd(tmp_path / "users", "local")
