"""The servers under test: tokenserver in many settings, and the yardsticks, each in separate processes."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from bench.policies import tree

QUERY = "service=bench&scope=repository%3Apublic%2Fapp%3Apull"
PATH = f"/token?{QUERY}"
PASSWORD = secrets.token_urlsafe(12)
TRIES = 400

PUBLIC = """\
version: 1
allow:
  - {id: public, to: [everyone], repositories: ["public/**"], actions: [pull]}
  - {id: repositories, to: [authenticated], repositories: ["repo*/**"], role: reader}
  - {id: own, to: [authenticated], repositories: ["users/${user}/**"], role: maintainer}
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers at `url`; `process` is its group."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def workers(self) -> list[int]:
        """The process ids of its workers."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return [int(number) for number in text.split()]


def basic(user: str, password: str = PASSWORD) -> str:
    """The Authorization header of a user, such as one of `users_file`."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def users_file(file: Path, count: int, cost: int = 10) -> None:
    """An htpasswd file with the users `u0`, `u1` and so on; one hash serves all of them."""
    digest = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode()
    file.write_text("".join(f"u{number}:{digest}\n" for number in range(count)))
    file.chmod(0o600)


@contextmanager
def tokenserver(
    folder: Path,
    *,
    workers: int,
    algorithm: str = "ES256",
    rules: int = 3,
    users: int = 0,
    cost: int = 10,
    tls: bool = False,
    more: str = "",
    sources: str = "",
    files: Mapping[str, str] | None = None,
    output: Path | None = None,
    code: Path | None = None,
    prepare: Callable[[Path], None] | None = None,
) -> Iterator[Running]:
    """A running server with anonymous access and that many rules and users; `more` and `sources` are YAML.

    `files` are further ones, by their path below `folder`. `code` is a folder with another `tokenserver` to run.
    `prepare` is called with the configuration before the start.
    """
    config = write(
        folder, workers=workers, algorithm=algorithm, rules=rules, users=users, cost=cost, tls=tls, more=more,
        sources=sources, files=files, code=code,
    )  # fmt: skip
    if prepare is not None:
        prepare(config)
    scheme = "https" if tls else "http"
    command = [sys.executable, "-m", "tokenserver", "serve", "--config", str(config)]
    with running(command, port_of(config), scheme=scheme, path=PATH, output=output, code=code) as server:
        yield server


def write(
    folder: Path,
    *,
    workers: int = 2,
    algorithm: str = "ES256",
    rules: int = 3,
    users: int = 0,
    cost: int = 10,
    tls: bool = False,
    more: str = "",
    sources: str = "",
    files: Mapping[str, str] | None = None,
    code: Path | None = None,
) -> Path:
    """Write the configuration of such a server, including its keys; returns the file."""
    folder.mkdir(parents=True)
    policies = folder / "policies"
    if rules > 3:
        tree(policies, rules)
    else:
        policies.mkdir()
    (policies / "public.yaml").write_text(PUBLIC)
    for name, text in (files or {}).items():
        (folder / name).parent.mkdir(mode=0o700, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    entries = [sources] if sources else []
    if users:
        users_file(folder / "users.htpasswd", users, cost)
        entries.append("{htpasswd: {file: users.htpasswd}}")
    port = free_port()
    scheme, section = ("https", ", tls: {certificate: tls.pem, key: tls.key}") if tls else ("http", "")
    if tls:
        certificate(folder)
    config = folder / "tokenserver.yaml"
    config.write_text(
        "issuer: bench\n"
        f"server: {{listen: 127.0.0.1:{port}, url: {scheme}://localhost:{port}, workers: {workers}{section}}}\n"
        "registries: [{service: bench}]\nanonymous: true\npolicies: policies\nkeys: keys\n"
        f"throttle: {{enabled: false}}\nauthentication: [{', '.join(entries)}]\n{more}\n"
    )
    command = [sys.executable, "-m", "tokenserver", "keys", "init", "--config", str(config), "--algorithm", algorithm]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=code)
    return config


def port_of(config: Path) -> int:
    """The port that a configuration of `write` listens on."""
    return int(config.read_text().partition("listen: 127.0.0.1:")[2].partition(",")[0])


def certificate(folder: Path) -> None:
    """A self-signed certificate for localhost, ECDSA as is usual today."""
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.pem")),
    ]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    (folder / "tls.key").chmod(0o600)


@contextmanager
def yardstick(name: str, workers: int, tls: Path | None = None) -> Iterator[Running]:
    """A running yardstick (`bare` or `flask`); `tls` is a folder with tls.pem and tls.key."""
    port = free_port()
    command = [sys.executable, "-m", "bench.yardsticks", name, str(port), str(workers), *([str(tls)] if tls else [])]
    with running(command, port, scheme="https" if tls else "http", path=PATH) as server:
        yield server


@contextmanager
def running(
    command: list[str],
    port: int,
    *,
    scheme: str = "http",
    path: str = PATH,
    output: Path | None = None,
    code: Path | None = None,
) -> Iterator[Running]:
    """A server process that answers `path` on `port`; its output is discarded."""
    with (output or Path(os.devnull)).open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.DEVNULL, start_new_session=True, cwd=code)
    try:
        url = f"{scheme}://127.0.0.1:{port}"
        wait_for(url + path, process)
        yield Running(url, process)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    """Wait until `url` answers."""
    deadline = time.monotonic() + seconds
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE  # our own server
    while True:
        try:
            urllib.request.urlopen(url, timeout=5, context=trusting).close()  # noqa: S310 - a URL of this run
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(
                    f"{' '.join(map(str, process.args)) if isinstance(process.args, list) else url} does not answer"
                )
            time.sleep(0.02)
        else:
            return


def free_port() -> int:
    """A free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def program(name: str) -> str:
    """The path of a program; exits if it is missing."""
    found = shutil.which(name)
    if found is None:
        sys.exit(f"{name} is not installed; make real-servers installs it")
    return found
