"""The reloadable parts: single files (users, keys) and folders of policies. See `watch.ReloadablePart`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from tokenserver.documents.files import FilesChanged, folder_stamp_of, stamp_of
from tokenserver.errors import LoadError
from tokenserver.identity import Namespaces
from tokenserver.policy.loading.loader import PolicyLoader
from tokenserver.policy.loading.machines import WorkloadSources
from tokenserver.policy.loading.reread import RereadFolder
from tokenserver.runtime.background_pacing import Pacer
from tokenserver.server.reload.settling import Given
from tokenserver.server.reload.watch import FileStates

logger = logging.getLogger("tokenserver.live")


class FilesPart:
    """A part that is read from single files.

    `files` lists them; of `folders` only owner and mode matter. `load` reads the files itself, or is given the content
    of the only file of a part that `settles`; `has_lines` is as in `watch.ReloadablePart`.
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
        self.pace = Pacer()
        self._load = load
        self._files = files
        self._folders = tuple(folders)

    def look(self) -> FileStates:
        """See `watch.ReloadablePart`."""
        looks: dict[str, tuple[object, ...]] = {str(path): stamp_of(str(path)) for path in self._files()}
        return looks | {str(path): ("folder", *folder_stamp_of(str(path))) for path in self._folders}

    def load(self, seen: FileStates | None, given: Given | None = None) -> object:
        """See `watch.ReloadablePart`."""
        contents = list((given or {}).values())
        if None in contents:
            raise FilesChanged(self.name)
        try:
            return self._load(contents[0] if contents else None)
        finally:
            if seen is not None and not contents and self.look() != seen:
                # The result, or the fault, belongs to files that have changed since.
                raise FilesChanged(self.name)


class PoliciesPart:
    """A folder of policies. `services` are the configured registries; the others are as for `PolicyLoader`."""

    settles = True
    has_lines = False
    name = ""

    def __init__(
        self,
        kind: str,
        folder: Path,
        *,
        services: frozenset[str],
        marked: bool = False,
        namespaces: Namespaces | None = None,
        workload_sources: WorkloadSources | None = None,
    ) -> None:
        self.kind = kind
        self.folder = folder
        self.pace = Pacer()
        self._folder = RereadFolder(folder, self.pace)
        self._loader = PolicyLoader(
            folder,
            services=services,
            marked=marked,
            namespaces=namespaces,
            workload_sources=workload_sources,
            pace=self.pace,
        )

    def look(self) -> FileStates:
        """See `watch.ReloadablePart`."""
        return self._folder.look()

    def load(self, seen: FileStates | None, given: Given | None = None) -> object:
        """See `watch.ReloadablePart`."""
        reading = self._folder.read() if seen is None else self._folder.read_as(seen, given)
        policies = self._loader.load(datetime.now(UTC), (reading.texts, reading.faults))
        self._folder.accept(reading)
        return policies


class ShadowPart(PoliciesPart):
    """Policies that are only compared with the live ones. Nothing depends on them, so faults are only logged."""

    def load(self, seen: FileStates | None, given: Given | None = None) -> object:
        """See `watch.ReloadablePart`; None if they have faults."""
        try:
            return super().load(seen, given)
        except LoadError as error:
            logger.warning("shadow_policies: rejected, nothing is compared until they are fixed: %s", error)
            return None
