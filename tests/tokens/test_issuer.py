"""Signing: what comes out, and that nothing comes out which was not decided or does not verify."""

from __future__ import annotations

import ast
import base64
import json
import secrets
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
import pytest
from built_claims import build_claims, changed_by
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from syntax_trees import modules, nodes

from tokenserver.errors import SigningFailed, TokenMismatch
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.keys.certificates import private_pem
from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.scopes import ACTIONS, Access, Resource
from tokenserver.tokens import issuer as issuer_module
from tokenserver.tokens.claims import Compat, Registry, encoded_claims
from tokenserver.tokens.issuer import TokenIssuer, read_as_registry
from tokenserver.tokens.jose_header import encoded_header, token_header
from tokenserver.tokens.verification import InvalidToken

NOW = 1_801_396_800.75  # 2027-01-31 12:00 UTC and a bit
ANN = Identity("ann", Kind.PASSWORD, "htpasswd")
ACCESS = (Access(Resource("repository", "web/site"), frozenset({"pull", "push"})),)


def registry(compat: Compat = Compat.UNIVERSAL) -> Registry:
    return Registry("registry.example.com", "auth.example.com", compat, 900)


def issuer_of(ring: KeyRing) -> TokenIssuer:
    return TokenIssuer(ring, now=lambda: NOW, new_id=lambda: "id-1")


@pytest.mark.parametrize("compat", list(Compat))
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_token_verifies_elsewhere(rings: dict[Algorithm, KeyRing], algorithm: Algorithm, compat: Compat) -> None:
    """An independent decoder finds the header of the kind, a right signature and exactly the claims."""
    ring = rings[algorithm]
    text = issuer_of(ring).issue(ANN, registry(compat), ACCESS).text.reveal()
    ignore_time = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    claims = jwt.decode(text, ring.active.public_key, algorithms=[algorithm.value], options=ignore_time)  # type: ignore[arg-type]  # its options are a TypedDict
    assert jwt.get_unverified_header(text) == token_header(ring.active, compat)
    assert claims == build_claims(ANN, registry(compat), ACCESS, now=int(NOW), jti="id-1")


def test_what_is_told_about_a_token(rings: dict[Algorithm, KeyRing]) -> None:
    """True time in whole seconds, the registry's lifetime, the id, and what was granted once per resource."""
    resource = ACCESS[0].resource
    granted = [Access(resource, frozenset({"pull"})), Access(Resource("repository", "b"), frozenset())]
    token = issuer_of(rings[Algorithm.ES256]).issue(ANN, registry(), [*granted, *ACCESS])
    assert (token.jti, token.issued_at, token.expires_in) == ("id-1", 1_801_396_800, 900)
    assert (token.access, type(token.issued_at)) == (ACCESS, int)


@pytest.mark.parametrize(("lifetime", "expected"), [(None, 900), (600, 600), (3600, 900), (1, 60)])
def test_a_lifetime_shortens_the_token(rings: dict[Algorithm, KeyRing], lifetime: int | None, expected: int) -> None:
    """`expires_in` and the signed claims agree: never longer than the registry says, never under a minute."""
    token = issuer_of(rings[Algorithm.ES256]).issue(ANN, registry(), ACCESS, lifetime=lifetime)
    payload = token.text.reveal().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert (token.expires_in, claims["exp"] - token.issued_at) == (expected, expected)


def test_a_lifetime_changed_before_signing(rings: dict[Algorithm, KeyRing], monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that would live for the registry's time, though less was decided, is not let go."""

    def forgetful(*arguments: Any, **named: Any) -> str:
        return encoded_claims(*arguments, **{**named, "lifetime": None})

    monkeypatch.setattr(issuer_module, "encoded_claims", forgetful)
    with pytest.raises(TokenMismatch, match="claim exp"):
        issuer_of(rings[Algorithm.ES256]).issue(ANN, registry(), ACCESS, lifetime=600)


def test_an_anonymous_token_without_access(rings: dict[Algorithm, KeyRing]) -> None:
    """Nobody with nothing still gets a token: it opens `/v2/` and nothing behind it."""
    token = issuer_of(rings[Algorithm.ES256]).issue(ANONYMOUS, registry(), [])
    payload = token.text.reveal().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert (claims["sub"], claims["access"], token.access) == ("", [], ())


def test_clock_and_id_are_asked_once_for_each_token(rings: dict[Algorithm, KeyRing]) -> None:
    """One moment and one id per token, so that its claims agree with each other."""
    calls: list[str] = []

    def now() -> float:
        calls.append("now")
        return NOW

    def new_id() -> str:
        calls.append("id")
        return f"id-{len(calls)}"

    issuer = TokenIssuer(rings[Algorithm.ES256], now=now, new_id=new_id)
    ids = [issuer.issue(ANN, registry(), ACCESS).jti for _ in range(3)]
    assert (sorted(calls), len(set(ids))) == (["id"] * 3 + ["now"] * 3, 3)


RESOURCES = st.builds(Resource, st.sampled_from(["repository", "registry"]), st.sampled_from(["a", "b", "web/site"]))


@given(
    granted=st.lists(st.builds(Access, RESOURCES, st.frozensets(st.sampled_from(ACTIONS))), max_size=6),
    subject=st.text(st.characters(), max_size=30),
    compat=st.sampled_from(Compat),
)
def test_any_grant_can_be_signed(
    rings: dict[Algorithm, KeyRing], granted: list[Access], subject: str, compat: Compat
) -> None:
    """Whatever policies grant, the finished token passes its own check and grants no more."""
    ring = rings[Algorithm.ES256]
    token = issuer_of(ring).issue(Identity(subject, Kind.PASSWORD), registry(compat), granted)
    decided = {(one.resource, action) for one in granted for action in one.actions}
    assert {(one.resource, action) for one in token.access for action in one.actions} == decided


# --- faults ---------------------------------------------------------------------------------------------------


class FaultySigner:
    """A private key whose signatures go through `spoil`; everything else is the real key's."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
        spoil: Callable[[bytes], bytes],
    ) -> None:
        self._key = key
        self._spoil = spoil

    def __getattr__(self, name: str) -> Any:
        return getattr(self._key, name)

    def sign(self, *arguments: Any) -> bytes:
        signed: bytes = self._key.sign(*arguments)
        return self._spoil(signed)


def with_signer(ring: KeyRing, spoil: Callable[[bytes], bytes]) -> KeyRing:
    double: Any = FaultySigner(ring.active.private_key, spoil)
    return replace(ring, active=replace(ring.active, private_key=double))


def flip_last_bit(signature: bytes) -> bytes:
    return signature[:-1] + bytes([signature[-1] ^ 1])


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_flipped_bit_in_the_signature(rings: dict[Algorithm, KeyRing], algorithm: Algorithm) -> None:
    """A signature that does not verify never leaves: it could give the key away."""
    issuer = issuer_of(with_signer(rings[algorithm], flip_last_bit))
    with pytest.raises(SigningFailed) as failed:
        issuer.issue(ANN, registry(), ACCESS)
    assert str(failed.value) == f"a token signed with the key key-{algorithm} has a wrong signature"


def test_a_sound_double_signs(rings: dict[Algorithm, KeyRing]) -> None:
    """The double itself breaks nothing, so the tests above fail for the flipped bit alone."""
    issuer = issuer_of(with_signer(rings[Algorithm.ES256], bytes))
    assert issuer.issue(ANN, registry(), ACCESS).jti == "id-1"


def test_a_key_that_is_not_the_certificates(rings: dict[Algorithm, KeyRing]) -> None:
    """Signatures are checked against the certificate, which is what registries go by."""
    ring = rings[Algorithm.ES256]
    other = replace(ring.active, private_key=ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(SigningFailed, match="has a wrong signature"):
        issuer_of(replace(ring, active=other)).issue(ANN, registry(), ACCESS)


def signed(ring: KeyRing, payload: bytes, compat: Compat = Compat.JWKS) -> str:
    """A token of any payload, made by neither the issuer nor its encoders."""
    key = ring.active
    content = f"{encoded_header(key, compat)}.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}"
    algorithm = jwt.get_algorithm_by_name(key.algorithm.value)
    signature = algorithm.sign(content.encode(), key.private_key)
    return f"{content}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def refusal(text: str, ring: KeyRing) -> str:
    with pytest.raises(InvalidToken) as refused:
        read_as_registry(text, encoded_header(ring.active, Compat.JWKS), ring.active)
    return str(refused.value)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_what_a_registry_would_not_read(rings: dict[Algorithm, KeyRing], algorithm: Algorithm) -> None:
    """Only the very header that was meant, the key of the certificate, no padding, and an object as claims."""
    ring = rings[algorithm]
    right = signed(ring, b'{"sub":1}')
    header = encoded_header(ring.active, Compat.JWKS)
    assert read_as_registry(right, header, ring.active) == {"sub": 1}
    compat = Compat.UNIVERSAL if algorithm is Algorithm.EdDSA else Compat.DISTRIBUTION2
    content, _, signature = right.rpartition(".")
    padding = "=" * (-len(signature) % 4)
    shapes = {
        signed(ring, b'{"sub":1}', compat): "has no header that this server writes",
        header: "has no header that this server writes",
        f"{right}{padding or '='}": "is not canonical base64url",
        header + ".": "has a wrong signature",
        f"{right}.": "is not canonical base64url",
        f"{content}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}": "has a wrong signature",
        f"{content}.{signature[:16]}": "has a wrong signature",
        signed(ring, b"[]"): "has no claims",
        signed(ring, b"["): "has no claims",
        signed(ring, '{"sub":1}'.encode("utf-16")): "has no claims",
        signed(ring, b"[" * 20_000): "has no claims",
    }
    assert {text: refusal(text, ring) for text in shapes} == shapes


@pytest.mark.parametrize("header", ["", "e30", "bm9uZQ", "eyJhbGciOiJSUzI1NiJ9", "!"])
def test_a_header_that_says_no_algorithm_or_another(rings: dict[Algorithm, KeyRing], header: str) -> None:
    """Even if it is the header that was meant, it must be read by PyJWT as one of this key's algorithm."""
    key = rings[Algorithm.ES256].active
    content = f"{header}.e30"
    signature = jwt.get_algorithm_by_name("ES256").sign(content.encode(), key.private_key)
    text = f"{content}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    with pytest.raises(InvalidToken, match="has no header that this server writes"):
        read_as_registry(text, header, key)


@given(data=st.data())
def test_a_registry_reads_no_other_letter(rings: dict[Algorithm, KeyRing], data: st.DataObject) -> None:
    """No letter of a token can be changed, left out or added."""
    ring = rings[data.draw(st.sampled_from(list(Algorithm)))]
    text = signed(ring, b'{"sub":"ann"}')
    place = data.draw(st.integers(0, len(text)))
    changed = text[:place] + data.draw(st.text("ABYZabyz0189-_.=", max_size=2)) + text[place + 1 :]
    if changed != text:
        assert refusal(changed, ring) != ""


def test_a_signer_that_fails(rings: dict[Algorithm, KeyRing]) -> None:
    """Any exception of a signer is a failed signature, reported by its type alone."""

    def broken(_signature: bytes) -> bytes:
        raise RuntimeError("canary")

    with pytest.raises(SigningFailed) as failed:
        issuer_of(with_signer(rings[Algorithm.ES256], broken)).issue(ANN, registry(), ACCESS)
    assert str(failed.value) == "the key key-ES256 did not sign: RuntimeError"


def test_no_entropy(rings: dict[Algorithm, KeyRing]) -> None:
    """Without randomness there is no id, and so no token."""

    def dry() -> str:
        raise OSError(5, "Input/output error")

    issuer = TokenIssuer(rings[Algorithm.ES256], now=lambda: NOW, new_id=dry)
    with pytest.raises(SigningFailed) as failed:
        issuer.issue(ANN, registry(), ACCESS)
    assert str(failed.value) == "no random id: Input/output error"


def more_actions(claims: dict[str, Any]) -> None:
    claims["access"][0]["actions"].append("delete")


def another_resource(claims: dict[str, Any]) -> None:
    claims["access"].append({"type": "registry", "name": "catalog", "actions": ["*"]})


@pytest.mark.parametrize(
    ("mutate", "claim"),
    [
        pytest.param(more_actions, "access", id="an action more"),
        pytest.param(another_resource, "access", id="a resource more"),
        pytest.param(lambda claims: claims.update(sub="root"), "sub", id="another subject"),
        pytest.param(lambda claims: claims.update(aud="other"), "aud", id="another registry"),
        pytest.param(lambda claims: claims.update(exp=claims["exp"] + 1), "exp", id="a longer life"),
        pytest.param(lambda claims: claims.update(iat=float(claims["iat"])), "iat", id="a float"),
        pytest.param(lambda claims: claims.update(admin=True), "admin", id="a claim more"),
    ],
)
def test_claims_changed_before_signing(
    rings: dict[Algorithm, KeyRing],
    monkeypatch: pytest.MonkeyPatch,
    mutate: Callable[[dict[str, Any]], None],
    claim: str,
) -> None:
    """What is signed is read back and compared with the decision, so a change on the way makes no token."""
    monkeypatch.setattr(issuer_module, "encoded_claims", changed_by(mutate))
    with pytest.raises(TokenMismatch) as mismatch:
        issuer_of(rings[Algorithm.ES256]).issue(ANN, registry(), ACCESS)
    assert str(mismatch.value) == f"the signed claim {claim} is not what was decided"


def test_another_payload_under_the_signature(rings: dict[Algorithm, KeyRing], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the finished text that is checked, not the values that it was made from."""
    sign = TokenIssuer._sign

    def swapped(self: TokenIssuer, header: str, claims: str) -> str:
        return sign(self, header, claims.replace('"sub":"ann"', '"sub":"root"'))

    monkeypatch.setattr(TokenIssuer, "_sign", swapped)
    with pytest.raises(TokenMismatch, match="claim sub"):
        issuer_of(rings[Algorithm.ES256]).issue(ANN, registry(), ACCESS)


# --- leaks and rules ------------------------------------------------------------------------------------------


def test_printing_a_token_does_not_show_it(rings: dict[Algorithm, KeyRing]) -> None:
    """A token in a log line is a token that others can use; its id is what may be logged."""
    token = issuer_of(rings[Algorithm.ES256]).issue(ANN, registry(), ACCESS)
    shown = f"{token!r} {token} {token.text}"
    parts = token.text.reveal().split(".")
    assert ([part for part in parts if part in shown], "id-1" in shown) == ([], True)


def test_no_fault_shows_token_or_key(rings: dict[Algorithm, KeyRing]) -> None:
    """The traceback of a failed signature holds neither the token nor a line of the key."""
    ring = rings[Algorithm.ES256]
    good = issuer_of(ring).issue(ANN, registry(), ACCESS).text.reveal().split(".")
    with pytest.raises(SigningFailed) as failed:
        issuer_of(with_signer(ring, flip_last_bit)).issue(ANN, registry(), ACCESS)
    shown = "".join(traceback.format_exception(failed.value)) + repr(failed.value)
    canaries = [*good[:2], *private_pem(ring.active.private_key).decode().splitlines()[1:-1]]
    assert [canary for canary in canaries if canary in shown] == []


def test_ids_do_not_repeat(rings: dict[Algorithm, KeyRing]) -> None:
    """With the system's random source, ids differ and are of 128 bits."""
    issuer = TokenIssuer(rings[Algorithm.ES256], now=lambda: NOW, new_id=lambda: secrets.token_hex(16))
    ids = {issuer.issue(ANN, registry(), []).jti for _ in range(200)}
    assert (len(ids), {len(jti) for jti in ids}) == (200, {32})


def imported_modules(module: str) -> set[str]:
    names: set[str] = set()
    for node in nodes(module):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_nothing_uses_predictable_randomness() -> None:
    """Neither `random` nor a UUID of time and machine can make an id: nobody imports either."""
    guilty = [module for module in modules() if imported_modules(module) & {"random", "uuid"}]
    assert (guilty, len(modules()) > 10) == ([], True)


def test_one_importer_of_jwt() -> None:
    """One module knows the library that reads what was signed, so that it can be replaced in one place."""
    sources = [module for module in modules() if module.startswith(("tokens/", "keys/"))]
    assert [module for module in sources if "jwt" in imported_modules(module)] == ["tokens/issuer.py"]
