"""Across user sources: a failed login does the same work whoever has the name, also if a source is at fault.

See docs/design/threats.md#threat-19.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenserver.authn.authenticator import Authenticator
from tokenserver.authn.chain import Chain
from tokenserver.authn.equal_work import MEASURE_SECONDS, SLEEPERS, EqualWork, Pause
from tokenserver.authn.htpasswd import verify as decoy
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.authn.passwords import describe, hash_password
from tokenserver.authn.protection.guard import Protection
from tokenserver.authn.protection.login_cache import CacheLifetime
from tokenserver.authn.protection.plan import Plan
from tokenserver.credentials import Password, Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials, Overloaded, TokenserverError
from tokenserver.identity import Identity, Kind

TAIL = hash_password("x").partition("$10$")[2]


@dataclass
class Log:
    """What was done, in its order."""

    done: list[str] = field(default_factory=list)

    def counted(self) -> Counter[str]:
        """All of it since the last time."""
        found = Counter(self.done)
        self.done.clear()
        return found


@dataclass
class Directory:
    """A directory that notes its searches and binds; `fault` is the one of them that fails."""

    name: str
    people: frozenset[str]
    log: Log
    fault: str = ""

    def authenticate(self, credentials: Password) -> Identity | None:
        """As a directory does."""
        self._do("search")
        if credentials.username not in self.people:
            return None
        self._do("bind")
        if credentials.password != Secret("right"):
            raise InvalidCredentials("wrong password")
        return Identity(credentials.username, Kind.PASSWORD, self.name)

    def decoy(self, credentials: Password, *, is_looked_up: bool = True) -> None:
        """As `LdapDirectory.decoy`; nothing that was typed is used."""
        assert isinstance(credentials, Password)
        if not is_looked_up:
            self._do("search")
        self._do("bind")

    def _do(self, step: str) -> None:
        self.log.done.append(f"{step} {self.name}")
        if self.fault == step:
            raise BackendUnavailable(self.name, "is down")


@dataclass
class World:
    """Sources in an order: a tuple of bcrypt costs is a file, a text is a directory.

    With `!` behind it, its searches fail, with `?` its binds.
    """

    shape: tuple[tuple[int, ...] | str, ...]
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        self.names: dict[str, int] = {}
        self.sources: list[Htpasswd | Directory] = []
        for number, kind in enumerate(self.shape):
            if isinstance(kind, str):
                name = f"{kind.strip('!?')}-{number}"
                fault = "search" if kind.endswith("!") else "bind" if kind.endswith("?") else ""
                self.names[f"user-{number}"] = number
                self.sources.append(Directory(name, frozenset({f"user-{number}"}), self.log, fault))
                continue
            lines = {f"user-{number}-{cost}": f"$2b${cost:02}${TAIL}" for cost in kind}
            self.names |= dict.fromkeys(lines, number)
            text = "".join(f"{name}:{hashed}\n" for name, hashed in lines.items())
            self.sources.append(Htpasswd(f"file-{number}", "users", parse_users(text, "users")))
        self.equal = EqualWork(self.sources, lambda _, question: question(), Pause(monotonic=Ticks()))
        self.chain = Chain(self.sources, anonymous=False, decoy=self.equal.unknown, rest=self.equal)

    def login(self, name: str, password: str = "wrong") -> str:  # noqa: S107 - made up here
        """What comes of it."""
        try:
            return self.chain.authenticate(Password(name, Secret(password))).subject
        except TokenserverError as error:
            return type(error).__name__


class Ticks:
    """A clock that goes so fast that each pause is measured, which is work that can be counted."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += MEASURE_SECONDS
        return self.now


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """Where hashes are noted instead of being computed."""
    return _noting(monkeypatch)


def _noting(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()

    def verify(password: str, hashed: str) -> bool:
        log.done.append(describe(hashed))
        return password == "right" and not hashed.endswith(".....")

    monkeypatch.setattr(decoy, "verify", verify)
    return log


FILE = st.lists(st.integers(4, 8), max_size=3, unique=True).map(tuple)
SHAPES = st.lists(st.one_of(FILE, st.sampled_from(["corp", "corp!", "corp?"])), min_size=1, max_size=5).map(tuple)


@settings(deadline=None)
@given(SHAPES)
def test_every_failure_does_the_same_work(shape: tuple[tuple[int, ...] | str, ...]) -> None:
    """In any arrangement of files and directories, whatever part of which is at fault: every name, known here, known
    there or unknown, costs the same hashes, searches and binds.
    """
    with pytest.MonkeyPatch.context() as patch:
        log = _noting(patch)
        world = World(shape, log)
        found = {}
        for name in (*world.names, "unknown"):
            assert world.login(name) in {"InvalidCredentials", "BackendUnavailable"}
            found[name] = log.counted()
    assert all(one == other for one, other in pairwise(found.values())), found


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        pytest.param(((4,), "corp"), ["bcrypt, cost 4", "search corp-1", "bind corp-1"], id="a file, a directory"),
        pytest.param(("corp", (4,)), ["bcrypt, cost 4", "search corp-0", "bind corp-0"], id="a directory, a file"),
        pytest.param(((4,), (6,)), ["bcrypt, cost 4", "bcrypt, cost 6"], id="two files of different costs"),
        pytest.param(((4, 6), (6,)), ["bcrypt, cost 4", "bcrypt, cost 6"], id="two files with a cost in common"),
        pytest.param(
            ("corp", "partner"),
            ["search corp-0", "bind corp-0", "search partner-1", "bind partner-1"],
            id="two directories",
        ),
        pytest.param(
            ("corp", (5,), "partner"),
            ["search corp-0", "bind corp-0", "bcrypt, cost 5", "search partner-2", "bind partner-2"],
            id="a file between directories",
        ),
    ],
)
def test_what_a_failure_costs(shape: tuple[tuple[int, ...] | str, ...], expected: list[str], log: Log) -> None:
    """Each directory is searched once and bound to once, each kind of hash is computed once, whose it is or not."""
    world = World(shape, log)
    for name in (*world.names, "unknown"):
        assert world.login(name) == "InvalidCredentials"
        assert log.counted() == Counter(expected), name


def test_a_success_costs_nothing_more(log: Log) -> None:
    """A right password is not slowed: it costs only the work of its source and of those before it."""
    world = World(("corp", (4, 6), "partner"), log)
    for name, work in {
        "user-0": ["search corp-0", "bind corp-0"],
        "user-1-4": ["search corp-0", "bcrypt, cost 4"],
        "user-1-6": ["search corp-0", "bcrypt, cost 6"],
        "user-2": ["search corp-0", "search partner-2", "bind partner-2"],
    }.items():
        assert world.login(name, "right") == name
        assert log.counted() == Counter(work)


def test_a_fault_elsewhere_changes_no_answer(log: Log) -> None:
    """A wrong password stays wrong, whatever the other sources do, and costs the same as an unknown name."""
    world = World(((4,), "corp?", "partner!"), log)
    work = Counter(["bcrypt, cost 4", "search corp-1", "bind corp-1", "search partner-2"])
    assert world.login("user-0-4") == "InvalidCredentials"
    assert log.counted() == work
    for name in ("user-1", "user-2", "unknown"):
        assert world.login(name) == "BackendUnavailable"
        assert log.counted() == work


def test_a_directory_that_is_not_asked(log: Log) -> None:
    """With its breaker open it is never asked; the hash is slept or computed, and the status says why."""
    directory = Directory("corp", frozenset({"ann"}), log, "search")
    file = Htpasswd("file", "users", parse_users(f"ben:$2b$04${TAIL}\n", "users"))
    plan = Plan({"file": CacheLifetime(0), "corp": CacheLifetime(0)}, ("corp",), None, 1)
    protection = Protection(plan, secret=b"s", monotonic=lambda: 1000.0)
    sources: list[Authenticator] = [file, directory]
    equal = EqualWork(sources, protection.through, Pause(monotonic=Ticks()))
    chain = Chain(
        [protection.sheltered(source) for source in sources],
        anonymous=False,
        decoy=equal.unknown,
        rest=equal,
        guard=protection,
    )

    def login(name: str) -> str:
        with pytest.raises(TokenserverError) as caught:
            chain.authenticate(Password(name, Secret("wrong")))
        return type(caught.value).__name__

    assert [login("unknown") for _ in range(3)] == ["BackendUnavailable"] * 3
    assert log.counted() == Counter({"search corp": 3, "bcrypt, cost 4": 3})
    assert [login(name) for name in ("unknown", "ann", "ben")] == [
        "BackendUnavailable",
        "BackendUnavailable",
        "InvalidCredentials",
    ]
    assert log.counted() == Counter({"bcrypt, cost 4": 3})


# --- the pause -------------------------------------------------------------------------------------------------------


@dataclass
class Work:
    """A stub for hashes: each takes this many seconds of a clock that sleeping advances as well."""

    seconds: float = 0.25
    processor: float = 1.0
    now: float = 0.0
    done: int = 0
    slept: list[float] = field(default_factory=list)
    is_full: bool = False

    def __call__(self, credentials: Password) -> None:
        """Do it."""
        assert isinstance(credentials, Password)
        if self.is_full:
            raise Overloaded("hashing", "no room to wait")
        self.now += self.seconds
        self.done += 1

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        self.now += seconds
        self.slept.append(seconds)

    def pause(self) -> Pause:
        """One by this clock."""
        return Pause(monotonic=lambda: self.now, processor=lambda: self.now * self.processor, sleep=self.sleep)


NOBODY = Password("nobody", Secret("x"))


def test_a_pause_takes_as_long_as_the_work() -> None:
    """The work is done once in five seconds, which tells how long the others sleep; a change is followed."""
    work = Work()
    pause = work.pause()
    for _ in range(40):
        start = work.now
        pause(work, NOBODY)  # type: ignore[arg-type]  # it is called as the hashes are
        assert work.now - start == pytest.approx(0.25)
    assert work.done == 2  # at 0 and 5 seconds
    work.seconds = 1.0
    for _ in range(200):
        pause(work, NOBODY)  # type: ignore[arg-type]  # as above
    assert work.slept[-1] == 1.0


@pytest.mark.parametrize(
    ("seconds", "processor", "expected"),
    [
        pytest.param(0.25, 0.9, 0.25, id="not busy"),
        pytest.param(1.0, 0.4, 0.5, id="the machine is busy"),
        pytest.param(1.0, 0.01, 0.1, id="very busy, or it computes in other threads"),
        pytest.param(0.08, 0.01, 0.08, id="busy, and still quick"),
    ],
)
def test_a_busy_machine_makes_nobody_wait(seconds: float, processor: float, expected: float) -> None:
    """Waiting for a directory that is down does not count as the duration of the work."""
    work = Work(seconds, processor)
    pause = work.pause()
    for _ in range(2):
        pause(work, NOBODY)  # type: ignore[arg-type]  # as above
    assert work.slept == [pytest.approx(expected)]


def test_without_room_there_is_no_pause() -> None:
    """Hashes without a slot take no time, and no login sleeps for a time that was never measured."""
    work = Work(is_full=True)
    pause = work.pause()
    for _ in range(3):
        pause(work, NOBODY)  # type: ignore[arg-type]  # as above
    assert (work.now, work.done, work.slept) == (0.0, 0, [])


def test_few_sleep_at_once() -> None:
    """Only a limited number of threads sleep, so that an attacker cannot occupy the server's threads."""
    work = Work()
    pause = work.pause()
    pause(work, NOBODY)  # type: ignore[arg-type]  # as above
    for _ in range(SLEEPERS):
        assert pause._free.acquire(blocking=False)
    pause(work, NOBODY)  # type: ignore[arg-type]  # as above
    assert (work.done, work.slept) == (1, [])
