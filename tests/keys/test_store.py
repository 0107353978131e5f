"""The key store: created atomically, loaded with every fault reported, never leaking its content."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tokenserver.documents.files import write_file
from tokenserver.errors import LoadError
from tokenserver.keys.certificates import generate_p256, issue_certificate, make_ca, private_pem
from tokenserver.keys.expiry import key_warnings
from tokenserver.keys.ring import Algorithm, KeyRing, PrivateKey
from tokenserver.keys.ring_file import RingEntry, State, write_entries
from tokenserver.keys.store import init_keys, load_keys

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
ISSUER = "auth.example.com"


def make(folder: Path, algorithm: Algorithm = Algorithm.ES256, now: datetime = NOW) -> bool:
    return init_keys(folder, issuer=ISSUER, algorithm=algorithm, now=now)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A whole folder of keys."""
    folder = tmp_path / "keys"
    assert make(folder) is True
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ring_json(states: dict[str, State]) -> bytes:
    return write_entries(RingEntry(id=key_id, state=state) for key_id, state in states.items())


def active_id(folder: Path) -> str:
    [path] = (folder / "signing").glob("*.key")
    return path.stem


def refused(folder: Path, now: datetime = NOW) -> list[tuple[str, str]]:
    """The faults of a load, with the folder called KEYS and the key called ID."""
    key_id = next((path.stem for path in (folder / "signing").glob("2*.*")), "")
    with pytest.raises(LoadError) as error:
        load_keys(folder, now=now)
    told = [(fault.file, fault.message) for fault in error.value.faults]
    plain = [tuple(text.replace(str(folder), "KEYS").replace(key_id or "\0", "ID") for text in row) for row in told]
    return [(file, message) for file, message in plain]


# --- making ---------------------------------------------------------------------------------------------------


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


INIT = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from tokenserver.keys import store
from tokenserver.keys.expiry import key_warnings
from tokenserver.keys.ring import Algorithm
left = int(sys.argv[2])
write = store.write_file
def dying_write(path, content, *, mode):
    global left
    if left == 0:
        os._exit(9)
    left -= 1
    write(path, content, mode=mode)
store.write_file = dying_write
now = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
print(store.init_keys(Path(sys.argv[1]), issuer="a", algorithm=Algorithm.ES256, now=now))
"""


def init_in_process(folder: Path, writes: int) -> subprocess.Popen[str]:
    """An init in a separate process, which dies as if killed after this many files."""
    return subprocess.Popen([sys.executable, "-c", INIT, str(folder), str(writes)], stdout=subprocess.PIPE, text=True)


def test_of_simultaneous_processes_one_wins(tmp_path: Path) -> None:
    """Replicas that start together on one shared folder end up with one set of keys."""
    processes = [init_in_process(tmp_path / "keys", writes=99) for _ in range(3)]
    assert sorted(process.communicate()[0] for process in processes) == ["False\n", "False\n", "True\n"]
    assert load_keys(tmp_path / "keys", now=NOW).active.id == active_id(tmp_path / "keys")


@pytest.mark.parametrize("writes", range(5))
def test_killed_init_is_never_used_nor_overwritten(tmp_path: Path, writes: int) -> None:
    """After a kill at any file, load and init fail and change nothing, and their suggested fix works."""
    folder = tmp_path / "my keys"
    died = init_in_process(folder, writes)
    died.communicate()
    before = content(folder)
    with pytest.raises(LoadError, match="if creating them was interrupted, remove what is left") as loading:
        load_keys(folder, now=NOW)
    with pytest.raises(LoadError, match=r"but no ring\.json, so nothing was overwritten") as making:
        make(folder)
    assert (died.returncode, content(folder), len(before)) == (9, before, writes)
    mends = {str(error.value).partition("create new ones: ")[2].partition(" && ")[0] for error in (loading, making)}
    [mend] = mends
    subprocess.run(["sh", "-c", mend], check=True)
    assert make(folder) is True
    assert load_keys(folder, now=NOW).active.id == active_id(folder)


def test_mend_removes_unfinished_files_as_well(tmp_path: Path) -> None:
    """A kill in the middle of a write leaves a hidden file, which may hold a key."""
    died = init_in_process(tmp_path / "keys", writes=3)
    died.communicate()
    (tmp_path / "keys" / ".token-ca.key.x1y2z3").write_text("half a key")
    with pytest.raises(LoadError) as error:
        make(tmp_path / "keys")
    mend = str(error.value).partition("create new ones: ")[2].partition(" && ")[0]
    subprocess.run(["sh", "-c", mend], check=True)
    assert list((tmp_path / "keys").iterdir()) == []


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


# --- loading --------------------------------------------------------------------------------------------------


def put_key(folder: Path, key: PrivateKey, now: datetime = NOW, key_id: str | None = None) -> None:
    """Give the active id, or another, this key with a certificate issued by the folder's own CA."""
    ca = x509.load_pem_x509_certificate((folder / "token-ca.pem").read_bytes())
    ca_key = load_pem_private_key((folder / "token-ca.key").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    certificate = issue_certificate(key, ca=ca, ca_key=ca_key, issuer=ISSUER, now=now)
    base = folder / "signing" / (key_id or active_id(folder))
    base.with_suffix(".key").touch(mode=0o600)
    base.with_suffix(".key").write_bytes(private_pem(key))
    base.with_suffix(".pem").write_bytes(certificate.public_bytes(Encoding.PEM))


def signing_file(folder: Path, suffix: str) -> Path:
    return folder / "signing" / f"{active_id(folder)}{suffix}"


def readable_by_all(folder: Path) -> None:
    signing_file(folder, ".key").chmod(0o644)


def readable_by_another_group(folder: Path) -> None:
    path = signing_file(folder, ".key")
    if os.geteuid() == 0:  # for anybody else the owner alone is reason enough
        os.chown(path, -1, os.getegid() + 1)
    path.chmod(0o640)


def open_ca_key(folder: Path) -> None:
    (folder / "token-ca.key").chmod(0o604)


def open_folder(folder: Path) -> None:
    folder.chmod(0o777)


def open_signing_folder(folder: Path) -> None:
    (folder / "signing").chmod(0o770)


def writable_ring(folder: Path) -> None:
    (folder / "ring.json").chmod(0o666)


def writable_certificate(folder: Path) -> None:
    (folder / "token-ca.pem").chmod(0o666)


def no_key_file(folder: Path) -> None:
    signing_file(folder, ".key").unlink()


def no_certificate(folder: Path) -> None:
    signing_file(folder, ".pem").unlink()


def no_ca(folder: Path) -> None:
    (folder / "token-ca.pem").unlink()


def no_signing_folder(folder: Path) -> None:
    shutil.rmtree(folder / "signing")


def unknown_key(folder: Path) -> None:
    (folder / "ring.json").write_bytes(ring_json({"ghost": "active"}))


def two_active(folder: Path) -> None:
    key_id = active_id(folder)
    text = f'{{"version": 1, "keys": [{{"id": "{key_id}", "state": "active"}}, {{"id": "b", "state": "active"}}]}}'
    (folder / "ring.json").write_text(text)


def key_is_folder(folder: Path) -> None:
    path = signing_file(folder, ".key")
    path.unlink()
    path.mkdir()


def key_is_fifo(folder: Path) -> None:
    path = signing_file(folder, ".key")
    path.unlink()
    os.mkfifo(path, 0o600)


def garbage_key(folder: Path) -> None:
    signing_file(folder, ".key").write_text("garbage")


def half_copied_pair(folder: Path) -> None:
    signing_file(folder, ".key").write_bytes(private_pem(generate_p256()))


def garbage_ca(folder: Path) -> None:
    (folder / "token-ca.pem").write_text("garbage")


def key_in_published_file(folder: Path) -> None:
    with (folder / "token-ca.pem").open("ab") as file:
        file.write((folder / "token-ca.key").read_bytes())


def ca_is_no_ca(folder: Path) -> None:
    (folder / "token-ca.pem").write_bytes(signing_file(folder, ".pem").read_bytes())
    (folder / "token-ca.key").unlink()


def other_ca(folder: Path) -> None:
    key = generate_p256()
    (folder / "token-ca.key").write_bytes(private_pem(key))
    (folder / "token-ca.pem").write_bytes(make_ca(key, issuer=ISSUER, now=NOW).public_bytes(Encoding.PEM))


def key_of_another_ca(folder: Path) -> None:
    (folder / "token-ca.key").write_bytes(private_pem(generate_p256()))


def garbage_ca_key(folder: Path) -> None:
    (folder / "token-ca.key").write_text("garbage")


def rsa_1024() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - weak on purpose


def weak_rsa(folder: Path) -> None:
    put_key(folder, rsa_1024())


def expired(folder: Path) -> None:
    put_key(folder, generate_p256(), now=NOW - timedelta(days=900))


def from_the_future(folder: Path) -> None:
    put_key(folder, generate_p256(), now=NOW + timedelta(days=1))


KEY, CERTIFICATE = "KEYS/signing/ID.key", "KEYS/signing/ID.pem"
NOT_A_KEY = (
    "is not a private key in PEM that can be used here; expected an EC key on P-256 or P-384,"
    " an RSA key of at least 2048 bits or an Ed25519 key"
)
ABSENT = "cannot be read: No such file or directory"
NOT_A_CA = "is not a CA certificate (basicConstraints CA:TRUE, keyUsage keyCertSign); registries would refuse it"
GARBAGE = "contains no readable PEM certificates; it must contain exactly one"
NOT_ISSUED = "was not issued by the token CA in token-ca.pem: registries that trust that CA would refuse its tokens"


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        pytest.param(
            readable_by_all, [(KEY, f"can be read by others (mode 0644); fix: chmod 600 {KEY}")], id="key 0644"
        ),
        pytest.param(
            readable_by_another_group,
            [(KEY, f"can be read by others (mode 0640); fix: chmod 600 {KEY}")],
            id="key 0640, another group",
        ),
        pytest.param(
            open_ca_key,
            [
                (
                    "KEYS/token-ca.key",
                    "can be read by others (mode 0604); fix: chmod 600 KEYS/token-ca.key",
                )
            ],
            id="CA key readable",
        ),
        pytest.param(open_folder, [("KEYS", "can be changed by others (mode 0777); fix: chmod go-w KEYS")], id="0777"),
        pytest.param(
            open_signing_folder,
            [
                (
                    "KEYS/signing",
                    "can be changed by others (mode 0770); fix: chmod go-w KEYS/signing",
                )
            ],
            id="signing folder 0770",
        ),
        pytest.param(
            writable_ring,
            [
                (
                    "KEYS/ring.json",
                    "can be changed by others (mode 0666); fix: chmod go-w KEYS/ring.json",
                )
            ],
            id="ring 0666",
        ),
        pytest.param(
            writable_certificate,
            [
                (
                    "KEYS/token-ca.pem",
                    "can be changed by others (mode 0666); fix: chmod go-w KEYS/token-ca.pem",
                )
            ],
            id="CA certificate 0666",
        ),
        pytest.param(no_key_file, [(KEY, ABSENT)], id="no key file"),
        pytest.param(no_certificate, [(CERTIFICATE, ABSENT)], id="no certificate"),
        pytest.param(no_ca, [("KEYS/token-ca.pem", ABSENT)], id="no CA certificate"),
        pytest.param(
            unknown_key,
            [("KEYS/signing/ghost.key", ABSENT), ("KEYS/signing/ghost.pem", ABSENT)],
            id="ring names an unknown key",
        ),
        pytest.param(
            two_active, [("KEYS/ring.json", "a second active key; exactly one key signs")], id="two active keys"
        ),
        pytest.param(key_is_folder, [(KEY, "is not a regular file")], id="a folder for a key"),
        pytest.param(key_is_fifo, [(KEY, "is not a regular file")], id="a pipe for a key, without waiting"),
        pytest.param(garbage_key, [(KEY, NOT_A_KEY)], id="garbage for a key"),
        pytest.param(
            half_copied_pair,
            [(CERTIFICATE, "does not match its key: copy both files of the pair from the same place")],
            id="half of a pair copied",
        ),
        pytest.param(garbage_ca, [("KEYS/token-ca.pem", GARBAGE)], id="garbage for a CA"),
        pytest.param(
            key_in_published_file,
            [
                (
                    "KEYS/token-ca.pem",
                    "contains a private key, but certificates are published; keep the key in its own .key file",
                )
            ],
            id="a key in a published file",
        ),
        pytest.param(
            ca_is_no_ca,
            [
                (CERTIFICATE, NOT_ISSUED),
                (
                    "KEYS/token-ca.pem",
                    NOT_A_CA,
                ),
            ],
            id="CA certificate that is none",
        ),
        pytest.param(other_ca, [(CERTIFICATE, NOT_ISSUED)], id="another CA"),
        pytest.param(
            key_of_another_ca,
            [
                (
                    "KEYS/token-ca.key",
                    "is not the key of KEYS/token-ca.pem; copy both files from the same place",
                )
            ],
            id="key of another CA",
        ),
        pytest.param(garbage_ca_key, [("KEYS/token-ca.key", NOT_A_KEY)], id="garbage for a CA key"),
        pytest.param(
            weak_rsa,
            [(KEY, "is an RSA key of 1024 bits, which is too weak; at least 2048 are required")],
            id="RSA 1024",
        ),
        pytest.param(
            expired,
            [(CERTIFICATE, "expired on 2026-11-17; registries refuse it, so new keys are needed")],
            id="expired",
        ),
        pytest.param(
            from_the_future,
            [(CERTIFICATE, "is not valid before 2027-02-01 11:00 UTC; is this clock right?")],
            id="not yet valid",
        ),
    ],
)
def test_what_refuses_the_load(keys: Path, harm: Callable[[Path], None], expected: list[tuple[str, str]]) -> None:
    """Each fault is reported with its file and its fix, and nothing else is."""
    harm(keys)
    assert refused(keys) == expected


def test_all_faults_are_told_at_once(keys: Path) -> None:
    """One fault does not hide another: every file is looked at."""
    readable_by_all(keys)
    key_of_another_ca(keys)
    signing_file(keys, ".pem").write_text("garbage")
    assert [file for file, _ in refused(keys)] == [KEY, CERTIFICATE, "KEYS/token-ca.key"]


def test_expiry_is_told_beside_an_unfit_key(keys: Path) -> None:
    """A certificate is judged even where its key is refused."""
    put_key(keys, rsa_1024(), now=NOW - timedelta(days=900))
    assert [file for file, _ in refused(keys)] == [KEY, CERTIFICATE]


def test_no_folder(tmp_path: Path) -> None:
    """The first start says which command makes the keys."""
    assert refused(tmp_path / "keys") == [("KEYS", "does not exist; create the keys with: tokenserver keys init")]


def test_empty_folder(tmp_path: Path) -> None:
    """So does an empty folder."""
    expected = "does not exist, there are no keys here; create them with: tokenserver keys init"
    assert refused(tmp_path) == [("KEYS/ring.json", expected)]


def test_folder_is_a_file(tmp_path: Path) -> None:
    """A file in place of the folder is reported as such."""
    (tmp_path / "keys").write_text("")
    assert refused(tmp_path / "keys") == [("KEYS", "is not a folder")]


def test_folder_below_a_file(tmp_path: Path) -> None:
    """What cannot be looked at is not called absent: making keys there would not help."""
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file" / "keys") == [("KEYS", "cannot be read: Not a directory")]


def test_lost_ring_with_keys_in_use(keys: Path) -> None:
    """A lost `ring.json` should be restored: registries may trust the keys."""
    (keys / "ring.json").unlink()
    [(file, message)] = refused(keys)
    assert file == "KEYS/ring.json"
    assert message.startswith(
        "does not exist, but other parts of the keys do; if these keys were in use, restore ring.json from a backup"
    )


def test_ca_key_kept_away(keys: Path) -> None:
    """A server that only signs tokens needs no CA key."""
    (keys / "token-ca.key").unlink()
    assert load_keys(keys, now=NOW).active.id == active_id(keys)


def test_ca_key_kept_for_another_user(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CA key that this process cannot read is as good as kept away: it is not even opened."""
    ca_key = keys / "token-ca.key"
    ca_key.write_text("garbage")
    readable = os.access

    def access(path: Path, mode: int) -> bool:
        return path != ca_key and readable(path, mode)

    monkeypatch.setattr(os, "access", access)
    assert load_keys(keys, now=NOW).active.id == active_id(keys)


def test_every_state_is_loaded(keys: Path) -> None:
    """A ring in the middle of a rotation is loaded whole, each key in its state."""
    active = active_id(keys)
    for key_id in ("new", "old", "older"):
        put_key(keys, generate_p256(), key_id=key_id)
    states = ring_json({"older": "retired", active: "active", "new": "next", "old": "retired"})
    (keys / "ring.json").write_bytes(states)
    ring = load_keys(keys, now=NOW)
    assert [key.id for key in ring.published()] == [active, "new", "older", "old"]
    assert ([key.id for key in ring.next], ring.active.id) == (["new"], active)
    assert [key.id for key in ring.retired] == ["older", "old"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param("retired", [], id="retired: signs nothing any more"),
        pytest.param("next", ["KEYS/signing/old.pem"], id="next: would sign"),
    ],
)
def test_expired_certificates_beside_the_active_one(keys: Path, state: str, expected: list[str]) -> None:
    """An expired certificate matters for keys that sign or will sign, and does not stop the server for others."""
    active = active_id(keys)
    put_key(keys, generate_p256(), now=NOW - timedelta(days=900), key_id="old")
    text = f'{{"version": 1, "keys": [{{"id": "{active}", "state": "active"}}, {{"id": "old", "state": "{state}"}}]}}'
    (keys / "ring.json").write_text(text)
    try:
        load_keys(keys, now=NOW)
        faults: tuple[str, ...] = ()
    except LoadError as error:
        faults = tuple(fault.file.replace(str(keys), "KEYS") for fault in error.faults)
    assert list(faults) == expected


def test_only_the_certificate_is_published(keys: Path) -> None:
    """`/ca.pem` contains only the parsed certificate, without text around it."""
    path = keys / "token-ca.pem"
    plain = path.read_text()
    path.write_text(f"a note of mine\n{plain}another\n")
    assert load_keys(keys, now=NOW).ca_certificate_pem == plain


@pytest.mark.parametrize(
    "harm",
    [None, readable_by_all, half_copied_pair, other_ca, weak_rsa, key_in_published_file, garbage_ca, two_active],
)
def test_no_line_of_a_key_gets_out(
    keys: Path, harm: Callable[[Path], None] | None, capfd: pytest.CaptureFixture[str]
) -> None:
    """No error, traceback (with local variables, as some log them), repr or output has a line of a private key."""
    if harm is not None:
        harm(keys)
    lines = [line for name, data in content(keys).items() if name.endswith(".key") for line in data.decode().split()]
    canaries = [line for line in lines if len(line) > 20]
    shown = ""
    try:
        shown += repr(load_keys(keys, now=NOW))
    except LoadError as error:
        below = error.__traceback__.tb_next if error.__traceback__ else None  # this test holds the lines itself
        shown += repr(error) + str(error) + "".join(traceback.format_exception(error))
        told = traceback.TracebackException(type(error), error, below, capture_locals=True)
        shown += "".join(told.format())
    captured = capfd.readouterr()
    shown += captured.out + captured.err
    assert len(canaries) >= 4
    assert [line for line in canaries if line in shown] == []


# --- warnings -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    folder = tmp_path_factory.mktemp("warnings") / "keys"
    make(folder)
    return load_keys(folder, now=NOW)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param(0, [], id="new"),
        pytest.param(794, [], id="31 days before"),
        pytest.param(795, ["expires on 2029-05-05, in 30 days"], id="30 days before"),
        pytest.param(824, ["expires on 2029-05-05, in 1 days"], id="last day"),
        pytest.param(826, ["expired on 2029-05-05"], id="over"),
        pytest.param(3470, ["expired on 2029-05-05", "expires on 2037-01-28, in 180 days"], id="the CA's last half"),
        pytest.param(3651, ["expired on 2029-05-05", "expired on 2037-01-28"], id="both over"),
    ],
)
def test_warnings(ring: KeyRing, days: int, expected: list[str]) -> None:
    """A signing certificate is announced 30 days before its end, the CA half a year, each with its date."""
    found = key_warnings(ring, NOW + timedelta(days=days))
    assert [next((text for text in expected if text in warning), warning) for warning in found] == expected


def test_warnings_name_the_key(ring: KeyRing) -> None:
    """The sentence has the key, the date, and the consequence."""
    expected = (
        f"the certificate of the signing key {ring.active.id} expires on 2029-05-05, in 25 days; registries then"
        " refuse every token that it signs: replace the keys before"
    )
    assert key_warnings(ring, NOW + timedelta(days=800)) == [expected]
