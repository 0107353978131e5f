"""What somebody may do, and why: the decision, its rules, what comes nearest, and whom to ask."""

from __future__ import annotations

import pytest
from playground_trees import NOW, live

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.answers.access import MAX_ASKED, AccessAnswer, DecidingRule, access_answer, asked_scope
from tokenserver.policy.decide import decide
from tokenserver.policy.model import Context
from tokenserver.policy.terms import TermError
from tokenserver.scopes import Resource, Scope

TREE = {
    "company.yaml": """\
version: 1
groups: {web: {users: [will]}}
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push], contact: "#web in the chat"}
allow:
  - {id: web, to: ["group:web"], repositories: ["web/**"], role: writer}
  - {id: catalog, to: ["group:web"], registry: [catalog], actions: ["*"]}
deny:
  - {id: freeze, to: [everyone], repositories: ["web/prod/*"], actions: [push], message: "Ask for a release."}
""",
    "teams/web.yaml": """\
version: 1
allow:
  - {id: night, to: [authenticated], repositories: ["web/night"], role: reader, when: {from: [10.0.0.0/8]}}
""",
}
POLICIES = live(TREE)
WILL, ANN = Identity("will", Kind.PASSWORD), Identity("ann", Kind.PASSWORD)


def answered(identity: Identity, action: str, name: str) -> AccessAnswer:
    """The answer about this action and name at the registry `one`."""
    return access_answer(POLICIES, identity, asked_scope(action, name), Context("one", None, NOW))


def test_allowed() -> None:
    """With the rule that allows it, its place, and nobody to ask."""
    assert answered(WILL, "push", "web/site") == AccessAnswer(
        *("one", "push", "web/site", True),
        rules=(DecidingRule("web", "allow", None, "company.yaml:6"),),
        nearest=(),
        contacts=(),
    )


def test_denied() -> None:
    """With the rule that forbids it, its message, and whom to ask."""
    found = answered(WILL, "push", "web/prod/site")
    assert (found.is_allowed, found.is_denied, found.nearest) == (False, True, ())
    assert DecidingRule("freeze", "deny", "Ask for a release.", "company.yaml:9") in found.rules
    assert found.contacts == ("#web in the chat",)


def test_not_granted() -> None:
    """With the rules that come nearest, what is missing, and whom to ask."""
    found = answered(ANN, "push", "web/site")
    assert (found.is_allowed, found.is_denied, found.rules) == (False, False, ())
    assert found.nearest is not None
    assert [(one.rule, one.to, one.missing) for one in found.nearest] == [
        ("web", ("group:web",), ("you are in none of these groups",))
    ]
    assert found.contacts == ("#web in the chat",)


def test_a_registry_resource() -> None:
    """The catalog has the form that questions about it have."""
    found = answered(WILL, "*", "registry:catalog")
    assert (found.resource, found.is_allowed) == ("registry:catalog", True)


@pytest.mark.parametrize("identity", [WILL, ANN, ANONYMOUS], ids=["will", "ann", "anonymous"])
@pytest.mark.parametrize("action", ["pull", "push", "delete"])
@pytest.mark.parametrize("name", ["web/site", "web/prod/site", "web/night", "other"])
def test_as_decided(identity: Identity, action: str, name: str) -> None:
    """The answer is that of a request for a token."""
    scope = Scope(Resource("repository", name), frozenset({action}))
    expected = action in decide(POLICIES, identity, scope, Context("one", None, NOW)).granted
    assert answered(identity, action, name).is_allowed is expected


@pytest.mark.parametrize(
    ("action", "name", "expected"),
    [
        pytest.param("pul", "web/site", "unknown action 'pul'; did you mean 'pull'?", id="action"),
        pytest.param("pull,push", "web/site", "name exactly one action", id="two-actions"),
        pytest.param("*", "web/site", "name exactly one action", id="every-action"),
        pytest.param("pull", "", "is no legal name", id="no-name"),
        pytest.param("pull", "Web", "is no legal name", id="capitals"),
        pytest.param("pull", "web/*", "is no legal name (a name, not a pattern)", id="pattern"),
        pytest.param("pull", "x" * (MAX_ASKED + 1), "at most 512 characters", id="long"),
    ],
)
def test_what_is_no_question(action: str, name: str, expected: str) -> None:
    """Each with what would be one."""
    with pytest.raises(TermError) as caught:
        asked_scope(action, name)
    assert expected in str(caught.value)
