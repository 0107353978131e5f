"""Spelling of answers to "who can?" as in a test: `exactly: [authenticated], except: ["user:eve"]`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tokenserver.policy.analysis.conditions import ALWAYS, as_facts
from tokenserver.policy.group_names import plain_name
from tokenserver.policy.machines.workloads import Required, base_of, is_declared
from tokenserver.policy.model import Condition, PolicySet, Principal
from tokenserver.policy.principals import EVERYONE, PARTS, WORKLOADS, AllOf, parts_of_everyone
from tokenserver.policy.queries.summary import spell_answer
from tokenserver.policy.queries.who_can import Line, People, Unless
from tokenserver.policy.queries.who_can_report import excepted_from_all


def spell_lines(people: People, lines: Sequence[Line]) -> str:
    """The lines as the keys `exactly:` and `except:` of a test that passes for them."""
    absent = PARTS.keys() - set(parts_of_everyone(people.policies))
    lines = [replace(line, excepted=line.excepted - absent) for line in lines]
    common = frozenset(one for one in excepted_from_all(people, lines) if not _is_hidden(one))
    rest = [_with_claims_apart(replace(line, excepted=line.excepted - common)) for line in lines]
    entries = [_entry(people.policies, line) for line in _joined(people.policies, rest)]
    spelled = f"exactly: {_list(sorted(set(entries)))}"
    return f"{spelled}, except: {_list(map(_principal, sorted(common)))}" if common else spelled


def are_plain(lines: Iterable[Line]) -> bool:
    """Whether no line has an exception or a condition."""
    return not any(line.excepted or line.unless or line.when != ALWAYS for line in lines)


def _is_hidden(principal: Principal) -> bool:
    """Whether the principal is a workload that stands for the claims of a rule."""
    return principal.sort == "workload" and not is_declared(principal.name)


def _with_claims_apart(line: Line) -> Line:
    """The line with `unless` for the exceptions with claims, since `except` has none."""
    hidden = frozenset(filter(_is_hidden, line.excepted))
    more = (Unless(frozenset({one}), frozenset(), ALWAYS, "") for one in hidden)
    return replace(line, excepted=line.excepted - hidden, unless=line.unless.union(more))


def _joined(policies: PolicySet, lines: Iterable[Line]) -> list[Line]:
    """The lines, with the parts of `everyone` merged if nothing else differs."""
    found = [replace(line, rule="", unless=frozenset(replace(one, rule="") for one in line.unless)) for line in lines]
    parts = [frozenset({part}) for part in parts_of_everyone(policies)]
    firsts = [line for line in found if line.who == parts[0]]
    alike = [[replace(line, who=part) for part in parts] for line in firsts]
    wholes = [some for some in alike if all(one in found for one in some)]
    merged = [replace(some[0], who=frozenset({part})) for some in wholes for part in PARTS]
    return [
        *(replace(some[0], who=frozenset({EVERYONE})) for some in wholes),
        *(line for line in found if line not in merged),
    ]


def _entry(policies: PolicySet, line: Line) -> str:
    who, claims = _who(policies, line.who)
    if are_plain([line]) and not claims:
        return who
    parts = [f"to: {who}", *_limits(line, claims)]
    if line.unless:
        parts.append(f"unless: {_list(sorted(_unless(policies, one) for one in line.unless))}")
    return f"{{{', '.join(parts)}}}"


def _unless(policies: PolicySet, unless: Unless) -> str:
    who, claims = _who(policies, unless.who)
    return f"{{{', '.join(([f'to: {who}'] if unless.who else []) + _limits(unless, claims))}}}"


def _limits(one: Line | Unless, claims: Required) -> list[str]:
    parts = []
    if one.excepted:
        parts.append(f"except: {_list(map(_principal, sorted(one.excepted)))}")
    if one.when != ALWAYS or claims:
        parts.append(f"when: {_when(one.when, claims)}")
    return parts


def _when(condition: Condition, claims: Required) -> str:
    facts: Mapping[str, str | list[str]] = as_facts(condition)
    demanded = (f"{_scalar(name)}: {_list(_scalar(glob.text) for glob in globs)}" for name, globs in claims)
    parts = [f"claims: {{{', '.join(demanded)}}}"] if claims else []
    parts += (
        f"{key}: {_scalar(one) if isinstance(one, str) else _list(map(_scalar, one))}" for key, one in facts.items()
    )
    return f"{{{', '.join(parts)}}}"


def _who(policies: PolicySet, who: AllOf) -> tuple[str, Required]:
    """The principals as a file writes them, and the claims that they need besides."""
    hidden = frozenset(filter(_is_hidden, who))
    claims = [claim for one in sorted(hidden) for claim in policies.groups.workloads.more_claims(one.name)]
    bases = {base_of(one.name) for one in hidden}
    shown = (who - hidden).union(Principal("workload", base) if base else WORKLOADS for base in bases)
    return _scalar(spell_answer(frozenset(replace(one, name=plain_name(one.name)) for one in shown))), tuple(claims)


def _principal(principal: Principal) -> str:
    """The principal as a file writes it: a file's own group by its plain name."""
    return _scalar(str(replace(principal, name=plain_name(principal.name))))


def _scalar(text: str) -> str:
    return text if text.isalnum() else json.dumps(text, ensure_ascii=False)


def _list(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"
