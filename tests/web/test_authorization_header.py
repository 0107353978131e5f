"""The `Authorization` header: what it brings, and that what cannot be used is never taken for nothing."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.chain import Chain
from tokenserver.authn.token_tags import TAG_BYTES
from tokenserver.credentials import Credentials, MalformedCredentials, NoCredentials, Password, Secret, UnreadSecret
from tokenserver.errors import InvalidCredentials
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.web import authorization_header
from tokenserver.web.authorization_header import normalize_username, parse_authorization, refresh_token_in


def basic(raw: str | bytes, scheme: str = "Basic") -> str:
    """A header's value."""
    content = raw.encode() if isinstance(raw, str) else raw
    return f"{scheme} {base64.b64encode(content).decode()}"


def password(username: str, text: str) -> Password:
    """What a usable header brings."""
    return Password(username, Secret(text))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(basic("ann:secret"), password("ann", "secret"), id="plain"),
        pytest.param(basic("ann:secret", "basic"), password("ann", "secret"), id="lower case"),
        pytest.param(basic("ann:secret", "BASIC"), password("ann", "secret"), id="upper case"),
        pytest.param(basic("ann:secret", "Basic "), password("ann", "secret"), id="two spaces"),
        pytest.param(basic("ann:a:b:"), password("ann", "a:b:"), id="colons in the password"),
        pytest.param(basic("ann:"), password("ann", ""), id="empty password"),
        pytest.param(basic(":secret"), password("", "secret"), id="empty user"),
        pytest.param(basic("é:ü"), password("é", "ü"), id="UTF-8"),
        pytest.param(
            basic("e\u0301:u\u0308"), password("é", "u\u0308"), id="NFD: the user is normalised, not the password"
        ),
        pytest.param(basic("é:ü".encode("latin-1")), password("é", "ü"), id="Latin-1"),
        pytest.param(basic(b"ann:\xff\xfe"), password("ann", "ÿþ"), id="Latin-1 in the password alone"),
        pytest.param(basic(" ann :x"), password(" ann ", "x"), id="blanks stay"),
        pytest.param(basic("a\0:x\0"), password("a\0", "x\0"), id="control characters are the chain's matter"),
        pytest.param(basic("ann:\ufeffx"), password("ann", "\ufeffx"), id="BOM in the password"),
        pytest.param("Basic Og==", NoCredentials(), id="empty user and password"),
    ],
)
def test_usable(value: str, expected: Credentials) -> None:
    """User and password as RFC 7617 has them."""
    assert parse_authorization([value]) == expected


def test_no_header() -> None:
    """No header is nothing."""
    assert parse_authorization([]) == NoCredentials()


MALFORMED = "the Authorization header is malformed"
OTHER = "the Authorization header is not of the Basic scheme"
NOT_BASE64 = "the Basic credentials are not base64"
BOM = "the user name begins with a byte order mark"

UNUSABLE = [
    pytest.param([""], MALFORMED, id="empty"),
    pytest.param([" "], MALFORMED, id="a blank"),
    pytest.param(["Basic"], MALFORMED, id="no credentials"),
    pytest.param(["Basic "], MALFORMED, id="no credentials behind the space"),
    pytest.param(["Basic !!!!"], MALFORMED, id="no base64"),
    pytest.param(["Basic\tYTpi"], MALFORMED, id="tab"),
    pytest.param([" Basic YTpi"], MALFORMED, id="leading space"),
    pytest.param(["Basic YTpi "], MALFORMED, id="trailing space"),
    pytest.param(["Basic YTpi\n"], MALFORMED, id="newline"),
    pytest.param(["Basic YTpi YTpi"], MALFORMED, id="two credentials"),
    pytest.param(["BasicYTpi"], MALFORMED, id="no space"),
    pytest.param(["YTpi"], MALFORMED, id="no scheme"),
    pytest.param(['Basic realm="x"'], MALFORMED, id="a challenge"),
    pytest.param(["Basic YTpi,Basic YTpi"], MALFORMED, id="comma-joined, equal"),
    pytest.param(["Basic YTpi, Basic YTpj"], MALFORMED, id="comma-joined"),
    pytest.param([",Basic YTpi"], MALFORMED, id="joined with an empty one"),
    pytest.param(["Basic YTpi,"], MALFORMED, id="joined, an empty one behind"),
    pytest.param(["Basic \xe9"], MALFORMED, id="not ASCII"),
    pytest.param(["Basic \uff39TpI"], MALFORMED, id="full-width letters"),
    pytest.param(["Basic ===="], MALFORMED, id="padding alone"),
    pytest.param(["Basic YTpiYw==="], MALFORMED, id="too much padding, three"),
    pytest.param(["Basic YTpi", "Basic YTpi"], "the Authorization header is given twice", id="twice, equal"),
    pytest.param(["", "Basic YTpi"], "the Authorization header is given twice", id="twice"),
    pytest.param(["Negotiate x"], OTHER, id="Negotiate"),
    pytest.param(["Bearer x"], OTHER, id="Bearer"),
    pytest.param(["Basi YTpi"], OTHER, id="a scheme cut short"),
    pytest.param(["Basic YTpiYw"], NOT_BASE64, id="no padding"),
    pytest.param(["Basic YTpiYw="], NOT_BASE64, id="half the padding"),
    pytest.param(["Basic YTpi="], NOT_BASE64, id="too much padding"),
    pytest.param(["Basic YTpiY"], NOT_BASE64, id="a character left over"),
    pytest.param(["Basic Oh=="], NOT_BASE64, id="bits left over"),
    pytest.param([basic("ann")], "the Basic credentials have no colon", id="no colon"),
    pytest.param([basic("\ufeffann:x")], BOM, id="BOM"),
    pytest.param([basic(b"\xef\xbb\xbfann:\xff")], BOM, id="BOM before Latin-1"),
    pytest.param([basic("\ufeff:")], BOM, id="BOM alone"),
    pytest.param([basic("a\ufeffnn:x")], "the user name contains a byte order mark", id="BOM inside"),
    pytest.param([basic("a" * 1021 + ":x")], "the user name is too long", id="too long to normalise"),
]


@pytest.mark.parametrize(("values", "reason"), UNUSABLE)
def test_unusable(values: list[str], reason: str) -> None:
    """Present but unusable is reported as such, with a reason that repeats nothing of it."""
    assert parse_authorization(values) == MalformedCredentials(reason)


@pytest.mark.parametrize(("values", "reason"), UNUSABLE)
def test_unusable_is_denied(values: list[str], reason: str) -> None:
    """Through the chain, with anonymous access on: denied, never anonymous."""
    chain = Chain([], anonymous=True, decoy=None)
    with pytest.raises(InvalidCredentials) as caught:
        chain.authenticate(parse_authorization(values))
    assert caught.value.reason == reason


JWT = "eyJhbGciOiJSUzI1NiJ9." + "eyJpc3MiOiJo" * 30 + ".c2ln"


@pytest.mark.parametrize("text", [JWT, "secret", f"tknr_{'x' * 60}"], ids=["a JWT", "a password", "an access key"])
def test_a_secret_that_comes_again_is_not_decoded(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless somebody reads it; what is kept of the first one is its user name."""
    monkeypatch.setattr(authorization_header, "_names_by_tag", BoundedCache(4))
    decoded: list[str] = []
    decode = authorization_header._decode

    def counting(text: str) -> bytes | None:
        decoded.append(text)
        return decode(text)

    monkeypatch.setattr(authorization_header, "_decode", counting)
    header = basic(f"e\u0301:{text}")
    first = parse_authorization([header])
    assert first == password("é", text)
    again = parse_authorization([header])
    assert isinstance(first, Password)
    assert isinstance(again, Password)
    assert first.password.tag == again.password.tag is not None
    assert (again.username, type(again.password), len(decoded)) == ("é", UnreadSecret, 1)
    assert again == password("é", text)
    assert len(decoded) == 2


def test_no_secret_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds a header again are a tag and the user name; see docs/design/threats.md#threat-26."""
    kept: BoundedCache[bytes, str] = BoundedCache(4)
    monkeypatch.setattr(authorization_header, "_names_by_tag", kept)
    for _ in range(2):
        parse_authorization([basic("ann:not-to-be-kept")])
    assert list(kept._entries.values()) == ["ann"]
    assert [len(tag) for tag in kept._entries] == [TAG_BYTES]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(basic(f"x:{JWT}"), id="a name"),
        pytest.param(basic(f":{JWT}"), id="no name"),
        pytest.param(basic(f"<token>:{JWT}"), id="the name of a token"),
        pytest.param(basic(f"x:{JWT}", "basic"), id="lower case"),
        pytest.param(basic(f"x:{JWT}").rstrip("=")[:-1], id="cut"),
        pytest.param(basic(f"x:{JWT}") + "A", id="a character more"),
        pytest.param(basic(f"x:{JWT}") + "\xe9", id="not ASCII"),
        pytest.param(basic(f"{'x' * 256}:{JWT}"), id="a long name"),
        pytest.param(basic(f"x:{JWT[1:]}"), id="no JWT"),
        pytest.param(basic(f"x:{JWT}é"), id="a JWT with more"),
        pytest.param(f"Bearer {JWT}", id="another scheme"),
        pytest.param(basic("x:secret"), id="a password"),
        pytest.param(basic("x:secreT"), id="another password"),
        pytest.param(basic("y:secret"), id="the same password of another user"),
        pytest.param(basic("x:"), id="an empty password"),
        pytest.param(basic("<token>:"), id="an empty token"),
        pytest.param(basic("<token>:secret"), id="a token"),
        pytest.param(basic(":secret"), id="a token without a name"),
        pytest.param(basic("x:eyJx"), id="a short JWT"),
        pytest.param(basic(f"x:{'s' * 300}"), id="a long password"),
    ],
)
def test_a_header_means_the_same_each_time(header: str) -> None:
    """However often it was sent, and after one that is nearly the same; also as a refresh token."""
    expected = authorization_header._parse(header)
    for _ in range(3):
        parse_authorization([basic(f"x:{JWT}")])
        parse_authorization([basic("x:secret")])
        parsed = parse_authorization([header])
        assert parsed == expected
        assert refresh_token_in(parsed) == refresh_token_in(expected)


@given(st.text(st.characters(max_codepoint=255)), st.text(st.characters(max_codepoint=255)))
def test_only_one_header_is_nothing(value: str, scheme: str) -> None:
    """A header is `NoCredentials` only if it has the empty user with the empty password."""
    for header in (value, f"Basic {value}", f"{scheme} Og=="):
        parsed = parse_authorization([header])
        is_empty = header.lower().split(" ")[0] == "basic" and header.split(" ")[-1] == "Og=="
        assert isinstance(parsed, (Password, MalformedCredentials)) or is_empty


@given(st.binary(max_size=100))
def test_any_bytes(raw: bytes) -> None:
    """Any bytes inside of Basic give credentials, unusable ones, or nothing for a lone colon."""
    parsed = parse_authorization([basic(raw)])
    assert (parsed == NoCredentials()) == (raw == b":")
    if b":" not in raw:
        assert isinstance(parsed, MalformedCredentials)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters=":\ufeff"), min_size=1), st.text())
def test_round_trip(username: str, text: str) -> None:
    """What a client encodes as UTF-8 is what comes out, the user in NFC."""
    expected = password(normalize_username(username), text)
    assert parse_authorization([basic(f"{username}:{text}")]) == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        pytest.param("ann", "ann", id="ASCII"),
        pytest.param("e\u0301", "é", id="NFD"),
        pytest.param("\u212b", "å".upper(), id="Angstrom sign"),
        pytest.param("\uff41nn", "\uff41nn", id="full width stays: it is another name"),
        pytest.param("", "", id="empty"),
        pytest.param("\ud800", "\ud800", id="a surrogate is the chain's matter"),
    ],
)
def test_normalised(typed: str, expected: str) -> None:
    """One spelling for what looks the same and is the same in Unicode."""
    assert normalize_username(typed) == expected


def test_normalising_is_bounded() -> None:
    """Many combining marks take quadratic time to put in order; nobody gets to send so many."""
    start = time.thread_time()
    with pytest.raises(InvalidCredentials):
        normalize_username("a" + "\u0301\u0323" * 500_000)
    assert time.thread_time() - start < 0.5


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(["", "a", "b", "eyJa", "tknr_a"])), max_size=9))
def test_headers_in_any_order(sent: list[tuple[str, str]]) -> None:
    """What was sent before changes nothing about what a header brings."""
    for name, text in sent:
        header = basic(f"{name}:{text}")
        assert parse_authorization([header]) == authorization_header._parse(header)
