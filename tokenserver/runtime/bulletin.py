"""A bulletin: a text that one process replaces and the processes that it forks read, without locks."""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
import threading

from tokenserver.runtime.anonymous_file import anonymous_file

_HEADER = struct.Struct("=QQ16s")
"""The number of the text, its length in bytes, and a digest of both and of the text."""


class Bulletin:
    """The current text of its only writer, in anonymous memory that forked processes share.

    Raises:
        OSError: there is no memory.
    """

    def __init__(self, text: str = "") -> None:
        self._file = anonymous_file("tokenserver-bulletin", self)
        self._number = 0
        self._read = (0, "")
        self._lock = threading.Lock()
        self.post(text)

    def post(self, text: str) -> None:
        """Replace the text. One thread of one process may do this."""
        data = text.encode("utf-8")
        self._number += 1
        os.pwrite(self._file, _HEADER.pack(self._number, len(data), _digest(self._number, data)) + data, 0)

    def read(self) -> str:
        """The current text; the one before if it is being replaced."""
        return self.numbered()[1]

    def numbered(self) -> tuple[int, str]:
        """The current text with its number, which grows by one with each text; the ones before if it is being replaced.

        Nearly free while the text is the same.
        """
        with self._lock:
            header = os.pread(self._file, _HEADER.size, 0)
            if len(header) == _HEADER.size:
                number, length, digest = _HEADER.unpack(header)
                if number != self._read[0]:
                    data = os.pread(self._file, length, _HEADER.size)
                    # Without a lock a text may be read half written; its digest shows that, and the next read has it.
                    if hmac.compare_digest(_digest(number, data), digest):
                        self._read = (number, data.decode("utf-8"))
            return self._read


def _digest(number: int, data: bytes) -> bytes:
    return hashlib.blake2b(b"%d:" % number + data, digest_size=16).digest()
