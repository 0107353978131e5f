"""Reuse of tokens: when, for which requests and for how long."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.credentials import Secret
from tokenserver.tokens.issuer import Token
from tokenserver.tokens.reuse import Reuse

START = 1_801_396_800


class Server:
    """Asks for tokens at times that the test sets."""

    def __init__(self, *, seconds: int = 10, lifetime: int = 900, rush: int = 3) -> None:
        self.now = float(START)
        self.lifetime = lifetime
        self.reuse = Reuse(seconds, now=lambda: self.now, rush=rush)
        self._numbers = count(1)

    def ask(self, key: str | None = "ann") -> Token:
        return self.reuse.token(key, self._sign)

    def _sign(self) -> Token:
        return Token(Secret("…"), f"id-{next(self._numbers)}", int(self.now), self.lifetime, ())


def test_without_a_rush_every_token_is_new() -> None:
    """As many as the rush begins with, second after second: no id twice, and none that others could get."""
    server = Server(rush=3)
    found = []
    for _ in range(5):
        found += [server.ask() for _ in range(3)]
        server.now += 1
    assert len({token.jti for token in found}) == 15
    assert not any(token.is_shared for token in found)


def test_in_a_rush_the_same_is_given_again() -> None:
    """From the fourth of a second on, and into the next; a request for something else gets another token."""
    server = Server(rush=3)
    found = [server.ask().jti for _ in range(6)]
    server.now += 1
    found += [server.ask().jti, server.ask("bob").jti, server.ask("bob").jti]
    assert found == ["id-1", "id-2", "id-3", "id-4", "id-4", "id-4", "id-4", "id-5", "id-5"]


def test_without_a_key_a_token_is_for_one_request() -> None:
    """It counts as load, but its token is neither kept nor given to others."""
    server = Server(rush=3)
    found = [server.ask(None) for _ in range(6)]
    assert (len({token.jti for token in found}), any(token.is_shared for token in found)) == (6, False)
    assert [server.ask().jti for _ in range(2)] == ["id-7", "id-7"]


def test_the_rush_ends() -> None:
    """After a second without one every token is new again."""
    server = Server(rush=3)
    before = [server.ask() for _ in range(6)][-1]
    server.now += 2
    after = server.ask()
    assert (before.is_shared, after.is_shared, before.jti == after.jti) == (True, False, False)


@pytest.mark.parametrize(
    ("seconds", "lifetime", "longest"),
    [
        pytest.param(10, 900, 10, id="ten-seconds"),
        pytest.param(4, 900, 4, id="as-configured"),
        pytest.param(10, 60, 6, id="a-tenth-of-the-lifetime"),
    ],
)
def test_for_how_long(seconds: int, lifetime: int, longest: int) -> None:
    """Ten seconds and a tenth of the lifetime at most."""
    server = Server(seconds=seconds, lifetime=lifetime, rush=1)
    server.ask()
    first = server.ask()
    found = []
    for _ in range(longest + 1):
        server.now += 1
        server.ask("somebody-else")
        server.ask("somebody-else")
        found.append(server.ask().jti == first.jti)
    assert found == [True] * (longest - 1) + [False] * 2


def test_a_clock_that_is_set_back() -> None:
    """A token from the future is not given again."""
    server = Server(rush=1)
    server.ask()
    first = server.ask()
    server.now -= 5
    server.ask()
    assert server.ask().jti != first.jti


@given(st.lists(st.tuples(st.floats(0, 4), st.sampled_from("abc")), max_size=60))
def test_a_token_is_never_given_for_another_key(asked: list[tuple[float, str]]) -> None:
    """And never when it is too old, whatever the order of times."""
    server = Server(rush=2)
    owner: dict[str, str] = {}
    for step, key in asked:
        server.now += step
        token = server.ask(key)
        assert owner.setdefault(token.jti, key) == key
        assert 0 <= server.now - token.issued_at < 11
