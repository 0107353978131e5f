"""The snapshot: registries by service name, the issuer of each, and every key ring once."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tokenserver.errors import InvalidRequest
from tokenserver.exchange import snapshot as module
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.tokens.claims import Compat, Registry

A = Registry("a", "issuer", Compat.UNIVERSAL, 900)
ALIAS = replace(A, asked_as="alias")
B = Registry("b", "issuer", Compat.UNIVERSAL, 900)


def snapshot(*registries: Registry, **own: Any) -> Snapshot:
    """One with these registries; issuers are stand-ins that only have a ring."""
    parts: dict[str, Any] = {"chain": None, "policies": object(), "issuer": SimpleNamespace(ring=object())}
    by_name = {registry.audience: registry for registry in registries}
    return Snapshot(registries=by_name, own_issuers=own, **parts)


@pytest.mark.parametrize(
    ("registries", "service", "expected"),
    [
        pytest.param((A,), "a", A, id="by-name"),
        pytest.param((A, ALIAS, B), "alias", ALIAS, id="by-another-name"),
        pytest.param((A,), None, A, id="the-only-one"),
        pytest.param((ALIAS, A), None, A, id="the-only-one-by-its-own-name"),
    ],
)
def test_registries(registries: tuple[Registry, ...], service: str | None, expected: Registry) -> None:
    """Under each of their names; without a name only if there is one."""
    assert snapshot(*registries).registry(service) is expected


@pytest.mark.parametrize(
    ("service", "message"),
    [
        pytest.param(None, "service: is missing", id="none-of-several"),
        pytest.param("c", "service: no registry of that name is served here", id="unknown"),
        pytest.param("A", "service: no registry of that name is served here", id="case"),
        pytest.param("", "service: no registry of that name is served here", id="empty"),
    ],
)
def test_unclear_registries(service: str | None, message: str) -> None:
    """The client's error, without the names that there are."""
    with pytest.raises(InvalidRequest, match=f"^{message}$"):
        snapshot(A, B).registry(service)


def test_issuers() -> None:
    """Keys of a registry's own sign for it under each of its names, and for no other."""
    own: Any = SimpleNamespace(ring=object())
    found = snapshot(A, ALIAS, B, a=own)
    assert [found.issuer_for(registry) for registry in (A, ALIAS, B)] == [own, own, found.issuer]


def test_rings() -> None:
    """The server's own first; a ring that two registries share is there once."""
    shared: Any = object()
    found = snapshot(A, B, a=SimpleNamespace(ring=shared), b=SimpleNamespace(ring=shared))
    assert found.rings == (found.issuer.ring, shared)


def test_the_restricting_rule_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each registry, also where there is none."""
    calls: list[str] = []
    monkeypatch.setattr(module, "restricting_rule", lambda _, service: calls.append(service))
    found = snapshot(A, B)
    for service in ("a", "b", "a"):
        assert found.restricting_rule(service) is None
    assert calls == ["a", "b"]
