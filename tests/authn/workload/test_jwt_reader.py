"""Reading JWTs: size, shape and header, before any key is looked at."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workload_jwts import CLAIMS, ISSUER, jwt, signed

from tokenserver.authn.workload.algorithms import ALGORITHMS
from tokenserver.authn.workload.jwt_reader import MAX_JWT, RefusedJwt, looks_like_jwt, read_jwt
from tokenserver.documents.base64url import encode_base64url


def unsigned(header: Any = None, payload: Any = None, signature: str = "c2ln") -> str:
    """A JWT without a right signature; texts are taken as they are."""
    parts = ({"alg": "ES256"} if header is None else header, CLAIMS if payload is None else payload)
    texts = [part if isinstance(part, str) else json.dumps(part) for part in parts]
    return ".".join([*(encode_base64url(text.encode()) for text in texts), signature])


def padded(size: int) -> str:
    """A JWT of so many bytes."""
    for extra in range((size - 700) * 3 // 4, size):
        text = unsigned(payload={**CLAIMS, "x": "y" * extra}, signature="A" * 4)
        if len(text) > size - 4:
            return text + "A" * (size - len(text))
    raise AssertionError(size)


def test_what_is_read() -> None:
    """Issuer, algorithm, key id, claims, and what was signed."""
    text = jwt()
    found = read_jwt(text)
    assert (found.issuer, found.algorithm, found.key_id, found.claims) == (ISSUER, "ES256", "k", CLAIMS)
    assert found.signed.decode() == text.rpartition(".")[0]
    assert encode_base64url(found.signature) == text.rpartition(".")[2]


@pytest.mark.parametrize(("claims", "has_issuer"), [({"iss": ISSUER}, True), ({"iss": 1}, True), ({"sub": "x"}, False)])
def test_an_issuer_of_any_type(claims: dict[str, Any], has_issuer: bool) -> None:
    """JWT-SVIDs need none; whether there is one says nothing about its type."""
    assert read_jwt(unsigned(payload=claims)).has_issuer is has_issuer


def test_nothing_secret_prints() -> None:
    """Neither claims nor signature are in its text."""
    assert repr(read_jwt(jwt())) == f"UnverifiedJwt(issuer={ISSUER!r}, algorithm='ES256', key_id='k')"


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"alg": "RS256"}, id="no typ, as of Kubernetes"),
        pytest.param({"alg": "RS256", "typ": "jwt"}, id="typ in lower case"),
        pytest.param({"alg": "RS256", "kid": None}, id="kid null"),
        pytest.param({"alg": "RS256", "jwk": {"kty": "oct"}, "jku": "file:///etc/passwd"}, id="keys of the sender"),
        pytest.param({"alg": "RS256", "x5u": "http://127.0.0.1/", "x5c": ["x"], "x5t": "y"}, id="its certificates"),
        pytest.param({"alg": "RS256", "cty": "text"}, id="others"),
        *(pytest.param({"alg": name}, id=name) for name in ALGORITHMS),
    ],
)
def test_headers_that_are_read(header: dict[str, Any]) -> None:
    """What brings or names a key is ignored."""
    found = read_jwt(unsigned(header))
    assert (found.algorithm, found.key_id) == (header["alg"], None)


SVID = "spiffe://example.org/ns/web"

TWICE = '{"iss": "a", "iss": "b"}'
DEEPER = '{"a":' + "[" * 2000 + "]" * 2000 + "}"
DEEP = '{"a":' * 16 + "{}" + "}" * 16


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "has not three parts", id="nothing"),
        pytest.param("a.b", "has not three parts", id="two parts"),
        pytest.param(unsigned() + ".e30", "has not three parts", id="four parts"),
        pytest.param("a.b.c.d.e", "has not three parts", id="encrypted"),
        pytest.param(padded(MAX_JWT + 1), "is larger than 8192 bytes", id="too large"),
        pytest.param(f"={unsigned()}", "has a header that is not canonical base64url", id="padding"),
        pytest.param(unsigned() + "=", "has a signature that is not canonical base64url", id="padding at the end"),
        pytest.param(
            unsigned(signature="c2lh"[:3]), "has a signature that is not canonical base64url", id="spare bits"
        ),
        pytest.param(unsigned(signature="é"), "has a signature that is not canonical base64url", id="not ASCII"),
        pytest.param(unsigned(signature="a+b/"), "has a signature that is not canonical base64url", id="plain base64"),
        pytest.param(unsigned(signature="a\nbc"), "has a signature that is not canonical base64url", id="line feed"),
        pytest.param(unsigned("[]"), "has a header that is not a JSON object", id="header: array"),
        pytest.param(unsigned("{}"), "has an alg that is not accepted", id="header: empty"),
        pytest.param(
            unsigned('{"alg":"ES256","alg":"ES256"}'), "has a header that has a duplicate member", id="alg twice"
        ),
        pytest.param(unsigned(payload="e"), "has a payload that is not JSON", id="payload: none"),
        pytest.param(unsigned(payload=TWICE), "has a payload that has a duplicate member", id="iss twice"),
        pytest.param(unsigned(payload=DEEP), "has a payload that has more than 16 levels", id="17 levels"),
        pytest.param(unsigned(payload=DEEPER), "has a payload that has more than 16 levels", id="2000 levels"),
        pytest.param(
            unsigned(payload='{"exp": NaN}'), "has a payload that has a number that is none in JSON", id="NaN"
        ),
        pytest.param(unsigned({"alg": "none"}), "has an alg that is not accepted", id="none"),
        pytest.param(unsigned({"alg": "None"}), "has an alg that is not accepted", id="None"),
        pytest.param(unsigned({"alg": "HS256"}), "has an alg that is not accepted", id="HS256"),
        pytest.param(unsigned({"alg": "es256"}), "has an alg that is not accepted", id="lower case"),
        pytest.param(unsigned({"alg": ["ES256"]}), "has an alg that is not accepted", id="a list"),
        pytest.param(unsigned({"typ": "JWT"}), "has an alg that is not accepted", id="no alg"),
        pytest.param(unsigned({"alg": "ES256K"}), "has an alg that is not accepted", id="a curve of blockchains"),
        pytest.param(unsigned({"alg": "ES256", "crit": ["exp"]}), "has crit in its header", id="crit"),
        pytest.param(unsigned({"alg": "ES256", "crit": []}), "has crit in its header", id="crit empty"),
        pytest.param(unsigned({"alg": "ES256", "b64": True}), "has b64 in its header", id="b64"),
        pytest.param(unsigned({"alg": "ES256", "kid": 7}), "has a kid that is no text", id="kid a number"),
        *(
            pytest.param(
                unsigned({"alg": "ES256", "typ": kind}), "is of another type: its typ is not JWT", id=f"typ {kind}"
            )
            for kind in ("at+jwt", "logout+jwt", "application/jwt", "JOSE", "", None, 1)
        ),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    """The reason says what is wrong, in the words of the specification."""
    with pytest.raises(RefusedJwt) as caught:
        read_jwt(text)
    assert caught.value.reason == f"the JWT {problem}"
    assert str(caught.value) == "wrong user name or password"


def test_the_largest() -> None:
    """As many bytes as the limit are read."""
    text = padded(MAX_JWT)
    assert len(text) == MAX_JWT
    assert read_jwt(text).issuer == looks_like_jwt(text) == ISSUER


def test_sixteen_levels() -> None:
    """As many as the limit are read."""
    deep = '{"a":' * 15 + "{}" + "}" * 15
    assert read_jwt(unsigned(payload=deep)).claims == json.loads(deep)


@pytest.mark.parametrize(
    ("text", "issuer"),
    [
        pytest.param(jwt(), ISSUER, id="a JWT"),
        pytest.param(unsigned({"alg": "HS256"}), ISSUER, id="a JWT that is refused later"),
        pytest.param(unsigned(signature="?"), ISSUER, id="no signature"),
        pytest.param(unsigned(payload={"sub": "x"}), "", id="no issuer"),
        pytest.param(unsigned(payload={"iss": 1}), "", id="an issuer that is no text"),
        pytest.param(unsigned(payload={"sub": SVID}), "spiffe://example.org", id="no issuer, of a trust domain"),
        pytest.param(unsigned(payload={"sub": SVID, "iss": ISSUER}), ISSUER, id="an issuer and a trust domain"),
        pytest.param(unsigned(payload={"sub": SVID, "iss": None}), "", id="null and a trust domain"),
        pytest.param(unsigned(payload={"sub": SVID, "iss": ""}), "", id="an empty issuer and a trust domain"),
        pytest.param(unsigned(payload={"sub": [SVID]}), "", id="no issuer, several trust domains"),
        pytest.param("", None, id="nothing"),
        pytest.param("correct horse", None, id="a password"),
        pytest.param("eyJhbGciOiJIUzI1NiJ9", None, id="no dots"),
        pytest.param("eyJ.a.b", None, id="a password that begins like one"),
        pytest.param("eyJhbGciOiJIUzI1NiJ9.a.b", None, id="no payload"),
        pytest.param(unsigned(payload=[]), None, id="payload: array"),
        pytest.param(unsigned(payload=TWICE), None, id="a duplicate member"),
        pytest.param(unsigned(payload=DEEP), None, id="17 levels"),
        pytest.param(unsigned() + ".x", None, id="four parts"),
        pytest.param(padded(MAX_JWT + 1), None, id="too large"),
        pytest.param(unsigned(' {"alg":"ES256"}'), None, id="a blank in front of the header"),
    ],
)
def test_what_is_meant_as_a_jwt(text: str, issuer: str | None) -> None:
    """Only that goes to an issuer's source; everything else is a password."""
    assert looks_like_jwt(text) == issuer


TEXTS = st.text(max_size=30)
PARTS = st.one_of(
    st.text("eyJhbGciOi.-_AQ=", max_size=20),
    st.binary(max_size=30).map(encode_base64url),
    st.dictionaries(st.sampled_from(["alg", "typ", "kid", "iss", "crit"]), st.sampled_from(["ES256", "JWT", 1, None]))
    .map(json.dumps)
    .map(lambda text: encode_base64url(text.encode())),
)


@given(st.one_of(TEXTS, st.lists(PARTS, min_size=2, max_size=4).map(".".join)))
def test_any_text(text: str) -> None:
    """It is read as any JSON parser would, or refused with a reason of one printable line; never anything else."""
    issuer = looks_like_jwt(text)
    reason = ""
    try:
        found = read_jwt(text)
    except RefusedJwt as error:
        reason = error.reason
    assert reason.isprintable()
    assert reason.isascii()
    if not reason:
        header, payload, _ = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in text.split("."))
        assert found.claims == json.loads(payload)
        assert json.loads(header)["alg"] == found.algorithm
        assert issuer == (found.issuer if text.startswith("eyJ") else None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4), st.sampled_from(sorted(ALGORITHMS)), st.booleans())
def test_every_right_jwt_is_read(claims: dict[str, Any], algorithm: str, is_ascii: bool) -> None:
    """Whatever its claims are."""
    header = json.dumps({"alg": algorithm})
    found = read_jwt(unsigned(header, json.dumps(claims, ensure_ascii=is_ascii)))
    assert (found.claims, found.algorithm) == (claims, algorithm)


def test_the_signature_is_not_looked_at() -> None:
    """Reading is no verification."""
    assert read_jwt(signed('{"alg":"RS256"}', "{}")).issuer == ""
