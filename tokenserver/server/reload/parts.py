"""What is watched apart: single files (users, keys), and folders of policies. See `watch.Part`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from tokenserver.documents.files import FilesMoved, folder_stamp_of, stamp_of
from tokenserver.errors import LoadError
from tokenserver.policy.loading.loader import PolicyLoader
from tokenserver.policy.loading.reread import RereadFolder
from tokenserver.runtime.background_pacing import Pace
from tokenserver.server.reload.settling import Given
from tokenserver.server.reload.watch import Looks

logger = logging.getLogger("tokenserver.live")


class FilesPart:
    """A part that is read from single files.

    `files` lists them; of `folders` it matters who may change them. `load` reads what it needs, or gets the content of
    the one file of a part that `settles`; `has_lines` is as in `watch.Part`.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        load: Callable[[bytes | None], object],
        files: Callable[[], Iterable[Path]],
        *,
        folders: Iterable[Path] = (),
        settles: bool = False,
        has_lines: bool = False,
    ) -> None:
        self.kind = kind
        self.name = name
        self.settles = settles
        self.has_lines = has_lines
        self.pace = Pace()
        self._load = load
        self._files = files
        self._folders = tuple(folders)

    def look(self) -> Looks:
        """See `watch.Part`."""
        looks: dict[str, tuple[object, ...]] = {str(path): stamp_of(str(path)) for path in self._files()}
        return looks | {str(path): ("folder", *folder_stamp_of(str(path))) for path in self._folders}

    def load(self, seen: Looks | None, given: Given | None = None) -> object:
        """See `watch.Part`."""
        contents = list((given or {}).values())
        if None in contents:
            raise FilesMoved(self.name)
        try:
            return self._load(contents[0] if contents else None)
        finally:
            if seen is not None and not contents and self.look() != seen:
                # Result and fault alike belong to files that are no longer there.
                raise FilesMoved(self.name)


class PoliciesPart:
    """A folder of policies. `services` are the configured registries."""

    settles = True
    has_lines = False
    name = ""

    def __init__(self, kind: str, folder: Path, *, services: frozenset[str]) -> None:
        self.kind = kind
        self.pace = Pace()
        self._folder = RereadFolder(folder, self.pace)
        self._loader = PolicyLoader(folder, services=services, pace=self.pace)

    def look(self) -> Looks:
        """See `watch.Part`."""
        return self._folder.look()

    def load(self, seen: Looks | None, given: Given | None = None) -> object:
        """See `watch.Part`."""
        reading = self._folder.read() if seen is None else self._folder.read_as(seen, given)
        policies = self._loader.load(datetime.now(UTC), (reading.texts, reading.faults))
        self._folder.accept(reading)
        return policies


class ShadowPart(PoliciesPart):
    """Policies that are only compared with the live ones. Nothing depends on them, so their faults are only logged."""

    def load(self, seen: Looks | None, given: Given | None = None) -> object:
        """See `watch.Part`; None where they are at fault."""
        try:
            return super().load(seen, given)
        except LoadError as error:
            logger.warning("shadow_policies were refused; nothing is compared until they are mended: %s", error)
            return None
