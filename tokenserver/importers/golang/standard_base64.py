"""Base64 as Go's StdEncoding decodes it: line breaks are skipped, padding is required."""

from __future__ import annotations

import binascii


def decode_standard_base64(text: str) -> str:
    """The decoded bytes as text; those that are not UTF-8 are lone surrogates.

    Raises:
        ValueError: it is not base64.
    """
    digits = text.replace("\r", "").replace("\n", "")
    if len(digits) % 4:  # Python ignores some surplus padding
        raise ValueError("not a multiple of four digits")
    data = binascii.a2b_base64(digits, strict_mode=True)
    return data.decode("utf-8", "surrogateescape")
