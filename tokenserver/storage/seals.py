"""Digests and seals of rows, by keys that the database does not know.

The digest finds out whether a key is the stored one. The seal finds out whether the row is what this server wrote, so
that writing to the database is not enough to make or to widen a credential.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii

from tokenserver.access_keys import AccessKey
from tokenserver.credentials import Secret
from tokenserver.storage.credential import SEALED, CredentialRow

_quoted = encode_basestring_ascii


@lru_cache(maxsize=64)
def _prepared(key: bytes) -> Callable[[], hmac.HMAC]:
    """What makes an HMAC under a key."""
    return hmac.new(key, digestmod="sha256").copy


def hmac_sha256(key: bytes, content: bytes) -> bytes:
    """The HMAC-SHA256 of the content (RFC 2104), as `hmac.digest` computes it.

    That takes longer, since it prepares the key each time, and each first use of a credential needs two.
    """
    code = _prepared(key)()
    code.update(content)
    return code.digest()


def digest_of_key(pepper: bytes, text: Secret) -> bytes:
    """The HMAC-SHA256 of the whole text of a key, which holds its form, its id and its secret."""
    return hmac_sha256(pepper, text.reveal().encode("ascii"))


def is_right(pepper: bytes, row: CredentialRow, text: Secret) -> bool:
    """Whether this is the key of the row. Compares in constant time."""
    return hmac.compare_digest(digest_of_key(pepper, text), row.digest)


def sealed(seal_key: bytes, row: CredentialRow) -> CredentialRow:
    """The row with its seal."""
    return row._replace(seal=_seal(seal_key, row))


def is_sealed(seal_key: bytes, row: CredentialRow) -> bool:
    """Whether the row has its seal. Compares in constant time. SQLite stores a value of any type in any column."""
    return isinstance(row.seal, bytes | memoryview) and hmac.compare_digest(_seal(seal_key, row), row.seal)


def _seal(seal_key: bytes, row: CredentialRow) -> bytes:
    return hmac_sha256(seal_key, spell_sealed(row).encode("ascii"))


_PLACES = {name: place for place, name in enumerate(CredentialRow._fields)}
_COLUMNS = tuple((f'"{name}": ', _PLACES[name]) for name in sorted(SEALED))


def spell_sealed(row: CredentialRow) -> str:
    """The columns under the seal of a credential, as `seal_of` writes them.

    Written by hand, since the general encoder takes four times as long, and each first use of a credential needs it.
    """
    spelled: list[str] = []
    for start, column in _COLUMNS:
        value = row[column]
        if value is None:
            spelled.append(start + "null")
        elif type(value) is str:
            spelled.append(start + _quoted(f"text:{value}"))
        elif type(value) is int:
            spelled.append(f"{start}{value}")
        else:
            spelled.append(start + json.dumps(_value(value)))
    return f"{{{', '.join(spelled)}}}"


def seal_of(seal_key: bytes, values: Mapping[str, object], *, purpose: str = "") -> bytes:
    """The HMAC-SHA256 of columns, by name and type: text, bytes, whole numbers or None.

    `purpose` says what the rows are, so that no row is genuine as one of another table; it is empty for credentials.
    """
    content = json.dumps({name: _value(value) for name, value in values.items()}, sort_keys=True)
    return hmac_sha256(seal_key, f"{purpose}\0{content}".encode() if purpose else content.encode())


def _value(value: object) -> object:
    return f"bytes:{value.hex()}" if isinstance(value, bytes) else f"text:{value}" if isinstance(value, str) else value


def new_row(row: CredentialRow, key: AccessKey, *, pepper: bytes, pepper_number: int, seal_key: bytes) -> CredentialRow:
    """The row of a key that was just made, with its digest and its seal."""
    return sealed(seal_key, row._replace(digest=digest_of_key(pepper, key.text), pepper=pepper_number))
