"""Forms and Basic credentials as Go's `net/http` and `net/url` read them. Texts may hold bytes as lone surrogates."""

from __future__ import annotations

import re

from tokenserver.importers.golang.standard_base64 import decode_standard_base64

_ESCAPED = re.compile(rb"%([0-9a-fA-F]{2})")
_BROKEN = re.compile(rb"%(?![0-9a-fA-F]{2})")


def parse_form(text: str) -> dict[str, list[str]]:
    """The values of each parameter, in order. Pairs with a semicolon or a broken escape are dropped silently."""
    form: dict[str, list[str]] = {}
    for pair in text.split("&"):
        key, _, value = pair.partition("=")
        names = _unescaped(key), _unescaped(value)
        if pair and ";" not in pair and names[0] is not None and names[1] is not None:
            form.setdefault(names[0], []).append(names[1])
    return form


def _unescaped(text: str) -> str | None:
    data = text.encode("utf-8", "surrogateescape").replace(b"+", b" ")
    if _BROKEN.search(data):
        return None
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode("ascii")), data).decode("utf-8", "surrogateescape")


def basic_credentials(header: str | None) -> tuple[str, str] | None:
    """User and password of an Authorization header; None if it has no valid Basic credentials."""
    value = (header or "").strip(" \t")
    scheme, encoded = value[:6], value[6:]
    if scheme.lower() != "basic ":
        return None
    try:
        user, colon, password = decode_standard_base64(encoded).partition(":")
    except ValueError:
        return None
    return (user, password) if colon else None
