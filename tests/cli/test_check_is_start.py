"""`check` is what the start does: what would end a worker is refused by both, with exit code 2 and one line each."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from harness.processes import free_port
from log_lines import messages_in
from prepared_commands import run_command
from rsa_keys import known_rsa, rsa_2048

from tokenserver.cli import main
from tokenserver.config.load import load_settings
from tokenserver.metrics.http import Listener
from tokenserver.server.stored.opening import prepare_storage

EC = ec.SECP256R1()


@dataclass
class Site:
    """A folder that `init` made, and its configuration as a mapping that can be changed."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "tokenserver.yaml"

    def change(self, section: str, **values: Any) -> None:
        """Set keys of a section."""
        settings = yaml.safe_load(self.config.read_text())
        before = settings.get(section, {})
        settings[section] = {**(before if isinstance(before, dict) else {}), **values}
        self.config.write_text(yaml.safe_dump(settings))

    def secret(self, name: str, text: str, mode: int = 0o600) -> str:
        """A file of the folder with this mode; its name."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        path.chmod(mode)
        return name

    def tls(self, key: Any, **formats: Any) -> None:
        """A certificate for this key, which both are configured."""
        form = formats.get("format", PrivateFormat.PKCS8)
        self.secret("tls.key", key.private_bytes(Encoding.PEM, form, NoEncryption()).decode())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        made = made.not_valid_after(now + timedelta(days=1))
        is_edwards = isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
        signed = made.sign(key, None if is_edwards else SHA256())
        text = signed.public_bytes(Encoding.PEM).decode()
        (self.folder / "tls.pem").write_text(text.replace("BEGIN CERT", formats.get("begin", "BEGIN CERT")))
        self.change("server", url="https://localhost", tls={"certificate": "tls.pem", "key": "tls.key"})

    def storage(self, statement: str = "SELECT 1") -> Path:
        """Make the storage, and change it by a statement of SQL; its file."""
        prepare_storage(load_settings(self.config, {}))
        file = self.folder / "state" / "tokenserver.db"
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute(statement)
        return file


@pytest.fixture
def site(made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One on a free port; a server that would really be started is a failure of the test."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made_once, "site")
    made = Site(tmp_path / "site")
    made.change("server", listen=f"127.0.0.1:{free_port()}")

    def started(*_: object) -> None:
        raise AssertionError("the server was started")

    for step in ("start_metrics", "run"):
        monkeypatch.setattr(f"tokenserver.process.listener.{step}", started)
    return made


def run(command: str, site: Site) -> Result:
    """A command, in this process."""
    return CliRunner().invoke(main, [command, "--config", str(site.config)])


def test_a_storage_that_cannot_answer_stops_neither(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`check` warns, and the server starts: only stored credentials need it."""
    monkeypatch.setattr("tokenserver.process.listener.run", lambda *_: None)
    site.storage().write_bytes(b"x" * 5000)
    checked = run("check", site)
    assert checked.exit_code == 0
    assert "warning: storage: does not answer, so stored credentials are rejected until it does" in checked.stderr
    assert "file is not a database; fix: tokenserver storage check" in checked.stderr
    monkeypatch.setattr("tokenserver.process.listener.start_metrics", lambda _: None)
    assert run("serve", site).exit_code == 0
    assert "storage: does not answer, so stored credentials are rejected until it does" in caplog.text


def test_the_start_makes_the_storage(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`check` leaves no file behind."""
    monkeypatch.setattr("tokenserver.process.listener.run", lambda *_: None)
    monkeypatch.setattr("tokenserver.process.listener.start_metrics", lambda _: None)
    file = site.folder / "state" / "tokenserver.db"
    assert run("check", site).exit_code == 0
    assert not file.exists()
    assert run("serve", site).exit_code == 0
    assert f"storage: made {file}" in caplog.text
    assert file.stat().st_size > 0


@pytest.fixture(scope="module")
def busy() -> Iterator[str]:
    """An address where something listens that is no tokenserver."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield f"127.0.0.1:{other.getsockname()[1]}"


Broken = Callable[[Site], object]

BROKEN: list[tuple[str, Broken, str]] = [
    (
        "no password of redis",
        lambda s: s.change("throttle", redis="redis://h", redis_password_file="x"),
        "x: cannot be",
    ),
    (
        "an empty password of redis",
        lambda s: s.change("throttle", redis="redis://h", redis_password_file=s.secret("p", "\n")),
        "p: must contain the password of redis",
    ),
    (
        "a short secret",
        lambda s: s.change("throttle", redis="redis://h", secret_file=s.secret("p", "short\n")),
        "p: must contain a secret of at least 32 characters",
    ),
    (
        "a secret that others read",
        lambda s: s.change("throttle", redis="redis://h", secret_file=s.secret("p", "s" * 40, 0o644)),
        "p: can be read by others",
    ),
    (
        "an option of redis",
        lambda s: s.change("throttle", redis="redis://h/0?colour=blue"),
        "tokenserver.yaml: throttle.redis: has options that the Redis client cannot use",
    ),
    (
        "no authority of redis",
        lambda s: s.change("throttle", redis="rediss://h/0?ssl_ca_certs=/none/ca.pem"),
        "tokenserver.yaml: throttle.redis: has options that the Redis client cannot use",
    ),
    (
        "an address of another machine",
        lambda s: s.change("server", listen="192.0.2.1:5001"),
        "tokenserver.yaml: server.listen: cannot listen on 192.0.2.1:5001: Cannot assign requested address",
    ),
    (
        "metrics on another machine",
        lambda s: s.change("server", metrics="192.0.2.1:9090"),
        "tokenserver.yaml: server.metrics: cannot listen on 192.0.2.1:9090: Cannot assign requested address",
    ),
    (
        "a key that is not PKCS#8",
        lambda s: s.tls(ec.generate_private_key(EC), format=PrivateFormat.TraditionalOpenSSL),
        "tls.key: must be an unencrypted PKCS#8 PEM key",
    ),
    (
        "a key on P-521",
        lambda s: s.tls(ec.generate_private_key(ec.SECP521R1())),
        "tls.key: is a key on the curve secp521r1",
    ),
    (
        "a key on secp256k1",
        lambda s: s.tls(ec.generate_private_key(ec.SECP256K1())),
        "tls.key: is a key on the curve secp256k1",
    ),
    ("a key of Ed448", lambda s: s.tls(ed448.Ed448PrivateKey.generate()), "tls.key: is a key of an unknown kind"),
    ("a large RSA key", lambda s: s.tls(known_rsa(4104)), "tls.key: is an RSA key of 4104 bits"),
    (
        "a small exponent",
        lambda s: s.tls(known_rsa(2048, 3)),
        "tls.key: is an RSA key with the exponent 3",
    ),
    (
        "a trusted certificate",
        lambda s: s.tls(ec.generate_private_key(EC), begin="BEGIN TRUSTED CERT"),
        "tls.pem: ",
    ),
    (
        "no state key",
        lambda s: (s.folder / "keys" / "state.key").unlink(),
        "keys/state.key: does not exist; fix: tokenserver keys init --config",
    ),
    ("a storage that others read", lambda s: s.storage().chmod(0o644), "tokenserver.db: can be read by others"),
    (
        "a storage of a newer program",
        lambda s: s.storage("UPDATE meta SET schema = 9"),
        "storage: its schema has version 9, and this program knows versions up to",
    ),
    (
        "no password of the storage",
        lambda s: s.change("storage", url="postgresql://127.0.0.1:1/x", password_file="none"),
        "none: cannot be read: No such file",
    ),
    ("unreadable users", lambda s: s.secret("users.htpasswd", "x", 0o666), "users.htpasswd: can be changed by others"),
]


@pytest.mark.parametrize(("breaks", "told"), [pytest.param(breaks, told, id=name) for name, breaks, told in BROKEN])
def test_refused_by_both(site: Site, breaks: Broken, told: str) -> None:
    """One fault, the same line of both, exit code 2, and nothing is started."""
    breaks(site)
    checked, served = run("check", site), run("serve", site)
    assert (checked.exit_code, served.exit_code) == (2, 2), checked.output + served.output
    line, summary = checked.stderr.splitlines()
    assert told in line
    assert summary == "1 fault found; nothing was done."
    assert messages_in(served.stderr) == [line, "not started: 1 fault found"]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: ec.generate_private_key(EC), id="P-256"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP384R1()), id="P-384"),
        pytest.param(ed25519.Ed25519PrivateKey.generate, id="Ed25519"),
        pytest.param(rsa_2048, id="RSA 2048"),
        pytest.param(lambda: known_rsa(4096), id="RSA 4096"),
    ],
)
def test_keys_that_do(site: Site, make: Callable[[], Any]) -> None:
    """What the server's TLS library takes is taken."""
    site.tls(make())
    result = run("check", site)
    assert result.exit_code == 0, result.stderr


SUMMARY = {"check": "{} found; nothing was done.", "serve": "not started: {} found"}


def test_all_faults_at_once(site: Site, busy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of files and those of the start stand together, each on its own line."""
    monkeypatch.setattr("tokenserver.server.start_checks.PROBE_SECONDS", 0.1)  # what is there says nothing
    site.change("server", metrics=busy, listen="192.0.2.1:5001")
    site.change("throttle", redis="redis://h", redis_password_file="x", secret_file="y")
    (site.folder / "policies" / "broken.yaml").write_text("version: 1\nalow: []\n")
    for command in ("check", "serve"):
        result = run(command, site)
        assert result.exit_code == 2
        lines = result.stderr.splitlines() if command == "check" else messages_in(result.stderr)
        assert lines[-1] == SUMMARY[command].format("6 faults")
        assert len(lines) == 7
        for told in ("server.listen", f"cannot listen on {busy}: Address already in use", "broken.yaml", "x: ", "y: "):
            assert any(told in line for line in lines), told


def test_metrics_of_a_server_that_runs(site: Site) -> None:
    """`check` may run beside the server: its own metrics at the address are no fault; a second server is one."""
    listener = Listener(("127.0.0.1", 0), lambda: b"", "text/plain")
    listener.start()
    try:
        site.change("server", metrics=f"127.0.0.1:{listener.port}")
        assert run("check", site).exit_code == 0
    finally:
        listener.close()


def test_metrics_without_fork(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where workers are new programs, they have no memory in common to count in."""
    site.change("server", metrics="127.0.0.1:9")
    monkeypatch.setattr("tokenserver.server.start_checks.is_forking", lambda: False)
    for command in ("check", "serve"):
        result = run(command, site)
        assert (result.exit_code, "server.metrics: needs forked worker processes" in result.stderr) == (2, True)


# --- as programs -----------------------------------------------------------------------------------------------------


WITHOUT_REDIS = "import sys; sys.modules.update(limits=None, redis=None)"
FEW_DESCRIPTORS = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))"


@pytest.mark.parametrize("command", ["check", "serve"])
def test_without_the_extra(site: Site, command: str) -> None:
    """`throttle.redis` without its libraries: one line, and not worker after worker with a traceback each."""
    site.change("throttle", redis="redis://localhost:1")
    found = run_command(command, "--config", site.config, before=WITHOUT_REDIS, environment={"PATH": "/usr/bin:/bin"})
    assert found.returncode == 2
    lines = found.stderr.splitlines() if command == "check" else messages_in(found.stderr)
    assert lines == [
        f"{site.config}: throttle.redis: needs libraries that are not installed: pip install 'limits[redis]'",
        SUMMARY[command].format("1 fault"),
    ]


@pytest.mark.parametrize("command", ["check", "serve"])
def test_too_few_descriptors(site: Site, command: str) -> None:
    """With so few, a worker would end when it starts, or could not open its files later."""
    found = run_command(command, "--config", site.config, before=FEW_DESCRIPTORS)
    assert found.returncode == 2
    line, _ = found.stderr.splitlines()
    assert re.search(r"tokenserver\.yaml: a process may have 48 open files here, and needs 64; raise the limit", line)


def test_without_an_output(site: Site) -> None:
    """Audit events go to standard output; without one no token could leave."""
    arguments = [sys.executable, "-m", "tokenserver", "serve", "--config", str(site.config)]
    command = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *arguments]
    found = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (found.returncode, messages_in(found.stderr)) == (
        2,
        [
            "standard output: cannot be written to, but audit events go there; fix: start the server with an open one",
            "not started: 1 fault found",
        ],
    )
