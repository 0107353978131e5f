"""The report of a diff: rows that belong together as lines in words, the summary, and all of it as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tokenserver.identity import Identity, Sort, spell_group
from tokenserver.policy.administration import AdministratorChange, OwnerChange
from tokenserver.policy.analysis.circumstances import OTHER_SERVICE
from tokenserver.policy.analysis.conditions import spell_moment
from tokenserver.policy.diff.changed_names import Who
from tokenserver.policy.diff.diff import Difference
from tokenserver.policy.diff.rows import DiffRow, spell_one, spell_who
from tokenserver.policy.machines.robots import robot_of
from tokenserver.policy.principals import UNNAMED
from tokenserver.scopes import in_order


def as_facts(found: Difference) -> dict[str, list[dict[str, Any]]]:
    """The difference as JSON: one entry for each action, with a witness request."""
    return {
        "gains": [_facts(row) for row in found.gains],
        "losses": [_facts(row) for row in found.losses],
        "lifetimes": [{"file": one.file, "old": one.old, "new": one.new} for one in found.lifetimes],
        "administrators": [
            {"change": change, "who": spell_one(one.who), "entries": list(map(str, one.entries))}
            for change, one in administrator_changes(found)
        ],
        "owners": [
            {"change": change, "robot": one.robot, "who": spell_one(one.who), "entries": list(map(str, one.entries))}
            for change, one in owner_changes(found)
        ],
    }


def _facts(row: DiffRow) -> dict[str, Any]:
    identity, context = row.identity, row.context
    return {
        "as": _client(identity),
        "who": spell_who(row.who),
        "action": row.action,
        "repositories": _spelled(row, row.pattern.text),
        **({"not": [one.text for one in row.without]} if row.without else {}),
        "witness": _spelled(row, row.name),
        "when": dict(row.when),
        "asked": {
            "service": None if context.service == OTHER_SERVICE else context.service,
            "from": None if context.client is None else str(context.client),
            "at": spell_moment(context.now),
            "kind": identity.kind,
        },
        "rules": list(row.rules),
    }


def _client(identity: Identity) -> dict[str, Any]:
    """The client in the form that tests in policy files have."""
    if identity.sort is Sort.ROBOT:
        return {"robot": robot_of(identity.subject)}
    if identity.sort is Sort.WORKLOAD:
        return {"workload": {"from": identity.source, "claims": _claims(identity)}}
    return {"user": identity.subject or None, **_namespace(identity), "groups": sorted(identity.groups)}


def _claims(identity: Identity) -> dict[str, str | list[str]]:
    """The claims of a workload by name: a text, or a list of several."""
    by_name: dict[str, list[str]] = {}
    for name, value in sorted(identity.claims):
        by_name.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in by_name.items()}


@dataclass(frozen=True, slots=True)
class DiffLine:
    """Rows that differ only in principal and action, as one line."""

    who: str
    actions: str
    repositories: str
    when: str
    example: str
    rules: str

    def cells(self) -> list[str]:
        """The texts under `DIFF_HEADS`."""
        return [self.who, self.actions, self.repositories, self.when, self.example, self.rules]


DIFF_HEADS = ("who", "may", "repositories", "when", "for example", "rules")


def diff_lines(rows: Iterable[DiffRow], parts: Who) -> Iterator[DiffLine]:
    """The rows together; `parts` are the principals that `everyone` means."""
    everyone = {str(one) for one in parts}
    by_who: dict[tuple[str, str, str], list[DiffRow]] = {}
    for row in rows:
        by_who.setdefault((_repositories(row), spell_when(row), spell_who(row.who)), []).append(row)
    together: dict[tuple[str, str, str], dict[str, list[DiffRow]]] = {}
    for (repositories, when, who), same in by_who.items():
        actions = ", ".join(in_order(row.action for row in same))
        together.setdefault((repositories, when, actions), {})[who] = same
    # A named or logged-in user is a better example than an anonymous client, and than a machine.
    for (repositories, when, actions), people in together.items():
        names = ["everyone", *sorted(people.keys() - everyone)] if people.keys() >= everyone else sorted(people)
        row = people[max(people, key=lambda who: (people[who][0].identity.sort is Sort.USER, who))][0]
        rules = dict.fromkeys(rule for same in people.values() for row in same for rule in row.rules)
        yield DiffLine(", ".join(names), actions, repositories, when, _example(row), ", ".join(rules))


def _repositories(row: DiffRow) -> str:
    """What the row is about, in words."""
    without = f" but not {', '.join(one.text for one in row.without)}" if row.without else ""
    return f"{_spelled(row, row.pattern.text)}{without}"


def _example(row: DiffRow) -> str:
    identity = row.identity
    if identity.is_anonymous:
        return f"{_spelled(row, row.name)}, not logged in"
    if identity.sort is Sort.WORKLOAD:
        return f"{_spelled(row, row.name)} as workload from {identity.source}{_with_claims(identity)}"
    groups = f" in {', '.join(map(spell_group, sorted(identity.groups)))}" if identity.groups else ""
    namespace = "".join(f" with the namespace {one}" for one in _namespace(identity).values())
    return f"{_spelled(row, row.name)} as {identity.subject}{namespace}{groups}"


def _with_claims(identity: Identity) -> str:
    """The claims of a workload in words; several values of one claim have their name each."""
    claims = ", ".join(f"{name}={value}" for name, value in sorted(identity.claims))
    return f" with {claims}" if claims else ""


def _namespace(identity: Identity) -> dict[str, str]:
    """The namespace of a witness, if names are mapped and it has one."""
    return {} if identity.namespace in (None, "", UNNAMED) else {"namespace": identity.user_value}


def _spelled(row: DiffRow, name: str) -> str:
    return name if row.resource_type == "repository" else f"{row.resource_type}:{name}"


def spell_when(row: DiffRow) -> str:
    """The circumstances in words; empty if there are none."""
    parts = []
    for key, value in row.when.items():
        words = value if isinstance(value, str) else ", ".join(value)
        parts.append(f"{key.replace('_', ' ')} {words}")
    return "; ".join(parts)


def administrator_changes(found: Difference) -> Iterator[tuple[str, AdministratorChange]]:
    """Every change of administrators, with `added` or `removed`."""
    yield from (("added", one) for one in found.new_administrators)
    yield from (("removed", one) for one in found.former_administrators)


def owner_changes(found: Difference) -> Iterator[tuple[str, OwnerChange]]:
    """Every change of robots' owners, with `added` or `removed`."""
    yield from (("added", one) for one in found.new_owners)
    yield from (("removed", one) for one in found.former_owners)


def summary_of(found: Difference) -> str:
    """The whole difference in a few words."""
    if not found.adds and not found.removes:
        return "the same access as before"
    gains, losses = (len(list(diff_lines(rows, found.parts))) for rows in (found.gains, found.losses))
    gains += len(found.new_administrators) + len(found.new_owners)
    losses += len(found.former_administrators) + len(found.former_owners)
    if not gains:
        return f"only less access ({losses} lost)"
    return f"new access ({gains} gained, {losses} lost)"


def spell_limit(lifetime: int | None) -> str:
    """The longest lifetime of tokens, in words."""
    return "no limit" if lifetime is None else f"{lifetime} s"
