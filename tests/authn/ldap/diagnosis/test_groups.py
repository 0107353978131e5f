"""The groups of a user: those that count, those that do not and why, and how others would be found."""

from __future__ import annotations

from typing import Any

import pytest
from directory_entries import BASE
from directory_entries import entry as user
from rogue_directory import rogue, source
from scripted_connection import answer, scripted

from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import Found
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.diagnosis.groups import group_steps
from tokenserver.authn.ldap.diagnosis.steps import IGNORED, OMITTED, DiagnosisStep, StepFailed
from tokenserver.authn.ldap.directory import GroupsBy, GroupSettings
from tokenserver.authn.ldap.failures.causes import FailureCause

GROUPS_BASE = f"ou=groups,{BASE}"


def group(name: str, base: str = GROUPS_BASE) -> SearchEntry:
    """A group."""
    return SearchEntry(f"cn={name},{base}", {"cn": (name.encode(),)})


def steps(groups: GroupSettings | None, *answers: Found, of: SearchEntry | None = None) -> list[DiagnosisStep]:
    """The steps, where the directory answers its searches so."""
    connection, _ = scripted(*answers)
    with rogue(lambda *_: iter(())) as server:
        directory = source(server, groups=groups)
    found: list[DiagnosisStep] = []
    try:
        found.extend(group_steps(directory, connection, of or user(), Deadline(5)))
    except StepFailed as failed:
        found.append(failed.step)
    return found


def names(step: DiagnosisStep) -> list[str]:
    """The names in a step."""
    return [one.name for one in step.names]


def test_no_groups() -> None:
    """Nothing is searched."""
    (step,) = steps(None)
    assert step == DiagnosisStep("groups", "not searched (groups are not configured)")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param({"by": GroupsBy.NESTED, "by_rule": True}, "the directory's matching rule", id="matching rule"),
        pytest.param({"by": GroupsBy.NESTED}, "nested", id="nested"),
        pytest.param({"by": GroupsBy.POSIX}, "posix", id="posix"),
    ],
)
def test_how_they_were_found(settings: Any, told: str) -> None:
    """The number, the way, and each name as policies spell it, with its DN."""
    more = [answer()] if told == "nested" else []
    (step,) = steps(GroupSettings(bases=(BASE,), **settings), answer(group("web, team"), group("all*stars")), *more)
    assert step.result == f"2 found by a search below {BASE} ({told})"
    assert [(one.name, one.dn) for one in step.names] == [
        ('"all*stars"', f"cn=all*stars,{GROUPS_BASE}"),
        ("web, team", f"cn=web, team,{GROUPS_BASE}"),
    ]


def test_what_does_not_count() -> None:
    """By groups.allow, by groups.base, by depth; and what has no name at all."""
    nameless = SearchEntry(f"ou=x,{GROUPS_BASE}", {})
    found = steps(
        GroupSettings(GroupsBy.MEMBER, (GROUPS_BASE,), allow=("reg-*",)),
        answer(group("reg-a"), group("team"), nameless),
        answer(user()),
        answer(group("reg-a"), group("far", f"ou=far,{BASE}")),
        answer(user()),
        answer(group("reg-a"), group("team")),
        answer(group("above")),
        answer(),
    )
    assert [(step.name, step.result.partition(" (")[0], names(step)) for step in found] == [
        ("groups", "1 found by a search below ou=groups,dc=example,dc=com", ["reg-a"]),
        (OMITTED, "a group", []),
        (IGNORED, "1 not matched by groups.allow", ["team"]),
        (IGNORED, "1 not below groups.base", ["far"]),
        (IGNORED, "1 only through other groups, which by: nested would count", ["above"]),
    ]
    assert [step for step in found if step.failure is not None] == []


def test_memberof() -> None:
    """The number of values says where to look if nothing counts."""
    (step, *_) = steps(GroupSettings(GroupsBy.MEMBEROF, (BASE,)), *[answer()] * 8)
    assert step.result == "none found by 0 values of memberOf in the entry"


def test_another_way() -> None:
    """The first other way that finds something is named, with what it finds."""
    found = steps(
        GroupSettings(GroupsBy.MEMBER, (BASE,)),
        answer(),
        answer(user()),
        answer(user()),
        answer(group("devs")),
    )
    assert found[0].result.startswith("none found")
    assert found[-1].failure is not None
    assert found[-1].failure.cause is FailureCause.GROUPS_BY_ANOTHER_WAY
    assert found[-1].failure.fix == "set groups: {by: posix}"
    assert found[-1].result.endswith("none by member; by posix it would be: devs")


def test_a_user_without_groups() -> None:
    """No way finds any: that is well."""
    empty = [answer(user()), answer(), answer(user()), answer(), answer(user()), answer()]
    found = steps(GroupSettings(GroupsBy.MEMBER, (BASE,)), answer(), *empty)
    assert [step.failure for step in found] == [None]


def test_groups_that_cannot_be_listed() -> None:
    """A login would fail as well; with what is to be done."""
    (step,) = steps(GroupSettings(GroupsBy.MEMBER, (GROUPS_BASE,)), answer(code=32))
    assert step.failure is not None
    assert (step.name, step.failure.cause) == ("groups", FailureCause.NO_BASE)
    assert step.failure.fix.startswith("correct groups.base")
