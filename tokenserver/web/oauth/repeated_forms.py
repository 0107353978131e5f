"""Forms that clients send again in the same words: what they ask for is kept, under a tag, and never their secret."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tokenserver.authn.token_tags import tag_of_bytes
from tokenserver.credentials import Secret, UnreadSecret
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.scopes import DEFAULT_LIMITS, ScopeLimits
from tokenserver.web.parameters import CHARACTERS_OF_A_QUERY, READ_BODY, SECRETS, Parameters, parse_form

_LONGEST = 4000
"""Bytes of a form that is kept. A shorter one is within the limits, whatever these are."""

_SECRET_OF = {"password": "password", "refresh_token": "refresh_token"}
"""The parameter with the secret, by the grant."""

_known: BoundedCache[bytes, tuple[str, Parameters]] = BoundedCache(2048)
"""The name of the secret and everything else in a form, by its tag."""


def repeated_form(environ: Mapping[str, Any], limits: ScopeLimits = DEFAULT_LIMITS) -> Parameters:
    """As `parse_form`; the secret of a form that has one is `Parameters.secret`, decoded only if somebody reads it.

    Raises as `parse_form`.
    """
    body = environ.get(READ_BODY)
    if body is None or len(body) > _LONGEST:
        return parse_form(environ, limits)
    tag = tag_of_bytes(body)
    known = _known.get(tag)
    if known is not None:
        name, rest = known
        return rest.with_secret(UnreadSecret(partial(_secret_in, body, name), tag))
    form = parse_form(environ, limits)
    name = _SECRET_OF.get(form.single.get("grant_type", ""), "")
    text = form.single.get(name)
    if not text:
        return form
    single = {one: value for one, value in form.single.items() if one != name}
    if not SECRETS.isdisjoint(single):
        return form
    rest = Parameters(single, form.scopes)
    is_kept = _known.offer(tag, (name, rest), 1 + len(body) // CHARACTERS_OF_A_QUERY)
    return rest.with_secret(Secret(text, tag if is_kept else None))


def _secret_in(body: bytes, name: str) -> str:
    return parse_form({READ_BODY: body}).single[name]
