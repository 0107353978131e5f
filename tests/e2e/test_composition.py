"""deploy/compose.yaml as an engine runs it: its services in namespaces, reached through published ports and the bridge.

What runs, as which user, with which variables, mounts and ports, is read from compose.yaml and Containerfile.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.authority import Authority
from harness.containers import (
    GATEWAY,
    Container,
    Host,
    ImageSettings,
    composition,
    container_host,
    image_settings,
    on_this_machine,
)
from harness.images import Image, make
from harness.json_lines import whole_lines
from harness.machine import Machine
from harness.processes import Output, run
from harness.programs import ROOT, need

SERVICES = composition(ROOT / "deploy" / "compose.yaml")
CONTAINERFILE = ROOT / "deploy" / "Containerfile"

# The configuration in docker.io/library/registry:3, as far as it matters.
REGISTRY_CONFIG = """\
version: 0.1
storage: {cache: {blobdescriptor: inmemory}, filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: ":5000"}
"""


def registry_image() -> ImageSettings:
    """The settings of docker.io/library/registry:3, around the real program."""
    return ImageSettings(
        entrypoint=["registry", "serve"],
        command=["/etc/distribution/config.yml"],
        environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OTEL_TRACES_EXPORTER": "none"},
        files={"/etc/distribution/config.yml": REGISTRY_CONFIG},
        programs={"/bin/registry": need("distribution3")},
    )


@dataclass
class Composition:
    """The running services, and the password that `setup` printed."""

    host: Host
    image: ImageSettings
    containers: dict[str, Container]
    password: str
    machine: Machine

    def client(self, *command: str | Path, stdin: str = "") -> Output:
        """Run a client on the host."""
        words = self.host.enter(self.machine.enter(command))
        return run(words, environment=self.machine.environment, folder=self.machine.folder, stdin=stdin)

    def events(self) -> list[dict[str, Any]]:
        """The audit events of the server."""
        return whole_lines(self.containers["tokenserver"].daemon.stdout)


def up(host: Host, image: ImageSettings, machine: Machine) -> Composition:
    """`docker compose up`: every service in its turn."""
    containers: dict[str, Container] = {}
    for name, service in SERVICES.items():
        is_ours = service["image"] == "localhost/tokenserver"
        container = host.create(name, service, image if is_ours else registry_image())
        containers[name] = container
        if any(
            needed["condition"] == "service_completed_successfully"
            for other in SERVICES.values()
            for dependency, needed in other.get("depends_on", {}).items()
            if dependency == name
        ):
            assert host.complete(container) == 0, container.daemon.log
        else:
            (published,) = service["ports"]
            host.start(container, int(published.rpartition(":")[2]))
    found = re.search(r"password +(\S+)", containers["setup"].daemon.log)
    assert found is not None, containers["setup"].daemon.log
    return Composition(host, image, containers, found[1], machine)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composition]:
    """The composition on a base that is this machine."""
    with tempfile.TemporaryDirectory(prefix="e2e") as home, container_host(tmp_path_factory.mktemp("host")) as host:
        yield up(host, on_this_machine(image_settings(CONTAINERFILE)), Machine(Path(home)))


@pytest.fixture(scope="module")
def strict(composed: Composition) -> Container:
    """The server once more, without a published port and without what compose.yaml says about https."""
    service = {name: value for name, value in SERVICES["tokenserver"].items() if name != "ports"}
    variables = {"TOKENSERVER_SERVER_REQUIRE_HTTPS": None}
    container = composed.host.create("strict", service, composed.image, environment=variables)
    composed.host.start(container, 5001)
    return container


@pytest.fixture
def hello(tmp_path: Path) -> Image:
    """An image to push."""
    return make(tmp_path, "hello from a container")


def test_login_push_and_pull_by_docker_and_skopeo(composed: Composition, hello: Image) -> None:
    """What the first lines of compose.yaml promise, with the password that setup printed."""
    login = composed.client(
        need("docker"), "login", "localhost:5000", "--username", "admin", "--password-stdin", stdin=composed.password
    )
    assert "Login Succeeded" in login.text, login
    auth = ["--authfile", str(composed.machine.docker_config)]
    image = "docker://localhost:5000/users/admin/hello:1"
    source = f"oci:{hello.layout}:latest"
    pushed = composed.client(need("skopeo"), "copy", *auth, "--dest-tls-verify=false", source, image)
    assert pushed.ok, pushed
    shown = composed.client(need("skopeo"), "inspect", *auth, "--tls-verify=false", image)
    assert json.loads(shown.stdout)["Digest"] == hello.digest


def test_push_and_pull_by_crane(composed: Composition, hello: Image, tmp_path: Path) -> None:
    """crane takes plain http for localhost without an option. A denied push stays one."""
    crane = need("crane")
    composed.machine.sign_in("localhost:5000", "admin", composed.password)
    for name, is_allowed in (("users/admin/crane:1", True), ("users/somebody/crane:1", False)):
        pushed = composed.client(crane, "push", hello.layout, f"localhost:5000/{name}")
        assert pushed.ok is is_allowed, pushed
    pulled = composed.client(crane, "pull", "localhost:5000/users/admin/crane:1", tmp_path / "pulled.tar")
    assert pulled.ok, pulled
    denied = {str(event["asked"]) for event in composed.events() if event.get("outcome") == "denied"}
    assert denied == {"['repository:users/somebody/crane:pull,push']"}


def test_clients_come_from_the_bridge(composed: Composition, strict: Container) -> None:
    """The address is not loopback: with `require_https` as it is by default, the same request gets 403."""
    curl = [
        str(need("curl")),
        "--silent",
        "--user",
        f"admin:{composed.password}",
        "--write-out",
        "%{http_code}",
        "--output",
        "-",
    ]
    target = "/token?service=localhost:5000"
    assert composed.client(*curl, f"http://localhost:5001{target}").stdout.endswith("200")
    assert {event["client"] for event in composed.events() if event["event"] == "exchange"} == {GATEWAY}
    assert composed.client(*curl, f"http://{strict.address}:5001{target}").stdout.endswith("403")


def test_only_this_machine_reaches_the_published_ports(composed: Composition) -> None:
    """Plain http is for loopback; on the host's other addresses nobody listens."""
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert [port.partition(":")[0] for port in published] == ["127.0.0.1"] * 2
    for port in (5000, 5001):
        assert composed.client(need("curl"), "--silent", f"http://{GATEWAY}:{port}/").code == 7  # refused


def test_the_health_check(composed: Composition) -> None:
    """The image's own, without a shell: podman-compose before 1.1 would need one for a check in compose.yaml."""
    image = dict(
        line.split(" ", 1) for line in CONTAINERFILE.read_text().splitlines() if line.startswith("HEALTHCHECK")
    )
    command = json.loads(image["HEALTHCHECK"].partition("CMD ")[2])
    assert "healthcheck" not in SERVICES["tokenserver"]
    assert SERVICES["setup"]["healthcheck"] == {"disable": True}
    healthy = composed.containers["tokenserver"].execute(*command)
    assert healthy.ok, healthy
    ill = composed.containers["setup"].execute(*command)  # in its network nothing listens
    assert (ill.code, "refused" in ill.text or "unreachable" in ill.text) == (1, True), ill


def test_setup_runs_again_at_each_start(composed: Composition) -> None:
    """It changes nothing that is there, and prints no password."""
    settings = composed.host.folder / "volumes" / "tokenserver"
    before = {path: path.read_bytes() for path in settings.rglob("*") if path.is_file()}
    again = composed.host.create("setup", SERVICES["setup"], composed.image)
    assert composed.host.complete(again) == 0, again.daemon.log
    assert "password" not in again.daemon.log
    assert {path: path.read_bytes() for path in settings.rglob("*") if path.is_file()} == before


PAGE = (ROOT / "docs" / "containers.md").read_text()
COMMANDS = re.findall(r"`docker compose (?:run --rm|exec) tokenserver ([^`]+)`", PAGE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_page(command: str, composed: Composition) -> None:
    """docs/containers.md: `run` has the image's entrypoint before the command, `exec` has not. Exit code 1 is a no."""
    words = command.split() if command.startswith("tokenserver ") else [*composed.image.entrypoint, *command.split()]
    done = composed.containers["tokenserver"].execute(*words, stdin="a long enough password\n")
    assert done.code == (1 if "why" in words else 0), done
    if words[1:3] == ["users", "set"]:
        assert f"{words[3]}:" in (composed.host.folder / "volumes/tokenserver/users.htpasswd").read_text()


def test_over_tls_for_other_machines(composed: Composition, tmp_path: Path) -> None:
    """The page's section of `tokenserver.yaml`, with https required: a login works, and the server is healthy."""
    block = re.search(r"<!-- test: tls -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    authority = Authority(tmp_path, "company")
    volumes = composed.host.folder / "volumes"
    for name in ("tls-settings", "tls"):
        (volumes / name).mkdir()
    shutil.copytree(volumes / "tokenserver", volumes / "tls-settings", dirs_exist_ok=True)
    config = volumes / "tls-settings" / "tokenserver.yaml"
    settings = yaml.safe_load(config.read_text())
    settings["server"] |= yaml.safe_load(block[1])["server"]
    config.write_text(yaml.safe_dump(settings))
    for made, name in zip(authority.issue(volumes / "tls"), ("tls.pem", "tls.key"), strict=True):
        made.rename(volumes / "tls" / name)
    for path in (volumes / "tls-settings", *volumes.glob("tls*/**/*"), volumes / "tls"):
        os.chown(path, *composed.image.user)
    (volumes / "tls-settings").chmod(0o700)
    service = {
        **SERVICES["tokenserver"],
        "volumes": ["tls-settings:/etc/tokenserver", "tls:/tls:ro"],
        "environment": {},
    }
    service.pop("ports")
    container = composed.host.create("tls", service, composed.image)
    composed.host.start(container, 5001)
    curl = [str(need("curl")), "--silent", "--user", f"admin:{composed.password}", "--write-out", "%{http_code}"]
    curl += ["--output", "/dev/null", "--cacert", str(authority.file)]
    curl += ["--connect-to", f"localhost:5001:{container.address}:5001"]
    answer = composed.client(*curl, "https://localhost:5001/token?service=localhost:5000")
    assert answer.stdout == "200", (answer, container.daemon.log)
    assert container.execute("tokenserver", "health").stdout.startswith("https://0.0.0.0:5001/healthz: healthy")


def test_the_page_and_the_file_begin_alike() -> None:
    """Both tell the same way to the first login."""
    block = re.search(r"<!-- test: start -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    head = (ROOT / "deploy" / "compose.yaml").read_text().partition("\nx-")[0]
    told = [line.partition("#   ")[2].partition("  #")[0].strip() for line in head.splitlines() if "#   " in line]
    assert told[:4] == block[1].splitlines()
    assert len(COMMANDS) == 3


def test_nothing_runs_as_root_or_writes_outside_of_its_volume(composed: Composition) -> None:
    """The server's processes: the image's user, no capability, no new privileges, a root that is read-only."""
    server = composed.containers["tokenserver"]
    status = server.execute("python", "-c", "print(open('/proc/self/status').read())").stdout
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split() == ["10001"] * 4
    assert (facts["CapEff"], facts["CapBnd"], facts["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
    for path in ("/opt/x", "/tmp/not-writable"):  # noqa: S108 - it must not be writable
        refused = server.execute("python", "-c", f"open({path!r}, 'w')")
        assert "Read-only file system" in refused.text, refused


def test_sigterm_stops_it_in_time(strict: Container) -> None:
    """The first process is the server itself, so the engine's signal arrives; it ends before the engine kills it."""
    assert strict.stop(float(SERVICES["tokenserver"]["stop_grace_period"].removesuffix("s"))) == 0
