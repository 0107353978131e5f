"""Differences between zot and Distribution in what they ask for and in how they read tokens. Pure.

zot (bearer authentication, `pkg/api`) compares actions literally, so `*` is no action to it. Up to 2.1.17 it asks for
`pull` on a repository without a name where Distribution asks for `*` on `registry:catalog`; later versions accept any
valid token for the catalog.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenserver.scopes import REPOSITORY_ACTIONS, Access, Resource, Scope, ScopeRequest

CATALOG_SCOPE = "repository::pull"
"""The catalog in zot's challenge. It does not follow the grammar of scopes, so the parser rejects it."""

CATALOG = Resource("registry", "catalog")
_NAMELESS = Access(Resource("repository", ""), frozenset({"pull"}))


def as_asked(asked: ScopeRequest) -> ScopeRequest:
    """`asked` with zot's name of the catalog translated: policies decide about `registry:catalog:*`."""
    others = tuple(one for one in asked.rejected if one.text != CATALOG_SCOPE)
    if len(others) == len(asked.rejected):
        return asked
    scopes = {scope.resource: scope for scope in asked.scopes}
    known = scopes[CATALOG].actions if CATALOG in scopes else frozenset[str]()
    scopes[CATALOG] = Scope(CATALOG, known | {"*"})
    return ScopeRequest(tuple(scopes.values()), others)


def as_read(granted: Iterable[Access]) -> list[Access]:
    """`granted` as zot reads it, which is never more: `*` spelled out, and the catalog also by zot's own name."""
    found: list[Access] = []
    for access in granted:
        if "*" in access.actions and access.resource.type == "repository":
            found.append(Access(access.resource, frozenset(REPOSITORY_ACTIONS)))
            continue
        found.append(access)
        if access.resource == CATALOG and "*" in access.actions:
            found.append(_NAMELESS)
    return found
