"""Parses the `Authorization` header: Basic credentials (RFC 7617), or why they are unusable. No framework, no I/O."""

from __future__ import annotations

import binascii
import re
import unicodedata
from collections.abc import Sequence
from functools import partial

from tokenserver.authn.classification import may_be_jwt
from tokenserver.authn.token_tags import SIZE, tag_of
from tokenserver.authn.usernames import MAX_USERNAME
from tokenserver.credentials import (
    Credentials,
    MalformedCredentials,
    NoCredentials,
    Password,
    RefreshToken,
    Secret,
    UnreadSecret,
)
from tokenserver.errors import InvalidCredentials
from tokenserver.runtime.bounded_cache import BoundedCache

# RFC 9110, section 11.4: the scheme, spaces, one token68. A comma is in neither, so two headers that were joined
# with one (RFC 9110, section 5.3; granian does so) never match.
_CREDENTIALS = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +([A-Za-z0-9+/]+={0,2})", re.ASCII)

_BOM = "\ufeff"
_BOM_BYTES = b"\xef\xbb\xbf"

_LONG = 256
"""Characters of a header that may have a JWT; nearly all with a password are shorter."""

# User names that say that what follows is a token.
_MARKERS = ("", "<token>")

# No character decomposes into more than four in normal form C, so nothing longer can become short enough.
_MAX_TYPED = 4 * MAX_USERNAME


def parse_authorization(values: Sequence[str]) -> Credentials:
    """The credentials in all `Authorization` headers of a request; values as in WSGI, bytes decoded as Latin-1.

    No header at all is `NoCredentials`, and so is `Basic Og==`, the empty user with the empty password. Anything else
    that is not one well-formed Basic header is `MalformedCredentials` and never `NoCredentials`, including an empty
    value: granian passes one on if the header had bytes that are not ASCII. User and password are decoded as UTF-8,
    else as Latin-1, which python-requests sends. The user is normalised to NFC, the password is left as typed.
    """
    if not values:
        return _NONE
    if len(values) > 1:
        return MalformedCredentials("the Authorization header is given twice")
    # Decoding and classifying a secret takes longer than a tag of it, so clients that send theirs again get an
    # `UnreadSecret`. Only the user name is kept.
    value = values[0]
    tag = tag_of(value)
    name = _names_by_tag.get(tag)
    if name is not None:
        return Password(name, UnreadSecret(partial(_password_in, value), tag))
    found = _parse(value)
    if isinstance(found, Password) and _is_tagged(found, is_long=len(value) >= _LONG):
        found.password.tag = tag if _names_by_tag.offer(tag, found.username) else None
    return found


_NONE = NoCredentials()

_names_by_tag: BoundedCache[bytes, str] = BoundedCache(SIZE)


def _is_tagged(found: Password, *, is_long: bool) -> bool:
    """Whether these credentials have a tag: JWTs if the header is long, everything else if it is not."""
    text = found.password.reveal()
    return text != "" and len(found.username) <= MAX_USERNAME and may_be_jwt(text) is is_long


def _password_in(value: str) -> str:
    found = _parse(value)
    return found.password.reveal() if isinstance(found, Password) else ""


def _parse(value: str) -> Credentials:
    # Nearly every header begins like this; the rest must be base64 and nothing else, which the decoder ensures.
    raw = _decode(value[6:]) if value.startswith("Basic ") else None
    if not raw:
        matched = _CREDENTIALS.fullmatch(value)
        if matched is None:
            return MalformedCredentials("the Authorization header is malformed")
        if matched[1].lower() != "basic":
            return MalformedCredentials("the Authorization header is not of the Basic scheme")
        raw = _decode(matched[2])
    if raw is None:
        return MalformedCredentials("the Basic credentials are not base64")
    if raw.startswith(_BOM_BYTES):
        return MalformedCredentials("the user name begins with a byte order mark")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    typed, colon, password = text.partition(":")
    if not colon:
        return MalformedCredentials("the Basic credentials have no colon")
    if not typed and not password:
        return NoCredentials()
    try:
        return Password(normalize_username(typed), Secret(password))
    except InvalidCredentials as error:
        return MalformedCredentials(error.reason)


def refresh_token_in(credentials: Credentials) -> Credentials:
    """The credentials; as `RefreshToken` if they are a password that clients mark as one by its user name.

    containerd retries a refused refresh token as Basic with an empty user, and credential helpers of docker return
    `<token>` as the user of a token. No user can have these names.
    """
    if isinstance(credentials, Password):
        name, secret = credentials.username, credentials.password
        if name in _MARKERS and (secret.tag is not None or secret.reveal()):  # what has a tag is not empty
            return RefreshToken(secret)
    return credentials


def normalize_username(typed: str) -> str:
    """A user name in Unicode normal form C, so that a name has the same spelling from every keyboard.

    Raises:
        InvalidCredentials: it has a byte order mark, or is so long that normalising it would only cost time.
    """
    if _BOM in typed:
        raise InvalidCredentials("the user name contains a byte order mark")
    if len(typed) > _MAX_TYPED:
        raise InvalidCredentials("the user name is too long")
    return typed if typed.isascii() else unicodedata.normalize("NFC", typed)


def _decode(token: str) -> bytes | None:
    """The bytes of strict base64 (RFC 4648, section 4), padded and canonical; None for anything else."""
    try:
        raw = binascii.a2b_base64(token)
        # Whatever the decoder skipped or tolerated is missing when the bytes are encoded again.
        is_canonical = binascii.b2a_base64(raw, newline=False) == token.encode("ascii")
    except ValueError:  # includes binascii.Error and UnicodeEncodeError
        return None
    return raw if is_canonical else None
