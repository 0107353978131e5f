"""Credentials: a secret does not print, is not stored, and compares in constant time."""

from __future__ import annotations

import copy
import dataclasses
import hmac
import json
import logging
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.credentials import MalformedCredentials, NoCredentials, Password, RefreshToken, Secret, UnreadSecret

CANARY = "canary-5f1c"


def test_reveal_is_the_way_to_the_text() -> None:
    """What goes in comes out, by name."""
    assert Secret(CANARY).reveal() == CANARY


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(str(Secret(CANARY)), id="str"),
        pytest.param(repr(Secret(CANARY)), id="repr"),
        pytest.param(f"{Secret(CANARY)}", id="f-string"),
        pytest.param(f"{Secret(CANARY)!r}", id="f-string-repr"),
        pytest.param(f"{Secret(CANARY):>40}", id="format-spec"),
        pytest.param("%s %r" % (Secret(CANARY), Secret(CANARY)), id="percent"),  # noqa: UP031 - logging formats this way
        pytest.param("{}".format(Secret(CANARY)), id="format"),  # noqa: UP032 - that is the test
        pytest.param(repr([Secret(CANARY)]), id="inside-a-list"),
        pytest.param(repr(Password("ann", Secret(CANARY))), id="inside-credentials"),
        pytest.param(str(Password("ann", Secret(CANARY))), id="credentials-str"),
        pytest.param(str(ValueError(Secret(CANARY))), id="inside-an-exception"),
        pytest.param(ascii(Secret(CANARY)), id="ascii"),
        pytest.param(repr(dir(Secret(CANARY))), id="dir"),
        pytest.param(repr(Password("ann", UnreadSecret(lambda: CANARY, b"tag"))), id="unread"),
    ],
)
def test_a_secret_does_not_print(shown: str) -> None:
    """No way of printing shows the text, nor its length."""
    assert CANARY not in shown
    assert str(len(CANARY)) not in shown


def test_a_secret_shows_dots() -> None:
    """What is shown instead is the same for every secret."""
    assert (str(Secret("a")), repr(Secret("b"))) == ("…", "Secret('…')")


def test_an_unread_secret() -> None:
    """It is read when it is needed, once, and is then as any other."""
    reads: list[str] = []

    def read() -> str:
        reads.append(CANARY)
        return CANARY

    secret = UnreadSecret(read, b"tag")
    assert (str(secret), secret.tag, reads) == ("…", b"tag", [])
    assert secret == Secret(CANARY)
    assert Secret(CANARY) == secret
    assert secret != Secret("")
    assert (secret.reveal(), reads) == (CANARY, [CANARY])
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


def test_a_logged_secret_is_dots(caplog: pytest.LogCaptureFixture) -> None:
    """A log line that gets a secret by mistake does not hold it."""
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("login %s %r", Secret(CANARY), Password("ann", Secret(CANARY)))
    assert CANARY not in caplog.text
    assert "…" in caplog.text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    """No cache and no other process gets it by pickling."""
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(CANARY), protocol)


def test_a_secret_is_not_copied() -> None:
    """There is one of it; copying goes the way of pickling."""
    for make in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            make(Secret(CANARY))


def test_credentials_do_not_become_a_dictionary() -> None:
    """`asdict`, the usual way into a JSON log, is refused rather than served."""
    with pytest.raises(TypeError):
        dataclasses.asdict(RefreshToken(Secret(CANARY)))


def test_a_secret_is_not_json() -> None:
    """JSON does not know it."""
    with pytest.raises(TypeError):
        json.dumps({"password": Secret(CANARY)})
    with pytest.raises(TypeError):
        json.dumps(Password("ann", Secret(CANARY)))


def test_a_secret_has_no_dictionary() -> None:
    """`vars()` has nothing to show, and nothing can be hung onto it."""
    with pytest.raises(TypeError):
        vars(Secret(CANARY))
    with pytest.raises(AttributeError):
        Secret(CANARY).other = "x"  # type: ignore[attr-defined]  # that is the test


@given(st.text(), st.text())
def test_secrets_are_equal_where_their_texts_are(one: str, other: str) -> None:
    """Equality is the texts' equality, for any text, lone surrogates included."""
    assert (Secret(one) == Secret(other)) is (one == other)
    assert (Secret(one) != Secret(other)) is (one != other)
    assert Secret(one) == Secret(one)


def test_lone_surrogates_compare() -> None:
    """What UTF-8 cannot spell is compared all the same."""
    assert Secret("\ud800") == Secret("\ud800")
    assert Secret("\ud800") != Secret("\ud801")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(CANARY, id="text"),
        pytest.param(CANARY.encode(), id="bytes"),
        pytest.param(None, id="none"),
        pytest.param(object(), id="anything"),
    ],
)
def test_a_secret_never_equals_anything_else(other: object) -> None:
    """Plain text that is the same is not equal: it would compare in other than constant time."""
    assert Secret(CANARY).__eq__(other) is NotImplemented
    assert Secret(CANARY) != other


def test_secrets_compare_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is hmac's, also where the lengths differ."""
    seen: list[tuple[bytes, bytes]] = []

    def compare(mine: bytes, theirs: bytes) -> bool:
        seen.append((mine, theirs))
        return True

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert Secret("a") == Secret("bcd")
    assert seen == [(b"a", b"bcd")]


def test_a_secret_is_no_key() -> None:
    """It has no hash, and credentials that hold one have none either."""
    with pytest.raises(TypeError):
        hash(Secret(CANARY))
    with pytest.raises(TypeError):
        hash(Password("ann", Secret(CANARY)))


def test_kinds_of_credentials_differ() -> None:
    """NoCredentials, unusable and an empty password are three things; the types tell them apart."""
    brought = [NoCredentials(), MalformedCredentials("not Basic"), Password("", Secret(""))]
    assert [type(one) for one in brought] == [NoCredentials, MalformedCredentials, Password]
    assert all(one != other for one in brought for other in brought if one is not other)
    assert NoCredentials() == NoCredentials()


@pytest.mark.parametrize(
    ("value", "field"),
    [
        pytest.param(MalformedCredentials("x"), "reason", id="unusable"),
        pytest.param(Password("ann", Secret("x")), "username", id="user"),
        pytest.param(Password("ann", Secret("x")), "password", id="password"),
    ],
)
def test_credentials_are_frozen(value: object, field: str) -> None:
    """What a client brought cannot be changed on the way."""
    with pytest.raises(AttributeError):
        setattr(value, field, "other")
