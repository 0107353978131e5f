"""The work of a wrong password: the same for users who exist and for those who do not."""

from __future__ import annotations

import statistics
import time

import pytest
from htpasswd_users import ARGON2, GOOD, SAMPLES, credentials, hashed

from tokenserver.authn.chain import Chain
from tokenserver.authn.equal_work import EqualWork
from tokenserver.authn.htpasswd import verify as decoy
from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.authn.passwords import HashingFailed
from tokenserver.errors import BackendUnavailable, InvalidCredentials


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        pytest.param(f"ann:{hashed(cost=5)}\n", {"bcrypt, cost 5"}, id="one user"),
        pytest.param(f"ann:{ARGON2}\n", {"argon2id, 64 KiB, 1 passes, parallelism 1"}, id="argon2id"),
        pytest.param("", {"bcrypt, cost 6"}, id="nobody"),
        pytest.param(
            f"ann:{hashed(cost=4)}\nbob:{hashed(cost=5)}\n", {"bcrypt, cost 4", "bcrypt, cost 5"}, id="two costs"
        ),
    ],
)
def test_an_unknown_user_costs_a_wrong_password(
    text: str, kinds: set[str], hashes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hash of each kind and cost in use, no matter which user has which, and also without users.

    See docs/design/threats.md#threat-19.
    """
    monkeypatch.setattr("tokenserver.authn.passwords.COST", 6)  # of a new hash, which the decoy of nobody is like
    backend = Htpasswd("local", "users", parse_users(text, "users"))
    equal = EqualWork([backend], lambda _, question: question())
    chain = Chain([backend], anonymous=True, decoy=equal.unknown, rest=equal)
    for name in (*sorted(backend.users), *(f"unknown-{number}" for number in range(16))):
        hashes.clear()
        with pytest.raises(InvalidCredentials) as caught:
            chain.authenticate(credentials(name, "wrong"))
        assert caught.value.reason == ("wrong password" if name in backend.users else "unknown user")
        assert sorted(hashes) == sorted(kinds)


@pytest.mark.long
def test_the_time_is_the_same_too() -> None:
    """Of 200 samples each, in the processor's time, the medians differ by less than 5 %, and by less than half
    a millisecond. The clock on the wall would measure what else the machine does; a rank test finds any microsecond.

    See docs/design/threats.md#threat-19.
    """
    backend = Htpasswd("local", "users", parse_users(f"ann:{hashed(cost=6)}\nben:{hashed(cost=4)}\n", "users"))
    equal = EqualWork([backend], lambda _, question: question())
    chain = Chain([backend], anonymous=True, decoy=equal.unknown, rest=equal)
    times: dict[str, list[float]] = {"ann": [], "ben": [], "unknown": []}
    for number in range(SAMPLES * len(times)):
        name = [*times][(number + number // len(times)) % len(times)]  # each comes as often behind each other one
        start = time.thread_time()
        with pytest.raises(InvalidCredentials):
            chain.authenticate(credentials(name, "wrong"))
        times[name].append(time.thread_time() - start)
    assert {len(taken) for taken in times.values()} == {SAMPLES}
    medians = [statistics.median(taken) for taken in times.values()]
    assert max(medians) < 1.05 * min(medians)
    assert max(medians) - min(medians) < 0.0005


def test_a_password_that_cannot_be_costs_the_same(hashes: list[str]) -> None:
    """73 bytes and more are hashed for unknown and known users alike."""
    backend = Htpasswd("local", "users", parse_users(f"ann:{GOOD}\n", "users"))
    chain = Chain([backend], anonymous=True, decoy=backend.decoy)
    for name in ("ann", "unknown"):
        with pytest.raises(InvalidCredentials):
            chain.authenticate(credentials(name, "x" * 73))
    assert hashes == ["bcrypt, cost 4", "bcrypt, cost 4"]


def test_the_decoy_of_several_sources(hashes: list[str]) -> None:
    """Each kind of hash in any source is computed once, except the one already done; an empty source adds none."""
    sources = [
        Htpasswd(str(cost), "users", parse_users(f"ann:{hashed(cost=cost)}\n" if cost else "", "users"))
        for cost in (0, 4, 5, 4)
    ]
    joined = sources[0].decoy.joined_with(*(source.decoy for source in sources[1:]))
    assert joined.kinds == ("bcrypt, cost 4", "bcrypt, cost 5")
    joined(credentials("unknown"))
    assert hashes == ["bcrypt, cost 4", "bcrypt, cost 5"]
    hashes.clear()
    joined(credentials("ann"), but=sources[1].kind_of("ann"))
    assert hashes == ["bcrypt, cost 5"]
    assert sources[1].kind_of("unknown") is None


@pytest.mark.parametrize("name", ["ann", "unknown"])
def test_short_memory(backend: Htpasswd, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash that cannot be computed is "cannot tell" for known and unknown users, never a wrong password."""

    def fail(_: str, __: str) -> bool:
        raise HashingFailed("memory is short")

    monkeypatch.setattr(decoy, "verify", fail)
    with pytest.raises(BackendUnavailable) as caught:
        Chain([backend], anonymous=True, decoy=backend.decoy).authenticate(credentials(name))
    assert str(caught.value) == "local: memory is short"
