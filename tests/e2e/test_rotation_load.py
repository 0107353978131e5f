"""Keys rotate while clients push and pull: under `universal` no registry notices, and nobody is refused.

Clients are crane, skopeo and plain requests, at a registry of each generation. Tokens are kept and used again after
their key has been retired. The same with two servers that share one folder of keys and rotate it together.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from harness import registries, web
from harness.clients import Client, Crane, Skopeo
from harness.images import MANIFEST_TYPE, make
from harness.machine import Machine
from harness.registries import KEEPER, Registry
from harness.server import Setup, TokenServer, serving

pytestmark = pytest.mark.alone

SERVICES = {"registry2.test": "distribution2", "registry3.test": "distribution3"}
EVERY, AHEAD = 3, 2
KEPT_TOKENS = 50
ROTATION_SECONDS = 12.0


@dataclass
class Seen:
    """What the clients met: how often each outcome, what was not as it should be, and under which certificates."""

    outcomes: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    certificates: set[str] = field(default_factory=set)
    issuers: set[int] = field(default_factory=set)

    def note(self, name: str, status: int, expected: int) -> None:
        """One request."""
        self.outcomes[name] += 1
        if status != expected:
            self.refused.append(f"{name}: {status}")


@dataclass(frozen=True)
class World:
    """Servers that share a folder of keys, and registries that trust them."""

    servers: tuple[TokenServer, ...]
    registries: tuple[Registry, ...]
    folder: Path

    @property
    def first(self) -> TokenServer:
        return self.servers[0]

    def keys(self) -> dict[str, list[str]]:
        """The ids of the keys by their state."""
        states: dict[str, list[str]] = {"active": [], "next": [], "retired": []}
        for key in json.loads((self.folder / "keys" / "ring.json").read_text())["keys"]:
            states[key["state"]].append(key["id"])
        return states


@contextmanager
def world(setup: Setup, folder: Path, servers: int, rotation: dict[str, str]) -> Iterator[World]:
    """So many servers on one folder of keys."""
    keys = {"folder": str(folder / "keys"), **rotation}
    small = replace(
        setup,
        people={KEEPER: setup.people[KEEPER]},
        services=dict.fromkeys(SERVICES, "universal"),
        settings={"keys": keys},
    )
    with ExitStack() as stack:
        running = []
        for number in range(servers):
            place = folder / f"server-{number}"
            place.mkdir()
            running.append(stack.enter_context(serving(place, small)))
        trusting = [
            stack.enter_context(registries.registry(folder / service, running[0], service, generation))
            for service, generation in SERVICES.items()
        ]
        yield World(tuple(running), tuple(trusting), folder)


def plain_client(world: World, registry: Registry, seen: Seen, stop: threading.Event) -> None:
    """Pushes and pulls with plain requests, with a new token of every server in turn and with old ones."""
    kept: list[str] = []
    for number in itertools.count():
        if stop.is_set():
            return
        index = number % len(world.servers)
        repository = f"web/plain-{registry.generation}"
        server = world.servers[index]
        answer = server.ask(registry.service, [f"repository:{repository}:pull,push"], person=KEEPER)
        seen.note("token", answer.status, 200)
        if answer.status != 200:
            continue
        token = str(answer.json()["token"])
        seen.certificates.add(str(web.header(token)["x5c"][0]))
        seen.issuers.add(index)
        kept = [*kept[-KEPT_TOKENS:], token]
        image = make(_folder(world.folder / "images" / f"{registry.generation}-{number}"), f"{registry.host} {number}")
        for digest, blob in image.blobs.items():
            registry.put_blob(repository, digest, blob, token)
        place = f"/v2/{repository}/manifests/1"
        put = registry.request("PUT", place, token, image.manifest, Content_Type=MANIFEST_TYPE)
        seen.note("push", put.status, 201)
        for name, one in (("pull", token), ("pull with an old token", kept[0])):
            seen.note(name, registry.request("GET", place, one, Accept=MANIFEST_TYPE).status, 200)


def real_client(client: Client, world: World, registry: Registry, seen: Seen, stop: threading.Event) -> None:
    """Pushes and pulls with a real client, again and again."""
    client.machine.sign_in(registry.host, KEEPER, world.first.people[KEEPER])
    repository = f"web/{client.name}"
    for number in itertools.count():
        if stop.is_set():
            return
        name = f"{client.name}-{registry.generation}-{number}"
        image = make(_folder(world.folder / "images" / name), f"{registry.host} {name}")
        for verb, output in (
            ("push", client.push(registry, image, repository)),
            ("pull", client.pull(registry, repository)),
        ):
            seen.outcomes[f"{client.name} {verb}"] += 1
            if not output.ok:
                seen.refused.append(str(output))


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


@contextmanager
def busy(world: World, machines: Callable[[], Machine]) -> Iterator[Seen]:
    """Clients at work in between; what goes wrong in one of them is a refusal too."""
    seen, stop = Seen(), threading.Event()

    def guarded(work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments, seen, stop)
        except BaseException as error:
            seen.refused.append(repr(error))

    def no_daemon(*_: object) -> None:
        raise AssertionError("neither client has a daemon")

    threads = [threading.Thread(target=guarded, args=(plain_client, world, registry)) for registry in world.registries]
    for kind, registry in itertools.product((Crane, Skopeo), world.registries):
        client = kind(machines(), no_daemon)
        threads.append(threading.Thread(target=guarded, args=(real_client, client, world, registry)))
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_for_another(world: World, before: list[str]) -> None:
    """Wait until another key is active."""
    deadline = time.monotonic() + ROTATION_SECONDS
    while world.keys()["active"] == before:
        assert time.monotonic() < deadline, f"no server rotated: {world.first.daemon.log[-3000:]}"
        time.sleep(0.1)


def by_command(world: World, rotations: int) -> None:
    """Half of the rotations with the time that they take, half of them at once."""
    server = world.first
    for number in range(rotations):
        before = world.keys()["active"]
        at_once = ["--now"] if number % 2 else []
        server.run("keys", "rotate", *at_once, "--config", server.config)
        wait_for_another(world, before)
        time.sleep(1.5)  # until the servers sign with it


def by_timer(world: World, rotations: int) -> None:
    """The servers do it alone."""
    for _ in range(rotations):
        wait_for_another(world, world.keys()["active"])
    time.sleep(1.5)


@pytest.fixture
def machines(short_folder: Callable[[], Path]) -> Callable[[], Machine]:
    """Makes machines for clients."""
    return lambda: Machine(short_folder())


@pytest.mark.parametrize(
    ("servers", "rotate", "rotations"),
    [
        pytest.param(1, by_command, 4, id="one server, by command"),
        pytest.param(2, by_timer, 4, id="two servers with one folder, by timer"),
        pytest.param(1, by_timer, 10, id="one server, by timer, ten times", marks=pytest.mark.nightly),
        pytest.param(1, by_command, 10, id="one server, by command, ten times", marks=pytest.mark.nightly),
        pytest.param(2, by_timer, 10, id="two servers with one folder, by timer, ten times", marks=pytest.mark.nightly),
        pytest.param(
            2, by_command, 10, id="two servers with one folder, by command, ten times", marks=pytest.mark.nightly
        ),
    ],
)
def test_nobody_is_refused(
    servers: int,
    rotate: Callable[[World, int], None],
    rotations: int,
    setup: Setup,
    machines: Callable[[], Machine],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rotations under load: every token, push and pull succeeds, also with tokens of keys that are retired."""
    rotation = {"publish_ahead": f"{AHEAD}s"} | ({"rotate_every": f"{EVERY}s"} if rotate is by_timer else {})
    with world(setup, tmp_path, servers, rotation) as running:
        first = running.keys()
        with busy(running, machines) as seen:
            rotate(running, rotations)
        last = running.keys()
        logs = "".join(server.daemon.log for server in running.servers)
    with capsys.disabled():
        print(json.dumps({"certificates": len(seen.certificates), **seen.outcomes}))  # noqa: T201 - figures
    assert seen.refused == []
    assert {name for name, count in seen.outcomes.items() if count >= rotations} >= {"token", "push", "pull"}
    assert {f"{client} {verb}" for client in ("crane", "skopeo") for verb in ("push", "pull")} <= set(seen.outcomes)
    assert seen.issuers == set(range(servers))
    assert len(seen.certificates) > rotations
    # Each key signed once and is still published: no rotation was done twice, or half.
    assert len(last["active"]) == 1
    assert first["active"][0] in last["retired"]
    assert len(last["retired"]) >= rotations
    assert "rotation failed" not in logs
