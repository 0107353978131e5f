"""What the chain of a worker and the storage say to each other, each by its own thread.

The sealer says how far it has sealed, so that the storage keeps it. The storage says which chains of the same server
came before, so that a seal states them. Neither waits for the other, apart from the first seal, which waits a moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tokenserver.exchange.audit_chain.seal_text import StatedChain

FIRST_SECONDS = 3.0
"""For how long the first seal waits for what the storage says; one that comes later is in the next seal."""


class SealedChain(NamedTuple):
    """How far a chain is sealed: by the line `number`, at `at` in seconds since the epoch. `began` is that of its first
    seal, and `is_closed` whether it is meant to end there.
    """

    chain: str
    number: int
    began: float
    at: float
    is_closed: bool


class ChainRecord:
    """The record of one worker of the server of this name. Safe for use by threads. `monotonic` is in seconds."""

    def __init__(self, server: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.server = server
        self.finish: Callable[[], None] = lambda: None
        """Called once the chain is closed, by the thread that ends the process."""
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._end: float | None = None
        self._is_known = False
        self._before: Sequence[StatedChain] = ()
        self._stating: Sequence[StatedChain] = ()
        self._stated: Sequence[StatedChain] = ()
        self._newest: SealedChain | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether the first seal should wait for what the storage says: not for long, and from the first call on."""
        if self._is_known:
            return False
        now = self._monotonic()
        if self._end is None:
            self._end = now + FIRST_SECONDS
        return now < self._end

    @property
    def is_known(self) -> bool:
        """Whether `came_before` was called."""
        return self._is_known

    @property
    def newest(self) -> SealedChain | None:
        """How far the chain is sealed; None before its first seal."""
        return self._newest

    def came_before(self, chains: Sequence[StatedChain]) -> None:
        """These are the chains that came before, and that no seal has stated."""
        with self._lock:
            self._before, self._is_known = chains, True

    def stating(self) -> Sequence[StatedChain]:
        """The chains that the seal in progress has to state."""
        with self._lock:
            self._stating = self._before
            return self._stating

    def sealed(self, link: str, at: float, *, closes: bool) -> None:
        """A seal was written, in the line of this link, at `at` in seconds since the epoch."""
        chain, number = link.split(":")[:2]
        with self._lock:
            began = at if self._newest is None else self._newest.began
            self._newest = SealedChain(chain, int(number), began, at, closes)
            if self._stating:
                self._stated, self._before, self._stating = self._stating, (), ()

    def stated(self) -> Sequence[StatedChain]:
        """The chains that came before and that a seal has stated now, until `is_noted` is called."""
        return self._stated

    def is_noted(self) -> None:
        """The storage knows what `stated` gives."""
        with self._lock:
            self._stated = ()
