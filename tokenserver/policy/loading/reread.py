"""Repeated reading of the policy folder: only changed files are read again.

The result matches a previous look at the folder; for a file without consistent content, the last good text is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tokenserver.documents.files import FilesChanged, Stamp, read_text, stamp_of, text_of
from tokenserver.errors import Fault, LoadError
from tokenserver.policy.loading.folder import Containing, Picture, files_in, picture_faults, picture_of, read_folder
from tokenserver.runtime.background_pacing import unpaced

RACY_NANOSECONDS = 2_000_000_000
"""A file that changed this recently can change again with the same stamp if the file system's clock is coarse."""


class FolderReading(NamedTuple):
    """The texts of the policy files by name, the faults, and the stamps by which an unchanged text is recognised."""

    texts: dict[str, str]
    faults: list[Fault]
    stamps: Mapping[str, Stamp]


class RereadFolder:
    """One policy folder. A reading is kept once it is `accept`ed."""

    def __init__(self, folder: Path, pace: Callable[[], None] = unpaced) -> None:
        self._folder = folder
        self._pace = pace
        self._texts: Mapping[str, str] = {}
        self._stamps: Mapping[str, Stamp] = {}

    def look(self) -> dict[str, tuple[object, ...]]:
        """The state of the folder by path; while it is the same, the folder is unchanged. No file is read."""
        try:
            picture = picture_of(self._folder, self._pace)
        except LoadError as error:
            return {str(self._folder): (str(error),)}
        own = f"{self._folder}/"
        return {own + name if name else str(self._folder): entry for name, entry in picture.items()}

    def read(self) -> FolderReading:
        """The current content of the folder, as a consistent snapshot.

        Raises:
            LoadError: as `read_folder`.
        """
        before = self.look()
        texts, faults = read_folder(self._folder, self._pace)
        old = time.time_ns() - RACY_NANOSECONDS
        stamps: dict[str, Stamp] = {}
        for name in texts:
            self._pace()
            stamp = stamp_of(self._path(name))
            if before.get(self._path(name)) == stamp and max(stamp[-2:]) < old:
                stamps[name] = stamp
        return FolderReading(texts, faults, stamps)

    def read_as(
        self, looks: Mapping[str, tuple[object, ...]], given: Mapping[str, bytes | None] | None = None
    ) -> FolderReading:
        """The folder as in `looks`, at least half a second old; files with an unchanged stamp are not read again.

        `given` replaces the content of files by path, None with their last good text; with it, files that changed since
        also get their last good text. A file without one is omitted.

        Raises:
            LoadError: the folder itself could not be read.
            FilesChanged: a file is not as it was seen, and nothing was given.
        """
        picture = self._picture(looks)
        within = Containing(self._folder)
        texts: dict[str, str] = {}
        faults: list[Fault] = []
        stamps: dict[str, Stamp] = {}
        given_here = {path.removeprefix(f"{self._folder}/"): content for path, content in (given or {}).items()}
        for name in sorted({*files_in(picture), *given_here}):
            self._pace()
            try:
                if name in given_here:
                    self._take_given(name, given_here[name], texts, within)
                elif not self._read_one(name, picture[name], texts, stamps, within):
                    if given is None:
                        raise FilesChanged(name)
                    self._take_given(name, None, texts, within)
            except LoadError as error:
                faults += error.faults
        return FolderReading(texts, [*faults, *picture_faults(self._folder, picture)], stamps)

    def accept(self, reading: FolderReading) -> None:
        """Keep the reading as the last good one."""
        self._texts, self._stamps = reading.texts, reading.stamps

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}" if name else str(self._folder)

    def _picture(self, looks: Mapping[str, tuple[object, ...]]) -> Picture:
        own = str(self._folder)
        if len(looks[own]) == 1:
            picture_of(self._folder, self._pace)  # says why it could not be read
            raise FilesChanged(own)
        return {path[len(own) + 1 :]: entry for path, entry in looks.items()}

    def _take_given(self, name: str, content: bytes | None, texts: dict[str, str], within: Containing) -> None:
        if content is not None:
            texts[name] = within.marked(name, text_of(content, self._folder / name))
        elif name in self._texts:
            texts[name] = self._texts[name]

    def _read_one(
        self,
        name: str,
        entry: tuple[object, ...],
        texts: dict[str, str],
        stamps: dict[str, Stamp],
        within: Containing,
    ) -> bool:
        """Read a file; False if it is not in the expected state before and after.

        Raises:
            LoadError: it is in the expected state, and cannot be read.
        """
        path = self._path(name)
        if self._stamps.get(name) == entry:
            texts[name], stamps[name] = self._texts[name], self._stamps[name]
            return True
        stamp = stamp_of(path)
        if stamp != entry:
            return False
        try:
            text = within.marked(name, read_text(self._folder / name))
        except LoadError:
            if stamp_of(path) != entry:
                return False
            raise
        if stamp_of(path) != entry:
            return False
        texts[name], stamps[name] = text, stamp
        return True
