"""docs/certificates.md: certbot, lego and Caddy with a real ACME server, and a server that puts renewals in force."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.acme import DOMAIN, Acme, pebble
from harness.processes import Daemon, Output, answers, plain_environment, run, running
from harness.programs import ROOT, need, need_root
from harness.server import Setup, TokenServer, password
from harness.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.waits

PAGE = (ROOT / "docs" / "certificates.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"^<!-- test: ([\w ]+) -->\n```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
(INSTALL,) = (line for line in PAGE.splitlines() if line.startswith("install "))
SERVICE = "reg.test"
POLICIES = {"root.yaml": 'version: 1\nallow:\n  - {id: x, to: [authenticated], repositories: ["x"], actions: [pull]}\n'}
SECONDS = PATIENCE_SECONDS
ASK = f"/token?service={SERVICE}&scope=repository:x:pull"


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme]:
    with pebble(tmp_path_factory.mktemp("pebble")) as one:
        yield one


@dataclass
class Site:
    """A server without a certificate yet, in whose folder the hook of the page installs one."""

    folder: Path
    acme: Acme
    server: TokenServer
    environment: dict[str, str]

    def run(self, name: str, *options: str) -> Output:
        """A command of the page, with what is different here."""
        (line,) = BLOCKS[name].splitlines()
        program, *words = [word.replace("auth.example.com", DOMAIN) for word in shlex.split(line)]
        hook = ROOT / "deploy" / "install-certificate"
        words = [str(hook) if word == "/opt/tokenserver/install-certificate" else word for word in words]
        output = run(
            [need(program), *options, *words], environment=self.environment, folder=self.folder, seconds=2 * SECONDS
        )
        assert output.ok, str(output)
        return output

    def certificate(self) -> int:
        """The serial number of the certificate that a new connection gets, which pebble's root has to have issued."""
        while True:
            with suppress(ConnectionError, ssl.SSLEOFError):
                return serial(self.server.port, self.acme)

    def curl(self, port: int) -> str:
        """What a login with the right password gets."""
        user = f"ann:{self.server.people['ann']}"
        command: list[str | Path] = [need("curl"), "--silent", "--fail", "--cacert", self.acme.root, "--user", user]
        command += ["--connect-to", f"::127.0.0.1:{port}", f"https://{DOMAIN}{ASK}"]
        output = run(command, environment=plain_environment(self.folder), folder=self.folder)
        assert output.ok, str(output)
        return output.stdout


def serial(port: int, acme: Acme) -> int:
    """That of a connection to this port."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as plain,
        acme.context().wrap_socket(plain, server_hostname=DOMAIN) as connection,
    ):
        return int(connection.getpeercert()["serialNumber"], 16)  # type: ignore[index,arg-type]  # there is one


@pytest.fixture
def site(acme: Acme, tmp_path: Path) -> Iterator[Site]:
    """The site, whose server is stopped at the end."""
    (tmp_path / "server").mkdir()
    settings = {"server": {"tls": {"certificate": "tls.pem", "key": "tls.key"}, "url": f"https://{DOMAIN}"}}
    people = {"ann": password()}
    server = TokenServer(tmp_path / "server", Setup(people, POLICIES, {SERVICE: "universal"}, settings))
    environment = plain_environment(tmp_path) | {
        "TOKENSERVER_FOLDER": str(server.folder),
        "TOKENSERVER_USER": getpass.getuser(),
        "REQUESTS_CA_BUNDLE": str(acme.ca),
        "LEGO_CA_CERTIFICATES": str(acme.ca),
    }
    try:
        yield Site(tmp_path, acme, server, environment)
    finally:
        server.daemon.stop()
        server.wire.close()


def options(client: str, site: Site) -> list[str]:
    """What makes the client ask pebble, write into the test's folder, and ask nothing."""
    if client == "lego":
        path = str(site.folder / "lego")
        return ["--server", site.acme.directory, "--path", path, "--http.port", f"127.0.0.1:{site.acme.http}"]
    folders = [word for name in ("config", "work", "logs") for word in (f"--{name}-dir", str(site.folder / name))]
    server = ["--server", site.acme.directory, "--http-01-port", str(site.acme.http)]
    return [*folders, *server, "--agree-tos", "--register-unsafely-without-email", "--non-interactive"]


@pytest.mark.parametrize(
    ("client", "more"),
    [
        pytest.param(
            "certbot", ["--no-random-sleep-on-renew"], marks=pytest.mark.real("certbot", "pebble"), id="certbot"
        ),
        pytest.param(
            "lego", ["--days", "4000", "--no-random-sleep"], marks=pytest.mark.real("lego", "pebble"), id="lego"
        ),
    ],
)
def test_a_client_renews(client: str, more: list[str], site: Site) -> None:
    """The server starts with the first certificate, and presents the second one without a restart."""
    site.run(client, *options(client, site))
    daemon = site.server.daemon
    daemon.start(lambda: answers(site.server.port) and b"ready: " in daemon.stderr.read_bytes())
    assert [(site.server.folder / name).stat().st_mode & 0o777 for name in ("tls.pem", "tls.key")] == [0o600, 0o600]
    first, pid = site.certificate(), daemon.pid
    assert '"token"' in site.curl(site.server.port)
    before, after = (more, []) if client == "certbot" else ([], more)
    (line,) = BLOCKS[f"{client} renews"].splitlines()
    BLOCKS["renewal"] = f"{line} {' '.join(after)}\n"
    site.run("renewal", *options(client, site), *before)
    until(lambda: site.certificate() != first, seconds=SECONDS)
    assert '"token"' in site.curl(site.server.port)
    assert daemon.pid == pid
    assert not list(site.server.folder.glob(".new-certificate*"))


@pytest.mark.parametrize("planted", ["tls.pem", "tls.key"])
def test_the_hook_follows_no_link(planted: str, tmp_path: Path) -> None:
    """See docs/design/threats.md#threat-232: what the server's user has put in the place of a file is replaced."""
    folder, lineage, other = tmp_path / "server", tmp_path / "lineage", tmp_path / "other"
    for each in (folder, lineage, tmp_path / "tmp"):
        each.mkdir()
    other.write_text("kept")
    (folder / planted).symlink_to(other)
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-days", "1"]
    environment = plain_environment(tmp_path)
    made = run([*openssl, "-keyout", "privkey.pem", "-out", "fullchain.pem"], environment=environment, folder=lineage)
    assert made.ok, str(made)
    variables = {
        "TOKENSERVER_FOLDER": str(folder),
        "TOKENSERVER_USER": getpass.getuser(),
        "RENEWED_LINEAGE": str(lineage),
    }
    done = run([ROOT / "deploy" / "install-certificate"], environment=environment | variables, folder=tmp_path)
    assert done.ok, str(done)
    assert other.read_text() == "kept"
    assert "BEGIN CERTIFICATE" in (folder / "tls.pem").read_text()
    assert (folder / "tls.key").read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert sorted(path.name for path in folder.iterdir()) == ["tls.key", "tls.pem"]


FAULTS: dict[str, Callable[[Path, Path], object]] = {
    "a key that is none": lambda lineage, _: (lineage / "privkey.pem").write_text("none"),
    "an empty key": lambda lineage, _: (lineage / "privkey.pem").write_text(""),
    "an encrypted key": lambda lineage, _: run(
        ["openssl", "pkcs8", "-topk8", "-passout", "pass:x", "-in", "privkey.pem", "-out", "privkey.pem"],
        environment=plain_environment(lineage),
        folder=lineage,
    ),
    "no key": lambda lineage, _: (lineage / "privkey.pem").unlink(),
    "an empty certificate": lambda lineage, _: (lineage / "fullchain.pem").write_text(""),
    "no certificate": lambda lineage, _: (lineage / "fullchain.pem").unlink(),
    "the key of another certificate": lambda lineage, other: (other / "privkey.pem").rename(lineage / "privkey.pem"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_hook_replaces_no_pair_by_a_broken_one(fault: str, tmp_path: Path) -> None:
    """See docs/design/threats.md#threat-253: the server could not start with it, and all would seem well."""
    folder, lineage, other = tmp_path / "server", tmp_path / "lineage", tmp_path / "other"
    environment = plain_environment(tmp_path)
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for each in (folder, lineage, other, tmp_path / "tmp"):
        each.mkdir()
    for each in (lineage, other):
        made = run(
            [*openssl, "-subj", "/CN=x", "-days", "1", "-keyout", "privkey.pem", "-out", "fullchain.pem"],
            environment=environment,
            folder=each,
        )
        assert made.ok, str(made)
    variables = {
        "TOKENSERVER_FOLDER": str(folder),
        "TOKENSERVER_USER": getpass.getuser(),
        "RENEWED_LINEAGE": str(lineage),
    }
    hook = ROOT / "deploy" / "install-certificate"
    done = run([hook], environment=environment | variables, folder=tmp_path)
    assert done.ok, str(done)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    FAULTS[fault](lineage, other)
    done = run([hook], environment=environment | variables, folder=tmp_path)
    assert done.code, str(done)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_hook_alone() -> None:
    """Without a certificate to install, it says what it is for."""
    output = run([ROOT / "deploy" / "install-certificate"], environment={"PATH": os.environ["PATH"]}, folder=ROOT)
    assert (output.code, output.stderr) == (2, "install-certificate: run it as the deploy hook of certbot or lego\n")


def test_the_hook_is_installed_as_the_page_says(tmp_path: Path) -> None:
    """It can be executed there."""
    command = INSTALL.replace("/opt/tokenserver/", f"{tmp_path}/")
    output = run(shlex.split(command), environment=plain_environment(tmp_path), folder=ROOT)
    assert output.ok, str(output)
    assert os.access(tmp_path / "install-certificate", os.X_OK)


@pytest.mark.nightly
@pytest.mark.real("caddy", "pebble")
def test_caddy_in_front(tmp_path: Path) -> None:
    """It gets a certificate, passes logins on with the address of the client, and renews."""
    for name in ("pebble", "server", "caddy", "caddy/tmp"):
        (tmp_path / name).mkdir()
    settings = {"server": {"trusted_proxies": ["127.0.0.1/32"], "url": f"https://{DOMAIN}"}}
    setup = Setup({"ann": password()}, POLICIES, {SERVICE: "universal"}, settings)
    server = TokenServer(tmp_path / "server", setup)
    with pebble(tmp_path / "pebble", validity=30) as acme, running(server.daemon, server.is_ready):
        text = (ROOT / "deploy" / "Caddyfile").read_text()
        assert text.count("<- change") == 2
        https = acme.tls
        globals_ = (
            f"admin off\nhttp_port {acme.http}\nhttps_port {https}\nstorage file_system {tmp_path}/caddy/storage\n"
        )
        globals_ += f"acme_ca {acme.directory}\nacme_ca_root {acme.ca}\nrenew_interval 1s\nocsp_stapling off\n"
        changed = text.replace("auth.example.com", DOMAIN).replace("127.0.0.1:5001", f"127.0.0.1:{server.port}")
        file = tmp_path / "Caddyfile"
        file.write_text(f"{{\n{globals_}}}\n{changed}")
        environment = plain_environment(tmp_path / "caddy")
        validate, serve = (
            shlex.split(line.replace("deploy/Caddyfile", str(file)))[1:] for line in BLOCKS["caddy"].splitlines()
        )
        checked = run([need("caddy"), *validate, "--adapter", "caddyfile"], environment=environment, folder=tmp_path)
        assert checked.ok, str(checked)
        daemon = Daemon(
            "caddy", [need("caddy"), *serve, "--adapter", "caddyfile"], environment=environment, folder=tmp_path
        )

        def certificate() -> int | None:
            try:
                return serial(https, acme)
            except OSError:
                return None

        with running(daemon, lambda: certificate() is not None):
            first = certificate()
            site = Site(tmp_path, acme, server, environment)
            assert '"token"' in site.curl(https)
            assert [event.fields["client"] for event in server.audit.events()] == ["127.0.0.1"]
            until(lambda: certificate() not in {None, first}, seconds=SECONDS)
            assert '"token"' in site.curl(https)
    server.wire.close()


@pytest.mark.real("setpriv")
@pytest.mark.parametrize(("right", "is_allowed"), [("+net_bind_service", True), ("-all", False)])
def test_the_port_of_https(right: str, is_allowed: bool, tmp_path: Path) -> None:
    """The lines that the page adds to the unit are the right to listen there, which the user has not without them."""
    need_root("setpriv")
    lines = "[Service]\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"
    assert f"<!-- test: port -->\n```ini\n{lines}```\n" in PAGE
    words = "--reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set -all,+net_bind_service"
    words += f" --inh-caps {right} --ambient-caps {right} -- /usr/bin/python3 -c"
    command: list[str | Path] = [
        need("setpriv"),
        *words.split(),
        "import socket; socket.create_server(('127.0.0.1', 1023))",
    ]
    output = run(command, environment=plain_environment(tmp_path), folder=Path("/"))
    assert (output.ok, "Permission denied" in output.stderr) == (is_allowed, not is_allowed), output


def test_every_command_of_the_page_is_here() -> None:
    """So that none is added without a test."""
    found = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names = {"certbot", "certbot renews", "lego", "lego renews", "caddy"}
    assert sorted(found) == sorted([*(BLOCKS[name] for name in names), INSTALL + "\n"])
