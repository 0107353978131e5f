"""Wishes for new secrets as they are typed, and the terms that result from them: the rules for limits and ends.

Commands, pages and the API follow these rules alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from tokenserver.ceilings import Bound, Ceiling
from tokenserver.config.protection import MIN_SECRET_LIFETIME
from tokenserver.config.settings import Settings
from tokenserver.documents.hints import nearest
from tokenserver.errors import TokenserverError
from tokenserver.management.facts import EVERYTHING
from tokenserver.management.refusals import InvalidWish, WishFault
from tokenserver.patterns import Pattern, PatternError, SegmentKind, parse_pattern
from tokenserver.policy.networks import Network
from tokenserver.policy.syntax.machines import MAX_NOTE
from tokenserver.policy.terms import REGISTRY_RESOURCES, TermError, parse_network
from tokenserver.scopes import ACTIONS, REPOSITORY_ACTIONS

MAX_REASON = 200
"""The maximum length, in characters, of the reason that an administrator gives for changing what belongs to others."""

MAX_ITEMS = 100
"""The maximum number of patterns, networks or registries of one wish."""

_ALL = parse_pattern(EVERYTHING)
_WHOLE = (
    Bound((_ALL,), frozenset(ACTIONS)),
    *(Bound((parse_pattern(name),), frozenset({"*"}), "registry") for name in REGISTRY_RESOURCES),
)
"""The bounds of a ceiling that limits only the registries."""

_Term = TypeVar("_Term")


@dataclass(frozen=True, slots=True)
class KeyWish:
    """A new secret as somebody wants it. Empty and None narrow nothing; `lifetime` is in seconds, None: as configured.

    `name` is what it is for, in the words of its owner.
    """

    name: str = ""
    actions: tuple[str, ...] | None = None
    repositories: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    lifetime: int | None = None


class SecretLifetimes(NamedTuple):
    """How long new secrets are valid: by default, and at most."""

    usual: timedelta
    most: timedelta


class KeyTerms(NamedTuple):
    """The limits of a new secret, and its end in seconds since the epoch."""

    name: str
    ceiling: Ceiling | None
    networks: tuple[Network, ...]
    ends: int


class InvalidTerm(TokenserverError):
    """One value is wrong; the text says how to fix it, and fits behind the name of the value."""


def terms_of(wish: KeyWish, settings: Settings, lifetimes: SecretLifetimes, now: datetime) -> KeyTerms:
    """The terms that result from a wish.

    Raises:
        InvalidWish: all that is wrong with it.
    """
    faults: list[WishFault] = []
    repositories = _each("repositories", wish.repositories, parse_repository, faults)
    actions = None if wish.actions is None else frozenset(_each("actions", wish.actions, parse_action, faults))
    if wish.actions is not None and not wish.actions:
        faults.append(WishFault("actions", f"is empty; write some of {', '.join(REPOSITORY_ACTIONS)}, or leave it out"))
    services = _each("services", wish.services, lambda name: parse_service(settings, name), faults)
    networks = _each("networks", wish.networks, _network, faults)
    _checked("name", faults, lambda: parse_note(wish.name))
    _checked("lifetime", faults, lambda: end_of(wish.lifetime, lifetimes, now))
    if faults:
        raise InvalidWish(faults)
    end = end_of(wish.lifetime, lifetimes, now)
    return KeyTerms(wish.name, ceiling_of(actions, repositories, services), networks, int(end.timestamp()))


def ceiling_of(
    actions: frozenset[str] | None, repositories: tuple[Pattern, ...], services: tuple[str, ...]
) -> Ceiling | None:
    """The ceiling of a secret with these limits; None if they limit nothing."""
    registries = frozenset(services) if services else None
    if actions is None and not repositories:
        return None if registries is None else Ceiling(_WHOLE, registries)
    return Ceiling((Bound(repositories or (_ALL,), actions or frozenset(REPOSITORY_ACTIONS)),), registries)


def end_of(lifetime: int | None, lifetimes: SecretLifetimes, now: datetime) -> datetime:
    """The end of a secret that is made now and valid for `lifetime` seconds; None: for the default lifetime.

    Raises:
        InvalidTerm: it is valid for too long, or not long enough.
    """
    if lifetime is None:
        return end_after(lifetimes.usual, now)
    if not MIN_SECRET_LIFETIME <= lifetime <= lifetimes.most.total_seconds():
        most = spell_duration(lifetimes.most)
        raise InvalidTerm(f"a secret is valid for at least an hour ({MIN_SECRET_LIFETIME}) and at most {most}")
    return end_after(timedelta(seconds=lifetime), now)


def wished_end(lifetime: int | None, lifetimes: SecretLifetimes, now: datetime) -> int:
    """As `end_of`, in seconds since the epoch, for a wish that has only a lifetime.

    Raises:
        InvalidWish: the lifetime is wrong.
    """
    try:
        return int(end_of(lifetime, lifetimes, now).timestamp())
    except InvalidTerm as error:
        raise InvalidWish.of("lifetime", str(error)) from None


def end_after(duration: timedelta, now: datetime) -> datetime:
    """The end of what is made now and valid for `duration`, rounded up to a whole minute."""
    return (now + duration).replace(second=0, microsecond=0) + timedelta(minutes=1)


def spell_duration(duration: timedelta) -> str:
    """A duration in the form of configuration files, in the largest unit that fits."""
    seconds = int(duration.total_seconds())
    units = {"d": 86400, "h": 3600, "m": 60}
    return next((f"{seconds // size}{unit}" for unit, size in units.items() if seconds % size == 0), f"{seconds}s")


def parse_note(text: str) -> str:
    """A short text for people, such as the name of a key.

    Raises:
        InvalidTerm: it is too long, or has control characters.
    """
    if len(text) > MAX_NOTE or not text.isprintable():
        raise InvalidTerm(f"must be at most {MAX_NOTE} printable characters")
    return text


def parse_action(text: str) -> str:
    """An action on repositories.

    Raises:
        InvalidTerm: there is no such action.
    """
    if text not in REPOSITORY_ACTIONS:
        raise InvalidTerm(f"{text!r} is no action; write some of {','.join(REPOSITORY_ACTIONS)}")
    return text


def parse_repository(text: str) -> Pattern:
    """A pattern that narrows a secret to some repositories.

    Raises:
        InvalidTerm: it is no pattern, narrows nothing, or has a variable.
    """
    if text == EVERYTHING:
        raise InvalidTerm(f"{text} narrows nothing; fix: leave the repositories out, and it is for everything")
    try:
        pattern = parse_pattern(text)
    except PatternError as error:
        raise InvalidTerm(str(error)) from None
    if pattern.uses(SegmentKind.USER) or pattern.uses(SegmentKind.GROUP):
        raise InvalidTerm(f"{text!r}: has a variable, which only rules have; fix: write the name in its place")
    return pattern


def parse_service(settings: Settings, name: str) -> str:
    """The service name of a configured registry, from any of its names.

    Raises:
        InvalidTerm: no registry has it.
    """
    found = settings.registry(name)
    if found is None:
        known = [registry.service for registry in settings.registries]
        raise InvalidTerm(f"no registry {name!r} is configured; {nearest(name, known)}")
    return found.service


def parse_reason(text: str | None) -> str:
    """The reason that an administrator gives for changing what belongs to others.

    Raises:
        InvalidWish: it is missing, or no short text.
    """
    if not text or not text.strip():
        raise InvalidWish.of("reason", "is missing; say why you change what belongs to somebody else")
    if len(text) > MAX_REASON or not text.isprintable():
        raise InvalidWish.of("reason", f"must be at most {MAX_REASON} printable characters")
    return text


def _network(text: str) -> Network:
    try:
        return parse_network(text)
    except TermError as error:
        raise InvalidTerm(str(error)) from None


def _each(
    field: str, values: Iterable[str], parse: Callable[[str], _Term], faults: list[WishFault]
) -> tuple[_Term, ...]:
    """The values, each once; the faults of those that are wrong are added."""
    found: dict[_Term, None] = {}
    for number, value in enumerate(values):
        if number == MAX_ITEMS:
            faults.append(WishFault(field, f"has more than {MAX_ITEMS} items"))
            break
        try:
            found[parse(value)] = None
        except InvalidTerm as error:
            faults.append(WishFault(f"{field}[{number}]", str(error)))
    return tuple(found)


def _checked(field: str, faults: list[WishFault], parse: Callable[[], object]) -> None:
    try:
        parse()
    except InvalidTerm as error:
        faults.append(WishFault(field, str(error)))
