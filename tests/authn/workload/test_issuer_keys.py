"""The live keys of an issuer: when they are fetched, for how long they are kept, and who waits."""

from __future__ import annotations

import logging
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from fake_issuer import SetClock, fake_issuer, now_and_here
from hypothesis import given
from hypothesis import strategies as st
from workload_jwts import CLAIMS, NOW, jwk, jwt, key_set, private_key

from tokenserver.authn.workload import issuer_keys
from tokenserver.authn.workload.algorithms import ALGORITHMS
from tokenserver.authn.workload.backend import WorkloadSource
from tokenserver.authn.workload.issuer_keys import (
    INTERVAL,
    KEPT,
    MAX_WAITING,
    MIN_INTERVAL,
    NOTE_AFTER,
    PAUSE,
    RETRY,
    IssuerKeys,
    in_thread,
    random_spread,
    watch_issuers,
)
from tokenserver.authn.workload.jwt_reader import RefusedJwt
from tokenserver.authn.workload.key_origins import Discovery, FetchedKeys, KeysNotFetched
from tokenserver.authn.workload.key_sets import IssuerKeySet, read_key_set
from tokenserver.authn.workload.presets import PRESETS
from tokenserver.authn.workload.trusted_issuer import TrustedIssuer
from tokenserver.credentials import Secret
from tokenserver.errors import BackendUnavailable, Incomplete

SUBJECT = f"workload:ci:{CLAIMS['sub']}"
UNKNOWN = "the JWT has a kid that no key of its issuer has"


def keys_of(*ids: str, number: int = 0) -> IssuerKeySet:
    """A set with keys of these ids."""
    return read_key_set(key_set(*(jwk(private_key("ES256", number), one) for one in ids)))


class Origin:
    """An origin that answers what it is set to; it counts how often it is asked."""

    def __init__(self, *ids: str) -> None:
        self.answer: FetchedKeys | Exception = FetchedKeys(keys_of(*ids)) if ids else KeysNotFetched("it is down")
        self.asked = 0

    def __call__(self) -> FetchedKeys:
        """Answer, or fail."""
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def has(self, *ids: str, number: int = 0, fresh_for: int | None = None) -> None:
        """Answer with these keys from now on."""
        self.answer = FetchedKeys(keys_of(*ids, number=number), fresh_for)


class World:
    """Keys with a clock that is set, and fetches that happen immediately."""

    def __init__(self, *ids: str, spread: Callable[[], float] = lambda: 0.0) -> None:
        self.clock = SetClock()
        self.origin = Origin(*ids)
        self.keys = IssuerKeys("ci", self.origin, steady=self.clock, spawn=now_and_here, spread=spread)

    def ask(self, key_id: str | None = "a", algorithm: str = "ES256") -> str:
        """The id of the key that is found, or why there is none."""
        try:
            return str(self.keys.key(key_id, algorithm).key_id)
        except RefusedJwt as error:
            return error.reason
        except BackendUnavailable as error:
            return f"{type(error).__name__}: {error} ({error.summary})"

    def passes(self, seconds: float) -> None:
        """Let time pass, with a tick at its end."""
        self.clock.now += seconds
        self.keys.tick()


def test_the_first_tick_fetches() -> None:
    """Before it nothing is asked, and after it nothing until the interval is over."""
    world = World("a")
    assert (world.origin.asked, world.keys.age, world.keys.is_failing) == (0, None, True)
    world.keys.tick()
    assert (world.origin.asked, world.ask(), world.keys.age) == (1, "a", 0)
    assert (world.keys.note, world.keys.is_failing) == (None, False)
    world.passes(INTERVAL - 1)
    assert world.origin.asked == 1
    world.passes(1)
    assert (world.origin.asked, world.keys.age) == (2, 0)


def test_a_login_before_the_first_tick() -> None:
    """It makes the keys be fetched itself."""
    world = World("a")
    assert (world.ask(), world.origin.asked) == ("a", 1)


@pytest.mark.parametrize(
    ("fresh_for", "spread", "interval"),
    [
        pytest.param(None, 0, 600, id="nothing said"),
        pytest.param(None, 1, 720, id="a fifth later"),
        pytest.param(None, -1, 480, id="a fifth sooner"),
        pytest.param(86400, 0, 600, id="longer is not kept to"),
        pytest.param(400, 0, 400, id="shorter"),
        pytest.param(400, 1, 480, id="shorter, and a fifth later"),
        pytest.param(310, -1, 300, id="not below the least"),
        pytest.param(0, 0, 300, id="not to be reused"),
    ],
)
def test_intervals(fresh_for: int | None, spread: float, interval: float) -> None:
    """What the issuer says shortens them, down to a limit."""
    world = World("a", spread=lambda: spread)
    world.origin.has("a", fresh_for=fresh_for)
    world.keys.tick()
    world.passes(interval - 1)
    assert world.origin.asked == 1
    world.passes(1.001)
    assert world.origin.asked == 2
    assert interval >= MIN_INTERVAL


@pytest.mark.parametrize(("spread", "interval"), [(0, 60), (1, 72), (-1, 48)])
def test_the_interval_after_a_failed_fetch(spread: float, interval: float) -> None:
    """It differs by a fifth as well."""
    world = World(spread=lambda: spread)
    world.keys.tick()
    world.passes(interval - 0.1)
    assert world.origin.asked == 1
    world.passes(0.2)
    assert world.origin.asked == 2


def test_a_failed_fetch_is_repeated_sooner() -> None:
    """Until it succeeds."""
    world = World()
    world.keys.tick()
    world.passes(RETRY)
    assert world.origin.asked == 2
    world.origin.has("a")
    world.passes(RETRY)
    assert (world.origin.asked, world.ask()) == (3, "a")
    world.passes(RETRY)
    assert world.origin.asked == 3


def test_an_issuer_that_is_down_at_the_start() -> None:
    """Logins are not possible, and become so without a restart."""
    world = World()
    world.keys.tick()
    note = "the keys of its issuer could not be fetched yet; see the log"
    assert world.ask() == f"BackendUnavailable: ci: no keys of the issuer: it is down ({note})"
    assert world.keys.note == note
    world.clock.now += PAUSE - 1
    assert (world.ask()[:18], world.origin.asked) == ("BackendUnavailable", 1)
    world.origin.has("a")
    world.clock.now += 1
    assert (world.ask(), world.origin.asked) == ("a", 2)
    assert world.keys.note is None


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(KeysNotFetched("the key set has no usable key"), id="an empty set"),
        pytest.param(OSError("x"), id="an error that nobody foresaw"),
    ],
)
def test_an_issuer_that_goes_down_later(failure: Exception) -> None:
    """The last good keys are used for a day, with a note from the first hour on."""
    world = World("a")
    world.keys.tick()
    world.origin.answer = failure
    for age, note in (
        (NOTE_AFTER - 1, None),
        (NOTE_AFTER, "the keys of its issuer are 1 h old, and will be used until 24 h; see the log"),
        (KEPT - 1, "the keys of its issuer are 24 h old, and will be used until 24 h; see the log"),
    ):
        world.clock.now = 1000 + age
        world.keys.tick()
        assert (world.ask(), world.keys.note, world.keys.age) == ("a", note, age)
    world.passes(1)
    note = "the keys of its issuer could not be fetched for a day, and are not used any more; see the log"
    assert world.keys.note == note
    answer = world.ask()
    assert answer.startswith("BackendUnavailable: ci: no keys of the issuer: ")
    assert answer.endswith(f" ({note})")
    world.origin.has("b")
    world.passes(RETRY)
    assert (world.ask("b"), world.ask("a")) == ("b", UNKNOWN)
    assert world.keys.note is None


def test_a_new_key() -> None:
    """Its first JWT makes it known; a key that is gone is not used any more."""
    world = World("a")
    world.keys.tick()
    world.origin.has("a", "b")
    world.clock.now += PAUSE
    assert (world.ask("b"), world.ask("a"), world.origin.asked) == ("b", "a", 2)
    world.origin.has("b")
    world.passes(INTERVAL)
    assert (world.ask("a"), world.ask("b")) == (UNKNOWN, "b")


def test_a_new_key_with_an_old_id() -> None:
    """It is known from the next regular fetch on, and the old one no more."""
    world = World("a")
    world.keys.tick()
    old = world.keys.key("a", "ES256")
    world.origin.has("a", number=1)
    world.clock.now += PAUSE
    assert world.keys.key("a", "ES256") is old
    world.passes(INTERVAL)
    assert world.keys.key("a", "ES256") is not old


def test_ten_thousand_random_ids() -> None:
    """Two fetches a minute, whatever clients send; what is known stays known."""
    world = World("a")
    world.keys.tick()
    began = world.origin.asked
    for number in range(10_000):
        world.clock.now += 0.0061
        assert world.ask(secrets.token_hex(8)) == UNKNOWN
        if number % 1000 == 0:
            world.keys.tick()
            assert world.ask() == "a"
    assert world.origin.asked - began == 2


@pytest.mark.parametrize(
    ("key_id", "algorithm", "answer"),
    [
        pytest.param("a", "RS256", "the JWT has a kid of a key that is not for its alg", id="another type of key"),
        pytest.param(None, "RS256", "the JWT has no kid", id="no id, no key of the type"),
        pytest.param(None, "ES256", "a", id="no id, one key"),
    ],
)
def test_what_is_asked_of_the_set(key_id: str | None, algorithm: str, answer: str) -> None:
    """A key of another type is no reason to fetch."""
    world = World("a")
    world.keys.tick()
    assert (world.ask(key_id, algorithm), world.origin.asked) == (answer, 1)


def test_an_unknown_id_while_the_issuer_is_down() -> None:
    """It might be new: nobody can tell, which says nothing about JWTs with other ids."""
    world = World("a")
    world.keys.tick()
    world.origin.answer = KeysNotFetched("it is down")
    world.clock.now += PAUSE
    problem = "no key of the issuer has this kid, and new ones are not known: it is down"
    expected = f"Incomplete: ci: {problem} (does not answer)"
    assert [world.ask("b"), world.ask("b"), world.ask("a")] == [expected, expected, "a"]
    assert world.origin.asked == 2


class Held:
    """An origin that answers when it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.asked = 0

    def __call__(self) -> FetchedKeys:
        """Wait, then answer."""
        self.asked += 1
        self.begun.set()
        assert self.go.wait(10)
        return FetchedKeys(keys_of("a"))


def test_a_slow_start_blocks_nothing() -> None:
    """The tick returns while the fetch goes on, and a second one begins none."""
    origin = Held()
    keys = IssuerKeys("ci", origin)
    keys.tick()
    assert origin.begun.wait(5)
    keys.tick()
    assert (origin.asked, keys.age) == (1, None)
    origin.go.set()
    assert keys.key("a", "ES256").key_id == "a"


def test_many_logins_share_a_fetch() -> None:
    """All of them wait for the same one, and get its keys."""
    origin = Held()
    keys = IssuerKeys("ci", origin)
    with ThreadPoolExecutor(MAX_WAITING) as pool:
        waiting = [pool.submit(keys.key, "a", "ES256") for _ in range(MAX_WAITING)]
        assert origin.begun.wait(5)
        origin.go.set()
        assert {one.result(5).key_id for one in waiting} == {"a"}
    assert origin.asked == 1


def test_waiting_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login gets no keys from a fetch that takes too long, and one with a known id does not wait for it."""
    monkeypatch.setattr(issuer_keys, "WAIT", 0.05)
    clock, origin, threads = SetClock(), Held(), []

    def spawn(run: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=run))
        threads[-1].start()

    keys = IssuerKeys("ci", origin, steady=clock, spawn=spawn)
    with pytest.raises(BackendUnavailable, match="no keys of the issuer: they have not been fetched yet"):
        keys.key("a", "ES256")
    origin.go.set()
    threads[0].join()
    assert keys.key("a", "ES256").key_id == "a"
    origin.go.clear()
    clock.now += PAUSE
    with pytest.raises(Incomplete, match="new ones are not known: they are being fetched"):
        keys.key("b", "ES256")
    assert keys.key("a", "ES256").key_id == "a"
    origin.go.set()
    threads[1].join()
    with pytest.raises(RefusedJwt):
        keys.key("b", "ES256")


def test_few_logins_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them holds a thread of the server, so that the next one is rejected immediately."""
    monkeypatch.setattr(issuer_keys, "MAX_WAITING", 2)
    origin = Held()
    keys = IssuerKeys("ci", origin)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(keys.key, "a", "ES256") for _ in range(2)]
        while keys._waiting < 2:
            time.sleep(0.001)
        with pytest.raises(Incomplete, match=r"^ci: too many logins wait for the keys of the issuer$") as caught:
            keys.key("a", "ES256")
        assert caught.value.retry_after == 1
        origin.go.set()
        assert [one.result(5).key_id for one in waiting] == ["a", "a"]
    assert keys._waiting == 0


def test_a_process_without_threads() -> None:
    """A fetch that cannot begin has failed, and the next one is possible."""
    clock, is_full = SetClock(), True

    def spawn(run: Callable[[], None]) -> None:
        if is_full:
            raise RuntimeError("can't start new thread")
        run()

    keys = IssuerKeys("ci", Origin("a"), steady=clock, spawn=spawn)
    with pytest.raises(BackendUnavailable, match="no keys of the issuer: no thread for it"):
        keys.key("a", "ES256")
    is_full = False
    clock.now += PAUSE
    assert keys.key("a", "ES256").key_id == "a"


def test_an_outage_is_logged_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    """And its end once."""
    world = World("a")
    caplog.set_level(logging.INFO)
    world.keys.tick()
    assert caplog.messages == []
    world.origin.answer = KeysNotFetched("it is down")
    for _ in range(70):
        world.passes(RETRY)
    down = "the keys of the issuer of ci cannot be fetched: it is down"
    assert caplog.messages == [down, down]
    world.origin.has("a")
    for _ in range(3):
        world.passes(INTERVAL)
    assert caplog.messages == [down, down, "the keys of the issuer of ci can be fetched again"]


def test_an_unforeseen_error_is_logged_by_its_type(caplog: pytest.LogCaptureFixture) -> None:
    """Its text may hold anything."""
    world = World()
    world.origin.answer = ZeroDivisionError("canary")
    world.keys.tick()
    assert caplog.messages == ["the keys of the issuer of ci cannot be fetched: unexpected ZeroDivisionError"]


def test_watching() -> None:
    """All issuers from the beginning, and again, until it is stopped."""
    origins = Origin("a"), Origin()
    clocks = SetClock(), SetClock()
    issuers = [
        IssuerKeys("ci", origin, steady=clock, spawn=now_and_here, spread=lambda: 0.0)
        for origin, clock in zip(origins, clocks, strict=True)
    ]
    stop = threading.Event()
    thread = threading.Thread(target=watch_issuers, args=(lambda: issuers, stop), kwargs={"every": 0.01})
    thread.start()
    clocks[1].now += RETRY
    for _ in range(500):
        if origins[1].asked == 2:
            break
        stop.wait(0.01)
    stop.set()
    thread.join()
    assert [origin.asked for origin in origins] == [1, 2]


def test_spread() -> None:
    """Between the two ends, and not always the same."""
    drawn = {random_spread() for _ in range(50)}
    assert len(drawn) > 1
    assert all(-1 <= one <= 1 for one in drawn)


def test_threads_do_not_hold_the_process() -> None:
    """A fetch that is under way ends with it."""
    seen: list[bool] = []
    done = threading.Event()

    def run() -> None:
        seen.append(threading.current_thread().daemon)
        done.set()

    in_thread(run)
    assert done.wait(5)
    assert seen == [True]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.sampled_from([1.0, 29.0, 30.0, 299.0, 3600.0, 86400.0])),
        st.tuples(st.just("serve"), st.sets(st.sampled_from("abc"), min_size=1)),
        st.tuples(st.just("down"), st.none()),
        st.tuples(st.just("ask"), st.sampled_from("abc")),
    ),
    max_size=30,
)


@given(STEPS)
def test_any_history(steps: list[tuple[str, object]]) -> None:
    """A key is found if it was in the last good set, for a day; a JWT is refused only where the last fetch was good.

    Between two fetches there is always the pause.
    """
    world, served = World(), frozenset[str]()
    moments: list[float] = []
    good: list[tuple[float, frozenset[str]]] = []

    def fetch() -> FetchedKeys:
        moments.append(world.clock.now)
        if not served:
            raise KeysNotFetched("it is down")
        good.append((world.clock.now, served))
        return FetchedKeys(keys_of(*sorted(served)))

    world.keys = IssuerKeys("ci", fetch, steady=world.clock, spawn=now_and_here, spread=lambda: 0.0)
    for step, value in steps:
        if step == "pass":
            world.passes(float(str(value)))
        elif step == "ask":
            answer = world.ask(str(value))
            is_usable = bool(good) and world.clock.now - good[-1][0] < KEPT
            assert (answer == value) is (is_usable and value in good[-1][1])
            assert answer == value or (answer == UNKNOWN) is (is_usable and moments[-1] == good[-1][0])
        else:
            served = frozenset(value) if isinstance(value, set) else frozenset()
    assert all(later - earlier >= PAUSE for earlier, later in pairwise(moments))


def test_from_the_issuer_to_the_workload() -> None:
    """A real server: its keys, a JWT, a rotation, and an answer that is no set."""
    clock = SetClock()
    with fake_issuer() as issuer:
        issuer.serve(key_set(jwk(private_key("ES256"), "k")))
        keys = IssuerKeys("ci", Discovery(issuer.url, ssl.create_default_context()), steady=clock, spawn=now_and_here)
        trusted = TrustedIssuer(
            "ci", issuer.url, frozenset({str(CLAIMS["aud"])}), PRESETS["none"], frozenset(ALGORITHMS)
        )
        source = WorkloadSource(trusted, keys, now=lambda: NOW)

        def subject(key_id: str, number: int = 0) -> str:
            text = jwt({**CLAIMS, "iss": issuer.url}, key_id=key_id, key=private_key("ES256", number))
            try:
                return source.authenticate(Secret(text)).subject
            except RefusedJwt as error:
                return error.reason

        assert subject("k") == SUBJECT
        issuer.serve(key_set({"kty": "AKP"}, jwk(private_key("ES256", 1), "new")))
        assert subject("new", 1) == UNKNOWN  # for half a minute after a fetch
        clock.now += PAUSE
        assert (subject("new", 1), subject("k")) == (SUBJECT, UNKNOWN)
        issuer.serve(b'{"keys": []}')
        clock.now += INTERVAL * 2
        keys.tick()
        assert (subject("new", 1), keys.age) == (SUBJECT, INTERVAL * 2)
        assert len(issuer.paths) == 6
