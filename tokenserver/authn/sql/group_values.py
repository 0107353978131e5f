"""Groups of a user as databases keep them: a JSON list, names with commas or blanks, or labels of docker_auth. Pure.

Nothing that cannot be read is dropped, since a deny rule might be about it: the row is refused.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

MAX_GROUPS = 1000
MAX_GROUP_NAME = 255


class UnreadableGroups(ValueError):
    """The groups of a row cannot be read. The text continues a sentence about the column, and repeats no value."""


def groups_in(text: str | None) -> frozenset[str]:
    """The groups in a text: a JSON list of texts, else names with commas between them, else names with blanks.

    NULL and the empty text are no groups.

    Raises:
        UnreadableGroups: it is none of these, or one of the names cannot be that of a group.
    """
    stripped = (text or "").strip()
    if stripped.startswith('"'):  # PostgreSQL's to_json of a text column
        value = _decoded(stripped)
        stripped = str(value).strip()
    if stripped in ("", "null"):
        return frozenset()
    if stripped.startswith(("[", "{")):
        value = _decoded(stripped)
        if not isinstance(value, list):
            raise UnreadableGroups("is JSON, but no list of names")
        return _checked(_texts(value))
    names = stripped.split(",") if "," in stripped else stripped.split()
    return _checked(name.strip() for name in names if name.strip())


def groups_of_labels(text: str | None, plain: Collection[str]) -> frozenset[str]:
    """The groups for labels of docker_auth, a JSON object of lists: `LABEL=VALUE`, and VALUE for a label in `plain`.

    Raises:
        UnreadableGroups: it is no such object, or one of the names cannot be that of a group.
    """
    stripped = (text or "").strip()
    if stripped in ("", "null"):
        return frozenset()
    labels = _decoded(stripped)
    if not isinstance(labels, dict):
        raise UnreadableGroups("is no JSON object of labels")
    return _checked(_names_of(labels, plain))


def _names_of(labels: dict[str, Any], plain: Collection[str]) -> Iterator[str]:
    for label, values in labels.items():
        if values is None:
            continue
        if not isinstance(values, list):
            raise UnreadableGroups("has a label whose value is no list")
        for value in _texts(values):
            yield value if label in plain else f"{label}={value}"


def _texts(values: list[Any]) -> Iterator[str]:
    for value in values:
        if not isinstance(value, str):
            raise UnreadableGroups("has a name that is no text")
        yield value


def _decoded(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_members)
    except UnreadableGroups:
        raise
    except (ValueError, RecursionError):
        raise UnreadableGroups("is no JSON") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise UnreadableGroups("has a label twice")
    return members


def _checked(names: Iterable[str]) -> frozenset[str]:
    found = frozenset(names)
    if len(found) > MAX_GROUPS:
        raise UnreadableGroups(f"has more than {MAX_GROUPS} names")
    for name in found:
        if not name.strip() or name != name.strip() or not name.isprintable():
            raise UnreadableGroups("has a name that is empty, or has blanks at its ends or invisible characters")
        if len(name) > MAX_GROUP_NAME:
            raise UnreadableGroups(f"has a name of more than {MAX_GROUP_NAME} characters")
    return found
