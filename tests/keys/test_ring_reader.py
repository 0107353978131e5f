"""Reading a key folder: what is loaded, each fault with its file, and nothing of a key in any message."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from key_folders import ISSUER, NOW, active_id, content, refused
from rsa_keys import known_rsa

from tokenserver.errors import LoadError
from tokenserver.keys.certificates import generate_p256, issue_certificate, make_ca, private_pem
from tokenserver.keys.ring import PrivateKey
from tokenserver.keys.ring_file import RingEntry, State, write_entries
from tokenserver.keys.store import load_keys


def ring_json(states: dict[str, State]) -> bytes:
    return write_entries(RingEntry(id=key_id, state=state) for key_id, state in states.items())


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
    (folder / "signing").chmod(0o772)


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


def weak_rsa(folder: Path) -> None:
    put_key(folder, known_rsa(1024))


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
                    "can be changed by others (mode 0772); fix: chmod go-w KEYS/signing",
                )
            ],
            id="signing folder 0772",
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
    put_key(keys, known_rsa(1024), now=NOW - timedelta(days=900))
    assert [file for file, _ in refused(keys)] == [KEY, CERTIFICATE]


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
