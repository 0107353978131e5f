"""The bases, and whether users and groups are visible below them, before anybody logs in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from directory_entries import BASE
from rogue_directory import entry, message, result, rogue, source

from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.diagnosis.steps import DiagnosisStep, StepFailed
from tokenserver.authn.ldap.diagnosis.tree import tree_steps
from tokenserver.authn.ldap.directory import GroupsBy, GroupSettings
from tokenserver.authn.ldap.failures.causes import FailureCause

GROUPS_BASE = f"ou=groups,{BASE}"
ONE, NONE = 1, 0
AD = entry(b"", {b"supportedCapabilities": [b"1.2.840.113556.1.4.800"]})


def told(step: DiagnosisStep) -> tuple[str, FailureCause | None]:
    """The name of a step, and the cause if it failed."""
    return step.name, None if step.failure is None else step.failure.cause


def outcome(
    *searches: int | bytes | tuple[int, int], with_users: bool = True, **more: Any
) -> list[tuple[str, FailureCause | None]]:
    """Each step with its cause, where the directory answers its searches with so many entries, or with this one; or
    with so many and this code. There are no further ones.
    """
    found: list[tuple[str, FailureCause | None]] = []
    asked = [one if isinstance(one, tuple) else (one, 0) for one in searches]

    def answers(number: int, tag: int) -> Iterator[bytes]:
        if tag != 0x63:
            return
        count, code = asked.pop(0)
        if isinstance(count, bytes):
            yield message(number, count)
        elif count:
            yield message(number, entry(BASE.encode(), {}))
        yield message(number, result(0x65, code))

    with rogue(answers) as server:
        directory = source(server, **more)
        connection = directory.servers.open(directory.directory.servers[0], Deadline(5))
        try:
            for step in tree_steps(directory, connection, with_users=with_users):
                found.append(told(step))
        except StepFailed as failed:
            found.append(told(failed.step))
        finally:
            connection.close()
    assert asked == []
    return found


BY_RULE = GroupSettings(GroupsBy.NESTED, (GROUPS_BASE,), by_rule=True)


@pytest.mark.parametrize(
    ("groups", "searches", "expected"),
    [
        pytest.param(None, [ONE, ONE], [("base", None), ("users", None)], id="no groups"),
        pytest.param(
            GroupSettings(GroupsBy.MEMBER, (BASE,)),
            [ONE, ONE, ONE],
            [("base", None), ("users", None), ("groups", None)],
            id="groups below the same base",
        ),
        pytest.param(
            GroupSettings(GroupsBy.MEMBER, (GROUPS_BASE,)),
            [ONE, ONE, ONE, (ONE, 4)],
            [("base", None), ("users", None), ("groups", None)],
            id="groups below another base; only one of many is wanted",
        ),
        pytest.param(
            GroupSettings(GroupsBy.MEMBEROF, (GROUPS_BASE,)),
            [ONE, ONE, ONE],
            [("base", None), ("users", None), ("groups", None)],
            id="memberOf, which needs no right to search for groups",
        ),
        pytest.param(
            BY_RULE, [ONE, ONE, ONE, AD, ONE], [("base", None), ("users", None), ("groups", None)], id="matching rule"
        ),
        pytest.param(
            BY_RULE,
            [ONE, ONE, ONE, ONE],
            [("base", None), ("users", None), ("groups", FailureCause.NO_MATCHING_RULE)],
            id="no matching rule",
        ),
        pytest.param(
            GroupSettings(GroupsBy.MEMBER, (GROUPS_BASE,)),
            [ONE, ONE, (NONE, 32)],
            [("base", None), ("users", None), ("groups", FailureCause.NO_BASE)],
            id="no base of groups",
        ),
        pytest.param(
            GroupSettings(GroupsBy.MEMBER, (GROUPS_BASE,)),
            [ONE, ONE, ONE, NONE],
            [("base", None), ("users", None), ("groups", FailureCause.GROUPS_HIDDEN)],
            id="no group",
        ),
        pytest.param(
            GroupSettings(GroupsBy.MEMBER, (GROUPS_BASE,)),
            [ONE, ONE, ONE, (NONE, 50)],
            [("base", None), ("users", None), ("groups", FailureCause.NOT_PERMITTED)],
            id="groups may not be searched",
        ),
        pytest.param(
            None, [ONE, NONE], [("base", None), ("users", FailureCause.NO_USERS)], id="no user, and on it goes"
        ),
        pytest.param(None, [NONE], [("base", FailureCause.NO_BASE)], id="a base that is found and not returned"),
        pytest.param(None, [(NONE, 10)], [("base", FailureCause.REFERRAL)], id="the base of another server"),
    ],
)
def test_the_tree(
    groups: GroupSettings | None, searches: Sequence[Any], expected: list[tuple[str, FailureCause | None]]
) -> None:
    """What no login can do without ends the diagnosis; what is merely empty does not."""
    assert outcome(*searches, groups=groups) == expected


def test_with_a_user() -> None:
    """Who is looked up needs no others, and what is found out about groups is not told twice."""
    assert outcome(ONE, ONE, with_users=False) == [("base", None)]
    assert outcome(ONE, NONE, with_users=False) == [("base", None), ("groups", FailureCause.GROUPS_HIDDEN)]
