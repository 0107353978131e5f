"""Documents that differ from a good one in one place, for properties of schemas."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

CHANGES = st.sampled_from(["drop", "replace", "add"])

DocumentPath = tuple[Any, ...]


def places(value: Any, path: DocumentPath = ()) -> list[DocumentPath]:
    """The path of every value in a document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in below for place in places(item, (*path, key)))]


def changed(value: Any, place: DocumentPath, change: str, other: Any) -> Any:
    """A copy of the document without the value at a place, with `other` instead of it, or with `other` next to it."""
    value = copy.deepcopy(value)
    holder = value
    for step in place[:-1]:
        holder = holder[step]
    if change == "drop":
        del holder[place[-1]]
    elif change == "replace":
        holder[place[-1]] = other
    elif isinstance(holder, dict):
        holder["another"] = other
    else:
        holder.append(other)
    return value
