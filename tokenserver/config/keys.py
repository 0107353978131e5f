"""Settings of the signing keys: their folder and their rotation."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import AfterValidator, model_validator

from tokenserver.config.fields import FilePath, Seconds, Section
from tokenserver.config.registries import RegistrySettings
from tokenserver.documents.document import PlacedError
from tokenserver.keys.schedule import Schedule
from tokenserver.scopes import MAX_LIFETIME

USUAL_FOLDER = "keys"

HOUR, DAY = 3600, 86400

MIN_AHEAD, MAX_AHEAD = 2, 30 * DAY
MAX_EVERY = 730 * DAY
"""A signing certificate is valid for 825 days."""


def _ahead(seconds: int) -> int:
    if not MIN_AHEAD <= seconds <= MAX_AHEAD:
        raise ValueError(f"must be from {MIN_AHEAD}s to 30d, not {seconds}s: replicas read of a new key within 2s")
    return seconds


def _every(seconds: int) -> int:
    if not 0 < seconds <= MAX_EVERY:
        raise ValueError(f"must be above 0s and at most 730d, not {seconds}s: a signing certificate ends after 825d")
    return seconds


class Keys(Section):
    """`keys: DIR`, or a section that also says how keys rotate.

    A new key is published for `publish_ahead` before it signs; by default for an hour, or a day if registries pin keys.
    The server creates a new key every `rotate_every`; without it, keys are rotated by hand.
    """

    shorthand: ClassVar[str | None] = "folder"

    folder: FilePath
    rotate_every: Annotated[Seconds, AfterValidator(_every)] | None = None
    publish_ahead: Annotated[Seconds, AfterValidator(_ahead)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _usual_folder(cls, value: Any) -> Any:
        return {"folder": USUAL_FOLDER, **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _known_before_it_signs(self) -> Self:
        if self.rotate_every is not None and self._published_for(pinned=False) >= self.rotate_every:
            message = "must be longer than publish_ahead (1h, unless it is set): each key is known before it signs"
            raise PlacedError(("rotate_every",), message)
        return self

    def schedule(self, *, pinned: bool) -> Schedule:
        """The rotation schedule. `pinned`: a registry that uses these keys trusts individual keys."""
        return Schedule(
            publish_ahead=timedelta(seconds=self._published_for(pinned=pinned)),
            longest_token=timedelta(seconds=MAX_LIFETIME),
            rotate_every=None if self.rotate_every is None else timedelta(seconds=self.rotate_every),
            pinned=pinned,
        )

    def _published_for(self, *, pinned: bool) -> int:
        if self.publish_ahead is not None:
            return self.publish_ahead
        return DAY if pinned else HOUR


class KeySet(NamedTuple):
    """A key folder, the registries that it signs for, its issuer, and its rotation schedule.

    `registries` may be empty for the folder of the whole server.
    """

    folder: Path
    registries: tuple[RegistrySettings, ...]
    issuer: str
    schedule: Schedule

    @property
    def wanted(self) -> RegistrySettings | None:
        """The first of its registries that requires an algorithm."""
        return next((registry for registry in self.registries if registry.algorithm is not None), None)

    @property
    def algorithm(self) -> str | None:
        """The algorithm that the keys must have; None if no registry requires one."""
        return None if self.wanted is None else self.wanted.algorithm
