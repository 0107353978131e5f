"""The world of the end-to-end tests: one server, two registries that trust it, and clients that come and go."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from harness import registries
from harness.clients import Client
from harness.doctor_score import table
from harness.images import Image, make
from harness.machine import Machine
from harness.processes import Daemon
from harness.registries import KEEPER, Registry
from harness.scene import Scene
from harness.server import Setup, TokenServer, password, serving
from harness.watch import Watch

SERVICES = {
    "registry2.test": "universal",
    "registry3.test": "universal",
    "kid2.test": "distribution2",
    "kid3.test": "distribution3",
    "jwks3.test": "jwks",
}

LEFT_SECONDS = 5.0
"""How long a process that a client started and left may write into its folder."""

POLICIES = {
    "root.yaml": """\
version: 1
groups:
  web: {users: [ann, bob]}
  owners: {users: [mia]}
allow:
  - {id: keeper, to: ["user:keeper"], repositories: ["**"], role: maintainer}
  - {id: web-writers, to: ["group:web"], repositories: ["web/**", "public/**"], role: writer}
  - {id: robots, to: ["user:robot$web+ci", "user:$oauthtoken"], repositories: ["web/**"], role: writer}
  - {id: web-readers, to: ["user:ben"], repositories: ["web/**"], role: reader}
  - {id: web-owners, to: ["group:owners"], repositories: ["web/**", "secret/**"], role: maintainer}
  - {id: public, to: [everyone], repositories: ["public/**"], actions: [pull]}
  - {id: own-namespace, to: [authenticated], repositories: ["users/${user}/**"], role: maintainer}
  - {id: catalog, to: ["user:olga"], registry: [catalog], actions: ["*"]}
deny:
  - id: prod-freeze
    to: [everyone]
    except: ["user:keeper"]
    repositories: ["web/prod/**"]
    actions: [push, delete]
    message: production images come from the release pipeline
tests:
  - {as: {user: ann}, can: [push web/site, pull public/site], cannot: [delete web/site, pull secret/site]}
  - {as: {user: ann}, can: [pull web/prod/site], cannot: [push web/prod/site]}
  - {as: {user: ben}, can: [pull web/site], cannot: [push web/site]}
  - {as: {user: eve}, can: [push users/eve/a/b], cannot: [pull web/site, pull users/ann/x]}
""",
    "secret.yaml": """\
version: 1
allow:
  - {id: secret-readers, to: ["user:sue"], repositories: ["secret/**"], role: reader}
""",
}

ROBOTS = ("robot$web+ci", "$oauthtoken")
"""Names that Harbor and Quay give."""

PEOPLE = ("ann", "ben", "mia", "eve", "olga", "sue", KEEPER, *ROBOTS)
BOB = "pä:ss wörd+%&="
"""A password with everything in it that a header, a form and a client can trip over."""


@pytest.fixture(scope="module", autouse=True)
def system_authorities() -> None:
    """Those of the system, as real programs have them."""


@pytest.fixture(scope="session")
def setup() -> Setup:
    """What every server here is made of; the passwords are new in every run."""
    people = {name: password() for name in PEOPLE} | {"bob": BOB}
    return Setup(people, POLICIES, SERVICES, {})


@pytest.fixture(scope="session")
def stack() -> Iterator[ExitStack]:
    """Ends what the session started, last first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def short_folder(stack: ExitStack) -> Callable[[], Path]:
    """Folders with short names: the sockets of daemons stand in them, and a socket's path has 108 bytes at most."""

    def folder() -> Path:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="e2e", ignore_cleanup_errors=True)))

    return folder


@pytest.fixture(scope="session")
def tokenserver(stack: ExitStack, setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> TokenServer:
    """The server under test."""
    return stack.enter_context(serving(tmp_path_factory.mktemp("server"), setup))


@pytest.fixture(scope="session")
def registry_of(
    stack: ExitStack, tokenserver: TokenServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Registry]:
    """Gives the running registry of a service, started at the first call. The service's name ends in its version."""
    known: dict[str, Registry] = {}

    def registry_of(service: str) -> Registry:
        if service not in known:
            generation = f"distribution{service.removesuffix('.test')[-1]}"
            folder = tmp_path_factory.mktemp("registry")
            known[service] = stack.enter_context(registries.registry(folder, tokenserver, service, generation))
        return known[service]

    return registry_of


@pytest.fixture(scope="session")
def zot14(stack: ExitStack, setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Registry]:
    """Gives the real zot, with a server of its own, started at the first call."""
    known: list[Registry] = []

    def zot14() -> Registry:
        if not known:
            entry = {"service": "zot14.test", "compat": "zot", "keys": "keys-zot14", "algorithm": "RS256"}
            own = replace(setup, settings={"registries": [entry]})
            server = stack.enter_context(serving(tmp_path_factory.mktemp("server"), own))
            folder = tmp_path_factory.mktemp("zot")
            known.append(stack.enter_context(registries.registry(folder, server, "zot14.test", "zot")))
        return known[0]

    return zot14


@pytest.fixture(params=["registry2.test", "registry3.test"], ids=["distribution2.8", "distribution3.1"])
def registry(request: pytest.FixtureRequest, registry_of: Callable[[str], Registry]) -> Registry:
    """Each of the two registries in turn. Both trust the server by the same setting."""
    return registry_of(request.param)


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A fresh machine for a client. Its name is short, because podman takes 50 characters for a folder at most."""
    folder = Path(tempfile.mkdtemp(prefix="e2e"))
    try:
        yield Machine(folder)
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a client's folder, in which processes that the client left (Go's telemetry) may write for a moment."""
    deadline = time.monotonic() + LEFT_SECONDS
    while True:
        try:
            shutil.rmtree(folder)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="session")
def daemon_clients(stack: ExitStack, short_folder: Callable[[], Path]) -> Callable[[type[Client]], Client]:
    """Clients with a daemon start once; their machine loses all credentials and variables of the test before."""
    known: dict[type[Client], Client] = {}
    environments: dict[type[Client], dict[str, str]] = {}

    def start(daemon: Daemon, ready: Callable[[], bool]) -> None:
        stack.callback(daemon.stop)
        daemon.start(ready)

    def client(kind: type[Client]) -> Client:
        if kind not in known:
            known[kind] = kind(Machine(short_folder()), start)
            environments[kind] = dict(known[kind].machine.environment)
        machine = known[kind].machine
        machine.environment.clear()
        machine.environment.update(environments[kind])
        machine.sign_out()
        return known[kind]

    return client


@pytest.fixture
def client_of(machine: Machine, daemon_clients: Callable[[type[Client]], Client]) -> Callable[[type[Client]], Client]:
    """Makes a client without credentials, on a machine that no other test has touched."""

    def client(kind: type[Client]) -> Client:
        if kind.has_daemon:
            return daemon_clients(kind)

        def start(daemon: Daemon, ready: Callable[[], bool]) -> None:
            raise AssertionError(f"{kind.name} is not said to have a daemon")

        return kind(machine, start)

    return client


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def image(tmp_path: Path, _numbers: Iterator[int]) -> Image:
    """An image that nobody has seen before."""
    folder = tmp_path / "image"
    folder.mkdir()
    return make(folder, f"image {next(_numbers)}")


@pytest.fixture
def new_name(_numbers: Iterator[int]) -> Callable[[str], str]:
    """Makes a repository name under a namespace that no other test uses."""
    return lambda namespace: f"{namespace}/image-{next(_numbers)}"


@pytest.fixture
def scene(
    registry: Registry,
    image: Image,
    client_of: Callable[[type[Client]], Client],
    new_name: Callable[[str], str],
) -> Scene:
    """All of the above around one registry: each of the two, or what a module's fixture `registry` says instead."""
    return Scene(registry, Watch(registry.server), image, client_of, new_name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The score of the doctor's corpus, over the workers of the run."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]
    properties = [pair for report in calls for pair in report.user_properties]
    results = [value for name, value in properties if name == "doctor"]
    if results:
        terminalreporter.section("the doctor's score")
        terminalreporter.write_line("\n".join(table(results)))
