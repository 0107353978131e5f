"""Spelling of answers to "who can?" as in a test: `exactly: [authenticated], except: ["user:eve"]`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tokenserver.policy.analysis.conditions import ALWAYS, as_facts
from tokenserver.policy.group_names import plain_name
from tokenserver.policy.model import Condition, Principal
from tokenserver.policy.principals import ANONYMOUS, AUTHENTICATED, EVERYONE, AllOf
from tokenserver.policy.queries.who_can import Line, People, Unless
from tokenserver.policy.queries.who_can_report import excepted_from_all


def spell_lines(people: People, lines: Sequence[Line]) -> str:
    """The lines as the keys `exactly:` and `except:` of a test that passes for them."""
    common = excepted_from_all(people, lines)
    rest = [replace(line, excepted=line.excepted - common) for line in lines]
    entries = [_entry(line) for line in _joined(rest)]
    spelled = f"exactly: {_list(sorted(set(entries)))}"
    return f"{spelled}, except: {_list(map(_principal, sorted(common)))}" if common else spelled


def are_plain(lines: Iterable[Line]) -> bool:
    """Whether no line has an exception or a condition."""
    return not any(line.excepted or line.unless or line.when != ALWAYS for line in lines)


def _joined(lines: Iterable[Line]) -> list[Line]:
    """The lines, with `authenticated` and `anonymous` merged into `everyone` if nothing else differs."""
    found = [replace(line, rule="", unless=frozenset(replace(one, rule="") for one in line.unless)) for line in lines]
    halves = [replace(line, who=frozenset({EVERYONE})) for line in found if line.who == frozenset({AUTHENTICATED})]
    whole = [line for line in halves if replace(line, who=frozenset({ANONYMOUS})) in found]
    parts = [replace(line, who=frozenset({half})) for line in whole for half in (AUTHENTICATED, ANONYMOUS)]
    return [*whole, *(line for line in found if line not in parts)]


def _entry(line: Line) -> str:
    who = _who(line.who)
    if are_plain([line]):
        return who
    parts = [f"to: {who}", *_limits(line)]
    if line.unless:
        parts.append(f"unless: {_list(sorted(map(_unless, line.unless)))}")
    return f"{{{', '.join(parts)}}}"


def _unless(unless: Unless) -> str:
    return f"{{{', '.join(([f'to: {_who(unless.who)}'] if unless.who else []) + _limits(unless))}}}"


def _limits(one: Line | Unless) -> list[str]:
    parts = []
    if one.excepted:
        parts.append(f"except: {_list(map(_principal, sorted(one.excepted)))}")
    if one.when != ALWAYS:
        parts.append(f"when: {_when(one.when)}")
    return parts


def _when(condition: Condition) -> str:
    facts: Mapping[str, str | list[str]] = as_facts(condition)
    parts = (
        f"{key}: {_scalar(one) if isinstance(one, str) else _list(map(_scalar, one))}" for key, one in facts.items()
    )
    return f"{{{', '.join(parts)}}}"


def _who(who: AllOf) -> str:
    return _scalar(" & ".join(_plain(one) for one in sorted(who)))


def _principal(principal: Principal) -> str:
    return _scalar(_plain(principal))


def _plain(principal: Principal) -> str:
    """The principal as a file writes it: a file's own group by its plain name."""
    return str(replace(principal, name=plain_name(principal.name)))


def _scalar(text: str) -> str:
    return text if text.isalnum() else json.dumps(text, ensure_ascii=False)


def _list(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"
