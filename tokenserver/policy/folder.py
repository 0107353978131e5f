"""The policy folder: reading all of its files as one consistent picture, and signs that one was cut short."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tokenserver.errors import Fault, LoadError
from tokenserver.files import folder_stamp_of, read_text, stamp_of
from tokenserver.pace import unpaced

SUFFIXES = (".yaml", ".yml")
END_MARKER = "..."

_ATTEMPTS = 20
_PAUSE = 0.05

MAX_DEPTH = 8
"""How many folders deep a policy file may stand; deeper is a loop of links, or a mistake."""

MAX_ENTRIES = 200_000
"""How many files and folders of any kind a policy folder may hold, all of which have to be looked at."""

Picture = dict[str, tuple[object, ...]]
"""What must stay the same while the folder is read: names, and what they lead to, links followed. `""` is the folder.

Only what is read is in it: policy files with their stamps, and folders that hold some, with who may change them.
"""


def read_folder(folder: Path, pace: Callable[[], None] = unpaced) -> tuple[dict[str, str], list[Fault]]:
    """The text of every policy file in `folder` and below, by name in a fixed order, and the faults met.

    A name is relative to `folder`, with `/` between its steps. A fault is each file that cannot be read or trusted,
    each folder that cannot be read or that others can change, and a folder that holds no policy file at all. If
    anything changes while the files are read, all are read again. `pace` is called between two files.

    Raises:
        LoadError: the folder itself cannot be read, holds too much, or does not keep still.
    """
    for _ in range(_ATTEMPTS):
        before = picture_of(folder, pace)
        texts: dict[str, str] = {}
        faults: list[Fault] = []
        for name in files_in(before):
            pace()
            try:
                texts[name] = read_text(folder / name)
            except LoadError as error:
                faults += error.faults
        if picture_of(folder, pace) == before:
            break
        time.sleep(_PAUSE)
    else:
        raise LoadError([Fault(str(folder), 0, "", "keeps changing while it is read")])
    return texts, [*faults, *picture_faults(folder, before)]


_FOLDER, _UNREADABLE, _TWICE = "folder", "unreadable", "twice"


def picture_of(folder: Path, pace: Callable[[], None] = unpaced) -> Picture:
    """The folder as it is now. Each folder in it is walked once, however many links lead there; nothing is opened.

    Raises:
        LoadError: the folder itself cannot be read, or holds more than `MAX_ENTRIES`.
    """
    walk = _Walk(pace)
    try:
        status = folder.stat()
        found = dict(walk.entries(str(folder), "", ((status.st_dev, status.st_ino),)))
    except OSError as error:
        raise LoadError([Fault(str(folder), 0, "", f"cannot be read as a folder: {error.strerror}")]) from error
    return {"": (_FOLDER, *folder_stamp_of(str(folder))), **dict(sorted(found.items()))}


def files_in(picture: Picture) -> list[str]:
    """The names of the policy files, in order."""
    return [name for name, entry in picture.items() if entry[0] not in (_FOLDER, _UNREADABLE, _TWICE)]


def picture_faults(folder: Path, picture: Picture) -> Iterator[Fault]:
    """What is wrong with the folders, and with there being no file."""
    for name, (kind, *rest) in picture.items():
        if kind == _UNREADABLE:
            yield Fault(str(folder / name), 0, "", f"cannot be read as a folder: {rest[0]}")
        elif kind == _TWICE:
            message = f"is the same folder as {rest[0]}, so its policies would count twice; keep one of the two"
            yield Fault(str(folder / name), 0, "", message)
        elif kind == _FOLDER:
            yield from _folder_faults(folder / name)
    if not files_in(picture):
        message = "holds no policy file (*.yaml), so nothing would ever be granted; add one"
        yield Fault(str(folder), 0, "", message)


class _Walk:
    """One walk over a policy folder."""

    def __init__(self, pace: Callable[[], None]) -> None:
        self._pace = pace
        self._left = MAX_ENTRIES
        self._walked: dict[tuple[int, int], str | None] = {}  # its name, where a folder holds policies

    def entries(
        self, folder: str, below: str, above: tuple[tuple[int, int], ...]
    ) -> Iterator[tuple[str, tuple[object, ...]]]:
        """The policy files and folders in `folder`, whose name is `below`; `above` are the folders that lead here."""
        for step, is_plain in self._listed(folder):
            self._pace()
            name, path = f"{below}{step}", f"{folder}/{step}"
            if _is_policy(step):
                yield name, stamp_of(path)
            elif not is_plain:
                yield from self._folder(path, name, above)

    def _listed(self, folder: str) -> list[tuple[str, bool]]:
        """The names that are not hidden, in order, and whether each is a plain file, which is neither link nor folder.

        Raises:
            LoadError: there are too many.
        """
        found = []
        with os.scandir(folder) as listed:
            for entry in listed:
                self._pace()
                self._left -= 1
                if self._left < 0:
                    message = f"has more than {MAX_ENTRIES} files and folders in it; keep other things elsewhere"
                    raise LoadError([Fault(folder, 0, "", message)])
                if not entry.name.startswith("."):
                    found.append((entry.name, entry.is_file(follow_symlinks=False)))
        return sorted(found)

    def _folder(
        self, path: str, name: str, above: tuple[tuple[int, int], ...]
    ) -> Iterator[tuple[str, tuple[object, ...]]]:
        # Kubernetes mounts a sub-folder as a link, so links are followed; one that leads back would never end.
        try:
            status = os.stat(path)  # noqa: PTH116 - for each of thousands of files a `Path` would cost as much again
        except OSError:
            return
        inode = (status.st_dev, status.st_ino)
        if not stat.S_ISDIR(status.st_mode):
            return
        if inode in above or len(above) > MAX_DEPTH:
            reason = "leads back to a folder above" if inode in above else f"is deeper than {MAX_DEPTH} folders"
            yield name, (_UNREADABLE, reason)
            return
        if inode in self._walked:
            first = self._walked[inode]
            if first is not None:
                yield name, (_TWICE, first)
            return
        self._walked[inode] = None
        try:
            inside = list(self.entries(path, f"{name}/", (*above, inode)))
        except OSError as error:
            self._walked[inode] = name
            yield name, (_UNREADABLE, str(error.strerror))
            return
        if inside:
            self._walked[inode] = name
            yield name, (_FOLDER, *folder_stamp_of(path))
            yield from inside


def _is_policy(name: str) -> bool:
    # Hidden names are editors' and Kubernetes' own. Capitals count: a file must not be left out for its spelling.
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def _folder_faults(folder: Path) -> Iterator[Fault]:
    """Whether others could add or remove files unseen."""
    try:
        status = folder.stat()
    except OSError as error:  # it is gone since it was listed
        yield Fault(str(folder), 0, "", f"cannot be read as a folder: {error.strerror}")
        return
    is_shared = status.st_mode & 0o002 or (status.st_mode & 0o020 and status.st_gid != os.getegid())
    # Kubernetes mounts its volumes with mode 0777, but read-only.
    if is_shared and not os.statvfs(folder).f_flag & os.ST_RDONLY:
        mode = f"mode {status.st_mode & 0o7777:04o}"
        message = f"can be changed by others ({mode}); mend it with: chmod go-w {folder}"
        yield Fault(str(folder), 0, "", message)


def completeness_faults(folder: Path, texts: Mapping[str, str], *, marked: bool = False) -> Iterator[Fault]:
    """Signs that a file was cut short though its rest still is YAML; such a cut can lose a deny rule.

    Once one file of the folder ends with the line `...` (YAML's end of a document), every file must; with `marked`
    they must anyhow, since they did before. Without that, only a cut inside a line shows: the last line has no
    newline then.
    """
    is_marked = marked or are_marked(texts)
    for name, text in texts.items():
        if _ends_marked(text):
            continue
        if is_marked:
            message = f"does not end with the line {END_MARKER} as the others here do, or did; is the file complete?"
        elif text and not text.endswith("\n") and not text.lstrip().startswith("{"):  # whose end YAML itself wants
            message = "the last line does not end with a newline; is the file complete?"
        else:
            continue
        yield Fault(str(folder / name), max(1, len(text.splitlines())), "", message)


def are_marked(texts: Mapping[str, str]) -> bool:
    """Whether some file ends with the line that says that it is whole."""
    return any(map(_ends_marked, texts.values()))


def _ends_marked(text: str) -> bool:
    end = text.rstrip()
    # Of a long file nobody need look at more than the last line, and of that one at no more than the mark.
    return end.endswith(END_MARKER) and end[-len(END_MARKER) - 1 :].splitlines()[-1] == END_MARKER
