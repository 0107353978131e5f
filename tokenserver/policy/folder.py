"""The policy folder: reading all of its files as one consistent picture, and signs that one was cut short."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tokenserver.errors import Fault, LoadError
from tokenserver.files import read_text

SUFFIXES = (".yaml", ".yml")
END_MARKER = "..."

_ATTEMPTS = 20
_PAUSE = 0.05

_Picture = tuple[tuple[str, ...], ...]


def read_folder(folder: Path) -> tuple[dict[str, str], list[Fault]]:
    """The text of every policy file at the top of `folder`, by name in a fixed order, and the faults met.

    A fault is each file that cannot be read or trusted, a folder that others can change or that holds no policy
    file, and each policy file in a sub-folder. If anything changes while the files are read, all are read again.

    Raises:
        LoadError: the folder itself cannot be read, or does not keep still.
    """
    for _ in range(_ATTEMPTS):
        before = _picture(folder)
        names = [entry[0] for entry in before]
        texts: dict[str, str] = {}
        faults: list[Fault] = []
        for name in names:
            try:
                texts[name] = read_text(folder / name)
            except LoadError as error:
                faults += error.faults
        if _picture(folder) == before:
            break
        time.sleep(_PAUSE)
    else:
        raise LoadError([Fault(str(folder), 0, "", "keeps changing while it is read")])
    faults += _folder_faults(folder)
    if not names:
        faults.append(
            Fault(str(folder), 0, "", "holds no policy file (*.yaml), so nothing would ever be granted; add one")
        )
    return texts, faults


def _picture(folder: Path) -> _Picture:
    """What must stay the same while the folder is read: the names and what they lead to, links followed."""
    picture: list[tuple[str, ...]] = []
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if _is_policy(entry.name))
    except OSError as error:
        raise LoadError([Fault(str(folder), 0, "", f"cannot be read as a folder: {error.strerror}")]) from error
    for name in names:
        try:
            status = (folder / name).stat()
        except OSError as error:
            picture.append((name, str(error.errno)))
            continue
        marks = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        picture.append((name, *map(str, marks)))
    return tuple(picture)


def _is_policy(name: str) -> bool:
    # Hidden names are editors' and Kubernetes' own. Capitals count: a file must not be left out for its spelling.
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def _folder_faults(folder: Path) -> list[Fault]:
    """Who could add or remove files unseen, and policy files where they have no meaning."""
    faults: list[Fault] = []
    status = folder.stat()
    is_shared = status.st_mode & 0o002 or (status.st_mode & 0o020 and status.st_gid != os.getegid())
    # Kubernetes mounts its volumes with mode 0777, but read-only.
    if is_shared and not os.statvfs(folder).f_flag & os.ST_RDONLY:
        mode = f"mode {status.st_mode & 0o7777:04o}"
        faults.append(
            Fault(str(folder), 0, "", f"can be changed by others ({mode}); mend it with: chmod go-w {folder}")
        )

    def unreadable(error: OSError) -> None:
        faults.append(Fault(str(error.filename), 0, "", f"cannot be read as a folder: {error.strerror}"))

    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if Path(place) != folder:
            faults += (
                Fault(
                    str(Path(place) / name),
                    0,
                    "",
                    f"policy files in sub-folders are not available yet; move it into {folder}",
                )
                for name in names
                if _is_policy(name)
            )
    return faults


def completeness_faults(folder: Path, texts: Mapping[str, str]) -> Iterator[Fault]:
    """Signs that a file was cut short though its rest still is YAML; such a cut can lose a deny rule.

    Once one file of the folder ends with the line `...` (YAML's end of a document), every file must. Without that,
    only a cut inside a line shows: the last line has no newline then.
    """
    is_marked = any(_ends_marked(text) for text in texts.values())
    for name, text in texts.items():
        is_braced = text.lstrip().startswith("{")  # then YAML itself wants the closing brace
        if _ends_marked(text):
            continue
        if is_marked:
            message = f"does not end with the line {END_MARKER} as other files here do; is the file complete?"
        elif text and not text.endswith("\n") and not is_braced:
            message = "the last line does not end with a newline; is the file complete?"
        else:
            continue
        yield Fault(str(folder / name), max(1, len(text.splitlines())), "", message)


def _ends_marked(text: str) -> bool:
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    return bool(lines) and lines[-1].rstrip() == END_MARKER
