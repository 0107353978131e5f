"""The storage of a worker, if one is configured. Without one, nothing is imported for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tokenserver.config.settings import Settings

if TYPE_CHECKING:
    from tokenserver.server.stored.live import LiveStorage


def optional_storage(settings: Settings, is_first: Callable[[str], bool] = lambda _: True) -> LiveStorage | None:
    """The storage of a worker, not connected yet; None if none is configured. See `LiveStorage`.

    Raises:
        LoadError: its state key or password cannot be read, or its driver is missing.
    """
    if settings.storage is None:
        return None
    from tokenserver.server.stored.live import live_storage  # noqa: PLC0415 - SQLAlchemy takes long to import

    return live_storage(settings, is_first)
