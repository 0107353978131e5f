"""Changing tokenserver.yaml of a running server with two workers."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.own_time import OwnTime
from harness.processes import free_port, run
from harness.server import Setup, TokenServer, password, serving
from harness.waiting import PATIENCE_SECONDS
from harness.web import basic, request

pytestmark = pytest.mark.waits

SERVICE = "registry.test"
LIVE_SECONDS = 2.0
SLACK = 1.5
POLICY = "version: 1\nallow:\n  - {id: all, to: [authenticated], repositories: ['**'], role: reader}\n...\n"
PEOPLE = {"ann": password(), "bob": password()}
METRICS_PORT = free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    settings = {"server": {"workers": 2, "metrics": f"127.0.0.1:{METRICS_PORT}"}, "anonymous": False}
    setup = Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings)
    with serving(tmp_path_factory.mktemp("configuration"), setup) as server:
        yield server


@pytest.fixture
def settings(server: TokenServer) -> Iterator[dict[str, Any]]:
    """The settings of the file, to be changed and written; afterwards the file is as it was, and in force."""
    text = server.config.read_text()
    yield yaml.safe_load(text)
    replace(server, text)
    eventually(server, lambda: notes(server) == {None})


def replace(server: TokenServer, text: str) -> None:
    other = server.config.with_name("other")
    other.write_text(text)
    os.replace(other, server.config)


def write(server: TokenServer, settings: dict[str, Any]) -> None:
    replace(server, yaml.safe_dump(settings))


def eventually(server: TokenServer, condition: Callable[[], bool], *, seconds: float = LIVE_SECONDS + SLACK) -> float:
    """Wait until it holds; returns the seconds that this took the server itself."""
    own = OwnTime(server.daemon.pid)
    while not condition():
        assert not own.is_over(seconds), f"not within {seconds} s"
        time.sleep(0.05)
    return own.seconds


def notes(server: TokenServer) -> set[str | None]:
    """What the workers say about the configuration. Each answer is asked on a connection of its own."""
    return {server.request("GET", "/readyz").json().get("notes", {}).get("configuration") for _ in range(20)}


def pending(server: TokenServer) -> dict[str, float]:
    """The gauge of the metrics, by state."""
    found = re.findall(r'^tokenserver_configuration_pending\{state="(.*)"\} (\S+)$', metrics(server), re.MULTILINE)
    return {state: float(value) for state, value in found}


def metrics(server: TokenServer) -> str:
    return request(METRICS_PORT, "GET", "/metrics").body.decode()


def exchanges(server: TokenServer, service: str) -> float:
    """How many tokens were issued for a registry, by the metrics."""
    shown = rf'^tokenserver_exchanges_total\{{method="GET",outcome="login",service="{service}"\}} (\S+)$'
    (found,) = re.findall(shown, metrics(server), re.MULTILINE)
    return float(found)


def test_what_needs_a_restart_is_named(server: TokenServer, settings: dict[str, Any]) -> None:
    """In /readyz of every worker, in the metrics, by the doctor, and with one log line; the server stays ready."""
    settings["server"]["listen"] = f"127.0.0.1:{free_port()}"
    settings["server"]["workers"] = 3
    write(server, settings)
    text = "tokenserver.yaml has changed (server.listen, server.workers); this takes effect at the next restart"
    eventually(server, lambda: notes(server) == {text})
    assert server.request("GET", "/readyz").status == 200
    eventually(server, lambda: pending(server) == {"restart": 1, "rejected": 0})
    assert server.daemon.stderr.read_text().count(f"configuration: {text}") == 1
    assert text in doctor(server)


def doctor(server: TokenServer) -> str:
    """What the doctor of this installation prints."""
    command = server.command("doctor", "--config", server.config)
    return run(command, environment=server.environment, folder=server.folder).stdout


def test_a_faulty_file_stays_out(server: TokenServer, settings: dict[str, Any]) -> None:
    """The old one stays in force, and every worker says where the fault is."""
    replace(server, server.config.read_text() + "kyes: keys\n")
    line = server.config.read_text().count("\n")
    eventually(server, lambda: all(f"is faulty (tokenserver.yaml:{line})" in (note or "") for note in notes(server)))
    eventually(server, lambda: pending(server) == {"restart": 0, "rejected": 1})
    assert server.request("GET", "/readyz").status == 200
    assert server.ask(SERVICE, person="ann").status == 200


def test_a_replaced_worker_has_what_is_in_force(server: TokenServer, settings: dict[str, Any]) -> None:
    """A worker that dies while the file is faulty has a successor like the others."""
    replace(server, "nonsense: [\n")
    eventually(server, lambda: None not in notes(server))
    victim = server.daemon.children[0]
    os.kill(int(victim), signal.SIGKILL)
    eventually(server, partial(is_replaced, server, victim), seconds=PATIENCE_SECONDS)
    assert server.ask(SERVICE, person="ann").status == 200


def is_replaced(server: TokenServer, victim: int) -> bool:
    """Whether a worker is gone, there are two again, and one answers."""
    return victim not in server.daemon.children and len(server.daemon.children) == 2 and server.is_ready()


def test_the_line_for_a_hangup(server: TokenServer, settings: dict[str, Any]) -> None:
    """SIGHUP says what waits for a restart."""
    settings["server"]["workers"] = 4
    write(server, settings)
    eventually(server, lambda: None not in notes(server))
    server.daemon.signal(signal.SIGHUP)
    eventually(server, lambda: "without a signal; tokenserver.yaml has changed (server.workers)" in server.daemon.log)


# --- what needs no restart -------------------------------------------------------------------------------------------


def answers(server: TokenServer, service: str, person: str, *, times: int = 20) -> set[int]:
    """The statuses of several requests, each on a connection of its own, and so from every worker."""
    return {server.ask(service, person=person).status for _ in range(times)}


def lifetimes(server: TokenServer, service: str, person: str = "ann") -> set[int]:
    """The lifetimes of the tokens of 20 requests."""
    found = (server.ask(service, person=person).json() for _ in range(20))
    return {answer.get("expires_in", 0) for answer in found}


def test_a_registry_is_added_and_removed(server: TokenServer, settings: dict[str, Any]) -> None:
    """In every worker within two seconds, without a restart and with one log line that names it."""
    before = server.daemon.children
    assert answers(server, "new.test", "ann") == {400}
    settings["registries"].append({"service": "new.test", "token_lifetime": "5m"})
    write(server, settings)
    assert eventually(server, lambda: lifetimes(server, "new.test") == {300}) < LIVE_SECONDS
    assert notes(server) == {None}
    counted = exchanges(server, "new.test")
    assert server.ask("new.test", person="ann").status == 200
    assert exchanges(server, "new.test") == counted + 1
    del settings["registries"][-1]
    write(server, settings)
    assert eventually(server, lambda: answers(server, "new.test", "ann") == {400}) < LIVE_SECONDS
    assert server.daemon.children == before
    log = server.daemon.stderr.read_text()
    assert log.count("configuration: reloaded tokenserver.yaml: registries[new.test] (added)") == 1
    assert log.count("configuration: reloaded tokenserver.yaml: registries[new.test] (removed)") == 1


def test_a_lifetime_changes(server: TokenServer, settings: dict[str, Any]) -> None:
    """Also for a login that is cached and a ruling that was made."""
    assert lifetimes(server, SERVICE) == {900}
    settings["registries"][0]["token_lifetime"] = "2m"
    write(server, settings)
    assert eventually(server, lambda: lifetimes(server, SERVICE) == {120}) < LIVE_SECONDS


def test_a_removed_source_vouches_for_nobody(server: TokenServer, settings: dict[str, Any]) -> None:
    """Its users are refused within two seconds, although their logins were cached, and come back with it."""
    others = server.folder / "others.htpasswd"
    others.write_text("")
    others.chmod(0o600)
    server.run("users", "set", "eve", "--file", others, stdin=PEOPLE["ann"])
    server.people["eve"] = PEOPLE["ann"]
    settings["authentication"].append({"htpasswd": {"file": "others.htpasswd", "name": "others", "cache": "60s"}})
    write(server, settings)
    eventually(  # each refusal hashes before
        server, lambda: answers(server, SERVICE, "eve", times=8) == {200}, seconds=PATIENCE_SECONDS
    )
    settings["authentication"].pop()
    write(server, settings)
    OwnTime(server.daemon.pid).wait(LIVE_SECONDS)
    assert answers(server, SERVICE, "eve", times=8) == {401}
    assert answers(server, SERVICE, "ann") == {200}


def test_a_port_does_not_hold_up_the_rest(server: TokenServer, settings: dict[str, Any]) -> None:
    """What needs a restart is named, and everything else is in force."""
    settings["server"]["listen"] = f"127.0.0.1:{free_port()}"
    settings["registries"][0]["token_lifetime"] = "3m"
    write(server, settings)
    assert eventually(server, lambda: lifetimes(server, SERVICE) == {180}) < LIVE_SECONDS
    text = "tokenserver.yaml has changed (server.listen); this takes effect at the next restart"
    eventually(server, lambda: notes(server) == {text})


def test_nothing_of_a_faulty_change_is_applied(server: TokenServer, settings: dict[str, Any]) -> None:
    """A source without its file stops the whole change, as it would stop a start; the log has the place."""
    settings["registries"][0]["token_lifetime"] = "4m"
    settings["authentication"].append({"htpasswd": {"file": "missing.htpasswd", "name": "missing"}})
    write(server, settings)
    eventually(server, lambda: all("is faulty" in (note or "") for note in notes(server)))
    assert lifetimes(server, SERVICE) == {900}
    assert "missing.htpasswd" in server.daemon.log


def test_no_request_is_dropped(server: TokenServer, settings: dict[str, Any]) -> None:
    """While the configuration changes all the time, each request gets a token that one of its versions allows."""
    seen: Counter[object] = Counter()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                answer = server.ask(SERVICE, person="ann")
                seen[answer.status, answer.json().get("expires_in")] += 1
            except Exception as error:
                seen[repr(error)] += 1

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for lifetime in (60, 120, 180):
        settings["registries"][0]["token_lifetime"] = lifetime
        settings["server"]["url"] = f"{server.url}/{lifetime}"
        write(server, settings)
        eventually(server, lambda expected=lifetime: lifetimes(server, SERVICE) == {expected})  # type: ignore[misc]  # a default binds the loop's value
    stop.set()
    for thread in threads:
        thread.join()
    assert set(seen) == {(200, 900), (200, 60), (200, 120), (200, 180)}


def test_the_steps_of_the_page(server: TokenServer, settings: dict[str, Any]) -> None:
    """docs/change-the-configuration.md: check a new file, rename it over the old one, and there is no note."""
    page = (Path(__file__).parents[2] / "docs" / "change-the-configuration.md").read_text("utf-8")
    steps = page.partition("```sh\n")[2].partition("```")[0].splitlines()
    assert [line.split(" ")[0] for line in steps] == ["tokenserver", "mv", "curl"]
    settings["registries"].append({"service": "page.test"})
    new = server.config.with_name("NEW")
    new.write_text(yaml.safe_dump(settings))
    server.run("check", "--config", new)
    run(["mv", new, server.config], environment=server.environment, folder=server.folder)
    eventually(server, lambda: answers(server, "page.test", "ann") == {200})
    assert notes(server) == {None}
    # What the test before changed may be undone in the same reload.
    line = re.compile(r"configuration: reloaded tokenserver\.yaml: [^\n]*registries\[page\.test\] \(added\)")
    eventually(server, lambda: len(line.findall(server.daemon.log)) == 1)  # the master logs it after it has ordered it


def test_the_throttle_is_not_switched_on(server: TokenServer, settings: dict[str, Any]) -> None:
    """The server started without the memory for it, so that waits for a restart."""
    settings["throttle"] = {"enabled": True}
    write(server, settings)
    text = "tokenserver.yaml has changed (throttle.enabled); this takes effect at the next restart"
    eventually(server, lambda: notes(server) == {text})


def test_failures_count_on(tmp_path: Path) -> None:
    """Two workers: a user who used up the tries has none left after a change of the limits and of a registry."""
    settings = {"server": {"workers": 2}, "anonymous": False, "throttle": {"enabled": True, "failures_per_user": 4}}
    setup = Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings)
    with serving(tmp_path, setup) as server:
        file = yaml.safe_load(server.config.read_text())
        wrong = [server.request("GET", f"/token?service={SERVICE}", headers=basic("ann", f"w{n}")) for n in range(3)]
        assert [answer.status for answer in wrong] == [401] * 3
        file["throttle"]["failures_per_user"] = 3
        file["registries"][0]["token_lifetime"] = "2m"
        write(server, file)
        eventually(server, lambda: "throttle.failures_per_user" in server.daemon.log)
        eventually(server, lambda: lifetimes(server, SERVICE, "bob") == {120})  # in both workers
        assert answers(server, SERVICE, "ann", times=8) == {429}


def test_a_replaced_worker_has_the_reloaded_settings(server: TokenServer, settings: dict[str, Any]) -> None:
    """A worker that dies has a successor with the settings in force, not those of the start."""
    settings["registries"][0]["token_lifetime"] = "7m"
    write(server, settings)
    eventually(server, lambda: lifetimes(server, SERVICE) == {420})
    replace(server, "nonsense: [\n")
    eventually(server, lambda: None not in notes(server))
    for victim in server.daemon.children:
        os.kill(int(victim), signal.SIGKILL)
        eventually(server, partial(is_replaced, server, victim), seconds=PATIENCE_SECONDS)
    assert lifetimes(server, SERVICE) == {420}
