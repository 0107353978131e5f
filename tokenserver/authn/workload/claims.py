"""Claims as policies compare them: each a path with one or several texts. Pure.

`{"kubernetes.io": {"serviceaccount": {"name": "puller"}}}` becomes `kubernetes.io/serviceaccount/name: (puller,)`. What
cannot be compared as text is absent, and a claim that is absent never matches.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tokenserver.authn.workload.jwt_reader import RefusedJwt
from tokenserver.identity import Claims

MAX_CLAIMS = 256
MAX_VALUES = 256
"""Of one claim."""

MAX_PATH = 255
MAX_TEXT = 1024
"""Characters of a value; a longer one is absent."""

OF_ONE_JWT = frozenset({"exp", "nbf", "iat", "jti"})
"""Claims that say something about the JWT rather than the workload. They differ in each JWT, and are left out."""


def flatten(claims: Mapping[str, Any], aliases: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
    """The claims that policies can compare, by path. Names of nested objects are joined by `/`.

    Text, `true`, `false` and integers are values, and so is each of these in an array. Floats, `null`, objects in
    arrays, text that is not printable or longer than `MAX_TEXT`, and a path that two claims have are absent.
    `aliases` are further names of paths; a claim that has such a name itself is absent.

    Raises:
        RefusedJwt: there are more than `MAX_CLAIMS` claims, or one of them has more than `MAX_VALUES` values.
    """
    found: dict[str, tuple[str, ...]] = {}
    absent = {*OF_ONE_JWT, *aliases}
    _collect(claims, "", found, absent)
    for path in absent:
        found.pop(path, None)
    if aliases:
        found |= {alias: found[path] for alias, path in aliases.items() if path in found}
    return MappingProxyType(found)


def as_pairs(claims: Mapping[str, tuple[str, ...]]) -> Claims:
    """The claims that `flatten` found, as an identity has them."""
    return frozenset([(path, text) for path, texts in claims.items() for text in texts])


def _collect(members: Mapping[str, Any], above: str, found: dict[str, tuple[str, ...]], absent: set[str]) -> None:
    """Put the values of these members into `found`, by path, and into `absent` the paths without one, or with two.

    Names that are empty, unprintable or too long are left out.
    """
    for name, value in members.items():
        path = above + name
        if not name or not name.isprintable() or len(path) > MAX_PATH:
            continue
        # Nearly every claim is a text.
        if type(value) is str and path not in found and value.isprintable() and len(value) <= MAX_TEXT:
            found[path] = (value,)
            continue
        if isinstance(value, dict):  # asking for a `Mapping` takes ten times as long
            _collect(value, f"{path}/", found, absent)
            continue
        texts = _texts(value)
        if not texts or path in found:
            absent.add(path)
        found[path] = texts
    if len(found) > MAX_CLAIMS:
        raise RefusedJwt(f"has more than {MAX_CLAIMS} claims")


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        text = _text(value)
        return () if text is None else (text,)
    if len(value) > MAX_VALUES:
        raise RefusedJwt(f"has a claim with more than {MAX_VALUES} values")
    return tuple(dict.fromkeys(text for one in value if (text := _text(one)) is not None))


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int):
        return None
    text = str(value)
    return text if len(text) <= MAX_TEXT and text.isprintable() else None
