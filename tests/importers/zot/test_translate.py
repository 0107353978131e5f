"""`accessControl` of zot as policies: what they decide is what zot decides, and never more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imported_policies import decided, loaded, person
from nasty_names import nasty_names
from slow_properties import slow_examples
from zot_configurations import (
    GROUPS,
    NAMES,
    USERS,
    WRITE,
    configurations,
    content,
    naive,
    policy,
    zot_configuration,
)

from tokenserver.errors import LoadError
from tokenserver.identity import ANONYMOUS, Identity
from tokenserver.importers.policy_text import policy_yaml
from tokenserver.importers.report import Verdict
from tokenserver.importers.zot.reader import read_zot_access
from tokenserver.importers.zot.translate import MAX_COMPARED, ZotPolicies, translate_zot
from tokenserver.policy.budget import TooComplex


def translated(configuration: dict[str, Any]) -> ZotPolicies:
    """The policies of a configuration."""
    return translate_zot(read_zot_access(content(configuration), "config.json"))


@slow_examples()
@given(configurations)
def test_what_is_decided_is_what_zot_decides(configuration: dict[str, Any]) -> None:
    """For every name and client: the same, or less where the report says so; never more, whichever zot picks."""
    result = translated(configuration)
    if not result.policy.allow:
        return
    policies = loaded(policy_yaml(result.policy))
    is_exact = not any(one.verdict in (Verdict.NOT_TRANSLATED, Verdict.CLOSED) for one in result.constructs)
    clients: list[tuple[str | None, Identity, set[str]]] = [(None, ANONYMOUS, set())]
    clients += [(user, person(user), set()) for user in (*USERS, "eve")]
    clients += [("eve", person("eve", group), {group}) for group in GROUPS]
    for name in NAMES:
        for user, identity, groups in clients:
            found = decided(policies, identity, name)
            for first in (True, False):
                expected = naive(configuration, user, groups, name, first=first)
                assert found <= expected
                assert not is_exact or found == expected


@given(
    patterns=st.lists(nasty_names, max_size=4),
    users=st.lists(nasty_names, max_size=3),
    groups=st.lists(nasty_names, max_size=3),
)
def test_any_names(patterns: list[str], users: list[str], groups: list[str]) -> None:
    """Whatever things are called, the policies load, and a stranger may do nothing."""
    entry = {"policies": [policy(users, groups, WRITE)]}
    configuration = zot_configuration(
        {pattern.lower(): entry for pattern in patterns},
        groups={group.lower(): {"users": users} for group in groups},
        adminPolicy=policy(users, groups, WRITE),
    )
    result = translated(configuration)
    if result.policy.allow:
        policies = loaded(policy_yaml(result.policy))
        assert decided(policies, person("a stranger"), "web/x") == decided(policies, ANONYMOUS, "web/x") == set()


def test_the_longest_pattern_decides() -> None:
    """Also where it grants less."""
    result = translated(
        zot_configuration(
            {
                "**": {"defaultPolicy": ["read"], "anonymousPolicy": ["read"]},
                "web/**": {"policies": [policy(["ann"], ["devs"], [*WRITE, "delete"])]},
            },
            groups={"devs": {"users": ["bob"]}},
            adminPolicy=policy(["root"], [], [*WRITE, "delete"]),
        )
    )
    assert (
        policy_yaml(result.policy)
        == """\
# accessControl of zot: each pattern without the names of longer ones, which decide there.
version: 1

groups:
  devs: {users: [bob], groups: [devs]}

allow:
  - id: all-authenticated
    to: [authenticated]
    repositories: ["**"]
    not: ["web/**", web]
    actions: [pull]
  - id: all-anonymous
    to: [anonymous]
    repositories: ["**"]
    not: ["web/**", web]
    actions: [pull]
  - id: web-all-user-ann
    to: ["user:ann"]
    repositories: ["web/**", web]
    actions: [pull, push, delete]
  - id: web-all-group-devs
    to: ["group:devs"]
    repositories: ["web/**", web]
    actions: [pull, push, delete]
  - id: administrators
    to: ["user:root"]
    repositories: ["**"]
    actions: [pull, push, delete]
  - id: administrators-catalog
    to: ["user:root"]
    registry: [catalog]
    actions: ["*"]
"""
    )
    assert result.is_anonymous


@pytest.mark.parametrize(
    ("repositories", "text", "verdict", "note"),
    [
        pytest.param(
            {"**": {"defaultPolicy": ["read", "create"]}},
            "**: authenticated",
            Verdict.NOT_TRANSLATED,
            "create alone has no counterpart",
            id="create alone",
        ),
        pytest.param(
            {"**": {"defaultPolicy": ["read", "write"]}},
            "**: authenticated",
            Verdict.NOT_TRANSLATED,
            "the actions write are not known",
            id="an unknown action",
        ),
        pytest.param(
            {"a/?": {"defaultPolicy": ["read"]}},
            "a/?",
            Verdict.NOT_TRANSLATED,
            "have no counterpart; nothing was granted",
            id="a pattern without counterpart",
        ),
        pytest.param(
            {"**": {"policies": [policy(["a*"], [], ["read"])]}},
            "**: a*",
            Verdict.NOT_TRANSLATED,
            "a name must not hold '*'",
            id="a user who cannot exist",
        ),
        pytest.param(
            {"a/*": {"defaultPolicy": ["read"]}, "*/b": {"defaultPolicy": ["read"]}},
            "a/*",
            Verdict.CLOSED,
            "zot picks it or */b at random",
            id="two of the same length",
        ),
    ],
)
def test_what_is_reported(repositories: dict[str, Any], text: str, verdict: Verdict, note: str) -> None:
    """With its reason."""
    found = [one for one in translated(zot_configuration(repositories)).constructs if one.text == text]
    assert [note in one.note for one in found if one.verdict is verdict] == [True]


def test_groups_that_cannot_exist() -> None:
    """They and their members are reported."""
    groups = {"a\x00": {"users": []}, "devs": {"users": ["ann", "b*"]}}
    result = translated(zot_configuration({"**": {"defaultPolicy": ["read"]}}, groups=groups))
    assert [one.text for one in result.constructs if one.verdict is Verdict.NOT_TRANSLATED] == ["a\x00", "devs: b*"]


def test_very_many_patterns() -> None:
    """They are refused: each is compared with each."""
    braces = "{" + ",".join("abcdefgh") + "}"
    repositories: dict[str, Any] = {f"{braces}/{braces}/x{number}": {} for number in range(MAX_COMPARED // 64 + 1)}
    with pytest.raises(LoadError, match="stands for more than 2,000 patterns"):
        translated(zot_configuration(repositories))


def test_what_is_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns that are too hard to compare are taken away from shorter ones. The budget is faked."""

    def give_up(*_: object) -> None:
        raise TooComplex("faked")

    for name in ("contains", "overlaps"):
        monkeypatch.setattr(f"tokenserver.importers.zot.translate.{name}", give_up)
    result = translated(zot_configuration({"a/**": {"defaultPolicy": ["read"]}, "b/long/**": {}}))
    assert [rule.besides for rule in result.policy.allow] == [("b/long/**", "b/long")]


def test_an_administrator_without_actions() -> None:
    """That is none."""
    result = translated(zot_configuration({}, adminPolicy=policy(["root"], [], [])))
    assert result.policy.allow == ()


def test_actions_that_are_all_unknown() -> None:
    """They make no rule; those of others on the same pattern do."""
    entry = {"policies": [policy(["ann"], [], ["fly"]), policy(["bob"], [], ["read"])]}
    result = translated(zot_configuration({"web/*": entry}))
    assert [(rule.to, rule.repositories) for rule in result.policy.allow] == [(("user:bob",), ("web/*",))]
