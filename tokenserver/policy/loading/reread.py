"""The policy folder, read again and again.

It is read as it was looked at, only what changed is, and of what cannot be had whole the last good text is taken.
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
"""A file that changed so short a time ago may change again and look the same, where a file system's clock is coarse."""


class FolderReading(NamedTuple):
    """The texts of the policy files by name, the faults met, and the stamps under which a text may be known again."""

    texts: dict[str, str]
    faults: list[Fault]
    stamps: Mapping[str, Stamp]


class RereadFolder:
    """One policy folder. What was read is kept once it is `accept`ed as good."""

    def __init__(self, folder: Path, pace: Callable[[], None] = unpaced) -> None:
        self._folder = folder
        self._pace = pace
        self._texts: Mapping[str, str] = {}
        self._stamps: Mapping[str, Stamp] = {}

    def look(self) -> dict[str, tuple[object, ...]]:
        """What must be the same for the folder to be unchanged, by path. Nothing is read."""
        try:
            picture = picture_of(self._folder, self._pace)
        except LoadError as error:
            return {str(self._folder): (str(error),)}
        own = f"{self._folder}/"
        return {own + name if name else str(self._folder): entry for name, entry in picture.items()}

    def read(self) -> FolderReading:
        """The folder as it is now, in one consistent picture.

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
        """The folder as `look` saw it half a second ago or earlier; what is known by its stamp is not read again.

        With `given`, single files may differ: it names what files are to be taken to hold, by path, None for their
        last good text; that is also taken for what moved since. A file that has none yet is left out.

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
        """Keep what was read: it is good."""
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
        """Whether the file still is as it was seen, before and after it was read.

        Raises:
            LoadError: it is as it was seen, and cannot be read.
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
