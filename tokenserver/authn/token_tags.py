"""Tags of texts: they find a secret again without keeping it."""

from __future__ import annotations

import hashlib
import secrets

from tokenserver.credentials import Secret

TAG_BYTES = 32

SIZE = 10_000
"""Entries of each cache that is looked up by tag, and of the cache of verified logins."""

_KEYED = hashlib.sha256(secrets.token_bytes(64))  # one block


def tag_of(text: str) -> bytes:
    """The tag of a text, for dictionaries in this process: its SHA-256 after a random key that never leaves it.

    Two texts that anybody could find have different tags, and a tag says nothing about its text.
    """
    return tag_of_bytes(text.encode("utf-8", "surrogatepass"))


def tag_of_secret(secret: Secret) -> bytes:
    """As `tag_of`, of the text of a secret; computed once, since the first use of a JWT asks for it three times."""
    tag = secret.text_tag
    if tag is None:
        tag = secret.text_tag = tag_of(secret.reveal())
    return tag


def tag_of_bytes(content: bytes) -> bytes:
    """As `tag_of`, of bytes as a client sent them."""
    digest = _KEYED.copy()
    digest.update(content)
    return digest.digest()


def tag_of_owner(about: str, stamp: bytes) -> bytes:
    """The tag of the owner of a credential, whom `about` names, while `stamp` is unchanged."""
    owner = about.encode("utf-8", "surrogatepass")
    return tag_of_bytes(b"%d:%b%b" % (len(owner), owner, stamp))
