"""Overviews: the tables of who-can and of the matrix are those of the commands, and have an end."""

from __future__ import annotations

import pytest
from playground_trees import live

from tokenserver.policy.answers import overviews
from tokenserver.policy.answers.access import asked_scope
from tokenserver.policy.answers.overviews import HolderRow, matrix_table, who_can_answer
from tokenserver.policy.budget import TooComplex

TREE = {
    "a.yaml": """\
version: 1
groups: {web: {users: [will], groups: [web-people]}}
allow:
  - {id: web, to: ["group:web"], repositories: ["web/**"], role: writer}
  - {id: ann, to: ["user:ann"], repositories: ["web/**"], role: reader, when: {from: [10.0.0.0/8]}}
  - {id: one, to: ["user:olga"], registry: [catalog], actions: ["*"]}
deny:
  - {id: never, to: ["user:eve"], repositories: ["**"], actions: [pull, push]}
"""
}
POLICIES = live(TREE)


def test_who_can() -> None:
    """Each principal with its condition and members, and those who cannot in any case."""
    found = who_can_answer(POLICIES, asked_scope("pull", "web/site"), "one")
    assert (found.action, found.resource) == ("pull", "web/site")
    assert found.holders == (
        HolderRow("group:web", "", "will, all of the directory's web-people"),
        HolderRow("user:ann", "from 10.0.0.0/8", ""),
    )
    assert found.excepted == ("user:eve",)


def test_nobody_can() -> None:
    """Neither a holder nor an exception."""
    found = who_can_answer(POLICIES, asked_scope("delete", "web/site"), "one")
    assert (found.holders, found.excepted) == ((), ())


def test_the_matrix() -> None:
    """A row for everybody whom a rule names, a column for each pattern."""
    found = matrix_table(POLICIES, "one")
    assert found.repositories == ("**", "web/**", "registry:catalog")
    assert dict(found.rows) == {
        "anonymous": ("", "", ""),
        "authenticated": ("", "", ""),
        "group:web": ("p*P*", "pP", ""),
        "user:ann": ("p*", "p*", ""),
        "user:eve": ("", "", ""),
        "user:olga": ("", "", "a"),
    }


def test_a_matrix_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named as that, with the command that makes it."""
    monkeypatch.setattr(overviews, "MAX_CELLS", 17)
    with pytest.raises(TooComplex, match=r"6 people by 3 patterns are too many for a page; fix: run tokenserver"):
        matrix_table(POLICIES, "one")


def test_beyond_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes too long for a page is no answer."""
    monkeypatch.setattr(overviews, "PAGE_STEPS", 3)
    with pytest.raises(TooComplex, match="the limit for one page"):
        matrix_table(POLICIES, "one")
    with pytest.raises(TooComplex, match="the limit for one page"):
        who_can_answer(POLICIES, asked_scope("pull", "web/site"), "one")
