"""Base64url as JOSE uses it: the URL-safe alphabet without padding (RFC 4648, section 5; RFC 7515, section 2)."""

from __future__ import annotations

import base64
import binascii

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL_ALONE = bytes.maketrans(b"-_+/=", b"+/!!!")
"""What belongs to plain base64 alone becomes illegal."""

_PADDING = (b"", b"=", b"==", b"=")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LAST = (_ALPHABET, b"", _ALPHABET[::16], _ALPHABET[::4])
"""The last characters of canonical texts, by their length modulo 4."""


def encode_base64url(content: bytes) -> str:
    """`content` in base64url, without padding."""
    return binascii.b2a_base64(content, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Decode base64url from other programs, with or without padding.

    Raises:
        ValueError: a character outside the alphabet, or an impossible length.
    """
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def decode_canonical_base64url(text: str) -> bytes:
    """Decode base64url in its only canonical spelling, as written by `encode_base64url`.

    Raises:
        ValueError: any other text.
    """
    data = text.encode("ascii")
    content = binascii.a2b_base64(data.translate(_FROM_URL_ALONE) + _PADDING[len(data) % 4], strict_mode=True)
    # The bits of the last character that belong to no byte.
    if data[-1:] not in _LAST[len(data) % 4]:
        raise ValueError("not canonical base64url")
    return content
