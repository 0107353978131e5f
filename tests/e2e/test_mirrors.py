"""Real pull-through mirrors of a registry that is protected by this server, and the doctor's word about each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from harness import registries, web
from harness.images import MANIFEST_TYPE, Image
from harness.processes import Daemon, answers, free_port, plain_environment, run, running
from harness.programs import need
from harness.proxy import nginx
from harness.registries import KEEPER, PROGRAMS, Registry
from harness.server import Setup, serving

SERVICE = "registry3.test"
MIRROR = "ben"
"""May pull web/**, and nothing else."""

LOCATIONS = """\
    location /v2/ {{ proxy_pass http://127.0.0.1:{registry}; }}
    location / {{ proxy_pass http://127.0.0.1:{server}; }}
"""


@pytest.fixture(scope="module")
def people(setup: Setup) -> Setup:
    """A server that knows the mirror, and requires a login for everything the mirror wants."""
    some = {name: setup.people[name] for name in (MIRROR, KEEPER)}
    return replace(setup, people=some, services={SERVICE: "universal"})


@pytest.fixture(scope="module")
def apart(people: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Registry and token server at localhost, on two ports."""
    with (
        serving(tmp_path_factory.mktemp("server"), people) as server,
        registries.registry(tmp_path_factory.mktemp("registry"), server, SERVICE, "distribution3") as registry,
    ):
        yield registry


@pytest.fixture(scope="module")
def together(people: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Registry and token server behind one nginx."""
    port = free_port()
    setup = replace(people, settings={"server": {"url": f"http://localhost:{port}"}})
    with (
        serving(tmp_path_factory.mktemp("server"), setup) as server,
        registries.registry(tmp_path_factory.mktemp("registry"), server, SERVICE, "distribution3") as registry,
        nginx(tmp_path_factory.mktemp("proxy"), LOCATIONS.format(registry=registry.port, server=server.port), port),
    ):
        yield replace(registry, port=port)


@contextmanager
def mirror_of(folder: Path, upstream: Registry, generation: str) -> Iterator[tuple[int, Path]]:
    """A running mirror of the registry; gives its port and its configuration."""
    program, port = need(PROGRAMS[generation]), free_port()
    (folder / "tmp").mkdir()
    proxy = {
        "remoteurl": f"http://{upstream.host}",
        "username": MIRROR,
        "password": upstream.server.people[MIRROR],
    }
    content = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "proxy": proxy,
    }
    config = folder / "mirror.yml"
    config.write_text(yaml.safe_dump(content))
    environment = {**plain_environment(folder), "OTEL_TRACES_EXPORTER": "none"}
    daemon = Daemon("mirror", [program, "serve", config], environment=environment, folder=folder)
    with running(daemon, lambda: answers(port)):
        yield port, config


@pytest.mark.parametrize(
    ("generation", "place", "works"),
    [
        pytest.param("distribution2", "apart", True, id="2.8, two ports of localhost"),
        pytest.param("distribution3.0", "apart", True, id="3.0, two ports of localhost"),
        pytest.param("distribution3", "apart", False, id="3.1, two ports of localhost"),
        pytest.param("distribution3", "together", True, id="3.1, one host and port"),
    ],
)
def test_whether_a_mirror_sends_its_credentials(
    generation: str, place: str, works: bool, image: Image, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """3.1 keeps them from a realm at another port of localhost; the doctor says so before anybody wonders."""
    upstream: Registry = request.getfixturevalue(place)
    server, repository = upstream.server, f"web/{generation}"
    upstream.put(repository, image)
    mark = server.audit.mark()
    with mirror_of(tmp_path, upstream, generation) as (port, config):
        target = f"/v2/{repository}/manifests/1"
        answer = web.request(port, "GET", target, headers={"Accept": MANIFEST_TYPE})
        assert answer.status == (200 if works else 404), answer
        assert (answer.body == image.manifest) == works
        asked = server.audit.events(mark, seconds=1.0)
        assert {event.subject for event in asked} == ({MIRROR} if works else set())
        found = run(
            server.command("doctor", "--registry-config", config, "--for", generation, "--config", server.config),
            environment=server.environment,
            folder=server.folder,
        )
    lines = [line for line in found.stdout.splitlines() if " mirror: " in line]
    assert [line.startswith("ok") for line in lines] == [works], str(found)
