"""Boxes: what the database keeps for the server and cannot read or change (AES-256-GCM, by the state key).

A box says for what it was made, so that one in the place of another does not open.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tokenserver.errors import TokenserverError
from tokenserver.storage.state_keys import StateKeys

_NUMBER, _NONCE = 4, 12
"""Bytes in front of the encrypted content: the number of the state key, and the nonce."""


class UnreadableBox(TokenserverError):
    """A box that was not made by this server, or for something else, or with a state key that is missing here."""


class Boxes:
    """Closes and opens boxes. `random` gives that many random bytes."""

    def __init__(self, keys: StateKeys, *, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._keys = keys
        self._random = random

    def close(self, content: bytes, *, about: bytes) -> bytes:
        """The box with this content; it opens with the same `about` alone, such as the id of its row."""
        newest = self._keys.newest
        number, nonce = newest.number.to_bytes(_NUMBER, "big"), self._random(_NONCE)
        return number + nonce + AESGCM(newest.encryption).encrypt(nonce, content, number + about)

    def open(self, box: bytes, *, about: bytes) -> bytes:
        """The content of a box.

        Raises:
            UnreadableBox: it is none, or was made about something else.
        """
        number, nonce, rest = box[:_NUMBER], box[_NUMBER : _NUMBER + _NONCE], box[_NUMBER + _NONCE :]
        key = self._keys.by_number.get(int.from_bytes(number, "big"))
        if key is None or len(nonce) < _NONCE:
            raise UnreadableBox("what the storage has was not made by this server")
        try:
            return AESGCM(key.encryption).decrypt(nonce, rest, number + about)
        except InvalidTag as error:
            raise UnreadableBox("what the storage has was changed, or was made for something else") from error
