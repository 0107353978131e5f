"""Retirement of parts that a reload has replaced: what they hold outside of memory, such as processes, is released."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable


@runtime_checkable
class Retirable(Protocol):
    """The loaded value of a part that holds more than memory."""

    def retire(self) -> None:
        """Release it; requests that began before may still use the value. Further calls do nothing."""
        ...


def retire_all(values: Iterable[object], *, but: Iterable[object] = ()) -> None:
    """Retire these values, except those that are still held."""
    held = {id(value) for value in but}
    for value in values:
        if id(value) not in held and isinstance(value, Retirable):
            value.retire()
