"""Scopes: `Resource`, `Scope` (requested), `Access` (granted), and the parser.

The grammar is that of the Distribution project's token scope documentation ("Resource Scope Grammar"), with names as in
its reference grammar: lower case, at most 255 characters, ASCII only. A host prefix is accepted only with a port
(`host:5000/name`), because a bare word before the first slash is a path component.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from tokenserver.errors import TokenserverError, TooManyScopes

ACTIONS = ("pull", "push", "delete", "*")
"""Every known action, in the order in which answers list them."""

REPOSITORY_ACTIONS = ("pull", "push", "delete")
"""The meaning of `*` when it is requested on a repository, as by skopeo's delete."""

TYPES = ("repository", "registry")

MAX_NAME_LENGTH = 255

MIN_LIFETIME, MAX_LIFETIME = 60, 3600
"""Seconds that a token, and so the access in it, may live. Clients take any lifetime below 60 s for 60 s."""

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST_COMPONENT = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST_AND_PORT = rf"{_HOST_COMPONENT}(?:\.{_HOST_COMPONENT})*:[0-9]{{1,5}}"
_PLAIN_NAME = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_NAME = re.compile(rf"(?:{_HOST_AND_PORT}/)?{_PLAIN_NAME}", re.ASCII)
_PATH_COMPONENT = re.compile(_COMPONENT, re.ASCII)
_TYPE = re.compile(r"([a-z0-9]+)(?:\([a-z0-9]+\))?", re.ASCII)
_USUAL_SCOPE = re.compile(rf"(repository|registry):({_PLAIN_NAME}):([a-z,*]*)", re.ASCII)
"""Nearly every scope: without a class, and with no host in its name."""
_ACTION_LIST = re.compile(r"[a-z,*]*", re.ASCII)
_VALID_ACTIONS = frozenset({*ACTIONS, ""})  # an empty one is ignored


class ScopeSyntaxError(TokenserverError):
    """A scope does not follow the grammar. It grants nothing; the other scopes of the request are served."""


class ScopeLimits(NamedTuple):
    """How much one request may ask for: `scopes` distinct resources in `scope_bytes` bytes of scope text (UTF-8).

    Clients repeat themselves: regctl asks for every repository that it has used on a host, and go-containerregistry
    sends the same scope several times. So resources are counted after scopes are merged.
    """

    scopes: int = 1000
    scope_bytes: int = 64 * 1024


DEFAULT_LIMITS = ScopeLimits()


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """The resource of a scope: a `type` of `TYPES` and a legal `name`."""

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type}:{self.name}"


@dataclass(frozen=True, slots=True)
class Scope:
    """A requested access: known actions on one resource. Never what is granted."""

    resource: Resource
    actions: frozenset[str]

    def __str__(self) -> str:
        return f"{self.resource.type}:{self.resource.name}:{_spelled(self.actions)}"


@dataclass(frozen=True, slots=True)
class Access:
    """A granted access: actions on one resource, never empty in a token."""

    resource: Resource
    actions: frozenset[str]

    def __str__(self) -> str:
        return f"{self.resource.type}:{self.resource.name}:{_spelled(self.actions)}"


@dataclass(frozen=True, slots=True)
class RejectedScope:
    """A piece of scope text that grants nothing, and why. The text is the client's: escape it before showing it."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScopeRequest:
    """The scopes of one request: one `Scope` per resource, in the order first requested, and the rejected ones.

    The hash is computed once, since rulings are looked up by it. Nobody changes a request, except that the parser's
    cache unsets `is_repeated`: nobody asked for the same lately, so nothing that follows from it needs to be kept.
    """

    scopes: tuple[Scope, ...] = ()
    rejected: tuple[RejectedScope, ...] = ()
    is_repeated: bool = field(default=True, compare=False, repr=False)
    _hash: int | None = field(default=None, init=False, repr=False, compare=False)

    def __hash__(self) -> int:
        known = self._hash
        if known is None:
            known = hash((self.scopes, self.rejected))
            object.__setattr__(self, "_hash", known)
        return known


def in_order(actions: Iterable[str]) -> list[str]:
    """The known actions among `actions`, each once, in the order of `ACTIONS`."""
    asked = set(actions)
    return [action for action in ACTIONS if action in asked]


@lru_cache(maxsize=256)
def _spelled(actions: frozenset[str]) -> str:
    return ",".join(in_order(actions))


def is_path_component(text: str) -> bool:
    """Whether `text` may stand between two slashes of a repository name."""
    return _PATH_COMPONENT.fullmatch(text) is not None


def is_repository_name(text: str) -> bool:
    """Whether `text` is a legal repository name, with or without a `host:port/` prefix."""
    return len(text) <= MAX_NAME_LENGTH and _NAME.fullmatch(text) is not None


def mark_new(request: ScopeRequest) -> None:
    """Unset `is_repeated` of a request that nobody else has yet."""
    object.__setattr__(request, "is_repeated", False)


def parse_scope(text: str) -> Scope:
    """Parse one scope, `type[(class)]:name:actions`.

    The type ends at the first colon and the actions begin after the last one, so the name may contain the colon of a
    port. The class is accepted and ignored. An unknown action is not a syntax error; it is left out of the result.

    Raises:
        ScopeSyntaxError: with a reason that does not repeat the text.
    """
    usual = _USUAL_SCOPE.fullmatch(text) if len(text) <= MAX_NAME_LENGTH else None
    if usual is not None:
        return Scope(Resource(usual[1], usual[2]), _known_actions(usual[3]))
    kind, colon, rest = text.partition(":")
    name, second_colon, actions = rest.rpartition(":")
    if not colon or not second_colon:
        raise ScopeSyntaxError("not type:name:actions")
    matched = _TYPE.fullmatch(kind)
    if matched is None:
        raise ScopeSyntaxError("malformed type")
    if matched[1] not in TYPES:
        raise ScopeSyntaxError("unknown type")
    if not is_repository_name(name):
        raise ScopeSyntaxError("malformed name")
    if _ACTION_LIST.fullmatch(actions) is None:
        raise ScopeSyntaxError("malformed action")
    return Scope(Resource(matched[1], name), frozenset(in_order(actions.split(","))))


@lru_cache(maxsize=256)
def _known_actions(text: str) -> frozenset[str]:
    return frozenset(in_order(text.split(",")))


def parse_scopes(values: Iterable[str], limits: ScopeLimits = DEFAULT_LIMITS) -> ScopeRequest:
    """Parse the values of all `scope` parameters, each a list separated by spaces (RFC 6749, section 3.3).

    A resource that is requested twice becomes one `Scope` with the actions of both. Scopes that are malformed or of an
    unknown type are listed in `rejected`, as are unknown actions; neither affects the others. A text that repeats
    counts, and is listed, once. Time and memory grow linearly with the text.

    Raises:
        TooManyScopes: more than `limits.scope_bytes` of text, or more than `limits.scopes` distinct resources, where
            each malformed text counts as one.
    """
    values = tuple(values)
    text = "".join(values)
    if (len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))) > limits.scope_bytes:
        raise TooManyScopes(_excess(f"more than {limits.scope_bytes} bytes", "limits.scope_bytes"))
    if len(values) == 1 and text and " " not in text and limits.scopes:
        return _parse_one(text)
    pieces = dict.fromkeys([piece for value in values for piece in value.split(" ") if piece])
    if len(pieces) > limits.scopes and _least_resources(pieces) > limits.scopes:
        raise _too_many(limits)  # without parsing them
    merged: dict[tuple[str, str], Scope] = {}  # by type and name, which are hashed faster than a `Resource`
    rejected: list[RejectedScope] = []
    malformed = 0
    for piece in pieces:
        try:
            scope = parse_scope(piece)
        except ScopeSyntaxError as error:
            rejected.append(RejectedScope(piece, str(error)))
            malformed += 1
        else:
            resource = scope.resource
            key = (resource.type, resource.name)
            known = merged.get(key)
            merged[key] = scope if known is None else Scope(resource, known.actions | scope.actions)
            rejected += _unknown_actions(piece)
        if len(merged) + malformed > limits.scopes:
            raise _too_many(limits)
    return ScopeRequest(tuple(merged.values()), tuple(rejected))


def _least_resources(pieces: Iterable[str]) -> int:
    """How many distinct resources there are at least, where each malformed text counts as one.

    Two scopes of one resource differ in their actions and their class alone.
    """
    named = {piece.rpartition(":")[0] for piece in pieces}
    return len({(kind.partition("(")[0], name) for kind, _, name in (one.partition(":") for one in named)})


def _parse_one(piece: str) -> ScopeRequest:
    """Most requests have one scope: nothing is merged."""
    usual = _USUAL_SCOPE.fullmatch(piece) if len(piece) <= MAX_NAME_LENGTH else None
    if usual is not None and _are_known(usual[3]):
        return ScopeRequest((Scope(Resource(usual[1], usual[2]), _known_actions(usual[3])),))
    try:
        scope = parse_scope(piece)
    except ScopeSyntaxError as error:
        return ScopeRequest((), (RejectedScope(piece, str(error)),))
    return ScopeRequest((scope,), _unknown_actions(piece))


def _unknown_actions(piece: str) -> tuple[RejectedScope, ...]:
    """The well-formed scope `piece` as a rejected one, if it has an unknown action."""
    return () if _are_known(piece.rpartition(":")[2]) else (RejectedScope(piece, "unknown action"),)


@lru_cache(maxsize=256)
def _are_known(actions: str) -> bool:
    return _VALID_ACTIONS.issuperset(actions.split(","))


def _too_many(limits: ScopeLimits) -> TooManyScopes:
    return TooManyScopes(_excess(f"more than {limits.scopes} distinct resources", "limits.scopes"))


def _excess(what: str, key: str) -> str:
    return f"scope: {what} in one request; fix: ask for fewer at a time, or raise {key} of the token server"
