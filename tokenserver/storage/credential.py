"""Stored credentials: the row as the database has it, and what it means. Pure.

A row is small, since every worker keeps all of them in memory; it is opened, with its seal checked, at its first use.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import NamedTuple

from tokenserver.ceilings import Ceiling
from tokenserver.credentials import AccessKeyForm
from tokenserver.errors import TokenserverError
from tokenserver.identity import Claims, Sort
from tokenserver.storage.ceiling_text import UnreadableCeiling, parse_ceiling, spell_ceiling

Network = IPv4Network | IPv6Network

LAG_SECONDS = 150
"""After how many seconds a use is known to all other processes: a minute to write, one to read, and some."""

ACTIVE, ENDED = 1, 0
"""The states of a row. A row that has ended is never active again."""


class UnreadableCredential(TokenserverError):
    """A row that this program cannot read. The credential must not be used. The message says nothing secret."""


class CredentialRow(NamedTuple):
    """One row of the table `credentials`. Moments are whole seconds since the epoch, texts are JSON with sorted keys.

    `digest` is the HMAC of the key under the pepper with the number `pepper`; see `seals`. `idle` is in seconds.
    `services` are the registries where a refresh token can be used; None: all. `rev` is the revision that wrote it.
    """

    id: str
    form: str
    owner: str
    sort: str
    source: str
    name: str
    digest: bytes
    pepper: int
    created: int
    created_by: str
    created_from: str
    client: str
    ends: int
    idle: int | None
    ceiling: str | None
    networks: str | None
    services: str | None
    proof: bytes | None
    claims: str | None
    state: int
    ended: int | None
    ended_by: str | None
    reason: str | None
    replaces: str | None
    seal: bytes
    rev: int


SEALED = tuple(
    name for name in CredentialRow._fields if name not in ("state", "ended", "ended_by", "reason", "seal", "rev")
)
"""The columns that the seal covers: all that make a credential more than it is. Others can only end it."""


class WorkloadProof(NamedTuple):
    """What a workload has proved: by a token that was made at `issued`, in seconds since the epoch, to be the declared
    workloads of these `names`."""

    issued: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """A credential, as its owner made it. It is valid before `ends`, if it was used within `idle` seconds before.

    `owner` is the subject of a person, `robot:NAME` or `workload:SOURCE:SUB`; `source` the user source of a person.
    `name` is what the owner calls it. `client` is the program that asked for it. `proof` changes with the password of
    its owner. `claims` are those of a workload's session. `replaces` is the id of the credential before a rotation.
    """

    id: str
    form: AccessKeyForm
    owner: str
    sort: Sort
    source: str
    created: int
    created_by: str
    ends: int
    name: str = ""
    created_from: str = ""
    client: str = ""
    idle: int | None = None
    ceiling: Ceiling | None = None
    networks: tuple[Network, ...] = ()
    services: frozenset[str] | None = None
    proof: bytes | None = field(default=None, repr=False)
    claims: Claims | None = None
    replaces: str | None = None

    def allows(self, client: IPv4Address | IPv6Address | None) -> bool:
        """Whether a client with this address may use it; an unknown address is in no network."""
        return not self.networks or (client is not None and any(client in network for network in self.networks))


SORT_LETTERS = {Sort.USER: "u", Sort.ROBOT: "r", Sort.WORKLOAD: "w"}
"""The stored form of a sort."""

_SORTS = {letter: sort for sort, letter in SORT_LETTERS.items()}


def row_of(credential: StoredCredential, *, digest: bytes, pepper: int) -> CredentialRow:
    """The row of a new credential, without seal and revision."""
    one = credential
    return CredentialRow(
        id=one.id,
        form=str(one.form),
        owner=one.owner,
        sort=SORT_LETTERS[one.sort],
        source=one.source,
        name=one.name,
        digest=digest,
        pepper=pepper,
        created=one.created,
        created_by=one.created_by,
        created_from=one.created_from,
        client=one.client,
        ends=one.ends,
        idle=one.idle,
        ceiling=None if one.ceiling is None else spell_ceiling(one.ceiling),
        networks=_spelled([str(network) for network in one.networks]) if one.networks else None,
        services=None if one.services is None else _spelled(sorted(one.services)),
        proof=one.proof,
        claims=None if one.claims is None else _spelled(sorted(map(list, one.claims))),
        state=ACTIVE,
        ended=None,
        ended_by=None,
        reason=None,
        replaces=one.replaces,
        seal=b"",
        rev=0,
    )


def opened(row: CredentialRow) -> StoredCredential:
    """What the row says. Its state and seal are the caller's business.

    Raises:
        UnreadableCredential: a column has something that this program does not write.
    """
    try:
        return StoredCredential(
            id=row.id,
            form=AccessKeyForm(row.form),
            owner=row.owner,
            sort=_SORTS[row.sort],
            source=row.source,
            created=row.created,
            created_by=row.created_by,
            ends=row.ends,
            name=row.name,
            created_from=row.created_from,
            client=row.client,
            idle=row.idle,
            ceiling=None if row.ceiling is None else parse_ceiling(row.ceiling),
            networks=() if row.networks is None else tuple(map(ip_network, _list(row.networks))),
            services=None if row.services is None else frozenset(_list(row.services)),
            proof=row.proof,
            claims=None if row.claims is None else _claims(row.claims),
            replaces=row.replaces,
        )
    except (ValueError, KeyError, TypeError, RecursionError, UnreadableCeiling) as error:
        raise UnreadableCredential(f"the stored credential {row.id} cannot be read") from error


def _spelled(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _list(text: str) -> list[str]:
    values = json.loads(text)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError
    return values


def _claims(text: str) -> Claims:
    pairs = json.loads(text)
    if not isinstance(pairs, list):
        raise TypeError
    found: set[tuple[str, str]] = set()
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError
        found.add((name, value))
    return frozenset(found)
