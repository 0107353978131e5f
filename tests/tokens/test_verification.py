"""This server opens its own tokens and no others, whatever their header says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from built_claims import build_claims
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.config.protection import MAX_SCOPE_BYTES, MAX_SCOPES
from tokenserver.identity import Identity, Kind
from tokenserver.keys.jwk import public_jwk
from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.keys.signatures import signer
from tokenserver.scopes import Access, Resource
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import TokenIssuer
from tokenserver.tokens.jose_header import encoded_header, token_header
from tokenserver.tokens.verification import MAX_TOKEN, InvalidToken, open_repeated, open_token, verify_own

NOW = 1_801_396_800
ANN = Identity("ann", Kind.PASSWORD, "htpasswd")
ACCESS = (Access(Resource("repository", "web/site"), frozenset({"pull"})),)
REGISTRY = Registry("registry.example.com", "auth.example.com", Compat.JWKS, 900)


def token(ring: KeyRing, registry: Registry = REGISTRY, access: tuple[Access, ...] = ACCESS) -> str:
    issuer = TokenIssuer(ring, now=lambda: NOW, new_id=lambda: "id-1")
    return issuer.issue(ANN, registry, access).text.reveal()


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def claims() -> dict[str, Any]:
    return build_claims(ANN, REGISTRY, ACCESS, now=NOW, jti="id-1")


def refusal(text: str, ring: KeyRing, *, registry: Registry = REGISTRY, now: int = NOW) -> str:
    with pytest.raises(InvalidToken) as refused:
        verify_own(text, ring, registry, now=now)
    return str(refused.value)


@pytest.fixture(scope="session")
def ring(rings: dict[Algorithm, KeyRing]) -> KeyRing:
    return rings[Algorithm.ES256]


@pytest.mark.parametrize("compat", list(Compat))
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_own_tokens_are_opened(rings: dict[Algorithm, KeyRing], algorithm: Algorithm, compat: Compat) -> None:
    """Every algorithm in every form, also in one that the registry is no longer set to."""
    text = token(rings[algorithm], replace(REGISTRY, compat=compat))
    assert verify_own(text, rings[algorithm], REGISTRY, now=NOW) == claims()


def test_tokens_of_every_published_key_are_opened(rings: dict[Algorithm, KeyRing]) -> None:
    """A token of a retired key counts as long as the key is published, and no longer."""
    es256, rs256, eddsa = (rings[algorithm] for algorithm in (Algorithm.ES256, Algorithm.RS256, Algorithm.EdDSA))
    rotated = replace(es256, next=(eddsa.active,), retired=(rs256.active,))
    opened = [verify_own(token(old), rotated, REGISTRY, now=NOW) for old in (es256, rs256, eddsa)]
    assert opened == [claims()] * 3
    assert refusal(token(rs256), es256) == "has no header that this server writes"


# --- other headers --------------------------------------------------------------------------------------------


def signed_with_hmac(header: dict[str, Any], secret: bytes) -> str:
    content = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims()).encode())}"
    return f"{content}.{b64(hmac.new(secret, content.encode(), hashlib.sha256).digest())}"


def with_header(ring: KeyRing, header: dict[str, Any]) -> str:
    """A token whose signature by the real key is right, under a header of the attacker's choice."""
    content = f"{b64(json.dumps(header, separators=(',', ':')).encode())}.{b64(json.dumps(claims()).encode())}"
    signature = jwt.get_algorithm_by_name("ES256").sign(content.encode(), ring.active.private_key)
    return f"{content}.{b64(signature)}"


def test_the_forger_can_sign(ring: KeyRing) -> None:
    """The helper makes right signatures: what the tests below refuse, they refuse for the header alone."""
    text = with_header(ring, token_header(ring.active, Compat.JWKS))
    assert verify_own(text, ring, REGISTRY, now=NOW) == claims()


PUBLIC_FORMS = ["PEM", "PEM without the last newline", "DER", "certificate PEM", "JWK"]


@pytest.mark.parametrize("algorithm", list(Algorithm))
@pytest.mark.parametrize("form", PUBLIC_FORMS)
@pytest.mark.parametrize("alg", ["HS256", "ES256"])
def test_public_key_as_hmac_secret(rings: dict[Algorithm, KeyRing], algorithm: Algorithm, form: str, alg: str) -> None:
    """What everybody knows is no secret: an HMAC with the public key, in whatever form, is refused."""
    key = rings[algorithm].active
    pem = key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secrets = {
        "PEM": pem,
        "PEM without the last newline": pem.rstrip(),
        "DER": key.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "certificate PEM": key.certificate_pem.encode(),
        "JWK": json.dumps(public_jwk(key)).encode(),
    }
    text = signed_with_hmac({"typ": "JWT", "alg": alg, "kid": key.thumbprint}, secrets[form])
    assert refusal(text, rings[algorithm]) == "has no header that this server writes"


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_hmac_under_the_right_header(rings: dict[Algorithm, KeyRing], algorithm: Algorithm) -> None:
    """Nor does an HMAC pass under this server's own header."""
    key = rings[algorithm].active
    pem = key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    content = f"{encoded_header(key, Compat.JWKS)}.{b64(json.dumps(claims()).encode())}"
    text = f"{content}.{b64(hmac.new(pem, content.encode(), hashlib.sha256).digest())}"
    assert refusal(text, rings[algorithm]) in ("has a signature of the wrong length", "has a wrong signature")


def own(ring: KeyRing) -> dict[str, Any]:
    return token_header(ring.active, Compat.JWKS)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"alg": "none"}, id="none"),
        pytest.param({"alg": "None"}, id="None"),
        pytest.param({"alg": "RS256"}, id="RS256 for an EC key"),
        pytest.param({"alg": "EdDSA"}, id="EdDSA for an EC key"),
        pytest.param({"alg": "ES384"}, id="ES384 for a P-256 key"),
        pytest.param({"alg": "es256"}, id="lower case"),
        pytest.param({"kid": "../../etc/passwd"}, id="kid as a path"),
        pytest.param({"kid": "' OR 1=1 --"}, id="kid as SQL"),
        pytest.param({"kid": "x" * 10_000}, id="kid of 10 kB"),
        pytest.param({"kid": None}, id="kid null"),
        pytest.param({"jku": "https://evil.example/jwks.json"}, id="jku"),
        pytest.param({"x5u": "https://evil.example/cert.pem"}, id="x5u"),
        pytest.param({"x5c": ["MIIB"]}, id="x5c next to kid"),
        pytest.param({"crit": ["exp"]}, id="crit"),
        pytest.param({"crit": ["b64"], "b64": False}, id="b64 false"),
        pytest.param({"cty": "JWT"}, id="nested"),
        pytest.param({"typ": "at+jwt"}, id="another typ"),
    ],
)
def test_headers_that_this_server_does_not_write(ring: KeyRing, change: dict[str, Any]) -> None:
    """Whatever else a header says, it is refused unread, even under a right signature."""
    text = with_header(ring, {**own(ring), **change})
    assert refusal(text, ring) == "has no header that this server writes"


def test_an_attackers_key_in_the_header(ring: KeyRing) -> None:
    """A key that comes with the token is no key, whatever id it claims."""
    attacker = ec.generate_private_key(ec.SECP256R1())
    other = replace(ring, active=replace(ring.active, private_key=attacker))
    jwk = public_jwk(replace(ring.active, public_key=attacker.public_key()))
    assert refusal(with_header(other, {**own(ring), "jwk": jwk}), ring) == "has no header that this server writes"
    assert refusal(with_header(other, own(ring)), ring) == "has a wrong signature"


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b'{"alg":"ES256","typ":"JWT"}', id="members in another order"),
        pytest.param(b'{"typ":"JWT","alg":"none","alg":"ES256"}', id="a member twice"),
        pytest.param(b"[" * 10_000, id="10,000 brackets"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="not text"),
    ],
)
def test_other_spellings_of_a_header(ring: KeyRing, header: bytes) -> None:
    """A header has one spelling."""
    text = f"{b64(header)}.{token(ring).partition('.')[2]}"
    assert refusal(text, ring) == "has no header that this server writes"


# --- other shapes ---------------------------------------------------------------------------------------------

ENCODING, SHAPE = "is not canonical base64url", "is not a signed token"


def test_shapes_that_are_refused(ring: KeyRing) -> None:
    """A token has three parts in base64url without padding, in the one canonical spelling."""
    header, payload, signature = token(ring).split(".")
    last = signature[-1]
    unused_bits = signature[:-1] + chr(ord(last) + 1)  # 64 bytes leave 4 bits of the last letter without meaning
    shapes = {
        "": SHAPE,
        "a.b": SHAPE,
        f"{header}.{payload}": SHAPE,
        f"{header}.{payload}.{signature}.": SHAPE,
        f"{header}.{payload}.{signature}.{signature}.{signature}": SHAPE,
        f"{header}.{payload}.{signature}==": ENCODING,
        f"{header}.{payload}.{signature}\n": ENCODING,
        f"{header}.{payload}. {signature}": ENCODING,
        f"{header}.{payload}.{signature[:-1]}": ENCODING,
        f"{header}.{payload}.{unused_bits}": ENCODING,
        f"{header}.{payload}=.{signature}": ENCODING,
        f"{header}.{payload}.ä": ENCODING,
        f"{header}.{payload}.": "has a signature of the wrong length",
        f"{header}.{payload}.{signature}AAAA": "has a signature of the wrong length",
        f"{header}..{signature}": "has a wrong signature",
        f"{header}.{payload}.{b64(bytes(64))}": "has a wrong signature",
        f"{header}.{payload}.{b64(bytes([255]) * 64)}": "has a wrong signature",
        f"{header}.{b64(b'[' * 10_000)}.{signature}": "has a wrong signature",
        "." * (MAX_TOKEN + 1): "is too large",
    }
    assert {text: refusal(text, ring) for text in shapes} == shapes


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"\xff", id="not text"),
        pytest.param(b"[" * 20_000, id="too deep"),
    ],
)
def test_signed_but_no_claims(ring: KeyRing, payload: bytes) -> None:
    """A right signature does not make claims of what are none."""
    header = encoded_header(ring.active, Compat.JWKS)
    content = f"{header}.{b64(payload)}"
    signature = jwt.get_algorithm_by_name("ES256").sign(content.encode(), ring.active.private_key)
    with pytest.raises(InvalidToken, match="has no claims"):
        open_token(f"{content}.{b64(signature)}", {header: ring.active})


def test_a_repeated_token_has_the_header_that_was_meant(ring: KeyRing) -> None:
    """A right signature under another header of the same key is not this token; a token that is, is opened."""
    sign = signer(ring.active.private_key, "ES256")
    header, other = (encoded_header(ring.active, compat) for compat in (Compat.JWKS, Compat.DISTRIBUTION2))
    content = f"{header}.{b64(json.dumps(claims()).encode())}"
    text = f"{content}.{b64(sign(content.encode()))}"
    assert open_repeated(text, header, sign) == claims()
    with pytest.raises(InvalidToken, match="has no header that this server writes"):
        open_repeated(text, other, sign)


@given(data=st.data())
def test_any_change_of_one_letter_is_refused(ring: KeyRing, data: st.DataObject) -> None:
    """No letter of a token can be changed, left out or added."""
    text = token(ring)
    place = data.draw(st.integers(0, len(text) - 1))
    instead = data.draw(st.text("ABYZabyz0189-_.=", max_size=2))
    changed = text[:place] + instead + text[place + 1 :]
    if changed == text:
        assert verify_own(changed, ring, REGISTRY, now=NOW) == claims()
    else:
        assert refusal(changed, ring) != ""


@given(text=st.text(max_size=100))
def test_no_text_breaks_the_verifier(ring: KeyRing, text: str) -> None:
    """Any text is refused as a token, with no other error."""
    header = encoded_header(ring.active, Compat.JWKS)
    assert [refusal(forged, ring) != "" for forged in (text, f"{header}.{text}", f"{header}.{text}.{text}")]


# --- other claims ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("registry", "now", "reason"),
    [
        pytest.param(replace(REGISTRY, service="other"), NOW, "is for another registry", id="another service"),
        pytest.param(
            replace(REGISTRY, service="Registry.example.com"), NOW, "is for another registry", id="another case"
        ),
        pytest.param(replace(REGISTRY, issuer="other"), NOW, "is for another registry", id="another issuer"),
        pytest.param(REGISTRY, NOW + 900, "is not valid at this time", id="expired this second"),
        pytest.param(REGISTRY, NOW - 11, "is not valid at this time", id="before its time"),
    ],
)
def test_tokens_that_do_not_count_here_and_now(ring: KeyRing, registry: Registry, now: int, reason: str) -> None:
    """A token is for one registry and for a time."""
    assert refusal(token(ring), ring, registry=registry, now=now) == reason


@pytest.mark.parametrize("now", [NOW - 10, NOW, NOW + 899])
def test_the_whole_lifetime_counts(ring: KeyRing, now: int) -> None:
    """From the time that is set back to the last second."""
    assert verify_own(token(ring), ring, REGISTRY, now=now)["jti"] == "id-1"


@pytest.mark.parametrize("change", [{"exp": None}, {"exp": NOW + 900.0}, {"nbf": None}, {"nbf": "0"}])
def test_times_that_are_none(ring: KeyRing, change: dict[str, Any]) -> None:
    """A token without a whole number for its end lives for no time, not for ever."""
    header = encoded_header(ring.active, Compat.JWKS)
    content = f"{header}.{b64(json.dumps({**claims(), **change}).encode())}"
    signature = jwt.get_algorithm_by_name("ES256").sign(content.encode(), ring.active.private_key)
    assert refusal(f"{content}.{b64(signature)}", ring) == "is not valid at this time"


def test_the_largest_token_is_opened(rings: dict[Algorithm, KeyRing]) -> None:
    """The bound on size refuses nothing that this server can issue: as many scopes in as much text as it reads."""
    actions = frozenset({"pull", "push", "delete"})
    width = MAX_SCOPE_BYTES // MAX_SCOPES - len("repository::* ")  # each of them grants all three actions
    granted = tuple(Access(Resource("repository", f"{n:0{width}d}"), actions) for n in range(MAX_SCOPES))
    ring = rings[Algorithm.RS256]
    text = token(ring, replace(REGISTRY, compat=Compat.UNIVERSAL), granted)
    assert len(verify_own(text, ring, REGISTRY, now=NOW)["access"]) == MAX_SCOPES
