"""Password hashes: which are accepted, and that verifying never does anything but answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import argon2
import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn import passwords
from tokenserver.authn.passwords import (
    HashingFailed,
    decoy_like,
    describe,
    hash_password,
    problem_with,
    verify,
    warning_about,
)

HANDLERS: dict[str, Any] = vars(passwords)
"""The library's own functions, as the module has them."""

# Made by `openssl passwd` of "Hello world!".
SHA256_CRYPT = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
SHA512_CRYPT = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"


def bcrypt_hash(password: str | bytes, *, cost: int = 4, kind: str = "2b") -> str:
    """A bcrypt hash, cheap enough for tests."""
    secret = password.encode() if isinstance(password, str) else password
    return bcrypt.hashpw(secret, bcrypt.gensalt(cost)).decode().replace("$2b$", f"${kind}$", 1)


def argon2_hash(password: str, kind: argon2.Type = argon2.Type.ID) -> str:
    """An argon2 hash, cheap enough for tests."""
    return argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1, type=kind).hash(password)


def with_cost(cost: str) -> str:
    """A well-formed bcrypt hash of any cost, without doing the work."""
    return f"$2y${cost}${'.' * 53}"


def argon2_of(
    *, memory: int = 65536, passes: int = 3, lanes: int = 4, salt: str = "A" * 22, digest: str = "A" * 43
) -> str:
    """A well-formed argon2id hash of any cost, without doing the work."""
    return f"$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${digest}"


def sha_crypt_of(rounds: str) -> str:
    """A well-formed sha512-crypt hash of any cost, without doing the work."""
    return f"$6$rounds={rounds}$salt${'.' * 86}"


@pytest.mark.parametrize(
    ("hashed", "password"),
    [
        pytest.param(bcrypt_hash("pässwörd"), "pässwörd", id="bcrypt 2b"),
        pytest.param(bcrypt_hash("pässwörd", kind="2y"), "pässwörd", id="bcrypt 2y"),
        pytest.param(bcrypt_hash("pässwörd", kind="2a"), "pässwörd", id="bcrypt 2a"),
        pytest.param(bcrypt_hash("a" * 72), "a" * 72, id="bcrypt, 72 bytes"),
        pytest.param(argon2_hash("pässwörd"), "pässwörd", id="argon2id"),
        pytest.param(argon2_hash("a" * 1024), "a" * 1024, id="argon2id, 1,024 bytes"),
        pytest.param(SHA256_CRYPT, "Hello world!", id="sha256-crypt"),
        pytest.param(SHA512_CRYPT, "Hello world!", id="sha512-crypt"),
    ],
)
def test_the_right_password_is_right(hashed: str, password: str) -> None:
    """Each accepted kind verifies its own password and no other."""
    assert problem_with(hashed) is None
    assert verify(password, hashed) is True
    assert verify(password[:-1], hashed) is False
    assert verify(password + "x", hashed) is False
    assert verify(password.swapcase(), hashed) is False


@pytest.mark.parametrize(
    ("hashed", "password"),
    [
        pytest.param(bcrypt_hash("a" * 72), "a" * 73, id="what bcrypt would cut off"),
        pytest.param(bcrypt_hash("a" * 72), "a" * 72 + "é", id="a character behind byte 72"),
        pytest.param(bcrypt_hash(b"a" * 71 + b"\xc3"), "a" * 71 + "é", id="a character cut at byte 72"),
        pytest.param(bcrypt_hash("a" * 72), "a" * 5000, id="5,000 characters, bcrypt"),
        pytest.param(bcrypt_hash("pass?word"), "pass\0word", id="NUL, bcrypt"),
        pytest.param(bcrypt_hash("pass"), "pass\0word", id="what NUL would cut off"),
        pytest.param(argon2_hash("pass?word"), "pass\0word", id="NUL, argon2id"),
        pytest.param(argon2_hash("a" * 4096), "a" * 5000, id="5,000 characters, argon2id"),
        pytest.param(bcrypt_hash(""), "", id="empty, bcrypt"),
        pytest.param(argon2_hash(""), "", id="empty, argon2id"),
        pytest.param(bcrypt_hash("\ud800".encode("utf-8", "surrogatepass")), "\ud800", id="a surrogate"),
        pytest.param(SHA512_CRYPT, "Hello world!\0", id="NUL, sha512-crypt"),
    ],
)
def test_a_password_that_does_not_fit_is_wrong(hashed: str, password: str) -> None:
    """Even if the hash of the truncated password would match, and never as an error."""
    assert verify(password, hashed) is False


@pytest.mark.parametrize("password", ["", "x", "x" * 73, "x\0y", "\ud800"])
@pytest.mark.parametrize(
    "hashed", [bcrypt_hash("y"), argon2_hash("y"), SHA256_CRYPT], ids=["bcrypt", "argon2", "crypt"]
)
def test_every_password_costs_one_hash(password: str, hashed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that cannot be right is hashed like any other, so that time tells nothing."""
    calls: list[str] = []

    def counted(original: Callable[[bytes, str], bool]) -> Callable[[bytes, str], bool]:
        def count(secret: bytes, text: str) -> bool:
            calls.append(text)
            return original(secret, text)

        return count

    for handler in (HANDLERS["bcrypt"], HANDLERS["argon2"], HANDLERS["sha256_crypt"]):
        monkeypatch.setattr(handler, "verify", counted(handler.verify))
    verify(password, hashed)
    assert calls == [hashed]


@pytest.mark.parametrize(
    ("hashed", "problem"),
    [
        pytest.param("", "the password is empty", id="empty"),
        pytest.param("secret", "the password is in plain text", id="plain"),
        pytest.param("5ebe2294ecd0e0f08eab7690d2a6ee69", "the password is in plain text", id="a bare digest"),
        pytest.param("secret\nsecret", "the password is in plain text", id="plain, with a newline"),
        pytest.param(
            "$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00",
            "apr1 (MD5) is too weak; htpasswd writes it without -B, and a registry's own htpasswd refuses it as well",
            id="apr1",
        ),
        pytest.param("$1$5pZSV9va$azfrPr6af3Fc7dLblQXVa0", "MD5-crypt is too weak", id="md5-crypt"),
        pytest.param("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1 (htpasswd -s) is too weak", id="sha-1"),
        pytest.param("{SSHA}pKqkNr1tq3wtQqk+UcPyA3HnA2NsU5NJ", "SHA-1, also with salt, is too weak", id="salted sha-1"),
        pytest.param("rqXexS6ZhobKA", "DES crypt (htpasswd -d) is too weak", id="DES"),
        pytest.param("_J9..rasmBYk8r9AiWNc", "DES crypt (htpasswd -d) is too weak", id="extended DES"),
        pytest.param("$2x$10$" + "." * 53, "bcrypt 2x comes from an implementation with a known bug", id="bcrypt 2x"),
        pytest.param("$2$10$" + "." * 53, "this is a damaged bcrypt hash", id="bcrypt 2"),
        pytest.param(with_cost("10")[:-1], "this is a damaged bcrypt hash", id="bcrypt, cut"),
        pytest.param(with_cost("10") + ".", "this is a damaged bcrypt hash", id="bcrypt, too long"),
        pytest.param(with_cost("10") + "\n", "this is a damaged bcrypt hash", id="bcrypt, a newline at the end"),
        pytest.param(with_cost("1\u0661"), "this is a damaged bcrypt hash", id="bcrypt, a cost in Arabic digits"),
        pytest.param(
            "$2b$10$" + "." * 21 + "/" + "." * 31, "this is a damaged bcrypt hash", id="bcrypt, impossible salt"
        ),
        pytest.param(with_cost("03"), "this is a damaged bcrypt hash", id="bcrypt cost 3"),
        pytest.param(with_cost("15"), "bcrypt cost 15 takes too long to check; the maximum is 14", id="bcrypt cost 15"),
        pytest.param(with_cost("31"), "bcrypt cost 31 takes too long to check; the maximum is 14", id="bcrypt cost 31"),
        pytest.param(with_cost("99"), "bcrypt cost 99 takes too long to check; the maximum is 14", id="bcrypt cost 99"),
        pytest.param(sha_crypt_of("999"), "this is a damaged sha-crypt hash", id="sha-crypt, 999 rounds"),
        pytest.param(sha_crypt_of("05000"), "this is a damaged sha-crypt hash", id="sha-crypt, rounds with a zero"),
        pytest.param(
            sha_crypt_of("1000001"),
            "sha512-crypt with 1000001 rounds takes too long to check; the maximum is 1000000",
            id="sha-crypt, too many rounds",
        ),
        pytest.param(SHA512_CRYPT[:-1], "this is a damaged sha-crypt hash", id="sha512-crypt, cut"),
        pytest.param(
            "$5$" + SHA512_CRYPT[3:], "this is a damaged sha-crypt hash", id="sha256-crypt with the other's digest"
        ),
        pytest.param("$6$$" + "." * 86, "this is a damaged sha-crypt hash", id="sha-crypt without salt"),
        pytest.param(
            argon2_hash("x", argon2.Type.I), "of the argon2 variants, only argon2id is accepted", id="argon2i"
        ),
        pytest.param(
            argon2_hash("x", argon2.Type.D), "of the argon2 variants, only argon2id is accepted", id="argon2d"
        ),
        pytest.param(
            argon2_of().replace("v=19$", ""),
            "this is a damaged argon2id hash, or one of an old version",
            id="argon2id of the first version",
        ),
        pytest.param(
            argon2_of(memory=31), "this is a damaged argon2id hash, or one of an old version", id="argon2id, no memory"
        ),
        pytest.param(
            argon2_of(salt="A" * 21),
            "this is a damaged argon2id hash, or one of an old version",
            id="argon2id, base64 that stands for no bytes",
        ),
        pytest.param(
            argon2_of(digest="A" * 42 + "B"),
            "this is a damaged argon2id hash, or one of an old version",
            id="argon2id, bits left over",
        ),
        pytest.param(
            argon2_of(memory=262145, passes=1),
            "argon2id with 262145 KiB takes too much memory to check; the maximum is 262144",
            id="argon2id, too much memory",
        ),
        pytest.param(
            argon2_of(memory=65536, passes=17),
            "argon2id with 65536 KiB and 17 passes takes too long to check",
            id="argon2id, too long",
        ),
        pytest.param(
            argon2_of(lanes=17),
            "argon2id with parallelism 17 takes too many threads to check; the maximum is 16",
            id="argon2id, too many threads",
        ),
        pytest.param("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$", "this kind of hash is not supported", id="yescrypt"),
        pytest.param("$", "this kind of hash is not supported", id="a dollar"),
    ],
)
def test_what_is_refused(hashed: str, problem: str) -> None:
    """Each weak, costly or damaged kind is refused by its name, and no password is right for it."""
    assert problem_with(hashed) == problem
    assert verify("secret", hashed) is False
    assert describe(hashed) == "refused"
    assert warning_about(hashed) is None


@pytest.mark.parametrize(
    ("hashed", "description", "warning"),
    [
        pytest.param(
            with_cost("04"), "bcrypt, cost 4", "bcrypt cost 4 is quick to guess; 10 or more is advised", id="bcrypt 4"
        ),
        pytest.param(
            with_cost("09"), "bcrypt, cost 9", "bcrypt cost 9 is quick to guess; 10 or more is advised", id="bcrypt 9"
        ),
        pytest.param(with_cost("10"), "bcrypt, cost 10", None, id="bcrypt 10"),
        pytest.param(with_cost("14"), "bcrypt, cost 14", None, id="bcrypt 14"),
        pytest.param(SHA256_CRYPT, "sha256-crypt, 5000 rounds", None, id="sha256-crypt"),
        pytest.param(
            sha_crypt_of("1000"),
            "sha512-crypt, 1000 rounds",
            "sha512-crypt with 1000 rounds is quick to guess; 5000 or more is advised",
            id="sha512-crypt, few rounds",
        ),
        pytest.param(
            sha_crypt_of("656000"),
            "sha512-crypt, 656000 rounds",
            "sha512-crypt with 656000 rounds slows every other request down while it is checked; bcrypt does not",
            id="sha512-crypt, many rounds",
        ),
        pytest.param(argon2_of(), "argon2id, 65536 KiB, 3 passes, parallelism 4", None, id="argon2id"),
        pytest.param(
            argon2_of(memory=262144, passes=4, lanes=16),
            "argon2id, 262144 KiB, 4 passes, parallelism 16",
            None,
            id="argon2id, the most",
        ),
        pytest.param(
            argon2_of(memory=7168, passes=4, lanes=1),
            "argon2id, 7168 KiB, 4 passes, parallelism 1",
            "argon2id with 7168 KiB and 4 passes is quick to guess; 19456 KiB and 2 are advised",
            id="argon2id, quick",
        ),
    ],
)
def test_what_is_accepted(hashed: str, description: str, warning: str | None) -> None:
    """What is accepted is described, and whatever is quick to guess or slow to check is warned about."""
    assert (problem_with(hashed), describe(hashed), warning_about(hashed)) == (None, description, warning)


def test_a_new_hash() -> None:
    """A new hash is bcrypt of the advised cost, with a salt of its own."""
    first, second = hash_password("pässwörd"), hash_password("pässwörd")
    assert (describe(first), warning_about(first)) == ("bcrypt, cost 10", None)
    assert first != second
    assert verify("pässwörd", first) is True
    assert bcrypt.checkpw("pässwörd".encode(), second.encode()) is True


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        pytest.param("", "a password must not be empty", id="empty"),
        pytest.param("a" * 73, "a password must not be longer than 72 bytes (this one has 73)", id="73 bytes"),
        pytest.param("é" * 37, "a password must not be longer than 72 bytes (this one has 74)", id="37 characters"),
        pytest.param("a\0b", "a password must not contain a NUL character", id="NUL"),
        pytest.param("\udcff", "a password must be UTF-8 text", id="a surrogate"),
    ],
)
def test_passwords_that_cannot_be_kept(password: str, problem: str) -> None:
    """What could never be verified again is not hashed."""
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        hash_password(password)


@pytest.mark.parametrize(
    "hashed",
    [
        pytest.param(bcrypt_hash("secret", kind="2y"), id="bcrypt"),
        pytest.param(SHA256_CRYPT, id="sha256-crypt"),
        pytest.param(sha_crypt_of("1000"), id="sha512-crypt"),
        pytest.param(argon2_hash("secret"), id="argon2id"),
    ],
)
def test_a_decoy_costs_the_same(hashed: str) -> None:
    """A decoy has the kind, the cost and the lengths of the original hash, and nothing else of it."""
    decoy = decoy_like(hashed)
    assert problem_with(decoy) is None
    assert describe(decoy) == describe(hashed)
    assert [len(part) for part in decoy.split("$")] == [len(part) for part in hashed.split("$")]
    assert set(decoy.split("$")[-1]) in ({"."}, {"A"})
    assert verify("secret", decoy) is False


def test_the_decoy_of_nobody() -> None:
    """Without an original hash, the decoy is like a new hash."""
    assert describe(decoy_like(None)) == describe(hash_password("x"))
    assert verify("x", decoy_like(None)) is False


def test_no_decoy_for_a_refused_hash() -> None:
    """A rejected hash has no known cost."""
    with pytest.raises(ValueError, match="the password is in plain text"):
        decoy_like("secret")


@pytest.mark.parametrize(
    "error", [pytest.param(ValueError("argon2: memory: hash=…"), id="argon2"), pytest.param(MemoryError(), id="Python")]
)
def test_short_memory_is_no_wrong_password(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed computation is reported as such, without the library's text, which contains the hash."""

    def fail(*_: object) -> bool:
        raise error

    hashed = argon2_hash("x")
    monkeypatch.setattr(HANDLERS["argon2"], "verify", fail)
    with pytest.raises(HashingFailed) as caught:
        verify("x", hashed)
    assert str(caught.value) == "the hash could not be computed; memory is short"
    assert caught.value.__suppress_context__ is True


@given(st.text(st.characters(exclude_categories=())), st.sampled_from([bcrypt_hash("y"), argon2_hash("y")]))
def test_verify_always_answers(password: str, hashed: str) -> None:
    """Whatever a client types, the answer is yes or no."""
    assert verify(password, hashed) is (password == "y")


@given(st.text(alphabet="$argon2id56yb./0A=,mtp{}SHA\n", max_size=80))
def test_judging_always_answers(hashed: str) -> None:
    """Any text is accepted or refused with a reason, and the two never mix."""
    problem = problem_with(hashed)
    assert (problem is None) == (describe(hashed) != "refused")
    assert problem != ""
