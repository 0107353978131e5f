"""The size of audit events: an event is at most 64 KiB, and a larger one is split into several with one request id.

Log collectors cut longer lines apart (journald at 48 KiB by default, container runtimes at 16 KiB), and need memory for
them. So nothing in an event grows without a bound: what was asked and granted is as long as a request may be, rules and
rejected texts are listed up to a number, and a long event is split by resource.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, overload

from tokenserver.access_keys import holds_key
from tokenserver.policy.decision import Decision, Reason

MAX_EVENT = 64 * 1024
"""Bytes of one line, its newline included."""

MAX_RULES = 16
"""Rules that an event cites for one action on one resource; `rules_omitted` counts the rest."""

MAX_CITED = 1024
"""Rules that an event cites in all. Where there would be more, it cites one for each action before a second one."""

MAX_REJECTED = 64
"""Rejected texts that an event lists; `rejected_omitted` counts the rest."""

MAX_TEXT = 256
"""Characters of a text as a client sent it."""

MAX_STRING = 3136
"""Bytes of one string in a split event. A name of 255 characters and a truncated client's text fit, however much of
them has to be escaped.
"""

_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.eyJ[\w-]{5,}", re.ASCII)

_FRAME = len('{"time":"2026-01-31T00:00:00.000Z",}\n') + len('"part":10000,"parts":10000,')
_BYTES_PER_CHARACTER = 12  # a character beyond the first plane is two escapes of six bytes

_Path = tuple[str, ...]
_Item = tuple[_Path, Any, int]
"""Where it belongs, the value, and the bytes that it takes there."""
_Unit = list[_Item]

_to_json = json.JSONEncoder(separators=(",", ":")).encode


def spell_time(moment: float) -> str:
    """Seconds since the epoch in the format of events: UTC, with milliseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def members(event: dict[str, Any]) -> str:
    """An event as JSON without its braces; DEL, which JSON allows unescaped, is escaped."""
    return _to_json(event)[1:-1].replace("\x7f", "\\u007f")


@overload
def shown(text: str) -> str: ...
@overload
def shown(text: None) -> None: ...
@overload
def shown(text: str | None) -> str | None: ...
def shown(text: str | None) -> str | None:
    """What a client calls itself or asks for; the kind of credential alone if one was typed there by mistake."""
    if text is None:
        return None
    if holds_key(text):
        return "<access key>"
    return "<JWT>" if _JWT.search(text) is not None else text


def cut(text: str) -> str:
    """A client's text, truncated to `MAX_TEXT` characters."""
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


def cited(reasons: Sequence[Reason], *, each: int = MAX_RULES) -> tuple[Sequence[Reason], int]:
    """The reasons of one decision that an event cites, up to `each` of each action, and the number of the rest."""
    if len(reasons) <= each:
        return reasons, 0
    kept: list[Reason] = []
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason.action] = counts.get(reason.action, 0) + 1
        if counts[reason.action] <= each:
            kept.append(reason)
    return kept, sum(counts.values()) - len(kept)


def cited_together(decisions: Sequence[Decision]) -> tuple[list[Sequence[Reason]], int]:
    """The reasons that one event cites for each of its decisions, up to `MAX_CITED` in all, and the number of the rest.

    The fewer there is room for, the fewer are cited for each action, so that no resource takes the room of others.
    """
    each = MAX_RULES
    if len(decisions) == 1 and len(decisions[0].reasons) <= each:
        return [decisions[0].reasons], 0  # as nearly always
    if sum([len(decision.reasons) for decision in decisions]) > MAX_CITED:
        actions = sum(len({reason.action for reason in decision.reasons}) for decision in decisions)
        each = min(MAX_RULES, max(1, MAX_CITED // actions))
    kept: list[Sequence[Reason]] = []
    room, omitted = MAX_CITED, 0
    for decision in decisions:
        some = cited(decision.reasons, each=each)[0][:room]
        kept.append(some)
        room -= len(some)
        omitted += len(decision.reasons) - len(some)
    return kept, omitted


def split(event: dict[str, Any], *, size: int = MAX_EVENT) -> list[dict[str, Any]]:
    """Split an event into several of at most `size` bytes that together hold all of it.

    Each has every scalar of `event` (subject, registry, outcome …), and `part` of `parts`. The lists are divided: items
    about one resource stay together while they fit, and the concatenated lists of all parts are those of `event`. Each
    part has all `groups` if they are few, so that most parts can be read alone. A string that is longer than any name
    may be is truncated.
    """
    base: dict[str, Any] = {}
    items: list[_Item] = []
    for path, value in _flat(event):
        if path[-1] == "groups" or not isinstance(value, list):
            _at(base, path[:-1])[path[-1]] = _cut(value)
        else:
            _at(base, path[:-1])[path[-1]] = []
            items += [_item(path, _cut(one)) for one in value]
    units: list[_Unit] = _units(items)
    groups = base.get("groups")
    widest = max((item[2] for item in items), default=0)
    if groups and (len(_to_json(groups)) > size // 4 or _room(base, size) < widest):
        base["groups"] = []
        units = [*_units([_item(("groups",), group) for group in groups]), *units]
    packed = list(_packed(units, _room(base, size)))
    head = {key: value for key, value in base.items() if key in {"event", "request_id"}}
    return [_part(head, base, unit, number, len(packed)) for number, unit in enumerate(packed, 1)]


def _room(base: dict[str, Any], size: int) -> int:
    """How many bytes the items of one part may take, after what is in every part."""
    return size - _FRAME - len(members(base))


def _flat(event: dict[str, Any]) -> Iterator[tuple[_Path, Any]]:
    """Each value with its path; of a nested object (`rules` of a shadow policy's difference) each member."""
    for key, value in event.items():
        if isinstance(value, dict):
            yield from (((key, name), one) for name, one in value.items())
        else:
            yield (key,), value


def _at(event: dict[str, Any], path: _Path) -> dict[str, Any]:
    for key in path:
        event = event.setdefault(key, {})
    return event


def _item(path: _Path, value: Any) -> _Item:
    text = _to_json(value)
    return path, value, len(text) + len(",") + text.count("\x7f") * (len("\\u007f") - 1)


def _units(items: list[_Item]) -> list[_Unit]:
    """Items that should stay together, in the order of their first appearance."""
    found: dict[object, _Unit] = {}
    for number, item in enumerate(items):
        found.setdefault(_resource(item[0], item[1]) or number, []).append(item)
    return list(found.values())


def _resource(path: _Path, item: Any) -> str | None:
    """The resource that an item is about; None if it is about none."""
    if path[-1] in {"asked", "granted"}:
        return str(item).rpartition(":")[0]
    return item.get("resource") if path == ("rules",) else None


def _packed(units: list[_Unit], room: int) -> Iterator[_Unit]:
    """The items of each part; there is at least one part."""
    part: _Unit = []
    used = 0
    for unit in units:
        fits_alone = _size(unit) <= room
        for piece in [unit] if fits_alone else [[item] for item in unit]:
            size = _size(piece)
            if part and used + size > room:
                yield part
                part, used = [], 0
            part += piece
            used += size
    yield part


def _size(unit: _Unit) -> int:
    return sum(size for _, _, size in unit)


def _part(head: dict[str, Any], base: dict[str, Any], unit: _Unit, number: int, count: int) -> dict[str, Any]:
    part: dict[str, Any] = {**head, "part": number, "parts": count}
    for path, value in _flat({key: value for key, value in base.items() if key not in head}):
        _at(part, path[:-1])[path[-1]] = [*value] if isinstance(value, list) else value
    for path, item, _ in unit:
        _at(part, path[:-1])[path[-1]].append(item)
    return part


def _cut(value: Any) -> Any:
    """The value with each of its strings truncated to a length that fits."""
    if isinstance(value, str):
        return value if len(_to_json(value)) <= MAX_STRING else value[: MAX_STRING // _BYTES_PER_CHARACTER] + "…"
    if isinstance(value, list):
        return [_cut(one) for one in value]
    if isinstance(value, dict):
        return {key: _cut(one) for key, one in value.items()}
    return value
