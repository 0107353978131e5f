"""The redirect to an OpenID provider and back: state, nonce, PKCE, and the answer in the URL. Pure.

OpenID Connect Core, section 3.1.2; PKCE (RFC 7636) by S256 always; the issuer in the answer (RFC 9207).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from hmac import compare_digest
from urllib.parse import urlencode

from tokenserver.authn.oidc.metadata import ProviderMetadata
from tokenserver.authn.oidc.provider import OpenIdProvider
from tokenserver.authn.oidc.refusals import NotOurLogin, RefusedByProvider, unusable_answer
from tokenserver.documents.base64url import encode_base64url
from tokenserver.documents.strict_json import InvalidJson, read_object

ATTEMPT_SECONDS = 600
"""For how long a login may be in progress."""

MAX_CODE = 8192
_MAX_ERROR = 64


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login in progress, which the browser keeps in a sealed cookie. `ends` is in seconds since the epoch.

    `next` is the page of ours that follows.
    """

    state: str
    nonce: str
    verifier: str = field(repr=False)
    next: str
    ends: int

    def as_bytes(self) -> bytes:
        """What the cookie seals."""
        return json.dumps(asdict(self)).encode()


def new_attempt(next_path: str, *, now: float, random: Callable[[int], bytes]) -> Attempt:
    """A new login. `random` gives that many random bytes."""
    state, nonce, verifier = (encode_base64url(random(32)) for _ in range(3))
    return Attempt(state, nonce, verifier, next_path, int(now) + ATTEMPT_SECONDS)


def read_attempt(content: bytes) -> Attempt:
    """The login of `Attempt.as_bytes`, whose seal was right.

    Raises:
        NotOurLogin: another program has written it.
    """
    try:
        found = read_object(content)
        texts = {name: found.get(name) for name in ("state", "nonce", "verifier", "next")}
        ends = found.get("ends")
    except InvalidJson:
        texts, ends = {}, None
    if not texts or not all(isinstance(text, str) for text in texts.values()) or type(ends) is not int:
        raise NotOurLogin("the cookie of the login is not readable")
    return Attempt(**{name: str(text) for name, text in texts.items()}, ends=ends)


def authorization_url(provider: OpenIdProvider, metadata: ProviderMetadata, attempt: Attempt) -> str:
    """Where the browser goes to log in."""
    challenge = encode_base64url(hashlib.sha256(attempt.verifier.encode()).digest())
    parameters = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": provider.redirect_uri,
        "scope": provider.scopes,
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    if provider.hosted_domain is not None:
        parameters["hd"] = provider.hosted_domain
    separator = "&" if "?" in metadata.authorization else "?"
    return f"{metadata.authorization}{separator}{urlencode(parameters)}"


def code_of_answer(
    answer: Mapping[str, str], attempt: Attempt, provider: OpenIdProvider, metadata: ProviderMetadata, *, now: float
) -> str:
    """The code in the parameters with which the browser came back.

    Raises:
        NotOurLogin: it is the answer to another login, or comes too late.
        RefusedByProvider: it is an error.
        RefusedLogin: it is the answer of another provider, or none.
    """
    if now >= attempt.ends:
        raise NotOurLogin("the login took longer than ten minutes")
    # `state` first: of an answer that nobody asked for, nothing else is worth a look.
    if not compare_digest(_bytes(answer.get("state", "")), attempt.state.encode()):
        raise NotOurLogin("the state is that of another login")
    issuer = answer.get("iss")
    if issuer != provider.issuer and (issuer is not None or metadata.sends_issuer):
        raise unusable_answer("the answer is that of another issuer")
    error = answer.get("error")
    if error is not None:
        raise RefusedByProvider(spelled_error(error))
    code = answer.get("code", "")
    if not 0 < len(code) <= MAX_CODE:
        raise unusable_answer("the answer has no code")
    return code


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def spelled_error(error: object) -> str:
    """The code of an error as it may be logged and shown (RFC 6749, section 4.1.2.1)."""
    is_code = isinstance(error, str) and 0 < len(error) <= _MAX_ERROR and error.isascii()
    return str(error) if is_code and str(error).replace("_", "").isalnum() else "unknown"


def logout_url(provider: OpenIdProvider, metadata: ProviderMetadata, back: str) -> str | None:
    """Where the browser goes to log out at the provider, too (RP-Initiated Logout, section 2); None if it cannot.

    `back` is the page of ours that follows, which the provider has to know.
    """
    if metadata.end_session is None:
        return None
    separator = "&" if "?" in metadata.end_session else "?"
    parameters = {"client_id": provider.client_id, "post_logout_redirect_uri": back}
    return f"{metadata.end_session}{separator}{urlencode(parameters)}"
