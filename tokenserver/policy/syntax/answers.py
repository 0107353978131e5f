"""Syntax of the answer expected by a `who_can` test: `exactly: [authenticated], except: ["user:eve"]`.

An entry is a principal (`group:a & group:b`: members of both; `namespace:web`: a user whose `${user}` is `web`), or a
mapping with exceptions, the condition of the access, and deny rules that apply under conditions of their own:

    {to: "group:web", except: ["user:eve"], when: {from: [10.0.0.0/8]}, unless: [{to: "group:b", when: {until: …}}]}

`everyone` includes robots and workloads where a tree has any. `when: {claims: …}` limits a workload as in a rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from tokenserver.documents.document import Path
from tokenserver.policy.analysis.conditions import ALWAYS
from tokenserver.policy.machines.workloads import Workload, where_claims
from tokenserver.policy.model import Condition, Principal
from tokenserver.policy.principals import EVERYONE, AllOf, parted
from tokenserver.policy.queries.who_can import Line, Unless
from tokenserver.policy.syntax.conditions import read_when
from tokenserver.policy.syntax.machines import read_claims
from tokenserver.policy.syntax.reader import Reader
from tokenserver.policy.syntax.where_claims import Where
from tokenserver.policy.terms import parse_namespace, parse_principal

_ENTRY_KEYS = ("to", "except", "when", "unless")
_UNLESS_KEYS = ("to", "except", "when")
_PRINCIPAL = re.compile(
    r'(group:"(?:[^"\\]|\\.)*"|.+?)(?: & (?=(?:user|group|namespace|robot|workload):|(?:robots|workloads)(?: & |$))|$)',
    re.DOTALL,
)
"""One of the principals joined by ` & `; a quoted group name may contain any characters."""


def parse_answer(text: str) -> AllOf:
    """The principals of an entry, joined by ` & `.

    Raises:
        TermError: one of them is no principal.
    """
    return frozenset(map(_parse_one, _PRINCIPAL.findall(text) or [text]))


def _parse_one(text: str) -> Principal:
    """A principal, or `namespace:NAME`: the users for whom `${user}` is NAME."""
    sort, _, name = text.partition(":")
    return Principal(sort, parse_namespace(name)) if sort == "namespace" else parse_principal(text)


def read_lines(reader: Reader, content: dict[str, Any], place: Path, where: Where | None = None) -> list[Line]:
    """The entries of `exactly:`, with the exceptions of `except:` next to it; `exactly: []` means nobody.

    The workloads with the claims that entries demand of them are added to `where`.
    """
    everywhere = _read_excepted(reader, content, place)
    lines: list[Line] = []
    for at, item in reader.items(content["exactly"], (*place, "exactly"), may_be_empty=True):
        if isinstance(item, dict):
            lines += _read_entry(reader, item, at, everywhere, [] if where is None else where)
            continue
        answer = reader.term(item, at, parse_answer)
        if answer is not None:
            lines += (Line(who, everywhere, ALWAYS, "") for who in _spread(answer))
    return lines


def _read_entry(reader: Reader, item: dict[str, Any], place: Path, everywhere: AllOf, where: Where) -> Iterator[Line]:
    entry = reader.mapping(item, place, _ENTRY_KEYS)
    if entry and "to" not in entry:
        reader.fault(place, 'to is missing; for example {to: "group:web", except: ["user:eve"]}')
    answer = reader.term(entry["to"], (*place, "to"), parse_answer) if "to" in entry else None
    excepted = everywhere | _read_excepted(reader, entry, place)
    answer, when = _read_condition(reader, entry, place, answer or frozenset(), where)
    unless = frozenset[Unless]()
    if "unless" in entry:
        unless = frozenset(_read_unless(reader, reader.items(entry["unless"], (*place, "unless")), where))
    return (Line(who, excepted, when, "", unless) for who in _spread(answer))


def _read_unless(reader: Reader, items: Iterable[tuple[Path, Any]], where: Where) -> Iterator[Unless]:
    for place, item in items:
        stop = reader.mapping(item, place, _UNLESS_KEYS)
        answer = reader.term(stop["to"], (*place, "to"), parse_answer) if "to" in stop else frozenset({EVERYONE})
        excepted = _read_excepted(reader, stop, place)
        who, when = _read_condition(reader, stop, place, answer or frozenset(), where)
        if answer is not None:
            yield Unless(who - {EVERYONE}, excepted, when, "")


def _read_excepted(reader: Reader, content: dict[str, Any], place: Path) -> AllOf:
    if "except" not in content:
        return frozenset()
    found = reader.terms(content["except"], (*place, "except"), _parse_one)
    return frozenset(parted(found))


def _read_condition(
    reader: Reader, content: dict[str, Any], place: Path, answer: AllOf, where: Where
) -> tuple[AllOf, Condition]:
    """The answer with the claims of `when`, and the rest of its conditions."""
    if "when" not in content:
        return answer, ALWAYS
    value, at = content["when"], (*place, "when")
    if not isinstance(value, dict) or "claims" not in value:
        return answer, read_when(reader, value, at)
    claims = read_claims(reader, value["claims"], (*at, "claims"))
    workloads = {one for one in answer if one.sort in ("workload", "workloads")}
    if not workloads:
        reader.fault((*at, "claims"), "only workloads have claims; fix: write to: workload:NAME, or workloads")
    where += ((one.name, claims) for one in workloads)
    derived = (where_claims(Workload(one.name, "", ()), claims) for one in workloads)
    others = {key: item for key, item in value.items() if key != "claims"}
    return (
        (answer - workloads).union(Principal("workload", one.name) for one in derived),
        read_when(reader, others, at) if others else ALWAYS,
    )


def _spread(answer: Iterable[Principal]) -> Iterator[AllOf]:
    """The answer, with `everyone` split into its disjoint parts."""
    named = frozenset(answer) - {EVERYONE}
    if named or not answer:
        return iter([named] if named else [])
    return iter([frozenset({one}) for one in parted([EVERYONE])])
