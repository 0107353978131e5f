"""The follower: in each worker, puts the settings in force that the master process orders."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable

from tokenserver.config.changes.transfer import plain, validated
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.runtime.bulletin import Bulletin
from tokenserver.server.reload.configuration import ConfigurationNotice

logger = logging.getLogger("tokenserver.configuration")

FOLLOW_SECONDS = 0.2

RETRY_SECONDS = 2.0

BEHIND = ConfigurationNotice(
    "rejected", "a worker could not put the changed configuration in force and keeps the previous one; see the log"
)


def ordered_on(orders: Bulletin) -> Callable[[Settings], int]:
    """Orders settings on this bulletin, and returns their number."""

    def order(settings: Settings) -> int:
        orders.post(json.dumps(plain(settings)))
        return orders.numbered()[0]

    return order


class ConfigurationFollower:
    """Follows the orders on a bulletin; this worker already `has` the one of that number.

    `notice` is what the master process says.
    """

    def __init__(
        self,
        orders: Bulletin,
        has: int,
        *,
        notice: Callable[[], ConfigurationNotice],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._orders = orders
        self._has = has
        self._notice = notice
        self._monotonic = monotonic
        self._fault: str | None = None
        self._due = 0.0

    def notice(self) -> ConfigurationNotice:
        """What `/readyz` says: that this worker is behind, or else what the master process says."""
        return self._notice() if self._fault is None else BEHIND

    def follow(self, apply: Callable[[Settings], None], stop: threading.Event) -> None:
        """Look for orders until `stop` is set. Blocks."""
        while not stop.wait(FOLLOW_SECONDS):
            self.look(apply)

    def look(self, apply: Callable[[Settings], None]) -> None:
        """Call `apply` with the settings that are ordered, if they are new.

        It raises `LoadError` and changes nothing if files have become faulty since the master process checked them, and
        is called again every `RETRY_SECONDS` until it succeeds.
        """
        number, text = self._orders.numbered()
        if number <= self._has or self._monotonic() < self._due:
            return
        try:
            apply(validated(json.loads(text)))
        except LoadError as error:
            self._failed(str(error))
        except Exception as error:  # nothing in a configuration may stop the server; only the type is safe to log
            self._failed(f"unexpected {type(error).__name__}")
        else:
            self._has, self._fault, self._due = number, None, 0.0

    def _failed(self, fault: str) -> None:
        self._due = self._monotonic() + RETRY_SECONDS
        if fault != self._fault:
            logger.error("configuration: this worker keeps the previous one: %s", fault)
        self._fault = fault
