"""deploy/Containerfile, built: every instruction runs, and what comes out is the image that its comments promise.

The base image is made here, and packages come from a folder of wheels, so that the build needs no registry.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from harness.containers import container_host, image_settings
from harness.image_builder import Builder, image_builder
from harness.images import make
from harness.machine import Machine
from harness.podman import Engine, engine
from harness.processes import Output
from harness.programs import ROOT, need
from test_composition import REGISTRY_CONFIG, up

from tokenserver import __version__

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """With the image in its storage."""
    with image_builder(tmp_path_factory.mktemp("wheels")) as made:
        made.build("localhost/tokenserver", "--timestamp", "0")
        yield made


@pytest.fixture(scope="module")
def root(builder: Builder) -> Iterator[Path]:
    """The image's root file system."""
    container = builder.run("from", "--pull-never", "localhost/tokenserver").stdout.strip()
    yield Path(builder.run("mount", container).stdout.strip())
    builder.run("umount", container)
    builder.run("rm", container)


def test_its_settings(builder: Builder) -> None:
    """Not root, exec form, a health check, one volume and one port, and labels with this version."""
    config = builder.inspect("localhost/tokenserver")["Docker"]["config"]
    assert (config["User"], config["Entrypoint"], config["Cmd"]) == ("10001:10001", ["tokenserver"], ["serve"])
    assert config["Healthcheck"]["Test"] == ["CMD", "tokenserver", "health"]
    assert (config["StopSignal"], config["WorkingDir"]) == ("SIGTERM", "/etc/tokenserver")
    assert (list(config["Volumes"]), list(config["ExposedPorts"])) == (["/etc/tokenserver"], ["5001/tcp"])
    labels = {name.rpartition(".")[2]: text for name, text in config["Labels"].items() if "opencontainers" in name}
    assert (labels["title"], labels["version"], labels["licenses"]) == ("tokenserver", __version__, "Apache-2.0")


def test_it_holds_the_server_and_nothing_to_build_with(root: Path) -> None:
    """Pinned packages, no pip, no build backend, no secret of the build, and byte code that needs no time."""
    names = {path.name.partition("-")[0].lower() for path in packages(root).glob("*.dist-info")}
    assert {"tokenserver", "granian", "redis"} <= names
    assert names & {"pip", "hatchling", "setuptools", "wheel", "pytest"} == set()
    assert [
        *root.glob("usr/local/lib/python3*/site-packages/pip"),
        *root.glob("usr/local/lib/python3*/ensurepip"),
    ] == []
    for name in ("src", "build", "wheels", "etc/pip.conf"):
        assert not (root / name).exists(), name
    compiled = next((packages(root) / "tokenserver/__pycache__").glob("__init__.*.pyc")).read_bytes()
    assert compiled[4:8] == (1).to_bytes(4, "little")  # PEP 552: by hash, not checked


def test_every_package_is_a_file_with_a_known_hash(root: Path) -> None:
    """As pip recorded it: each installed wheel is one of requirements.txt, and ours is the one that is published.

    See docs/design/threats.md#threat-230.
    """
    known = set(re.findall(r"--hash=(sha256:[0-9a-f]{64})", (ROOT / "requirements.txt").read_text()))
    found = {}
    for file in packages(root).glob("*.dist-info/direct_url.json"):
        recorded = json.loads(file.read_text())["archive_info"]["hashes"]["sha256"]
        found[file.parent.name.partition("-")[0]] = f"sha256:{recorded}"
    ours = found.pop("tokenserver")
    assert len(found) + 1 == len([*packages(root).glob("*.dist-info")])
    assert [name for name, recorded in found.items() if recorded not in known] == []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "0"}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120)
        (wheel,) = Path(folder).iterdir()
        assert ours == f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def test_there_is_no_shell(root: Path) -> None:
    """Nor any other program than Python and ours: whoever gets in finds nothing to work with.

    See docs/design/threats.md#threat-230.
    """
    programs = {path.name for folder in root.rglob("*bin") for path in folder.iterdir()}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert programs == {"python", "python3", version, "tokenserver", "docker-credential-tokenserver"}
    shells = {"sh", "ash", "bash", "dash", "busybox", "env", "perl", "apt", "dpkg"}
    assert [path for path in root.rglob("*") if path.name in shells and not path.is_dir()] == []
    executable = [path for path in root.rglob("*") if path.is_file() and path.stat().st_mode & 0o111]
    scripts = {path.name for path in executable if path.read_bytes()[:2] == b"#!" and "lib" not in path.parts}
    assert scripts == {"tokenserver", "docker-credential-tokenserver"}


def test_authorities_and_records(root: Path) -> None:
    """TLS has the authorities of the base, and scanners find the packages whose libraries are there."""
    program = "import ssl; c = ssl.create_default_context(); print(len(c.get_ca_certs()))"
    environment = {"PATH": "/usr/sbin:/usr/bin"}
    command = ["chroot", str(root), "/opt/tokenserver/bin/python", "-c", program]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert int(shown.stdout) > 50
    records = {path.name: path.read_text() for path in (root / "var/lib/dpkg/status.d").iterdir()}
    assert {"libc6", "libssl3"} <= set(records)
    assert [name for name, text in records.items() if not text.startswith(f"Package: {name}\n")] == []


def test_what_others_may_write(root: Path) -> None:
    """Only /tmp, where there is one; nothing has the rights of its owner, and only two folders are of the server."""
    paths = [path for path in root.rglob("*") if not path.is_symlink()]
    rights = {str(path.relative_to(root)): path.stat().st_mode for path in paths}
    assert [name for name, mode in rights.items() if mode & 0o022] == ["tmp"]
    assert [name for name, mode in rights.items() if mode & 0o6000] == []
    owned = {str(path.relative_to(root)) for path in paths if path.stat().st_uid or path.stat().st_gid}
    assert owned == {"etc/tokenserver", "trust"}


def packages(root: Path) -> Path:
    """The folder of the server's packages in a root file system."""
    (found,) = (root / "opt/tokenserver/lib").glob("python3*/site-packages")
    return found


def test_what_the_build_context_leaves_out(root: Path) -> None:
    """Keys and runs of a checkout are not in the package, nor is its history."""
    (package,) = (root / "opt/tokenserver/lib").glob("python3*/site-packages/tokenserver")
    assert (package / "samples/policies/company.yaml").is_file()
    assert [*root.glob("**/.git")] == []


def test_the_same_again(builder: Builder, root: Path, tmp_path: Path) -> None:
    """From another folder, with another umask, at another time: the same image, digest by digest.

    The configuration in docker's format also names the container that the image was built in; in the OCI format it
    does not.

    See docs/design/threats.md#threat-230.
    """
    tree = tmp_path / "elsewhere"
    listed = subprocess.check_output(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
            (tree / name).chmod(0o600 | (ROOT / name).stat().st_mode & 0o100)
    builder.build("localhost/again", "--timestamp", "0", tree=tree, image_format="oci")
    container = builder.run("from", "--pull-never", "localhost/again").stdout.strip()
    again = Path(builder.run("mount", container).stdout.strip())
    assert files_in(again) == files_in(root)
    layers = [builder.inspect(f"localhost/{name}")["Docker"]["rootfs"]["diff_ids"] for name in ("tokenserver", "again")]
    assert layers[0] == layers[1]
    builder.build("localhost/third", "--timestamp", "0", image_format="oci")
    digests = []
    for name in ("again", "third"):
        builder.run("push", f"localhost/{name}", f"oci:{tmp_path / name}:latest")
        index = json.loads((tmp_path / name / "index.json").read_text())
        digests.append(index["manifests"][0]["digest"])
    assert digests[0] == digests[1]


def files_in(root: Path) -> dict[str, str]:
    """Each file of a root file system with its digest."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_composition_with_it(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The services of deploy/compose.yaml on this root: the user of `setup` logs in, and the server is healthy."""
    image = replace(image_settings(ROOT / "deploy/Containerfile"), root=root)
    with tempfile.TemporaryDirectory(prefix="e2e") as home, container_host(tmp_path_factory.mktemp("host")) as host:
        composed = up(host, image, Machine(Path(home)))
        login = [str(need("curl")), "--silent", "--user", f"admin:{composed.password}", "--write-out", "%{http_code}"]
        answer = composed.client(*login, "--output", "/dev/null", "http://localhost:5001/token?service=localhost:5000")
        assert answer.stdout == "200", answer
        assert composed.containers["tokenserver"].execute("tokenserver", "health").ok
        assert composed.containers["tokenserver"].stop(30) == 0


REGISTRY = """\
FROM localhost/base
COPY registry /usr/local/bin/registry
RUN install -d /etc/distribution
COPY config.yml /etc/distribution/config.yml
ENV OTEL_TRACES_EXPORTER=none
ENTRYPOINT ["registry"]
CMD ["serve", "/etc/distribution/config.yml"]
"""
"""docker.io/library/registry:3, as far as it matters, around the real program."""


def test_the_composition_with_podman(builder: Builder, tmp_path: Path) -> None:
    """deploy/compose.yaml by podman-compose: login, push and a denied push through the published ports, and the end."""
    context = tmp_path / "registry"
    context.mkdir()
    shutil.copy2(need("distribution3"), context / "registry")
    (context / "config.yml").write_text(REGISTRY_CONFIG)
    (context / "Containerfile").write_text(REGISTRY)
    builder.run("build", "--tag", "docker.io/library/registry:3", "--file", context / "Containerfile", context)
    image = make(tmp_path, "hello from podman")
    file = ROOT / "deploy/compose.yaml"
    with tempfile.TemporaryDirectory(prefix="e2e") as name, engine(Path(name), builder.folder) as host:
        try:
            started = host.compose(file, "up", "--no-build", "--detach")
            _eventually(lambda: _answers(host, "http://localhost:5001/healthz") == "200", started)
            _eventually(lambda: _answers(host, "http://localhost:5000/v2/") == "401", started)
            logs = host.podman("logs", host.container("setup")).stdout
            password = re.search(r"password +(\S+)", logs)
            assert password is not None, logs
            pushes = [
                host.enter(
                    *(need("skopeo"), "copy", "--dest-tls-verify=false", "--dest-creds", f"admin:{password[1]}"),
                    *(f"oci:{image.layout}:latest", f"docker://localhost:5000/users/{owner}/hello:1"),
                )
                for owner in ("admin", "somebody")
            ]
            assert [(one.ok, "denied" in one.stderr) for one in pushes] == [(True, False), (False, True)], pushes
            lines = host.podman("logs", host.container("tokenserver")).stdout.splitlines()
            events = [json.loads(line) for line in lines if line.startswith('{"time":')]
            clients = {event["client"] for event in events if event.get("event") == "exchange"}
            assert [client.startswith("10.") for client in clients] == [True]  # that of podman's bridge
            assert host.podman("healthcheck", "run", host.container("tokenserver")).ok
            inside = ("exec", host.container("tokenserver"))
            assert "Read-only file system" in host.podman(*inside, "python", "-c", "open('/x', 'w')").stderr
            assert '"sh": executable file not found' in host.podman(*inside, "sh", "-c", ":").stderr
            status = host.podman(*inside, "python", "-c", "print(open('/proc/1/status').read())").stdout
            assert re.search(r"Uid:\t10001\t.*CapEff:\t0{16}\n.*NoNewPrivs:\t1\n", status, re.DOTALL)
            assert host.podman("stop", "--time", "30", host.container("tokenserver")).ok
            ended = host.podman("inspect", "--format", "{{.State.ExitCode}}", host.container("tokenserver"))
            assert ended.stdout.strip() == "0"
        finally:
            host.compose(file, "down", "--volumes")
        assert host.podman("ps", "--all", "--quiet").stdout == ""


def _answers(host: Engine, url: str) -> str:
    return host.enter(need("curl"), "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", url).stdout


def _eventually(condition: Callable[[], bool], started: Output) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, started
        time.sleep(0.2)
