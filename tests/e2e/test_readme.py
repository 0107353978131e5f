"""The README as a stranger reads it: its commands, in its order, in a fresh checkout."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import processes
from harness.checkout import clone
from harness.images import Image
from harness.machine import Machine
from harness.processes import Daemon, Output, answers, free_port, running
from harness.programs import ROOT, need
from harness.terminal import commands_in, typing

README = (ROOT / "README.md").read_text()
INSTALL_SECONDS = 180
LIVE_SECONDS = 2
"""After that, all workers have what the first one of them has logged as live (docs/run-in-production.md)."""


def block(name: str) -> str:
    """The code block behind the comment that gives it this name."""
    found = re.search(rf"<!-- test: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found is not None, f"the README has no block {name}"
    return found[1]


def test_the_readme_opens_with_two_commands() -> None:
    """What it does in a few lines, then two commands and nothing before them."""
    opening, _, rest = README.partition("```sh\n")
    assert len(opening.splitlines()) < 12
    assert rest.partition("```")[0].splitlines() == ["make run", "docker login localhost:5000"]


@dataclass
class Checkout:
    """A fresh checkout whose `make run` is serving."""

    folder: Path
    machine: Machine
    environment: dict[str, str]
    ports: dict[str, int]
    server: Daemon

    def command(self, text: str) -> str:
        """A README command with the ports of this run."""
        for written, port in self.ports.items():
            text = text.replace(written, str(port))
        return text

    def run(self, text: str) -> Output:
        """Run shell lines as they stand in the README."""
        command = self.machine.enter(["bash", "-euc", self.command(text)])
        return processes.run(command, environment=self.environment, folder=self.folder)

    def login(self, text: str, user: str, password: str) -> str:
        """Type the user and the password into a login command at a terminal; gives what it said."""
        return self.type(text, [("sername", f"{user}\n"), ("assword", f"{password}\n")])

    def type(self, text: str, answers: Sequence[tuple[str, str]]) -> str:
        """Run shell lines at a terminal, and type the answers."""
        command = ["bash", "-euc", self.command(text)]
        return typing(command, answers, environment=self.environment, folder=self.folder)


UMASKS = (
    pytest.param(0o002, id="umask-002"),  # Ubuntu, Fedora: each user has a group of the same name
    pytest.param(0o077, id="umask-077"),
)


@pytest.fixture(scope="session", params=UMASKS)
def checkout(request: pytest.FixtureRequest, stack: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A fresh clone in a folder of its own, with `make run` under way, all of it under this umask."""
    need("make")
    need("git")
    above = tmp_path_factory.mktemp("readme")
    folder = clone(above, request.param)
    machine = Machine(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="e2e", ignore_cleanup_errors=True))))
    ports = {"5000": free_port(), "5001": free_port()}
    environment = {
        **{name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))},
        **machine.environment,
        "REGISTRY_AUTH_FILE": str(machine.docker_config),
        "PATH": os.pathsep.join((str(Path(sys.base_prefix) / "bin"), os.environ["PATH"])),
        "TOKENSERVER_SERVER_LISTEN": f"127.0.0.1:{ports['5001']}",
        "TOKENSERVER_SERVER_URL": f"http://localhost:{ports['5001']}",
        "TOKENSERVER_REGISTRIES_0_SERVICE": f"localhost:{ports['5000']}",
    }
    under_umask = ["sh", "-c", f'umask {request.param:03o}; exec "$@"', "sh"]
    server = Daemon("make", [*under_umask, "make", "run"], environment=environment, folder=folder)
    stack.callback(server.stop)
    server.start(lambda: True)
    deadline = time.monotonic() + INSTALL_SECONDS
    while not _is_ready(ports["5001"]):
        assert time.monotonic() < deadline, server.log
        time.sleep(0.2)
    return Checkout(folder, machine, environment, ports, server)


def _is_ready(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://localhost:{port}/readyz", timeout=2).close()
    except (OSError, urllib.error.URLError):
        return False
    return True


def test_make_run_prints_the_password_once_and_stores_it_nowhere(checkout: Checkout) -> None:
    """The random password is on the terminal and in no file but hashed."""
    password = _password(checkout)
    assert len(password) >= 20
    assert checkout.server.log.count(password) == 1
    for path in (checkout.folder / "run").rglob("*"):
        assert not path.is_file() or password.encode() not in path.read_bytes()


def test_make_run_says_what_it_does_and_what_to_try(checkout: Checkout) -> None:
    """A line a step, then the block of a server that is ready; nothing says to start what runs already."""
    _password(checkout)
    said = checkout.server.stderr.read_text()
    steps = [
        "Creating .venv …",
        "Installing tokenserver into .venv",
        "Creating run/tokenserver.yaml",
        "Starting the server …",
    ]
    places = [said.index(step) for step in (*steps, "ready at  ")]
    assert places == sorted(places)
    assert "tokenserver serve" not in said
    for told in (
        f"http://localhost:{checkout.ports['5001']}\n",
        "user      admin\n",
        "policies  policies/",
        "make demo\n",
    ):
        assert told in said[places[-1] :]
    for name in ("tokenserver.yaml", "users.htpasswd", "keys/ring.json"):
        assert (checkout.folder / "run" / name).is_file()
    assert sorted(path.name for path in (checkout.folder / "keys").iterdir()) == [".gitignore", "README.md"]


def test_the_commands_of_make_run_work(checkout: Checkout) -> None:
    """A token with curl, and why a push to production is denied; in the order in which they are printed."""
    need("curl")
    password = _password(checkout)
    curl, why, demo = commands_in(checkout.server.stderr.read_text())
    assert demo == "make demo"
    said = checkout.type(curl, [("assword", f"{password}\n")])
    assert '"access_token"' in said
    denied = checkout.run(why)
    assert denied.code == 1
    assert "web-prod-from-pipeline" in denied.text


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
def test_the_readmes_way_from_nothing_to_a_pushed_image(generation: str, checkout: Checkout, image: Image) -> None:
    """Connect a registry with the printed section, log in at a terminal, push and look: word by word."""
    need("skopeo")
    login, *others = block("client").strip().splitlines()
    with connected_registry(generation, checkout, image):
        said = checkout.login(login, "admin", _password(checkout))
        assert "Login Succeeded" in said
        for command in others:
            output = checkout.run(command)
            assert output.ok, output


ANNS_PASSWORD = "a password of ann's own"


def test_the_readmes_policy_as_it_is_pasted(checkout: Checkout, image: Image) -> None:
    """A policy and a user beside the samples, a push that is granted, one that is denied, and why: word by word."""
    need("skopeo")
    file, check, add = block("policy").rstrip().rsplit("\n", 2)
    login, granted, denied = block("denied").strip().splitlines()
    ask, expected = block("why").removeprefix("$ ").split("\n", 1)
    with connected_registry("distribution2", checkout, image):
        assert checkout.run(file).ok
        checked = checkout.run(check)
        assert checked.ok, checked
        checkout.type(add, [("assword", f"{ANNS_PASSWORD}\n"), ("epeat", f"{ANNS_PASSWORD}\n")])
        _eventually(
            lambda: all(f"added {one}" in checkout.server.log for one in ("policies/shop.yaml", "ann")), checkout
        )
        time.sleep(LIVE_SECONDS)
        assert "Login Succeeded" in checkout.type(login, [("assword", f"{ANNS_PASSWORD}\n")])
        pushed = checkout.run(granted)
        assert pushed.ok, pushed
        refused = checkout.run(denied)
        assert not refused.ok
        said = "denied: requested access to the resource is denied"
        assert said in refused.text
        assert f"`{said}`" in README
        why = checkout.run(ask)
        assert why.code == 1
        assert _timeless(why.text) == _timeless(checkout.command(expected))


@contextmanager
def connected_registry(generation: str, checkout: Checkout, image: Image) -> Iterator[None]:
    """A registry started as the README says; for Distribution 3, with the two words changed that it says to change."""
    text = block("registry").replace("\\\n", " ")
    if generation == "distribution3":
        for written in ("--for distribution3", "registry serve run/registry.yml"):
            assert f"`{written}`" in README
        text = text.replace("--for distribution2", "--for distribution3").replace("\ndocker-registry", "\nregistry")
    *preparation, serve = text.strip().splitlines()
    program = need("docker-registry" if generation == "distribution2" else generation)
    need("docker")
    assert serve == f"{program.name} serve run/registry.yml"
    prepared = checkout.run("\n".join(preparation))
    assert prepared.ok, prepared
    # To a registry, a variable REGISTRY_… is a setting; the one that skopeo reads is not meant for it.
    environment = {name: value for name, value in checkout.environment.items() if not name.startswith("REGISTRY_")}
    environment["OTEL_TRACES_EXPORTER"] = "none"  # Distribution 3 would look for a collector
    registry = Daemon(
        "registry", [program, *checkout.command(serve).split()[1:]], environment=environment, folder=checkout.folder
    )
    shutil.copytree(image.layout, checkout.folder / "image", dirs_exist_ok=True)
    with running(registry, lambda: answers(checkout.ports["5000"])):
        yield


def _timeless(said: str) -> str:
    """Output without the instant in it."""
    return re.sub(r"at [0-9-]{10}T[0-9:]{8}Z", "at TIME", said).strip()


def _eventually(condition: Callable[[], bool], checkout: Checkout) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, checkout.server.log
        time.sleep(0.1)


def _password(checkout: Checkout) -> str:
    """The password in the closing block, which comes last."""
    deadline = time.monotonic() + 30
    while "Try in a second terminal:" not in checkout.server.log:
        assert time.monotonic() < deadline, checkout.server.log
        time.sleep(0.1)
    found = re.search(r"password\s+(\S+)", checkout.server.log)
    assert found is not None, checkout.server.log
    return found[1]
