"""Answers of the shadow peer: what the token in them grants, in a form in which equal grants are equal. Pure.

The token is not verified, because nothing is granted by it: it is only compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tokenserver.documents.base64url import decode_canonical_base64url
from tokenserver.documents.strict_json import InvalidJson, read_object
from tokenserver.errors import TokenserverError
from tokenserver.scopes import REPOSITORY_ACTIONS, Resource, in_order

MAX_ENTRIES = 2000
"""Entries of `access`, more than one question can ask for."""

MAX_TEXT = 512
"""Characters of a type or name: a host with its port and a name of the longest kind."""

REFUSED = frozenset({401, 403})
"""The statuses that refuse a login: 401, for which some servers and the proxies before them have 403."""

Grants = Mapping[Resource, frozenset[str]]
"""What a token grants: known actions by resource. A resource without any is left out."""

_CLASS = re.compile(r"\([a-z0-9]*\)", re.ASCII)


class NoPeerAnswer(TokenserverError):
    """There is nothing to compare. The text says why, and repeats nothing of the answer."""


def read_answer(status: int, body: bytes, *, is_cut: bool) -> Grants | None:
    """What the token in an answer with this status grants; None: the peer refuses the login.

    `is_cut`: the answer is longer than `body`.

    Raises:
        NoPeerAnswer: it is neither a token nor a refusal.
    """
    if status in REFUSED:
        return None
    if status != 200:
        redirect = "; redirects are not followed" if 300 <= status < 400 else ""
        raise NoPeerAnswer(f"it answers with status {status}{redirect}")
    if is_cut:
        raise NoPeerAnswer(f"it answers with more than {len(body)} bytes")
    try:
        answer = read_object(body)
    except InvalidJson as error:
        raise NoPeerAnswer(f"its answer {error}") from None
    token = answer.get("token") or answer.get("access_token")
    if not isinstance(token, str):
        raise NoPeerAnswer("its answer has no token")
    return _granted(_claims(token).get("access"))


def grants_of(entries: Iterable[tuple[Resource, Iterable[str]]]) -> Grants:
    """Grants from entries in any order; a resource that occurs twice is granted what both say.

    `*` on a repository is every action on it, as registries read it. Unknown actions mean nothing to them.
    """
    merged: dict[Resource, frozenset[str]] = {}
    for resource, actions in entries:
        spelled = spelled_out(resource, actions)
        if spelled:
            merged[resource] = merged.get(resource, frozenset()) | spelled
    return merged


def spelled_out(resource: Resource, actions: Iterable[str]) -> frozenset[str]:
    """The known actions among these, `*` on a repository as what it stands for."""
    known = frozenset(in_order(actions))
    return frozenset(REPOSITORY_ACTIONS) if "*" in known and resource.type == "repository" else known


def _claims(token: str) -> Mapping[str, Any]:
    parts = token.split(".", 3)
    if len(parts) != 3:
        raise NoPeerAnswer("its token is not a JWT")
    try:
        return read_object(decode_canonical_base64url(parts[1]))
    except InvalidJson as error:
        raise NoPeerAnswer(f"its token has a payload that {error}") from None
    except ValueError:
        raise NoPeerAnswer("its token has a payload that is not base64url") from None


def _granted(access: object) -> Grants:
    if access is None:  # a Go server writes null for an empty list
        return {}
    if not isinstance(access, list) or len(access) > MAX_ENTRIES:
        raise NoPeerAnswer(f"access in its token is not a list of at most {MAX_ENTRIES} entries")
    return grants_of(map(_entry, access))


def _entry(entry: object) -> tuple[Resource, list[str]]:
    found = entry if isinstance(entry, dict) else {}
    kind, name, actions = found.get("type"), found.get("name"), found.get("actions")
    if not isinstance(kind, str) or not isinstance(name, str) or not isinstance(actions, list | None):
        raise NoPeerAnswer("access in its token has an entry without type, name and actions")
    if len(kind) > MAX_TEXT or len(name) > MAX_TEXT:
        raise NoPeerAnswer(f"access in its token has a type or name of more than {MAX_TEXT} characters")
    return Resource(_CLASS.sub("", kind), name), [action for action in actions or () if isinstance(action, str)]
