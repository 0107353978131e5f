"""A login at an OpenID provider: from the button to the person, with a sealed cookie in between.

The cookie belongs to one login of one browser and one provider, and works for ten minutes. The code in the answer is
redeemed once; what comes back counts only if the browser that began the login brings the cookie.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tokenserver.authn.oidc.authorization import Attempt, authorization_url, code_of_answer, new_attempt, read_attempt
from tokenserver.authn.oidc.id_token import VerifiedPerson
from tokenserver.authn.oidc.refusals import NotOurLogin, RefusedByProvider, unusable_answer
from tokenserver.authn.oidc.source import OidcSource
from tokenserver.credentials import Secret
from tokenserver.documents.base64url import decode_canonical_base64url, encode_base64url
from tokenserver.identity import Identity
from tokenserver.storage.boxes import Boxes, UnreadableBox


@dataclass(frozen=True, slots=True)
class BegunLogin:
    """Where the browser goes, and the cookie that it keeps until it comes back."""

    url: str
    cookie: Secret


@dataclass(frozen=True, slots=True)
class FinishedLogin:
    """Who logged in, what the provider calls them and its session, and the page of ours that follows."""

    identity: Identity
    person: VerifiedPerson
    next: str


class OidcLogins:
    """Begins and finishes logins. `now` is in seconds since the epoch, `random` gives that many random bytes."""

    def __init__(
        self,
        boxes: Boxes,
        *,
        now: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._boxes = boxes
        self._now = now
        self._random = random

    def begin(self, source: OidcSource, next_path: str) -> BegunLogin:
        """Begin a login that ends at the page `next_path`.

        Raises:
            BackendUnavailable: nothing is known of the provider yet.
        """
        attempt = new_attempt(next_path, now=self._now(), random=self._random)
        url = authorization_url(source.provider, source.client.metadata, attempt)
        box = self._boxes.close(attempt.as_bytes(), about=_about(source))
        return BegunLogin(url, Secret(encode_base64url(box)))

    def finish(self, source: OidcSource, cookie: Secret | None, answer: Mapping[str, str]) -> FinishedLogin:
        """Who logged in, by the cookie and the parameters of the URL with which the browser came back.

        Raises:
            RefusedLogin: the answer is not to a login of this browser, or not one that lets somebody in.
            InvalidCredentials: the ID token is not accepted, or the person may not log in.
            BackendUnavailable: the provider, the storage or a user source does not answer.
        """
        attempt = self._attempt(source, cookie)
        code = code_of_answer(answer, attempt, source.provider, source.client.metadata, now=self._now())
        try:
            tokens = source.client.redeem(code, attempt.verifier)
        except RefusedByProvider:
            raise NotOurLogin("the provider refuses the code: it was used before, or comes too late") from None
        if tokens.id_token is None:
            raise unusable_answer("the answer of the token endpoint has no ID token")
        person = source.verified(tokens.id_token, nonce=attempt.nonce)
        return FinishedLogin(source.log_in(person, tokens.refresh_token), person, attempt.next)

    def _attempt(self, source: OidcSource, cookie: Secret | None) -> Attempt:
        if cookie is None:
            raise NotOurLogin("there is no cookie of a login")
        try:
            box = decode_canonical_base64url(cookie.reveal())
            return read_attempt(self._boxes.open(box, about=_about(source)))
        except (ValueError, UnreadableBox):
            raise NotOurLogin("the cookie of the login was not made by this server, or for another provider") from None


def _about(source: OidcSource) -> bytes:
    return f"oidc login\0{source.name}".encode()
