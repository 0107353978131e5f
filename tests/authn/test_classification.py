"""Classification: the text sent as a password decides what it is, and no kind falls through to another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.access_keys import RANDOM_BYTES, compose_key, digest_of
from tokenserver.authn import classification
from tokenserver.authn.classification import MAX_JWT_BYTES, MAX_PASSWORD_BYTES, classify, password_problem
from tokenserver.credentials import (
    AccessKeyForm,
    Credentials,
    Jwt,
    Key,
    MalformedCredentials,
    NoCredentials,
    Password,
    RefreshToken,
    Secret,
    UnreadSecret,
)

KEY = compose_key(AccessKeyForm.ROBOT, bytes(range(RANDOM_BYTES)))
TEXT = KEY.text.reveal()
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2V4YW1wbGUuY29tIn0.c2ln"
ISSUER = "https://example.com"
MALFORMED = MalformedCredentials("malformed access key")

names = st.text(max_size=20)
texts = st.text() | st.from_regex(r"\Atkn[a-z]_[0-9A-Za-z]*") | st.from_regex(r"\AeyJ[0-9A-Za-z_.-]*")


def issuer_of(text: str) -> str | None:
    """Recognizes texts with two dots."""
    return ISSUER if text.count(".") == 2 else None


def as_sent(text: str, name: str = "ann") -> Password:
    """A password as a client sends it."""
    return Password(name, Secret(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(TEXT, Key(AccessKeyForm.ROBOT, KEY.id, KEY.text, "ann"), id="key"),
        pytest.param(TEXT[:-1], MALFORMED, id="cut"),
        pytest.param(TEXT + " ", MALFORMED, id="blank-after"),
        pytest.param(f" {TEXT}", MALFORMED, id="blank-before"),
        pytest.param(f'"{TEXT}"', MALFORMED, id="quoted"),
        pytest.param(TEXT[:-1] + ("0" if TEXT[-1] != "0" else "1"), MALFORMED, id="checksum"),
        pytest.param("tknq_" + TEXT[5:], MALFORMED, id="unknown-form"),
        pytest.param("tknp_", MALFORMED, id="marker-alone"),
        pytest.param(f"x{TEXT}", MALFORMED, id="letter-before"),
        pytest.param(f"ci:{TEXT}", MALFORMED, id="name-before"),
        pytest.param(f"Bearer {TEXT[:30]}", MALFORMED, id="cut-inside"),
        pytest.param(f"x{TEXT[:10]}", as_sent(f"x{TEXT[:10]}"), id="marker-inside"),
        pytest.param(TOKEN, Jwt(Secret(TOKEN), ISSUER, "ann"), id="jwt"),
        pytest.param("eyJ.x", as_sent("eyJ.x"), id="one-dot"),
        pytest.param(f" {TOKEN}", as_sent(f" {TOKEN}"), id="blank-before-jwt"),
        pytest.param("eyJé..", as_sent("eyJé.."), id="jwt-not-ascii"),
        pytest.param(
            f"eyJ..{'a' * (MAX_JWT_BYTES - 5)}",
            Jwt(Secret(f"eyJ..{'a' * (MAX_JWT_BYTES - 5)}"), ISSUER, "ann"),
            id="longest-jwt",
        ),
        pytest.param(
            f"eyJ..{'a' * (MAX_JWT_BYTES - 4)}", as_sent(f"eyJ..{'a' * (MAX_JWT_BYTES - 4)}"), id="longer-than-a-jwt"
        ),
        pytest.param("secret", as_sent("secret"), id="password"),
        pytest.param("", as_sent(""), id="empty"),
    ],
)
def test_what_a_password_is(text: str, expected: Credentials) -> None:
    """By its beginning, each to one kind."""
    assert classify(as_sent(text), issuer_of) == expected


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        pytest.param(RefreshToken(KEY.text), Key(AccessKeyForm.ROBOT, KEY.id, KEY.text, ""), id="key"),
        pytest.param(RefreshToken(Secret(TEXT[:-1])), MALFORMED, id="malformed-key"),
        pytest.param(RefreshToken(Secret(TOKEN)), Jwt(Secret(TOKEN), ISSUER, ""), id="jwt"),
        pytest.param(RefreshToken(Secret("old")), RefreshToken(Secret("old")), id="of-another-server"),
        pytest.param(NoCredentials(), NoCredentials(), id="none"),
        pytest.param(MalformedCredentials("x"), MalformedCredentials("x"), id="malformed"),
        pytest.param(
            Key(AccessKeyForm.REFRESH, "i", KEY.text, "n"), Key(AccessKeyForm.REFRESH, "i", KEY.text, "n"), id="already"
        ),
    ],
)
def test_other_credentials(credentials: Credentials, expected: Credentials) -> None:
    """A refresh token is classified like a password without a user name; everything else is what it is."""
    assert classify(credentials, issuer_of) == expected


def test_without_workloads_there_is_no_jwt() -> None:
    """A password that looks like one is a password where nothing can verify it."""
    assert classify(as_sent(TOKEN)) == as_sent(TOKEN)


@given(names, texts)
def test_a_text_like_a_key_never_becomes_a_password(name: str, text: str) -> None:
    """Neither as it is nor with blanks or quotes before it, so it never reaches a user source."""
    for marked in (f"tkn{form}_{text}" for form in "prfsxz"):
        for before in ("", " ", "\n", "'", '"'):
            assert isinstance(classify(as_sent(before + marked, name), issuer_of), Key | MalformedCredentials)


@given(names, st.sampled_from(AccessKeyForm), st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_every_key_is_recognized(name: str, form: AccessKeyForm, random: bytes) -> None:
    """With its form, its id and the name as typed."""
    key = compose_key(form, random)
    assert classify(as_sent(key.text.reveal(), name)) == Key(form, key.id, key.text, name)


def test_recognized_keys_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten, and read again when they come again."""
    monkeypatch.setattr(classification, "MAX_RECOGNIZED", 3)
    classification._well_formed.clear()
    classification._keys_by_tag.clear()
    keys = [compose_key(AccessKeyForm.ROBOT, bytes([number]) * RANDOM_BYTES) for number in range(5)]
    for key in (*keys, keys[0]):
        assert classify(as_sent(key.text.reveal())) == Key(AccessKeyForm.ROBOT, key.id, key.text, "ann")
        assert len(classification._well_formed) <= 3
    for number, key in enumerate(keys):
        classify(Password("ann", Secret(key.text.reveal(), bytes([number]))))
        assert 0 < len(classification._keys_by_tag) <= 3


@given(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES), st.integers(0, 65), st.sampled_from("0Aa_é"))
def test_a_key_that_was_seen_vouches_for_no_other_text(random: bytes, place: int, typed: str) -> None:
    """The key is recognized again, and still no text that differs from it in one character."""
    text = compose_key(AccessKeyForm.ROBOT, random).text.reveal()
    first = classify(as_sent(text))
    assert isinstance(first, Key)
    assert classify(as_sent(text)) == first
    changed = text[:place] + typed + text[place + 1 :]
    assert changed == text or not isinstance(classify(as_sent(changed)), Key)


def test_a_key_that_comes_again_is_not_read() -> None:
    """In the same words, by the same name: its tag says which one it is, and its digest is known."""
    key = compose_key(AccessKeyForm.ROBOT, bytes(range(1, RANDOM_BYTES + 1)))
    tag = key.id.encode()
    first = classify(Password("ci", Secret(key.text.reveal(), tag)))

    def read() -> str:
        raise AssertionError

    again = classify(Password("ci", UnreadSecret(read, tag)))
    assert isinstance(first, Key)
    assert isinstance(again, Key)
    assert (again.form, again.id, again.name) == (first.form, first.id, first.name) == (key.form, key.id, "ci")
    assert digest_of(again.text) == digest_of(key.text)


@given(names, texts.filter(lambda text: "tkn" not in text))
def test_a_text_unlike_a_key_is_a_jwt_or_a_password(name: str, text: str) -> None:
    """By an independent statement of the rule; a password is passed on as it was sent."""
    is_jwt = text[:3] == "eyJ" and text.count(".") == 2 and text.isascii() and len(text) <= MAX_JWT_BYTES
    expected = Jwt(Secret(text), ISSUER, name) if is_jwt else as_sent(text, name)
    assert classify(as_sent(text, name), issuer_of) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("a", None, id="one-character"),
        pytest.param("a" * MAX_PASSWORD_BYTES, None, id="longest"),
        pytest.param("a" * (MAX_PASSWORD_BYTES + 1), "the password is longer than 1024 bytes", id="longer"),
        pytest.param("é" * 513, "the password is longer than 1024 bytes", id="longer-in-bytes"),
        pytest.param("", "the password is empty", id="empty"),
        pytest.param("a\0b", "the password contains a NUL character", id="NUL"),
        pytest.param("\ud800", None, id="surrogate"),
    ],
)
def test_passwords_that_nobody_has(text: str, problem: str | None) -> None:
    """Empty, too long, or with a NUL."""
    assert password_problem(Secret(text)) == problem
