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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from harness.base_image import make_root
from harness.containers import container_host, image_settings
from harness.images import make
from harness.machine import Machine
from harness.podman import Engine, engine
from harness.processes import Output, plain_environment, run
from harness.programs import ROOT, need, need_root
from test_composition import REGISTRY_CONFIG, up

from tokenserver import __version__

pytestmark = pytest.mark.nightly

BUILD_SECONDS = 900


@dataclass
class Builder:
    """buildah with a storage of its own, and the folder of wheels."""

    folder: Path
    wheels: Path

    def run(self, *words: str | Path, seconds: float = BUILD_SECONDS) -> Output:
        """One buildah command, which must succeed."""
        options = ["--storage-driver", "vfs", f"--root={self.folder}/storage", f"--runroot={self.folder}/run"]
        environment = {**plain_environment(self.folder), "BUILDAH_ISOLATION": "chroot"}
        done = run([need("buildah"), *options, *words], environment=environment, folder=self.folder, seconds=seconds)
        assert done.ok, done
        return done

    def build(self, tag: str, *options: str | Path) -> Output:
        """Build the Containerfile of this project."""
        pip = self.folder / "pip.conf"
        pip.write_text("[global]\nno-index = true\nfind-links = /packages\n")
        return self.run(
            *("build", "--format", "docker", "--build-arg", "BASE=localhost/base", "--pull=never", "--no-cache"),
            *("--secret", f"id=pip.conf,src={pip}", "--volume", f"{self.wheels}:/packages:ro"),
            *("--file", ROOT / "deploy/Containerfile", "--tag", tag, *options, ROOT),
        )

    def inspect(self, tag: str) -> dict[str, Any]:
        """The image's configuration, as docker shows it."""
        found: dict[str, Any] = json.loads(self.run("inspect", "--type", "image", tag).stdout)
        return found


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """With the base image and the image in its storage."""
    need("buildah")
    need_root("buildah's chroot isolation")
    wheels = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(wheels)]
    command += ["--constraint", str(ROOT / "constraints.txt"), f"{ROOT}[redis,postgresql,mariadb,otel]", "hatchling"]
    subprocess.run(command, check=True, env=os.environ, timeout=BUILD_SECONDS)
    (wheels / f"tokenserver-{__version__}.zip").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="e2e", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "tmp").mkdir()
        (folder / ".config/containers").mkdir(parents=True)
        policy = {"default": [{"type": "insecureAcceptAnything"}]}
        (folder / ".config/containers/policy.json").write_text(json.dumps(policy))
        made = Builder(folder, wheels)
        (folder / "base").mkdir()
        make_root(folder / "base")
        (folder / "Containerfile").write_text("FROM scratch\nCOPY base /\nENV PATH=/usr/local/bin:/usr/bin\n")
        made.run("build", "--tag", "localhost/base", "--file", folder / "Containerfile", folder)
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
    (packages,) = (root / "opt/tokenserver/lib").glob("python3*/site-packages")
    names = {path.name.partition("-")[0].lower() for path in packages.glob("*.dist-info")}
    assert {"tokenserver", "granian", "redis"} <= names
    assert names & {"pip", "hatchling", "setuptools", "wheel", "pytest"} == set()
    assert [*root.glob("usr/local/lib/python3*/site-packages/pip")] == []
    for name in ("src", "build", "wheels", "etc/pip.conf"):
        assert not (root / name).exists() or (root / name).stat().st_size == 0, name
    compiled = next((packages / "tokenserver/__pycache__").glob("__init__.*.pyc")).read_bytes()
    assert compiled[4:8] == (1).to_bytes(4, "little")  # PEP 552: by hash, not checked


def test_what_the_build_context_leaves_out(root: Path) -> None:
    """Keys and runs of a checkout are not in the package, nor is its history."""
    (package,) = (root / "opt/tokenserver/lib").glob("python3*/site-packages/tokenserver")
    assert (package / "samples/policies/company.yaml").is_file()
    assert [*root.glob("**/.git")] == []


def test_the_same_again(builder: Builder, root: Path) -> None:
    """From the same base and tree come the same layers, with the option of the first lines.

    The configuration in docker's format also names the container that the image was built in.
    """
    builder.build("localhost/again", "--timestamp", "0")
    container = builder.run("from", "--pull-never", "localhost/again").stdout.strip()
    again = Path(builder.run("mount", container).stdout.strip())
    assert files_in(again) == files_in(root)
    layers = [builder.inspect(f"localhost/{name}")["Docker"]["rootfs"]["diff_ids"] for name in ("tokenserver", "again")]
    assert layers[0] == layers[1]


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
            events = host.podman("logs", host.container("tokenserver")).stdout.splitlines()
            clients = {json.loads(line)["client"] for line in events if line.startswith('{"time":')}
            assert [client.startswith("10.") for client in clients] == [True]  # that of podman's bridge
            assert host.podman("healthcheck", "run", host.container("tokenserver")).ok
            inside = ("exec", host.container("tokenserver"))
            assert "Read-only file system" in host.podman(*inside, "touch", "/x").stderr
            status = host.podman(*inside, "cat", "/proc/1/status").stdout
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
