"""Creation of a key folder: whole or not at all, by one process alone, with safe modes."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from forked_processes import Forked
from key_folders import NOW, active_id, content, make

from tokenserver.documents.files import write_file
from tokenserver.errors import LoadError
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys, load_keys


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_made_keys_load(tmp_path: Path, algorithm: Algorithm) -> None:
    """`keys init` creates keys of each algorithm that the server loads and a registry trusts."""
    made = make(tmp_path / "keys", algorithm)
    ring = load_keys(tmp_path / "keys", now=NOW)
    ca = x509.load_pem_x509_certificate(ring.ca_certificate_pem.encode())
    leaf = x509.load_pem_x509_certificate(ring.active.certificate_pem.encode())
    leaf.verify_directly_issued_by(ca)
    assert (made, ring.active.algorithm, ring.next, ring.retired) == (True, algorithm, (), ())
    assert ring.active.private_key.public_key() == leaf.public_key()
    assert (ring.active.not_after, ring.ca_not_after) == (NOW + timedelta(days=825), NOW + timedelta(days=3650))
    assert ring.ca_certificate_pem == (tmp_path / "keys" / "token-ca.pem").read_text()


@pytest.mark.parametrize("umask", [pytest.param(0o000, id="umask 000"), pytest.param(0o077, id="umask 077")])
def test_modes(tmp_path: Path, umask: int) -> None:
    """Folders 0700, private files 0600, public files 0644, whatever the umask."""
    before = os.umask(umask)
    try:
        make(tmp_path / "keys")
    finally:
        os.umask(before)
    key_id = active_id(tmp_path / "keys")
    places = [tmp_path / "keys", *(tmp_path / "keys").rglob("*")]
    modes = {str(path.relative_to(tmp_path)): oct(stat.S_IMODE(path.stat().st_mode)) for path in places}
    assert modes == {
        "keys": "0o700",
        "keys/signing": "0o700",
        "keys/token-ca.key": "0o600",
        "keys/token-ca.pem": "0o644",
        f"keys/signing/{key_id}.key": "0o600",
        f"keys/signing/{key_id}.pem": "0o644",
        "keys/ring.json": "0o644",
    }


def test_existing_keys_are_left_alone(keys: Path) -> None:
    """A second `keys init` changes nothing, not even for another issuer and algorithm."""
    before = content(keys)
    again = init_keys(keys, issuer="other", algorithm=Algorithm.RS256, now=NOW + timedelta(days=1))
    assert (again, content(keys)) == (False, before)


def test_other_files_in_the_folder_do_not_matter(tmp_path: Path) -> None:
    """The folder may exist and hold a README, as the one in this repository does."""
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "README.md").write_text("keys live here\n")
    assert make(folder) is True
    assert load_keys(folder, now=NOW).active.id == active_id(folder)
    assert (folder / "README.md").read_text() == "keys live here\n"


def test_two_inits_make_different_keys(tmp_path: Path) -> None:
    """Nothing of a key comes from its issuer or its time."""
    rings = []
    for name in ("one", "two"):
        make(tmp_path / name)
        rings.append(load_keys(tmp_path / name, now=NOW))
    assert rings[0].active.thumbprint != rings[1].active.thumbprint
    assert rings[0].ca_certificate_pem != rings[1].ca_certificate_pem


def outcomes(folder: Path, count: int) -> list[str]:
    """What `count` simultaneous inits of one folder gave."""
    barrier = threading.Barrier(count)
    results: list[str] = []

    def attempt() -> None:
        barrier.wait()
        try:
            results.append(str(make(folder)))
        except LoadError:
            results.append("refused")

    threads = [threading.Thread(target=attempt) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(results)


def test_of_simultaneous_inits_one_wins(tmp_path: Path) -> None:
    """Exactly one makes the keys; the others wait and say that there are some."""
    assert outcomes(tmp_path / "keys", 8) == ["False"] * 7 + ["True"]
    assert load_keys(tmp_path / "keys", now=NOW).active.id == active_id(tmp_path / "keys")


def test_where_folders_cannot_be_locked_one_wins_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without locks a second init may be refused, but never does it touch the first one's keys."""

    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("tokenserver.keys.layout.fcntl.flock", no_locks)
    found = outcomes(tmp_path / "keys", 8)
    assert found.count("True") == 1
    assert load_keys(tmp_path / "keys", now=NOW).active.id == active_id(tmp_path / "keys")


def init_in_process(folder: Path, writes: int) -> Forked:
    """An init in a separate process, which dies as if killed after this many files."""
    left = writes

    def dying_write(path: Path, content: bytes, *, mode: int) -> None:
        nonlocal left
        if left == 0:
            os._exit(9)
        left -= 1
        write_file(path, content, mode=mode)

    def init() -> bool:
        pytest.MonkeyPatch().setattr("tokenserver.keys.store.write_file", dying_write)
        return make(folder)

    return Forked(init)


def test_of_simultaneous_processes_one_wins(tmp_path: Path) -> None:
    """Replicas that start together on one shared folder end up with one set of keys."""
    processes = [init_in_process(tmp_path / "keys", writes=99) for _ in range(3)]
    assert sorted(process.ended() for process in processes) == [(0, "False"), (0, "False"), (0, "True")]
    assert load_keys(tmp_path / "keys", now=NOW).active.id == active_id(tmp_path / "keys")


@pytest.mark.parametrize("writes", range(5))
def test_killed_init_is_never_used_nor_overwritten(tmp_path: Path, writes: int) -> None:
    """After a kill at any file, load and init fail and change nothing, and their suggested fix works."""
    folder = tmp_path / "my keys"
    code, _ = init_in_process(folder, writes).ended()
    before = content(folder)
    with pytest.raises(LoadError, match="if creating them was interrupted, move what is left away") as loading:
        load_keys(folder, now=NOW)
    with pytest.raises(LoadError, match=r"but no ring\.json, so nothing was overwritten") as making:
        make(folder)
    assert (code, content(folder), len(before)) == (9, before, writes)
    mends = {str(error.value).partition("create new ones: ")[2].rpartition(" && ")[0] for error in (loading, making)}
    [mend] = mends
    subprocess.run(["sh", "-c", mend], check=True)
    assert make(folder) is True
    assert load_keys(folder, now=NOW).active.id == active_id(folder)


def test_mend_moves_unfinished_files_as_well(tmp_path: Path) -> None:
    """A kill in the middle of a write leaves a hidden file, which may hold a key."""
    assert init_in_process(tmp_path / "keys", writes=3).ended() == (9, "")
    (tmp_path / "keys" / ".token-ca.key.x1y2z3").write_text("half a key")
    with pytest.raises(LoadError) as error:
        make(tmp_path / "keys")
    mend = str(error.value).partition("create new ones: ")[2].rpartition(" && ")[0]
    subprocess.run(["sh", "-c", mend], check=True)
    [aside] = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(aside.stat().st_mode) == 0o700
    assert {one.name for one in aside.iterdir()} == {".token-ca.key.x1y2z3", "token-ca.key", "signing"}


@pytest.mark.parametrize("writes", range(5))
def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """A full disk at any file is reported, and the same command works when there is room again."""
    folder = tmp_path / "keys"
    done: list[Path] = []

    def full(path: Path, content: bytes, *, mode: int) -> None:
        if len(done) == writes:
            raise OSError(28, "No space left on device")
        write_file(path, content, mode=mode)
        done.append(path)

    with monkeypatch.context() as patch:
        patch.setattr("tokenserver.keys.store.write_file", full)
        with pytest.raises(LoadError) as error:
            make(folder)
    assert str(error.value) == f"{folder}: keys cannot be made here: No space left on device"
    assert list(folder.iterdir()) == []
    assert make(folder) is True


def test_init_where_a_file_stands(tmp_path: Path) -> None:
    """A path that is not a folder is reported without a traceback."""
    (tmp_path / "keys").write_text("")
    with pytest.raises(LoadError) as error:
        make(tmp_path / "keys")
    assert str(error.value) == f"{tmp_path / 'keys'}: keys cannot be made here: File exists"


def test_init_in_an_unsafe_folder(tmp_path: Path) -> None:
    """No key is written where another user could replace it."""
    folder = tmp_path / "keys"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(LoadError) as error:
        make(folder)
    expected = f"{folder}: can be changed by others (mode 0777); fix: chmod go-w {folder}"
    assert (str(error.value), list(folder.iterdir())) == (expected, [])
