"""Who an entry is for: static accounts one by one, others by principals; as sets that can be compared. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from tokenserver.importers.docker_auth.model import Labels

EVERYONE, AUTHENTICATED, ANONYMOUS = "everyone", "authenticated", "anonymous"


def user_principal(account: str) -> str:
    """The principal for an account; the empty one is that of anonymous clients."""
    return f"user:{account}" if account else ANONYMOUS


@dataclass(frozen=True, slots=True)
class PeerWorld:
    """What the installation knows. `accounts` are the static ones, with their labels, the anonymous one among them.

    `is_open`: there are further sources, whose accounts are unknown here. `services` are those that this server will
    sign for.
    """

    accounts: Mapping[str, Labels]
    is_open: bool
    services: frozenset[str]
    all_accounts: frozenset[str] = field(init=False, repr=False)
    holders: Mapping[str, Mapping[str, frozenset[str]]] = field(init=False, repr=False)
    """The accounts of which a label has a value, by label and value."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "all_accounts", frozenset(self.accounts))
        found: dict[str, dict[str, set[str]]] = {}
        for account, labels in self.accounts.items():
            for label, values in labels.items():
                for value in values:
                    found.setdefault(label, {}).setdefault(value, set()).add(account)
        holders = {label: {value: frozenset(one) for value, one in values.items()} for label, values in found.items()}
        object.__setattr__(self, "holders", holders)


@dataclass(frozen=True, slots=True)
class ClientSet:
    """A set of clients: some static accounts, and of all others those that `others` are about.

    `principals` are the same set as a rule writes it.
    """

    static: frozenset[str]
    others: frozenset[str]
    principals: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nobody is in it."""
        return not self.static and not self.others

    def is_within(self, other: ClientSet) -> bool:
        """Whether everybody is known to be in the other set."""
        return self.static <= other.static and (AUTHENTICATED in other.others or self.others <= other.others)


def _meet(one: str, other: str) -> bool:
    """Whether clients of no static account may be both: only two names exclude each other."""
    return one == other or not (one.startswith("user:") and other.startswith("user:"))


@dataclass(frozen=True, slots=True)
class RemainingPeople:
    """A set of clients without some others, and what a rule says for it."""

    people: ClientSet
    without: tuple[ClientSet, ...] = ()
    _static: frozenset[str] = field(init=False, repr=False, compare=False)
    _others: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        gone = frozenset[str]().union(*(one.others for one in self.without))
        object.__setattr__(self, "_static", self.people.static.difference(*(one.static for one in self.without)))
        everyone = AUTHENTICATED in gone
        object.__setattr__(self, "_others", frozenset() if everyone else self.people.others - gone)

    @property
    def is_empty(self) -> bool:
        """Whether nobody remains."""
        return not self._static and not self._others

    def overlaps(self, other: ClientSet) -> bool:
        """Whether a client that remains may be in the other set."""
        if not self._static.isdisjoint(other.static):
            return True
        return any(_meet(one, another) for one in self._others for another in other.others)

    def minus(self, other: ClientSet) -> RemainingPeople:
        """What remains without the other set."""
        return self if other in self.without else RemainingPeople(self.people, (*self.without, other))

    def spelled(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The principals under `to`, and those under `except`."""
        if not self._others and self._static == {""}:
            return (ANONYMOUS,), ()
        to = tuple(one for one in self.people.principals if self._may_remain(one))
        exceptions = dict.fromkeys(text for one in self.without for text in one.principals)
        return to, tuple(text for text in exceptions if any(_may_be_in(text, one) for one in to))

    def _may_remain(self, principal: str) -> bool:
        account = _account(principal)
        if account is None or account not in self.people.static:
            return account is None or principal in self._others
        return account in self._static


def _account(principal: str) -> str | None:
    if principal == ANONYMOUS:
        return ""
    return principal.removeprefix("user:") if principal.startswith("user:") else None


def _may_be_in(exception: str, principal: str) -> bool:
    """Whether an exception may concern a principal: two accounts only if they are the same."""
    one, other = _account(exception), _account(principal)
    if one == "" and principal == AUTHENTICATED:
        return False
    return one is None or other is None or one == other


def listed(accounts: Iterable[str], static: Container[str] = ()) -> ClientSet:
    """These accounts alone; those that are not among the static ones are accounts of other sources."""
    names = sorted(set(accounts))
    others = frozenset(user_principal(name) for name in names if name and name not in static)
    return ClientSet(frozenset(name for name in names if name in static), others, tuple(map(user_principal, names)))


def everybody(world: PeerWorld) -> ClientSet:
    """All clients."""
    return ClientSet(world.all_accounts, frozenset({AUTHENTICATED}), (EVERYONE,))


def authenticated(world: PeerWorld) -> ClientSet:
    """All clients with an account that has a name."""
    return ClientSet(world.all_accounts - {""}, frozenset({AUTHENTICATED}), (AUTHENTICATED,))
