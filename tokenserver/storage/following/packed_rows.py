"""Rows of credentials as a worker keeps all of them in memory: each packed into one bytes object. Pure.

A tuple of 26 values takes three times the memory, and the garbage collector would visit each of them; JSON takes twice
the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenserver.storage.credential import CredentialRow, UnreadableCredential

_BETWEEN = "\x1f"
"""Between the columns: the unit separator, which no JSON has. A row with another one in a text is unreadable."""

_REQUIRED = (
    "id", "rev", "form", "owner", "sort", "source", "name", "digest", "pepper", "created", "created_by",
    "created_from", "client", "ends", "state", "seal",
)  # fmt: skip
_NULLABLE = (
    "idle", "ceiling", "networks", "services", "proof", "claims", "ended", "ended_by", "reason", "replaces",
)  # fmt: skip
_BYTES = frozenset({"digest", "seal", "proof"})
_COLUMNS = len(CredentialRow._fields)


def _sqlite() -> str:
    """`printf` prints NULL as nothing; `hex` of it would be an empty text."""
    values = [f"hex({name})" if name in _BYTES else name for name in _REQUIRED]
    values += [f"'.' || {name}" for name in _NULLABLE]
    listed = ", ".join(values).replace("'.' || proof", "iif(proof IS NULL, '', '.' || hex(proof))")
    return f"CAST(printf('{_BETWEEN.join(['%s'] * _COLUMNS)}', {listed}) AS BLOB)"


def _postgresql() -> str:
    values = [f"upper(encode({name}, 'hex'))" if name in _BYTES else name for name in _REQUIRED]
    for name in _NULLABLE:
        value = f"upper(encode({name}, 'hex'))" if name in _BYTES else name
        values.append(f"coalesce('.' || {value}, '')")
    return f"concat_ws('{_BETWEEN}', {', '.join(values)})"


PACKED = {"sqlite": _sqlite(), "postgresql": _postgresql()}
"""The expression that packs a row of `credentials` in the database, by dialect: reading 26 columns takes twice as long.

It yields bytes or text with what `packed` returns.
"""


def packed(row: Sequence[Any]) -> bytes:
    """The row as bytes; equal rows give equal bytes.

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
        text = _BETWEEN.join(
            (
                identifier, f"{rev:d}", form, owner, sort, source, name, digest.hex().upper(), f"{pepper:d}",
                f"{created:d}", created_by, created_from, client, f"{ends:d}", f"{state:d}", seal.hex().upper(),
                *["" if value is None else f".{value}" for value in nullable],
            )
        )  # fmt: skip
    except (AttributeError, TypeError, ValueError) as error:
        raise _unreadable(identifier) from error
    if text.count(_BETWEEN) != _COLUMNS - 1:
        raise _unreadable(identifier)
    return text.encode("utf-8", "surrogatepass")


def unpacked(data: bytes) -> CredentialRow:
    """The row of what `packed` returned.

    Raises:
        UnreadableCredential: a column has a value that this program does not write.
    """
    try:
        columns = data.decode("utf-8", "surrogatepass").split(_BETWEEN)
    except ValueError as error:
        raise _unreadable("?") from error
    if len(columns) != _COLUMNS:
        raise _unreadable(columns[0])
    (
        identifier, rev, form, owner, sort, source, name, digest, pepper, created,
        created_by, created_from, client, ends, state, seal,
        idle, ceiling, networks, services, proof, claims, ended, ended_by, reason, replaces,
    ) = columns  # fmt: skip
    try:
        return CredentialRow(
            id=identifier,
            form=form,
            owner=owner,
            sort=sort,
            source=source,
            name=name,
            digest=bytes.fromhex(digest),
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
            seal=bytes.fromhex(seal),
            rev=int(rev),
        )
    except ValueError as error:
        raise _unreadable(identifier) from error


def revision_of(data: bytes) -> int:
    """The revision of a packed row; -1 if it has none, since something else has written it."""
    try:
        return int(data.split(b"\x1f", 2)[1])
    except (ValueError, IndexError):
        return -1


def _text(value: str) -> str | None:
    return value[1:] if value else None


def _unreadable(identifier: object) -> UnreadableCredential:
    return UnreadableCredential(f"the stored credential {identifier} cannot be read")
