"""The policy folder: reading all of its files as one consistent picture, and signs that one was cut short."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tokenserver.errors import Fault, Foreign, LoadError
from tokenserver.files import is_mounted, read_text
from tokenserver.pace import unpaced
from tokenserver.printable import shell_word

SUFFIXES = (".yaml", ".yml")
END_MARKER = "..."

_ATTEMPTS = 20
_PAUSE = 0.05

MAX_DEPTH = 8
"""How many folders deep a policy file may stand; deeper is a loop of links, or a mistake."""

_Picture = tuple[tuple[str, ...], ...]


def read_folder(folder: Path, pace: Callable[[], None] = unpaced) -> tuple[dict[str, str], list[Fault]]:
    """The text of every policy file in `folder` and below, by name in a fixed order, and the faults met.

    A name is relative to `folder`, with `/` between its steps. A fault is each file that cannot be read or trusted,
    each folder that cannot be read or that others can change, and a folder that holds no policy file at all. If
    anything changes while the files are read, all are read again. `pace` is called between two files.

    Raises:
        LoadError: the folder itself cannot be read, or does not keep still.
    """
    for _ in range(_ATTEMPTS):
        before = _picture(folder, pace)
        names = [name for name, kind, *_ in before if kind == _FILE]
        texts: dict[str, str] = {}
        within = _Within(folder)
        faults: list[Fault] = []
        for name in names:
            pace()
            try:
                texts[name] = within.marked(name, read_text(folder / name))
            except LoadError as error:
                faults += error.faults
        if _picture(folder, pace) == before:
            break
        time.sleep(_PAUSE)
    else:
        raise LoadError([Fault(str(folder), 0, "", "keeps changing while it is read")])
    for name, kind, *rest in before:
        if kind == _UNREADABLE:
            faults.append(Fault(str(folder / name), 0, "", f"cannot be read as a folder: {rest[0]}"))
        elif kind == _FOLDER:
            faults += _folder_faults(folder / name)
    if not names:
        faults.append(
            Fault(str(folder), 0, "", "holds no policy file (*.yaml), so nothing would ever be granted; add one")
        )
    return texts, faults


class _Within:
    """Knows which folders below the folder of policies are links."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._root = os.path.realpath(folder)
        self._places: dict[str, str] = {}

    def marked(self, name: str, text: str) -> str:
        """The text, as `Foreign` where it was read out of such a folder."""
        below, _, file = name.rpartition("/")
        if not below:
            return text
        place = self._places.get(below)
        if place is None:
            place = self._places[below] = os.path.realpath(f"{self._folder}/{below}")
        is_own = place == f"{self._root}/{below}" or is_mounted(place, self._root)
        return text if is_own or isinstance(text, Foreign) else Foreign(text, f"{place}/{file}")


_FILE, _FOLDER, _UNREADABLE = "file", "folder", "unreadable"


def _picture(folder: Path, pace: Callable[[], None]) -> _Picture:
    """What must stay the same while the folder is read: the names and what they lead to, links followed.

    An entry is a name, what it is, and what tells it from another one (of an unreadable folder: the reason).
    """
    try:
        status = folder.stat()
        found = list(_entries(str(folder), "", ((status.st_dev, status.st_ino),), pace))
    except OSError as error:
        raise LoadError([Fault(str(folder), 0, "", f"cannot be read as a folder: {error.strerror}")]) from error
    return (("", _FOLDER), *sorted(found))


def _entries(
    folder: str, below: str, above: tuple[tuple[int, int], ...], pace: Callable[[], None]
) -> Iterator[tuple[str, ...]]:
    """The policy files and folders in `folder`, whose name is `below`; `above` are the folders that lead here."""
    with os.scandir(folder) as listed:
        found = sorted(entry.name for entry in listed if not entry.name.startswith("."))
    for step in found:
        pace()
        name, path = f"{below}{step}", f"{folder}/{step}"
        try:
            status = os.stat(path)  # noqa: PTH116 - for each of thousands of files a `Path` would cost as much again
        except OSError as error:
            if _is_policy(step):
                yield (name, _FILE, str(error.errno))
            continue
        inode = (status.st_dev, status.st_ino)
        if _is_policy(step):
            marks = (*inode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            yield (name, _FILE, *map(str, marks))
        elif stat.S_ISDIR(status.st_mode):
            # Kubernetes mounts a sub-folder as a link, so links are followed; one that leads back would never end.
            if inode in above or len(above) > MAX_DEPTH:
                reason = "leads back to a folder above" if inode in above else f"is deeper than {MAX_DEPTH} folders"
                yield (name, _UNREADABLE, reason)
                continue
            try:
                inside = list(_entries(path, f"{name}/", (*above, inode), pace))
            except OSError as error:
                yield (name, _UNREADABLE, str(error.strerror))
                continue
            yield (name, _FOLDER)
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
        message = f"can be changed by others ({mode}); mend it with: chmod go-w {shell_word(folder)}"
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
