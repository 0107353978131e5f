"""Deeds: equal ones are counted together, with first and last time, clients, credentials and rules."""

from __future__ import annotations

import pytest
from audit_lines import exchange

from tokenserver.audit import deeds as module
from tokenserver.audit.deeds import MAX_KEPT_OF_DEED, Deed, Deeds
from tokenserver.audit.question import AuditQuestion

_PUSHES = AuditQuestion(action="push", outcome="granted")


def test_counted_together() -> None:
    """The same client, access and registry is one deed."""
    deeds = Deeds()
    events = [
        exchange(time="2026-11-03T12:00:02.000Z", client="10.0.0.2", credential="AAAABBBBCCCC"),
        exchange(time="2026-11-03T12:00:01.000Z", workloads=["release"]),
        exchange(subject="", time="2026-11-03T12:00:03.000Z", rules=None),
    ]
    deeds.add_all(_PUSHES, events)
    (anonymous, alone), (ann, seen) = deeds.ordered()
    assert anonymous == Deed("", "push web/site", "registry.example.com", "granted")
    assert ann == Deed("ann", "push web/site", "registry.example.com", "granted")
    assert (seen.count, seen.first, seen.last) == (2, "2026-11-03T12:00:01.000Z", "2026-11-03T12:00:02.000Z")
    assert (list(seen.clients), list(seen.credentials)) == (["10.0.0.2", "10.1.2.3"], ["AAAABBBBCCCC"])
    assert (list(seen.rules), list(seen.workloads), list(alone.rules)) == (["writers"], ["release"], [])


def test_granted_and_denied() -> None:
    """Without an outcome both are counted, each with the rules of its effect."""
    rules = [
        {"resource": "repository:web/a", "action": "pull", "effect": "allow", "rule": "readers"},
        {"resource": "repository:web/a", "action": "push", "effect": "deny", "rule": "freeze"},
        {"resource": "repository:web/b", "action": "push", "effect": "deny", "rule": "other"},
        "no rule",
    ]
    event = exchange(asked=["repository:web/a:pull,push"], granted=["repository:web/a:pull"], rules=rules)
    deeds = Deeds()
    deeds.add_all(AuditQuestion(), [event])
    assert {(deed.what, deed.outcome, *seen.rules) for deed, seen in deeds.seen.items()} == {
        ("pull web/a", "granted", "readers"),
        ("push web/a", "denied", "freeze"),
    }


def test_catalog() -> None:
    """What is no repository is named with its type, and `*` is by the rules of every action."""
    rules = [{"resource": "registry:catalog", "action": "*", "effect": "allow", "rule": "ops"}]
    deeds = Deeds()
    deeds.add_all(AuditQuestion(), [exchange(asked=[], granted=["registry:catalog:*"], rules=rules)])
    assert [(deed.what, *seen.rules) for deed, seen in deeds.ordered()] == [("* registry:catalog", "ops")]


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of deeds, and of clients of a deed, the rest is counted only."""
    monkeypatch.setattr(module, "MAX_DEEDS", 1)
    deeds = Deeds()
    deeds.add_all(_PUSHES, (exchange(client=f"10.0.0.{number}") for number in range(50)))
    deeds.add_all(_PUSHES, [exchange(subject="bob"), exchange(subject="eve")])
    ((_, seen),) = deeds.ordered()
    assert (seen.count, len(seen.clients), deeds.not_kept) == (50, MAX_KEPT_OF_DEED, 2)
