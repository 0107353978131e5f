"""The policy folder: a consistent snapshot of all its files, and detection of truncated ones."""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tokenserver.documents.files import folder_stamp_of, is_mounted, read_text, stamp_of
from tokenserver.documents.permissions import folder_problem
from tokenserver.errors import Fault, LinkedText, LoadError
from tokenserver.printable import shell_word
from tokenserver.runtime.background_pacing import unpaced

SUFFIXES = (".yaml", ".yml")
END_MARKER = "..."

_ATTEMPTS = 20
_PAUSE = 0.05

MAX_DEPTH = 8
"""The maximum depth of a policy file in folders; a deeper one is a loop of links, or a mistake."""

MAX_ENTRIES = 200_000
"""The maximum number of files and folders of any kind in a policy folder, all of which are visited."""

Picture = dict[str, tuple[object, ...]]
"""What must stay unchanged while the folder is read: names and the targets of links. `""` is the folder itself.

It only has policy files, with their stamps, and the folders that contain some, with their owner and mode.
"""


def read_folder(folder: Path, pace: Callable[[], None] = unpaced) -> tuple[dict[str, str], list[Fault]]:
    """The text of every policy file in `folder` and below, by name in a fixed order, and the faults.

    A name is relative to `folder`, with `/` as separator. Faults are files that cannot be read or trusted, folders
    that cannot be read or that others can change, and a folder without any policy file. If anything changes while the
    files are read, all are read again. `pace` is called between two files.

    Raises:
        LoadError: the folder itself cannot be read, has too many entries, or keeps changing.
    """
    for _ in range(_ATTEMPTS):
        before = picture_of(folder, pace)
        texts: dict[str, str] = {}
        within = Containing(folder)
        faults: list[Fault] = []
        for name in files_in(before):
            pace()
            try:
                texts[name] = within.marked(name, read_text(folder / name))
            except LoadError as error:
                faults += error.faults
        if picture_of(folder, pace) == before:
            break
        time.sleep(_PAUSE)
    else:
        raise LoadError([Fault(str(folder), 0, "", "keeps changing while it is read")])
    return texts, [*faults, *picture_faults(folder, before)]


class Containing:
    """Detects policy files that are reached through a link to a folder elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._root = os.path.realpath(folder)
        self._places: dict[str, str] = {}

    def marked(self, name: str, text: str) -> str:
        """The text, as `LinkedText` where it was read out of such a folder."""
        below, _, file = name.rpartition("/")
        if not below:
            return text
        place = self._places.get(below)
        if place is None:
            place = self._places[below] = os.path.realpath(f"{self._folder}/{below}")
        is_own = place == f"{self._root}/{below}" or is_mounted(place, self._root)
        return text if is_own or isinstance(text, LinkedText) else LinkedText(text, f"{place}/{file}")


_FOLDER, _UNREADABLE, _TWICE = "folder", "unreadable", "twice"


def picture_of(folder: Path, pace: Callable[[], None] = unpaced) -> Picture:
    """The current state of the folder. Each folder in it is visited once, even if several links lead to it.

    Raises:
        LoadError: the folder itself cannot be read, or has more than `MAX_ENTRIES`.
    """
    try:
        return _Walk(folder, pace).picture()
    except OSError as error:
        raise LoadError([Fault(str(folder), 0, "", f"cannot be read as a folder: {error.strerror}")]) from error


def files_in(picture: Picture) -> list[str]:
    """The names of the policy files, in order."""
    return sorted(name for name, entry in picture.items() if entry[0] not in (_FOLDER, _UNREADABLE, _TWICE))


def picture_faults(folder: Path, picture: Picture) -> Iterator[Fault]:
    """The faults of the folders, and of a folder without policy files."""
    for name, (kind, *rest) in picture.items():
        if kind == _UNREADABLE:
            yield Fault(str(folder / name), 0, "", f"cannot be read as a folder: {rest[0]}")
        elif kind == _TWICE:
            message = f"is the same folder as {rest[0]}, so its policies would count twice; keep one of the two"
            yield Fault(str(folder / name), 0, "", message)
        elif kind == _FOLDER:
            problem = folder_problem(folder / name)
            if problem is not None:
                yield Fault(str(folder / name), 0, "", problem)
    if not files_in(picture):
        message = "holds no policy file (*.yaml), so nothing would ever be granted; add one"
        yield Fault(str(folder), 0, "", message)


_Inode = tuple[int, int]


class _Walk:
    """One breadth-first walk over a policy folder, so that each folder gets the shortest of its names."""

    def __init__(self, folder: Path, pace: Callable[[], None]) -> None:
        self._folder = folder
        self._pace = pace
        self._left = MAX_ENTRIES
        self._found: Picture = {}
        self._names: dict[_Inode, str] = {}
        self._again: list[tuple[str, str]] = []

    def picture(self) -> Picture:
        """See `picture_of`.

        Raises:
            OSError: the folder itself cannot be listed.
            LoadError: it has too many entries.
        """
        status = self._folder.stat()
        queue: deque[tuple[str, tuple[_Inode, ...]]] = deque([("", ((status.st_dev, status.st_ino),))])
        while queue:
            name, above = queue.popleft()
            try:
                queue.extend(self._folders_in(name, above))
            except OSError as error:
                if not name:
                    raise
                self._found[name] = (_UNREADABLE, str(error.strerror))
        holding = self._holding()
        for name, first in self._again:
            if first in self._found or first in holding:
                self._found[name] = (_TWICE, first)
        folders = {name: (_FOLDER, *folder_stamp_of(self._path(name))) for name in self._holding() | {""}}
        return {**folders, **self._found}

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}" if name else str(self._folder)

    def _holding(self) -> set[str]:
        """The folders that contain an entry of the picture, at any depth."""
        holding: set[str] = set()
        for name in {name.rpartition("/")[0] for name in self._found}:
            above = name
            while above and above not in holding:
                holding.add(above)
                above = above.rpartition("/")[0]
        return holding

    def _folders_in(self, below: str, above: tuple[_Inode, ...]) -> Iterator[tuple[str, tuple[_Inode, ...]]]:
        """The folders in the folder of this name that were not visited yet; `above` are its ancestors."""
        before = f"{below}/" if below else ""
        for entry in self._listed(self._path(below)):
            self._pace()
            name = before + entry.name
            if _is_policy(entry.name):
                self._found[name] = stamp_of(entry.path)
            elif not entry.is_file(follow_symlinks=False):
                inode = _folder_at(entry.path)
                if inode is not None and self._is_new(name, inode, above):
                    yield name, (*above, inode)

    def _listed(self, folder: str) -> list[os.DirEntry[str]]:
        """The entries that are not hidden, ordered by name.

        Raises:
            LoadError: there are too many.
        """
        found = []
        with os.scandir(folder) as listed:
            for entry in listed:
                self._left -= 1
                if self._left < 0:
                    message = f"has more than {MAX_ENTRIES} files and folders in it; keep other things elsewhere"
                    raise LoadError([Fault(str(self._folder), 0, "", message)])
                if not entry.name.startswith("."):
                    found.append(entry)
        return sorted(found, key=lambda entry: entry.name)

    def _is_new(self, name: str, inode: _Inode, above: tuple[_Inode, ...]) -> bool:
        """Whether to visit this folder under this name."""
        # Kubernetes mounts a sub-folder as a link, so links are followed; one to an ancestor would never end.
        if inode in above:
            self._found[name] = (_UNREADABLE, "leads back to a folder above")
        elif inode in self._names:
            self._again.append((name, self._names[inode]))
        elif len(above) > MAX_DEPTH:
            self._found[name] = (_UNREADABLE, f"is deeper than {MAX_DEPTH} folders")
        else:
            self._names[inode] = name
            return True
        return False


def _folder_at(path: str) -> _Inode | None:
    """The identity of the folder at the path, links followed; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - with thousands of files, `Path` would double the cost
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def _is_policy(name: str) -> bool:
    # Editors and Kubernetes use hidden names. Case is ignored: a file must not be skipped because of its spelling.
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def completeness_faults(folder: Path, texts: Mapping[str, str], *, marked: bool = False) -> Iterator[Fault]:
    """Faults for files that look truncated but still are YAML; a truncated file can lack a deny rule.

    If one file of the folder ends with the line `...` (YAML's end of a document), every file must; with `marked` they
    must in any case, since they did before. Otherwise only a cut inside a line is detected, by the missing newline.
    """
    is_marked = marked or are_marked(texts)
    for name, text in texts.items():
        if _ends_marked(text):
            continue
        if is_marked:
            ending = END_MARKER if text.endswith("\n") else f"'' {END_MARKER}"
            message = (
                f"does not end with the line {END_MARKER} as the others here do, or did; is the file complete?"
                f" fix, if it is: printf '%s\\n' {ending} >> {shell_word(folder / name)}"
            )
        elif (
            text and not text.endswith("\n") and not text.lstrip().startswith("{")
        ):  # YAML itself requires the closing brace
            message = "the last line does not end with a newline; is the file complete?"
        else:
            continue
        yield Fault(str(folder / name), max(1, len(text.splitlines())), "", message)


def are_marked(texts: Mapping[str, str]) -> bool:
    """Whether some file ends with the end marker."""
    return any(map(_ends_marked, texts.values()))


def _ends_marked(text: str) -> bool:
    end = text.rstrip()
    # Only the end of the text is split into lines, since files can be long.
    return end.endswith(END_MARKER) and end[-len(END_MARKER) - 1 :].splitlines()[-1] == END_MARKER
