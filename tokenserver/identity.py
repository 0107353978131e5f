"""Identities: the authenticated client of a request, as user sources report it and policies see it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from tokenserver.ceilings import Ceiling
from tokenserver.scopes import is_path_component


class Kind(StrEnum):
    """The kind of credential that vouched for an identity; policies may ask for it with `when: {kind: …}`."""

    ANONYMOUS = "anonymous"
    PASSWORD = "password"  # noqa: S105 - the name of a kind, not a secret
    OIDC = "oidc"
    KEY = "key"
    ROBOT = "robot"
    WORKLOAD = "workload"


class Sort(StrEnum):
    """What a client that logged in is: a person, or one of two kinds of machines.

    A robot is declared in the policy tree and has secrets of its own. A workload proves by the token of an issuer which
    machine it is, and policies say by its claims which workloads it is.
    """

    USER = "user"
    ROBOT = "robot"
    WORKLOAD = "workload"


ROBOT_PREFIX, WORKLOAD_PREFIX = "robot:", "workload:"
"""Beginnings of the subjects of machines. No user source reports a subject that begins like this."""

MACHINES: Mapping[Kind, Sort] = MappingProxyType({Kind.ROBOT: Sort.ROBOT, Kind.WORKLOAD: Sort.WORKLOAD})
"""The kinds of credential that only machines have."""

PEOPLE = frozenset({Kind.PASSWORD, Kind.OIDC, Kind.KEY})
"""The kinds of credential that only people have."""

Claims = frozenset[tuple[str, str]]
"""Verified claims, by name and value; a claim with several values is there with each of them."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated client. `subject` is the source's own name for the user, never the text that was typed.

    The subject of a robot is `robot:NAME`, that of a workload `workload:SOURCE:SUB`. `credential` is the id of the
    credential that vouched, if it has one; `claims` are those that the issuer of a workload's token vouches for.

    `source` names the user source (empty for anonymous), `groups` are the groups that it reported. `ceiling`, unless
    None, limits what policies can grant. `stale`: the source is unreachable; this is the last
    answer it gave. `lost` has the source's identifiers of groups whose names it could not tell, the first few of them:
    the identity may be in any group then. `namespace` is what the source maps the name to, the value of `${user}`:
    empty if there is none, None if the source maps no names. `valid_for`: for how many seconds at most the source
    vouches for it; None: for as long as its settings say.
    `owner` is the subject whose rights bound a stored credential, `via` what it is (`key`, `refresh` or `session`), and
    `services` are the registries at which it can be used (None: all); these three follow from `credential`.
    `proof` changes when the password of a user does; empty: the source cannot tell. `verified` is the revision of the
    storage that was known when the verification of the login began: what ended all logins of the person later has ended
    this one; None: nothing is stored for it. `issued` is when the issuer of a workload made its token, in seconds since
    the epoch. What is hashed and compared is computed once, since decisions are looked up by it.
    """

    subject: str
    kind: Kind
    source: str = ""
    groups: frozenset[str] = frozenset()
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ceiling: Ceiling | None = None
    stale: bool = False
    lost: tuple[str, ...] = ()
    namespace: str | None = None
    valid_for: float | None = field(default=None, compare=False)
    credential: str = ""
    claims: Claims = frozenset()
    owner: str = field(default="", compare=False)
    via: str = field(default="", compare=False)
    services: frozenset[str] | None = field(default=None, compare=False)
    proof: bytes = field(default=b"", compare=False, repr=False)
    verified: int | None = field(default=None, compare=False)
    issued: int | None = field(default=None, compare=False)
    _key: tuple[object, ...] = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind in MACHINES:
            object.__setattr__(self, "namespace", "")  # `${user}` is for people
        known = (self.subject, self.kind, self.source, self.groups, self.ceiling, self.stale, self.lost, self.namespace)
        key = (*known, self.credential, self.claims)
        object.__setattr__(self, "_key", key)
        object.__setattr__(self, "_hash", hash(key))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        """Compare what is hashed, and the attributes. Each new login makes an equal identity, with which decisions are
        looked up that were made for an older one."""
        if not isinstance(other, Identity):
            return NotImplemented
        return self._key == other._key and self.attributes == other.attributes

    def question_with(self, claims: Claims) -> tuple[object, ...]:
        """The part of a cache key that identifies this machine as if `claims` were its only claims."""
        return (*self._key[:-1], claims)

    @property
    def is_anonymous(self) -> bool:
        """Whether the client sent no credentials."""
        return self.kind is Kind.ANONYMOUS

    @property
    def sort(self) -> Sort:
        """Whether it is a person, a robot or a workload; an anonymous client counts as a person without a name."""
        return MACHINES.get(self.kind, Sort.USER)

    @property
    def user_value(self) -> str:
        """The value of `${user}`: the namespace, or the name if the source maps no names; empty for a machine."""
        return self.subject if self.namespace is None else self.namespace


class NamespaceRule(StrEnum):
    """How a user source derives the namespaces of its users: from their names, or from an attribute of theirs."""

    LOWER = "lower"
    SLUG = "slug"
    ATTRIBUTE = "attribute"


def lower_namespace(name: str) -> str:
    """The name in lower case; empty if that cannot be a segment of a repository name."""
    lower = name.lower() if name.isascii() else ""
    return lower if is_path_component(lower) else ""


def slug_namespace(name: str) -> str:
    """The name in lower case, with `-` for each run of characters that no segment can have; empty if nothing is left.

    A name that is a segment in lower case stays as it is: `ann.smith`, but `ann-smith-example-com` for
    `ann.smith@example.com`.
    """
    return lower_namespace(name) or "-".join(_RUNS.findall(_lower_ascii(name)))


@dataclass(frozen=True, slots=True)
class Namespaces:
    """What the user sources of a server do to names: the rule of each source, None for one that maps no names."""

    rules: frozenset[NamespaceRule | None]

    def of(self, name: str) -> str | None:
        """The namespace of a user of this name; empty: none; None: that depends on the source, or on the directory."""
        if NamespaceRule.ATTRIBUTE in self.rules:
            return None
        found = {_by_rule(rule, name) for rule in self.rules}
        return found.pop() if len(found) == 1 else None

    def is_possible(self, name: str, namespace: str) -> bool:
        """Whether a user of this name can have this namespace."""
        return NamespaceRule.ATTRIBUTE in self.rules or any(_by_rule(one, name) == namespace for one in self.rules)

    def possible(self, name: str) -> frozenset[str]:
        """The namespaces that a user of this name can have by the rules; a directory may have any other in store."""
        return frozenset(_by_rule(one, name) for one in self.rules) - {""}

    def only_name(self, namespace: str) -> str | None:
        """The only name that a user with this namespace can have; None: several are possible."""
        is_exact = self.rules <= {None, NamespaceRule.LOWER} and namespace.swapcase() == namespace
        return namespace if is_exact else None


_RUNS = re.compile(r"[a-z0-9]+", re.ASCII)


def _lower_ascii(name: str) -> str:
    """The ASCII letters in lower case, everything else unchanged."""
    return "".join(one.lower() if one.isascii() else one for one in name)


def _by_rule(rule: NamespaceRule | None, name: str) -> str:
    if rule is NamespaceRule.SLUG:
        return slug_namespace(name)
    if rule is NamespaceRule.LOWER:
        return lower_namespace(name)
    return name if is_path_component(name) else ""


_MEANINGFUL = re.compile(
    r'^"|[*{}]| & |^(?:everyone|authenticated|anonymous)$|(?:^|[,;&|\s])\s*(?:user|group|robot|workload)s?\s*:',
    re.IGNORECASE | re.ASCII,
)
"""Text with a meaning in policies, or so similar to it that policies take it for a mistake."""


def spell_group(name: str) -> str:
    """The name of a group as policies write it, readable whatever characters it has.

    This is the name itself, or a JSON string if the name has text with a meaning in policies, invisible characters, or
    blanks at its ends.
    """
    is_plain = name.isprintable() and name == name.strip() and _MEANINGFUL.search(name) is None
    if is_plain and name:
        return name
    quoted = json.dumps(name, ensure_ascii=False)
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in quoted)


ANONYMOUS = Identity(subject="", kind=Kind.ANONYMOUS)
"""The client without credentials; its `sub` is empty."""
