"""The keys of the storage: `state.key` in a key folder, from which peppers, seals and encryption are derived.

The file has a line for each key, its number and 32 bytes in hexadecimal digits. The one with the highest number is
used for what is new; the others are needed until what was made with them has ended.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tokenserver.documents.files import create_file, read_text, write_file
from tokenserver.errors import Fault, LoadError

STATE_KEY = "state.key"
"""The name of the file in a key folder."""

KEY_BYTES = 32
MAX_KEYS = 100

_LINE = re.compile(r"([1-9][0-9]{0,8}) ([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class StateKey:
    """One key, as its derived keys (HKDF, RFC 5869): `pepper` for digests, `seal` and `encryption`."""

    number: int
    pepper: bytes
    seal: bytes
    encryption: bytes

    @classmethod
    def derived(cls, number: int, secret: bytes) -> StateKey:
        """The keys that are derived from a secret of `KEY_BYTES` bytes."""
        purposes = (b"tokenserver pepper", b"tokenserver seal", b"tokenserver encryption")
        pepper, seal, encryption = (HKDF(SHA256(), KEY_BYTES, None, purpose).derive(secret) for purpose in purposes)
        return cls(number, pepper, seal, encryption)


@dataclass(frozen=True, slots=True, repr=False)
class StateKeys:
    """All keys of the file by number. `newest` is used for what is new."""

    by_number: Mapping[int, StateKey]

    @property
    def newest(self) -> StateKey:
        """The key with the highest number."""
        return self.by_number[max(self.by_number)]


def read_state_keys(folder: Path) -> StateKeys:
    """The state keys in a key folder.

    Raises:
        LoadError: the file is missing, others can read it, or it is malformed; each with its fix.
    """
    path = folder / STATE_KEY
    if not path.exists():
        message = "does not exist; fix: tokenserver keys init, or copy it from where the storage was made"
        raise LoadError([Fault(str(path), 0, "", message)])
    return StateKeys({number: StateKey.derived(number, secret) for number, secret in _read(path).items()})


def init_state_keys(folder: Path) -> bool:
    """Make the file with one new key. Returns false if there is one already, which is not touched.

    Raises:
        LoadError: it cannot be written.
    """
    path = folder / STATE_KEY
    try:
        create_file(path, _spelled({1: secrets.token_bytes(KEY_BYTES)}))
    except FileExistsError:
        return False
    except OSError as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be written: {error.strerror}")]) from error
    return True


def add_state_key(folder: Path) -> int:
    """Add a new key, which is used from the next start on; the number of it.

    Raises:
        LoadError: the file is missing, malformed, full or cannot be written.
    """
    path = folder / STATE_KEY
    found = _read(path)
    if len(found) >= MAX_KEYS:
        raise LoadError([Fault(str(path), 0, "", f"has {MAX_KEYS} keys already")])
    number = max(found) + 1
    try:
        write_file(path, _spelled({**found, number: secrets.token_bytes(KEY_BYTES)}))
    except OSError as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be written: {error.strerror}")]) from error
    return number


def remove_state_key(folder: Path, number: int) -> None:
    """Delete a key; what was made with it can never be verified again. The newest one stays.

    Raises:
        LoadError: there is no such key, or it is the newest one, or the file cannot be written.
    """
    path = folder / STATE_KEY
    found = _read(path)
    if number not in found or number == max(found):
        problem = "is the newest one" if number in found else "does not exist"
        raise LoadError([Fault(str(path), 0, "", f"key {number} {problem}")])
    try:
        write_file(path, _spelled({one: secret for one, secret in found.items() if one != number}))
    except OSError as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be written: {error.strerror}")]) from error


def _spelled(keys: Mapping[int, bytes]) -> bytes:
    return "".join(f"{number} {secret.hex()}\n" for number, secret in sorted(keys.items())).encode()


def _read(path: Path) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for at, line in enumerate(read_text(path, private=True, limit=MAX_KEYS * 100).splitlines(), 1):
        matched = _LINE.fullmatch(line)
        # Nothing of a line is repeated: it may be a key.
        if matched is None:
            message = "is no state key; fix: copy the file again from a replica or a backup"
            raise LoadError([Fault(str(path), at, "", message)])
        if int(matched[1]) in found:
            raise LoadError([Fault(str(path), at, "", f"repeats key {matched[1]}")])
        found[int(matched[1])] = bytes.fromhex(matched[2])
    if not found:
        raise LoadError([Fault(str(path), 0, "", "has no key; fix: copy the file again from a replica or a backup")])
    return found
