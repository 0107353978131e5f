"""`tokenserver demo`: prepares a folder, starts the server and a registry, and prints what to try."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click

from tokenserver.cli.demo.clients import CLIENTS, Target, find_client
from tokenserver.cli.demo.guide import Started, Step, block, with_registry, without_client, without_registry
from tokenserver.cli.demo.image import write_image
from tokenserver.cli.demo.programs import Program, first_to_end, stopping
from tokenserver.cli.demo.registry import INSTALL, RegistryProgram, find_registry, port_of, prepare
from tokenserver.cli.exits import ADDRESS_IN_USE, NO, OK
from tokenserver.cli.init import SiteOptions, create_site, has_site
from tokenserver.cli.options import exit_with, report_faults
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.config.load import DEFAULT_FILE, environment_without, load_settings
from tokenserver.config.settings import Settings
from tokenserver.doctor.examination.readiness import running_parts
from tokenserver.errors import LoadError
from tokenserver.printable import shell_word
from tokenserver.server.sources.password_sources import user_source
from tokenserver.server.start_checks import listening_refused, reason

START_SECONDS = 30.0
"""How long the server and the registry may take to be ready."""

USER = "admin"

_POLL_SECONDS = 0.05
_PORTS = range(20)


class _Demo(NamedTuple):
    """What is started: the configuration of the server, and the registry with its configuration file."""

    folder: Path
    settings: Settings
    password: str | None
    registry: RegistryProgram | None

    @property
    def config(self) -> Path:
        return self.folder / DEFAULT_FILE


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default="tokenserver-demo")
@click.option(
    "--policies", type=click.Path(path_type=Path, exists=True), help="Use this policy folder instead of samples."
)
@click.option("--registry", "program", help="The registry to start.  [default: registry, docker-registry or zot]")
@click.option("--no-registry", is_flag=True, help="Start the server alone.")
@report_faults
def demo(folder: Path, policies: Path | None, program: str | None, no_registry: bool) -> None:
    """Serve from DIR with a registry next to the server, and print the commands for a login, a push and a denied push.

    The first start creates configuration, policies, keys and a user in DIR; later ones use them. Everything listens on
    this machine only. Ctrl-C stops both. The registry's log is DIR/registry.log.
    """
    registry = None if no_registry else find_registry(program)
    if registry is None and not no_registry:
        echo(f"No registry is installed ({program or 'registry, docker-registry or zot'}).", fg="red", err=True)
        echo(INSTALL, err=True)
        raise SystemExit(NO)
    password = None
    if not has_site(folder):
        echo(f"Creating {folder / DEFAULT_FILE}, keys and a user …", err=True)
        password = _create(folder, policies, registry)
    settings = load_settings(folder / DEFAULT_FILE)
    raise SystemExit(_run(_Demo(folder, settings, password, registry)))


def _create(folder: Path, policies: Path | None, registry: RegistryProgram | None) -> str:
    """Create the folder with ports that are free now; gives the user's password."""
    port = _free_port(5001)
    service = f"localhost:{5000 if registry is None else _free_port(5000, port)}"
    options = SiteOptions("tokenserver", service, f"http://localhost:{port}", f"127.0.0.1:{port}", USER, policies)
    if registry is not None:
        options = options._replace(compat=registry.compat, algorithm=registry.algorithm)
    return create_site(folder, options)


def _free_port(wanted: int, *taken: int) -> int:
    """The port, or one of the next ones if something listens there."""
    free = (port for port in (wanted + 2 * step for step in _PORTS) if listening_refused(("127.0.0.1", port)) is None)
    return next((port for port in free if port not in taken), wanted)


def _run(demo: _Demo) -> int:
    """Start everything, print the block, and wait for the end; gives the exit code."""
    _require_free(demo.settings.server.address, f"{demo.config}: server.listen")
    registry_config = None
    if demo.registry is not None:
        port = port_of(demo.settings.registries[0])
        _require_free(("127.0.0.1", port), f"{demo.config}: registries[0].service")
        registry_config = prepare(demo.registry, demo.settings, demo.folder)
        target = _target(demo)
        write_image(demo.folder, (target.allowed, target.denied))
    programs: list[Program] = []
    with stopping(programs) as stop:
        echo("Starting the server …", err=True)
        programs.append(_server(demo))
        if not _wait(programs, stop, lambda: running_parts(demo.settings) is not None):
            return _why_not(programs, stop, demo)
        if demo.registry is not None and registry_config is not None:
            echo(f"Starting {demo.registry.name} ({demo.registry.path}) …", err=True)
            programs.append(_registry(demo.registry, registry_config, demo.folder))
            if not _wait(programs, stop, lambda: listening_refused(("127.0.0.1", port)) is not None):
                return _why_not(programs, stop, demo)
        _print_block(demo)
        while not stop.wait(_POLL_SECONDS * 4):
            ended = first_to_end(programs)
            if ended is not None:
                return _why_not(programs, stop, demo)
        echo("Stopping …", err=True)
    return OK


def _server(demo: _Demo) -> Program:
    command = [sys.executable, "-m", "tokenserver", "serve", "--config", str(demo.config)]
    return Program("the server", command)


def _registry(registry: RegistryProgram, config: Path, folder: Path) -> Program:
    command = [registry.path, "serve", str(config)]
    # To Distribution, a variable REGISTRY_… is a setting; Distribution 3 would look for a collector of traces.
    variables = environment_without("REGISTRY_") | {"OTEL_TRACES_EXPORTER": "none"}
    return Program(registry.name, command, environment=variables, log=folder / "registry.log")


def _wait(programs: list[Program], stop: threading.Event, is_ready: Callable[[], bool]) -> bool:
    """Whether it is ready in time, and nothing has ended until then."""
    deadline = time.monotonic() + START_SECONDS
    while not stop.is_set() and first_to_end(programs) is None and time.monotonic() < deadline:
        if is_ready():
            return True
        stop.wait(_POLL_SECONDS)
    return False


def _why_not(programs: list[Program], stop: threading.Event, demo: _Demo) -> int:
    """Report why the demo ends, unless it was stopped; gives the exit code."""
    if stop.is_set():
        return OK
    ended = first_to_end(programs)
    if ended is None:
        echo(f"{programs[-1].name} is not ready after {START_SECONDS:.0f} seconds.", fg="red", err=True)
        return NO
    where = "" if ended is programs[0] else f"; its log: {shell_word(demo.folder / 'registry.log')}"
    echo(f"{ended.name} has ended with exit code {ended.exit_code}{where}", fg="red", err=True)
    return ended.exit_code or NO


def _require_free(address: tuple[str, int], where: str) -> None:
    """End the command if something listens there already."""
    error = listening_refused(address)
    if error is not None:
        exit_with(f"{where}: cannot listen on {address[0]}:{address[1]}: {reason(error)}", ADDRESS_IN_USE)


def _print_block(demo: _Demo) -> None:
    settings = demo.settings
    started = Started(
        _own_command(),
        shell_word(demo.config),
        settings.server.url,
        settings.registries[0].service,
        _user(settings),
        demo.password,
        _shown(settings.policies),
    )
    client = find_client()
    steps: list[Step]
    if demo.registry is None:
        steps = without_registry(started, _demo_command(started.program))
    elif client is None:
        steps = without_client(started)
    else:
        steps = with_registry(started, CLIENTS[client](_target(demo)))
    echo_text(block(started, demo.registry and f"{started.service} ({demo.registry.name})", steps), err=True)


def _target(demo: _Demo) -> Target:
    return Target(demo.settings.registries[0].service, _user(demo.settings), demo.folder)


def _user(settings: Settings) -> str:
    """The user that the first start created, or the first of the users that are there now."""
    for source in settings.authentication:
        if source.htpasswd is not None:
            try:
                users = list(getattr(user_source(source), "users", ()))
            except LoadError:  # the server reports it
                continue
            return USER if USER in users or not users else str(users[0])
    return USER


def _shown(path: Path) -> str:
    """A path as one would type it here."""
    short = os.path.relpath(path)
    return f"{path}/" if short.startswith("..") else f"{short}/"


def _own_command() -> str:
    """How this program was called, ready to paste."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shell_word(sys.executable)} -m tokenserver"
    found = shutil.which(called.name)
    if found is not None and Path(found).resolve() == called.resolve():
        return called.name
    short = os.path.relpath(called)
    return shell_word(called if short.startswith("..") else short)


def _demo_command(program: str) -> str:
    """The demo with a registry: the target of the Makefile in a checkout."""
    return "make demo" if Path("Makefile").is_file() and Path("tokenserver/cli/demo").is_dir() else f"{program} demo"
