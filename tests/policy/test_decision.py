"""Decisions: their access, the lifetime of a token, and the reasons in words."""

from __future__ import annotations

from tokenserver.policy.decision import Decision
from tokenserver.scopes import Access, Resource, Scope


def test_access_of_a_decision() -> None:
    """A decision that grants nothing has no access to put into a token."""
    scope = Scope(Resource("repository", "web/x"), frozenset({"pull", "push"}))
    assert Decision(scope, frozenset()).access is None
    assert Decision(scope, frozenset({"pull"})).access == Access(scope.resource, frozenset({"pull"}))
