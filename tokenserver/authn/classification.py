"""Classification of the text sent as a password: an access key, the token of a workload, or a password.

The text alone decides, and each kind is verified by its own means: what begins like an access key never reaches a user
source, so a mistyped key is neither sent to a directory nor counted there.
"""

from __future__ import annotations

from collections.abc import Callable

from tokenserver.access_keys import KEY_LENGTH, MalformedAccessKey, digest_of, key_parts
from tokenserver.credentials import (
    AccessKeyForm,
    Credentials,
    Jwt,
    Key,
    MalformedCredentials,
    Password,
    RefreshToken,
    Secret,
)

MAX_PASSWORD_BYTES = 1024
"""In UTF-8. A longer password would only cost work: a directory took a second for one of a megabyte."""

MAX_JWT_BYTES = 8192
"""The tokens of build systems have one to two kilobytes."""

MALFORMED_KEY = "malformed access key"
"""The reason why a text that begins like an access key is rejected."""

MAX_RECOGNIZED = 4096
"""Keys that are recognized by their digests, until more have come."""

IssuerOf = Callable[[str], str | None]
"""The issuer that a text names if it has the form of a JWT, and None if it has not. Nothing is verified."""

_JWT_MARKER = "eyJ"  # `{"` in base64url, with which every JWT begins (RFC 7515, section 3.3)


def classify(credentials: Credentials, issuer_of: IssuerOf | None = None) -> Credentials:
    """What was sent as a password or refresh token, as the kind of credentials that it is; all others unchanged.

    `issuer_of` recognizes the tokens of workloads; without it, none is recognized. Text that begins like an access key
    is a `Key` or `MalformedCredentials`.
    """
    secret = sent_secret(credentials)
    if secret is None:
        return credentials
    name = credentials.username if isinstance(credentials, Password) else ""
    tag = secret.tag
    known = None if tag is None else _keys_by_tag.get(tag)
    if known is not None:
        form, identifier, secret.digest = known
        return Key(form, identifier, secret, name)
    text = secret.reveal()
    try:
        parts = key_parts(text) if tag is not None else _key_parts(secret, text)
    except MalformedAccessKey:
        return MalformedCredentials(MALFORMED_KEY)
    if parts is not None:
        if tag is not None:
            if len(_keys_by_tag) >= MAX_RECOGNIZED:
                _keys_by_tag.clear()
            _keys_by_tag[tag] = (*parts, digest_of(secret))
        return Key(*parts, secret, name)
    issuer = issuer_of(text) if issuer_of is not None and may_be_jwt(text) else None
    return credentials if issuer is None else Jwt(secret, issuer, name)


def _key_parts(secret: Secret, text: str) -> tuple[AccessKeyForm, str] | None:
    """As `key_parts`. Well-formed keys are recognized by their digests, which takes less time than their checksums.

    Their verification needs the digest anyway. This says nothing about whether a key is anybody's.
    """
    if len(text) != KEY_LENGTH or not text.startswith("tkn"):
        return key_parts(text)
    digest = digest_of(secret)
    parts = _well_formed.get(digest)
    if parts is None:
        parts = key_parts(text)
        if parts is not None:
            if len(_well_formed) >= MAX_RECOGNIZED:
                _well_formed.clear()
            _well_formed[digest] = parts
    return parts


_well_formed: dict[bytes, tuple[AccessKeyForm, str]] = {}

_keys_by_tag: dict[bytes, tuple[AccessKeyForm, str, bytes]] = {}
"""The form, the id and the digest of well-formed keys, which are found without being read."""


def sent_secret(credentials: Credentials) -> Secret | None:
    """What was sent as a password or refresh token, before anybody looked at it; None for other credentials."""
    if isinstance(credentials, Password):
        return credentials.password
    return credentials.secret if isinstance(credentials, RefreshToken) else None


def password_problem(password: Secret) -> str | None:
    """Why no user can have this password, or None."""
    text = password.reveal()
    if not text:
        return "the password is empty"
    if len(text) > MAX_PASSWORD_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
        return f"the password is longer than {MAX_PASSWORD_BYTES} bytes"
    if "\0" in text:
        return "the password contains a NUL character"
    return None


def may_be_jwt(text: str) -> bool:
    """Whether the text begins like a JWT and is no longer than one; few passwords are like this."""
    # Every JWT is ASCII, so its characters are bytes.
    return text.startswith(_JWT_MARKER) and len(text) <= MAX_JWT_BYTES and text.isascii()
