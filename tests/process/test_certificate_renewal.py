"""Renewal of the certificate of `server.tls`: which pairs of files are put in force, when, and what the log says."""

from __future__ import annotations

import base64
import logging
import shutil
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_pem_x509_certificate
from self_signed import BEGIN, of_version, self_signed

from tokenserver.documents.tls_files import PresentedCertificate
from tokenserver.process.certificate_renewal import RETRY_LOOKS, CertificateRenewal

LINE = "server.tls: a new certificate is in force, which expires 2035-12-30 00:00 UTC"


def pair(folder: Path, *, days: int = 3650) -> None:
    """Write a new pair."""
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "tls.key").touch(mode=0o600)
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "tls.pem").write_bytes(self_signed(key, days=days))


class Worker:
    """A worker's renewal, and how often the listeners were renewed; `accepts` is whether they are."""

    def __init__(self, folder: Path, *, is_first: bool = True) -> None:
        self.folder = folder
        self.renewals = 0
        self.accepts = True
        self.presented = PresentedCertificate()
        files = (folder / "tls.pem", folder / "tls.key")
        self.now = BEGIN
        self.renewal = CertificateRenewal(*files, self.presented, is_first=is_first, now=lambda: self.now)

    def renew(self) -> bool:
        self.renewals += 1
        return self.accepts

    def look(self, times: int = 1) -> int:
        """How often it was renewed in so many looks."""
        before = self.renewals
        for _ in range(times):
            self.renewal.look(self.renew)
        return self.renewals - before


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    """The first worker, with a pair."""
    pair(tmp_path)
    return Worker(tmp_path)


def test_a_new_pair(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    """It is taken when the files have not changed between two looks, and once."""
    caplog.set_level(logging.INFO)
    assert worker.look(3) == 0
    pair(worker.folder)
    assert [worker.look(), worker.look(), worker.look(3)] == [0, 1, 0]
    assert caplog.messages == [LINE]


def test_when_the_presented_one_expires(worker: Worker) -> None:
    """That of the start, and then that of the pair in force, not of one that was not taken."""
    first = BEGIN + timedelta(days=3650)
    assert worker.presented.end == first
    pair(worker.folder, days=10)
    worker.accepts = False
    worker.look(3)
    assert worker.presented.end == first
    worker.accepts = True
    (worker.folder / "tls.pem").touch()
    worker.look(3)
    assert worker.presented.end == BEGIN + timedelta(days=10)


def test_files_that_are_gone_at_the_start(tmp_path: Path) -> None:
    """Nothing is known of them; they are looked at when they come back."""
    worker = Worker(tmp_path)
    ends = [worker.presented.end]
    pair(tmp_path)
    assert worker.look(3) == 1
    ends.append(worker.presented.end)
    assert ends == [None, BEGIN + timedelta(days=3650)]


def test_another_worker_is_silent(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    """The log has one line for each renewal."""
    caplog.set_level(logging.INFO)
    second = Worker(worker.folder, is_first=False)
    pair(worker.folder)
    assert (second.look(3), caplog.messages) == (1, [])


def test_files_that_keep_changing(worker: Worker) -> None:
    """They are not read until they rest."""
    for _ in range(3):
        pair(worker.folder)
        assert worker.look() == 0
    assert worker.look() == 1


def test_one_file_after_the_other(worker: Worker, tmp_path: Path) -> None:
    """Certificate and key of different pairs are never put in force."""
    new = tmp_path / "new"
    new.mkdir()
    pair(new)
    shutil.copy2(new / "tls.pem", worker.folder / "tls.pem")
    assert worker.look(5) == 0
    shutil.copy2(new / "tls.key", worker.folder / "tls.key")
    assert worker.look(3) == 1


def test_links_that_point_to_others(tmp_path: Path) -> None:
    """As certbot keeps `live/`, and Kubernetes its volumes."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        pair(tmp_path / name)
    live = tmp_path / "live"
    live.symlink_to("one")
    worker = Worker(live)
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(live)
    assert worker.look(3) == 1


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.unlink(), id="gone"),
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:100]), id="cut"),
        pytest.param(lambda file: file.chmod(0o666), id="writable-by-others"),
    ],
)
@pytest.mark.parametrize("name", ["tls.pem", "tls.key"])
def test_a_file_that_does_not_fit(worker: Worker, name: str, damage: object) -> None:
    """The pair in force stays; a good one is taken when it is there."""
    assert callable(damage)
    damage(worker.folder / name)
    assert worker.look(3) == 0
    (worker.folder / name).unlink(missing_ok=True)
    pair(worker.folder)
    assert worker.look(3) == 1


def test_the_same_content_again(worker: Worker) -> None:
    """A copy renews nothing: new listeners cost connections whose handshake is not complete."""
    content = (worker.folder / "tls.pem").read_bytes()
    (worker.folder / "tls.pem").unlink()
    (worker.folder / "tls.pem").write_bytes(content)
    assert worker.look(3) == 0


def test_listeners_that_do_not_start(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is reported as in force, and the next change is tried again."""
    caplog.set_level(logging.INFO)
    worker.accepts = False
    pair(worker.folder)
    assert (worker.look(5), caplog.messages) == (1, [])
    worker.accepts = True
    (worker.folder / "tls.pem").touch()
    assert (worker.look(3), caplog.messages) == (1, [LINE])


def test_it_watches_until_it_is_stopped(worker: Worker) -> None:
    """It looks by itself."""
    stop = threading.Event()

    def renew() -> bool:
        stop.set()
        return worker.renew()

    pair(worker.folder)
    worker.renewal.watch(renew, stop)
    assert worker.renewals == 1


def test_what_is_unexpected_ends_no_renewal(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    """docs/design/threats.md#threat-255: the thread looks again, and the next pair is put in force."""
    stop, found = threading.Event(), []

    def renew() -> bool:
        found.append("renewed")
        if len(found) == 1:
            pair(worker.folder)
            raise MemoryError
        stop.set()
        return True

    pair(worker.folder)
    worker.renewal.watch(renew, stop)
    assert found == ["renewed"] * 2
    assert "server.tls: the previous certificate stays in force: unexpected MemoryError" in caplog.messages


def test_a_certificate_of_a_version_that_does_not_exist(worker: Worker) -> None:
    """docs/design/threats.md#threat-255: it stays without effect."""
    pem = (worker.folder / "tls.pem").read_bytes()
    odd = of_version(load_pem_x509_certificate(pem).public_bytes(Encoding.DER), 73)
    text = base64.encodebytes(odd).decode("ascii")
    (worker.folder / "tls.pem").write_text(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n")
    assert worker.look(3) == 0
    pair(worker.folder)
    assert worker.look(3) == 1


def test_an_expired_pair(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    """docs/design/threats.md#threat-253: as from a backup, it replaces no certificate that clients accept."""
    worker.now = BEGIN + timedelta(days=20)
    pair(worker.folder, days=10)
    assert worker.look(3) == 0
    assert caplog.messages == [
        "server.tls: the previous certificate stays in force: the new one expired 2026-01-11 00:00 UTC"
    ]
    pair(worker.folder, days=30)
    assert worker.look(3) == 1
    worker.now = BEGIN + timedelta(days=40)
    pair(worker.folder, days=35)
    assert worker.look(3) == 1
    assert worker.presented.end == BEGIN + timedelta(days=35)


def test_a_renewal_that_fails_is_tried_again(worker: Worker) -> None:
    """docs/design/threats.md#threat-253: without descriptors for a moment, the new certificate is in force later."""
    pair(worker.folder)
    worker.accepts = False
    assert worker.look(3) == 1
    assert worker.look(RETRY_LOOKS) == 1
    worker.accepts = True
    assert worker.look(RETRY_LOOKS - 2) == 0
    assert worker.look(1) == 1
    assert worker.look(3 * RETRY_LOOKS) == 0
