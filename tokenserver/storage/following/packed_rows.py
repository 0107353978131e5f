"""Rows of credentials as a worker keeps all of them in memory: each packed into one bytes object. Pure.

A tuple of 26 values takes three times the memory, and the garbage collector would visit each of them.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable
from typing import Any

from tokenserver.storage.credential import CredentialRow


def packed(row: Iterable[Any]) -> bytes:
    """The row as bytes, for this process only: equal rows give equal bytes."""
    return marshal.dumps(tuple(row), 2)  # version 2 has no references, which would depend on more than the values


def unpacked(data: bytes) -> CredentialRow:
    """The row of what `packed` returned."""
    return CredentialRow._make(marshal.loads(data))  # noqa: S302 - packed by this process
