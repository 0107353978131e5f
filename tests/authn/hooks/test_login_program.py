"""Programs written for docker_auth's `ext_auth`, a process for each login."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from authenticator_contract import GOOD, NAME, AuthenticatorContract
from harness.own_time import OwnTime
from harness.waiting import until
from hook_programs import LOGINS, Turnstile, hook_program

from tokenserver.authn.authenticator import Authenticator
from tokenserver.authn.hooks.exchange import HookAnswer, HookQuestion, HookResult, HookUser
from tokenserver.authn.hooks.identities import HookTerms
from tokenserver.authn.hooks.login_program import LoginProgram
from tokenserver.authn.hooks.source import HookSource
from tokenserver.credentials import Secret
from tokenserver.errors import BackendUnavailable, Overloaded

ALICE = HookQuestion("alice", Secret(GOOD))


def program(folder: Path, body: str, *, deadline: float = 10.0) -> LoginProgram:
    """The hook of a program with this body."""
    return LoginProgram(NAME, [str(hook_program(folder, body))], workers=1, deadline=deadline)


class TestLoginProgram(AuthenticatorContract):
    """A good program."""

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, tmp_path_factory: pytest.TempPathFactory) -> Authenticator:
        """A program that knows alice."""
        return HookSource(HookTerms(NAME), program(tmp_path_factory.mktemp("program"), LOGINS["good"]))

    @pytest.fixture
    def finds(self) -> bool:
        """It only checks passwords."""
        return False


def test_labels_become_groups(tmp_path: Path) -> None:
    """A label with a value is the group `LABEL=VALUE`."""
    expected = HookUser("alice", ("team=web", "team=ops"))
    assert program(tmp_path, LOGINS["good"]).ask(ALICE) == HookAnswer(HookResult.OK, expected)
    one = LoginProgram(NAME, [str(tmp_path / "check")], workers=1, deadline=10.0, plain=["team"])
    assert one.ask(ALICE) == HookAnswer(HookResult.OK, HookUser("alice", ("web", "ops")))


def test_no_output(tmp_path: Path) -> None:
    """Exit code 0 is enough."""
    assert program(tmp_path, LOGINS["says nothing"]).ask(ALICE) == HookAnswer(HookResult.OK, HookUser("alice", ()))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("cannot tell", "ended with exit code 3"),
        ("is killed", "was ended by signal 9"),
        ("prints garbage", "is not JSON"),
        ("prints too much", "more than 64 KiB"),
    ],
)
def test_bad_programs(tmp_path: Path, name: str, problem: str) -> None:
    """Each is "cannot tell"."""
    with pytest.raises(BackendUnavailable, match=problem):
        program(tmp_path, LOGINS[name]).ask(ALICE)


def test_it_is_killed_at_the_deadline(tmp_path: Path) -> None:
    """And the login gets its answer then."""
    own = OwnTime(os.getpid())
    with pytest.raises(BackendUnavailable, match="does not end in time"):
        program(tmp_path, LOGINS["never ends"], deadline=0.4).ask(ALICE)
    assert own.seconds < 1.5


@pytest.mark.parametrize(
    ("user", "password"),
    [
        pytest.param("alice x", GOOD, id="blank in the name"),
        pytest.param(" alice", GOOD, id="blank before it"),
        pytest.param("alice", f"{GOOD}\nx", id="line break in the password"),
    ],
)
def test_what_the_program_could_misread(tmp_path: Path, user: str, password: str) -> None:
    """It is not even started (docs/design/threats.md#threat-209)."""
    started = tmp_path / "started"
    one = program(tmp_path, f"open({str(started)!r}, 'w')\nsys.exit(0)")
    assert one.ask(HookQuestion(user, Secret(password))) == HookAnswer(HookResult.UNKNOWN)
    assert not started.exists()


def test_no_slot_in_time(tmp_path: Path) -> None:
    """As many processes as `workers` run concurrently."""
    turnstile = Turnstile(tmp_path)
    one = program(tmp_path, turnstile.code() + LOGINS["good"], deadline=60.0)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(one.ask, ALICE)
        until(turnstile.is_reached)
        one._deadline = 0.2
        with pytest.raises(Overloaded):
            one.ask(ALICE)
        turnstile.open()
        assert first.result().result is HookResult.OK


def test_find(tmp_path: Path) -> None:
    """There is no such question, and it has nothing to retire."""
    one = program(tmp_path, LOGINS["good"])
    assert one.ask(HookQuestion("alice", None)) == HookAnswer(HookResult.UNSUPPORTED)
    one.retire()
