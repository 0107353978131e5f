"""Changing the files of a running server: every way in which people and machines do it, and every way it goes wrong.

Two policies take turns, one for repository `a` alone and one for `b` alone, so that an answer out of two policies, or
out of half of one, would show.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import web
from harness.own_time import OwnTime
from harness.server import Setup, TokenServer, serving
from harness.waiting import PATIENCE_SECONDS, until

SERVICE = "registry2.test"
SCOPES = ["repository:a:pull", "repository:b:pull"]
TARGET = web.token_target(SERVICE, SCOPES)
WORKERS = 4
LIVE_SECONDS = 2.0
"""How long a change may take until the last worker answers by it, not counting that it waits for a core."""

SLACK = 1.5
"""How long it may take besides until the test has seen it of all workers."""


def policy(name: str) -> str:
    """Only this repository may be pulled. Both are of one size, in bytes and in lines."""
    other = "b" if name == "a" else "a"
    return (
        f"# policy {name}\nversion: 1\nallow:\n"
        f'  - {{id: all, to: [everyone], repositories: ["a", "b"], role: reader}}\n'
        f"deny:\n  - {{id: not-the-other, to: [everyone], repositories: [{other}], actions: [pull]}}\n...\n"
    )


A, B = policy("a"), policy("b")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """Four workers. Its policy folder is a mounted volume's twin: real files, which tests replace by links."""
    setup = Setup({}, {"p.yaml": A}, {SERVICE: "universal"}, {"server": {"workers": WORKERS}, "authentication": []})
    with serving(tmp_path_factory.mktemp("reload"), setup) as server:
        yield server


@pytest.fixture(autouse=True)
def calm(server: TokenServer) -> Iterator[None]:
    """Each test ends, and so the next begins, with policy A live in every worker."""
    yield
    reset(server)


def reset(server: TokenServer) -> None:
    folder = server.folder / "policies"
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "p.yaml").write_text(A)
    wait_until(server, "a", seconds=PATIENCE_SECONDS)


def granted(server: TokenServer) -> str:
    """What the next worker grants: `a`, `b`, or something that must never be."""
    answer = server.request("GET", TARGET)
    assert answer.status == 200, answer
    access = web.claims(answer.json()["token"])["access"]
    return ",".join(sorted(entry["name"] for entry in access))


def wait_until(server: TokenServer, expected: str, *, seconds: float = LIVE_SECONDS + SLACK) -> float:
    """Wait until 25 answers in a row, from every worker, say so. Gives its own seconds until the first of them.

    Every answer is asked on a connection of its own, and so of the worker that takes it; the server is ready too.
    """
    own, first, in_a_row = OwnTime(server.daemon.pid), 0.0, 0
    while in_a_row < 25 or (in_a_row < 1000 and not ready(server)):
        if granted(server) == expected:
            first = first or own.seconds
            in_a_row += 1
        else:
            first, in_a_row = 0.0, 0
        assert not own.is_over(seconds), f"not {expected!r} after {seconds} s: {server.daemon.log[-3000:]}"
    return first


def ready(server: TokenServer) -> bool:
    return server.request("GET", "/readyz").status == 200


def replace_by_rename(path: Path, text: str) -> None:
    other = path.with_name(".new")
    other.write_text(text)
    os.replace(other, path)


# --- how files change ------------------------------------------------------------------------------------------------


def in_place(folder: Path, _server: TokenServer) -> None:
    (folder / "p.yaml").write_text(B)


def rename_over(folder: Path, _server: TokenServer) -> None:
    replace_by_rename(folder / "p.yaml", B)


def as_vim(folder: Path, _server: TokenServer) -> None:
    (folder / "p.yaml").rename(folder / "p.yaml~")
    (folder / "p.yaml").write_text(B)
    (folder / "p.yaml~").unlink()


def hangup(folder: Path, server: TokenServer) -> None:
    replace_by_rename(folder / "p.yaml", B)
    server.daemon.signal(signal.SIGHUP)


def other_name(folder: Path, _server: TokenServer) -> None:
    replace_by_rename(folder / "other.yaml", B)
    (folder / "p.yaml").unlink()


def old_time(folder: Path, _server: TokenServer) -> None:
    """As `rsync -t` and package managers leave it."""
    replace_by_rename(folder / "p.yaml", B)
    os.utime(folder / "p.yaml", (0, 0))


def folder_swap(folder: Path, _server: TokenServer) -> None:
    new = folder.with_name("policies-new")
    new.mkdir()
    (new / "p.yaml").write_text(B)
    folder.rename(folder.with_name("policies-old"))
    new.rename(folder)
    shutil.rmtree(folder.with_name("policies-old"))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(in_place, id="edited in place"),
        pytest.param(rename_over, id="renamed over"),
        pytest.param(as_vim, id="renamed away and created"),
        pytest.param(hangup, id="SIGHUP"),
        pytest.param(other_name, id="in a file of another name"),
        pytest.param(old_time, id="with an old time"),
        pytest.param(folder_swap, id="with the folder"),
    ],
)
def test_a_change_is_live_in_every_worker(server: TokenServer, change: Callable[[Path, TokenServer], None]) -> None:
    """Within two seconds, and the audit events have the new policy's digest."""
    before = agreed_digest(server)
    change(server.folder / "policies", server)
    assert wait_until(server, "b") < LIVE_SECONDS
    assert agreed_digest(server) != before


def test_the_log_says_what_changed_once(server: TokenServer) -> None:
    """One line for all workers, with the names of the files."""
    mark = server.daemon.stderr.stat().st_size
    folder = server.folder / "policies"
    replace_by_rename(folder / "other.yaml", B)
    (folder / "p.yaml").unlink()
    wait_until(server, "b")
    agreed_digest(server)
    lines = re.findall(r"reloaded: (new policies[^\"]*), policy", server.daemon.stderr.read_text()[mark:])
    assert lines == ["new policies are live (added policies/other.yaml; removed policies/p.yaml)"]


def test_a_rejected_change_is_logged_once(server: TokenServer) -> None:
    """One line for all workers, with the fault; none of them is ready by then."""
    mark = server.daemon.stderr.stat().st_size
    before = server.folder / "policies" / "p.yaml"
    text = before.read_text()
    replace_by_rename(before, "version: 1\nalow: []\n...\n")
    until(lambda: {ready(server) for _ in range(20)} == {False})
    replace_by_rename(before, text)
    until(lambda: {ready(server) for _ in range(20)} == {True})
    lines = [json.loads(line)["message"] for line in server.daemon.stderr.read_text()[mark:].splitlines()]
    assert len([line for line in lines if "reload rejected" in line and "p.yaml:2: alow" in line]) == 1


def agreed_digest(server: TokenServer) -> str:
    """The one digest that all events name. A worker that answered nothing lately may be the last to reload."""
    own = OwnTime(server.daemon.pid)
    while len(found := digests(server)) != 1:
        assert not own.is_over(LIVE_SECONDS), found
    return found.pop()


def digests(server: TokenServer) -> set[str]:
    """The digests in the events of 20 exchanges from now."""
    mark = server.audit.mark()
    for _ in range(20):
        granted(server)
    events = server.audit.events(mark, lambda events: len(events) >= 20)
    return {event.fields["policy"] for event in events}


def mounted(folder: Path, version: str, text: str) -> None:
    """A ConfigMap as Kubernetes mounts it: names are links through `..data`, which is swapped as a whole."""
    (folder / version).mkdir()
    (folder / version / "p.yaml").write_text(text)
    (folder / "..data_tmp").symlink_to(version)
    os.replace(folder / "..data_tmp", folder / "..data")


def test_a_swapped_volume_is_live_in_every_worker(server: TokenServer) -> None:
    """Kubernetes swaps the link `..data` and takes the old folder away; back and forth."""
    folder = server.folder / "policies"
    mounted(folder, "..2026_1", A)
    (folder / "p.yaml").unlink()
    (folder / "p.yaml").symlink_to("..data/p.yaml")
    for number, (text, expected) in enumerate([(B, "b"), (A, "a")], start=2):
        mounted(folder, f"..2026_{number}", text)
        shutil.rmtree(folder / f"..2026_{number - 1}")
        assert wait_until(server, expected) < LIVE_SECONDS


def test_several_files_change_as_one(server: TokenServer) -> None:
    """While two files go together from one meaning to the other and back, nobody gets what neither has."""
    folder = server.folder / "policies"
    allow = {
        name: f"version: 1\nallow:\n  - {{id: all, to: [everyone], repositories: [{name}], role: reader}}\n...\n"
        for name in "ab"
    }
    rest = {
        name: f"version: 1\nallow:\n  - {{id: x, to: ['user:{name}'], repositories: [x], role: reader}}\n...\n"
        for name in "ab"
    }
    with asking(server) as seen:
        for name in "bab":
            replace_by_rename(folder / "p.yaml", allow[name])
            replace_by_rename(folder / "q.yaml", rest[name])
            wait_until(server, name)
    assert set(seen) == {"a", "b"}


@contextlib.contextmanager
def asking(server: TokenServer, *, threads: int = 3) -> Iterator[Counter[str]]:
    """Ask all the time in between; gives what was granted, and anything but a token as its error."""
    seen: Counter[str] = Counter()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                found = granted(server)
            except Exception as error:
                found = repr(error)
            seen[found] += 1

    asking = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in asking:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in asking:
            thread.join()


# --- what is refused (docs/design/threats.md#fault-16) ---------------------------------------------------------------


def unreadable(path: Path) -> None:
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything; what others can change is refused for root as well
        path.chmod(0o666)


def deleted(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(100 * 1024 * 1024)


def empty(path: Path) -> None:
    path.write_text("")


def failing_test(path: Path) -> None:
    path.write_text(B.replace("...\n", "tests:\n  - {as: anonymous, can: [pull a]}\n...\n"))


def unmarked(path: Path) -> None:
    """Cut at a line: what is left allows more than the whole does, and is good YAML."""
    path.write_text(B[: B.index("deny:")])


HARMS = [
    (unreadable, "policies/p.yaml"),
    (deleted, "policies"),
    (directory, "policies/p.yaml"),
    (pipe, "policies/p.yaml"),
    (device, "policies/p.yaml"),
    (huge, "policies/p.yaml"),
    (empty, "policies/p.yaml:1"),
    (failing_test, "policies/p.yaml:8"),
    (unmarked, "policies/p.yaml:4"),
]


def test_a_bad_file_keeps_the_last_good_one(server: TokenServer) -> None:
    """Every worker goes on by it, nobody waits, and log and /readyz say which file and line, until it is mended.

    One kind of harm after the other, each after all workers have taken the good file back.
    """
    path = server.folder / "policies" / "p.yaml"
    with asking(server) as seen:
        for harm, place in HARMS:
            remove(path)
            path.write_text(A)
            own = OwnTime(server.daemon.pid)
            while {ready(server) for _ in range(20)} != {True}:
                assert not own.is_over(LIVE_SECONDS + SLACK), (harm, server.daemon.stderr.read_text()[-3000:])
                time.sleep(0.05)
            logged = refusals(server)
            harm(path)
            own = OwnTime(server.daemon.pid)
            while not all(says(answer, place) for answer in [server.request("GET", "/readyz") for _ in range(20)]):
                assert not own.is_over(LIVE_SECONDS + SLACK), (harm, server.daemon.stderr.read_text()[-3000:])
                time.sleep(0.05)
            assert refusals(server) > logged, harm
    assert set(seen) == {"a"}


def says(answer: web.Answer, place: str) -> bool:
    """Whether a worker is not ready because of this file and line."""
    told = answer.json()["parts"]["files"]
    return answer.status == 503 and re.search(rf"[( ]{re.escape(place)}[,)]", told) is not None


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def refusals(server: TokenServer) -> int:
    return server.daemon.stderr.read_text().count("reload rejected")


def test_a_cut_at_any_place_is_never_applied(server: TokenServer) -> None:
    """Each stays for as long as a worker needs to see it; only A is applied, and in the end the whole B."""
    path = server.folder / "policies" / "p.yaml"
    ends = random.Random(16).sample(range(len(B) - 1), 2)  # noqa: S311 - any places will do
    with asking(server) as seen:
        for end in [*ends, B.index("deny:"), B.index("  - {id: not")]:
            path.write_text(B[:end])
            time.sleep(1.2)
    assert set(seen) == {"a"}
    path.write_text(B)
    wait_until(server, "b")


# --- slow and violent writers (docs/design/threats.md#fault-17), storms (docs/design/threats.md#fault-18) ------------

WRITER = """
import sys, time
path, text = sys.argv[1], sys.argv[2]
with open(path, "r+") as file:
    file.truncate(0)
    for line in text.splitlines(keepends=True):
        file.write(line)
        file.flush()
        time.sleep(0.25)
"""


def test_a_slow_writer_that_is_killed_is_never_believed(server: TokenServer) -> None:
    """It writes a line in each quarter of a second and dies anywhere: what is live is always one whole policy."""
    path = server.folder / "policies" / "p.yaml"
    chance = random.Random(17)  # noqa: S311 - any moments will do
    with asking(server) as seen:
        for text in (B, A):
            with subprocess.Popen([sys.executable, "-c", WRITER, str(path), text]) as writer:
                time.sleep(chance.uniform(0.3, 1.6))
                writer.kill()
            time.sleep(1.2)
    assert set(seen) <= {"a", "b"}
    path.write_text(B)
    wait_until(server, "b")


def test_a_storm_of_changes_never_mixes_two_policies(server: TokenServer) -> None:
    """1,000 replacements and 1,000 SIGHUPs under load: each request gets A or B, none both and none nothing."""
    path = server.folder / "policies" / "p.yaml"
    with asking(server) as seen:
        for text in itertools.islice(itertools.cycle([B, A]), 1000):
            replace_by_rename(path, text)
            server.daemon.signal(signal.SIGHUP)
            time.sleep(0.002)
        for text, expected in ((B, "b"), (A, "a"), (B, "b")):
            replace_by_rename(path, text)
            assert wait_until(server, expected) < LIVE_SECONDS
    assert set(seen) == {"a", "b"}
    assert seen["a"] + seen["b"] > 100


def test_every_event_names_the_policy_that_decided(server: TokenServer) -> None:
    """While policies take turns, one digest always goes with one answer."""
    path = server.folder / "policies" / "p.yaml"
    mark = server.audit.mark()
    with asking(server):
        for text, expected in ((B, "b"), (A, "a"), (B, "b")):
            replace_by_rename(path, text)
            wait_until(server, expected)
    pairs = {(event.fields["policy"], json.dumps(event.fields["granted"])) for event in server.audit.events(mark)}
    assert len(pairs) == 2
    assert len({digest for digest, _ in pairs}) == 2
