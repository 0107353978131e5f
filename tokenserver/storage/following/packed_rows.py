"""Rows of credentials as a worker keeps all of them in memory: each packed into one bytes object, by its id. Pure.

A tuple of 26 values takes three times the memory, and the garbage collector would visit each of them; JSON takes twice
the time. Texts and numbers come first, with a separator behind each, then digest and seal as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenserver.storage.credential import CredentialRow, UnreadableCredential

_BEHIND = "\x1f"
"""Behind each column but the last two: the unit separator, which no JSON has. A row with another one in a text is
unreadable."""

_REQUIRED = (
    "rev", "form", "owner", "sort", "source", "name", "pepper", "created", "created_by", "created_from", "client",
    "ends", "state",
)  # fmt: skip
_NULLABLE = (
    "idle", "ceiling", "networks", "services", "proof", "claims", "ended", "ended_by", "reason", "replaces",
)  # fmt: skip
_SEPARATORS = len(_REQUIRED) + len(_NULLABLE)
_MAC_BYTES = 32
"""How long a digest and a seal are."""


def _sqlite() -> str:
    """`printf` prints NULL as nothing; `hex` of it would be an empty text. Most rows have nothing that is nullable."""
    required = f"printf('{f'%s{_BEHIND}' * len(_REQUIRED)}', {', '.join(_REQUIRED)})"
    values = ["iif(proof IS NULL, '', '.' || hex(proof))" if one == "proof" else f"'.' || {one}" for one in _NULLABLE]
    printed = f"printf('{f'%s{_BEHIND}' * len(_NULLABLE)}', {', '.join(values)})"
    nullable = f"iif(coalesce({', '.join(_NULLABLE)}) IS NULL, '{_BEHIND * len(_NULLABLE)}', {printed})"
    return f"CAST({required} || {nullable} || ifnull(digest, '') || ifnull(seal, '') AS BLOB)"


def _postgresql() -> str:
    values = [*_REQUIRED]
    for name in _NULLABLE:
        value = f"upper(encode({name}, 'hex'))" if name == "proof" else name
        values.append(f"coalesce('.' || {value}, '')")
    text = f"concat_ws('{_BEHIND}', {', '.join(values)}, '')"
    return f"convert_to({text}, 'UTF8') || coalesce(digest, '') || coalesce(seal, '')"


PACKED = {"sqlite": _sqlite(), "postgresql": _postgresql()}
"""The expression that packs a row of `credentials` in the database, by dialect: reading 26 columns takes twice as long.

It yields what `packed` returns, as bytes.
"""


def packed(row: Sequence[Any]) -> bytes:
    """The row without its id as bytes; equal rows give equal bytes.

    Raises:
        UnreadableCredential: a column has a value that this program does not write.
    """
    (
        identifier, form, owner, sort, source, name, digest, pepper, created, created_by, created_from, client, ends,
        idle, ceiling, networks, services, proof, claims, state, ended, ended_by, reason, replaces, seal, rev,
    ) = row  # fmt: skip
    try:
        proof = None if proof is None else proof.hex().upper()
        nullable = (idle, ceiling, networks, services, proof, claims, ended, ended_by, reason, replaces)
        text = _BEHIND.join(
            (
                f"{rev:d}", form, owner, sort, source, name, f"{pepper:d}", f"{created:d}", created_by, created_from,
                client, f"{ends:d}", f"{state:d}", *["" if value is None else f".{value}" for value in nullable], "",
            )
        )  # fmt: skip
        macs = digest + seal
        is_known = isinstance(macs, bytes) and len(digest) == len(seal) == _MAC_BYTES
    except (AttributeError, TypeError, ValueError) as error:
        raise _unreadable(identifier) from error
    if not is_known or text.count(_BEHIND) != _SEPARATORS:
        raise _unreadable(identifier)
    return text.encode("utf-8", "surrogatepass") + bytes(macs)


def unpacked(identifier: str, data: bytes) -> CredentialRow:
    """The row with this id of what `packed` returned.

    Raises:
        UnreadableCredential: a column has a value that this program does not write.
    """
    *texts, macs = data.split(b"\x1f", _SEPARATORS)
    if len(texts) != _SEPARATORS or len(macs) != 2 * _MAC_BYTES:
        raise _unreadable(identifier)
    try:
        (
            rev, form, owner, sort, source, name, pepper, created, created_by, created_from, client, ends, state,
            idle, ceiling, networks, services, proof, claims, ended, ended_by, reason, replaces,
        ) = [text.decode("utf-8", "surrogatepass") for text in texts]  # fmt: skip
        return CredentialRow(
            id=identifier,
            form=form,
            owner=owner,
            sort=sort,
            source=source,
            name=name,
            digest=macs[:_MAC_BYTES],
            pepper=int(pepper),
            created=int(created),
            created_by=created_by,
            created_from=created_from,
            client=client,
            ends=int(ends),
            idle=int(idle[1:]) if idle else None,
            ceiling=_text(ceiling),
            networks=_text(networks),
            services=_text(services),
            proof=bytes.fromhex(proof[1:]) if proof else None,
            claims=_text(claims),
            state=int(state),
            ended=int(ended[1:]) if ended else None,
            ended_by=_text(ended_by),
            reason=_text(reason),
            replaces=_text(replaces),
            seal=macs[_MAC_BYTES:],
            rev=int(rev),
        )
    except ValueError as error:
        raise _unreadable(identifier) from error


def revision_of(data: bytes) -> int:
    """The revision of a packed row; -1 if it has none, since something else has written it."""
    try:
        return int(data.partition(b"\x1f")[0])
    except ValueError:
        return -1


def _text(value: str) -> str | None:
    return value[1:] if value else None


def _unreadable(identifier: object) -> UnreadableCredential:
    return UnreadableCredential(f"the stored credential {identifier} cannot be read")
