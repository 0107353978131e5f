"""A folder of registries, with one small file for each, so that each can have its own owner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from tokenserver.config.registries import RegistrySettings
from tokenserver.documents.document import Document, parse, spell, validation_faults
from tokenserver.documents.files import read_text
from tokenserver.documents.permissions import folder_problem
from tokenserver.errors import Fault, LoadError, redacted

SUFFIXES = (".yaml", ".yml")

WHAT = "a list of registries, or the folder of their files (one *.yaml for each)"


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """One file and its registry."""

    document: Document
    registry: RegistrySettings

    def fault(self, path: str, message: str) -> Fault:
        """A fault at a place of this file, such as `also[0]`; in the first line if the file has no such place."""
        line = next((line for place, line in self.document.lines.items() if spell(place) == path), 1)
        fault = Fault(self.document.file, line, path, message)
        return fault if self.document.origin is None else redacted(fault, self.document.origin)


def read_registries(folder: Path) -> tuple[list[RegistryEntry], list[Fault]]:
    """The registries of all files in `folder`, sorted by file name, and every fault of every file.

    Paths in a file are relative to it. Hidden files, other kinds of files and folders are ignored.

    Raises:
        LoadError: the folder itself cannot be read, can be changed by others, or contains no such file.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if _is_registry(path.name))
    except OSError as error:
        raise LoadError([Fault(str(folder), 0, "", f"cannot be read as a folder: {error.strerror}")]) from error
    problem = folder_problem(folder)
    if problem is None and not names:
        problem = "contains no registry file (*.yaml)"
    if problem is not None:
        raise LoadError([Fault(str(folder), 0, "", problem)])
    entries: list[RegistryEntry] = []
    faults: list[Fault] = []
    for name in names:
        try:
            entries.append(_read(folder / name))
        except LoadError as error:
            faults.extend(error.faults)
    return entries, [*faults, *_repeats(entries)]


def registry_files(folder: Path) -> list[Path]:
    """The files in `folder` that `read_registries` reads, sorted; none if the folder cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if _is_registry(path.name))
    except OSError:
        return []


def differing(entries: Sequence[RegistryEntry]) -> list[RegistryEntry]:
    """`entries` without those that repeat a name of an earlier one."""
    taken: set[str] = set()
    found = []
    for entry in entries:
        if taken.isdisjoint(entry.registry.names):
            found.append(entry)
        taken.update(entry.registry.names)
    return found


def _read(file: Path) -> RegistryEntry:
    document = parse(read_text(file), str(file))
    if not isinstance(document.value, dict):
        raise LoadError([Fault(str(file), 1, "", "must be one registry: a mapping that begins with service: NAME")])
    try:
        registry = RegistrySettings.model_validate(document.value, context={"base": file.parent.absolute()})
    except ValidationError as error:
        raise LoadError(validation_faults(document, RegistrySettings, error)) from error
    return RegistryEntry(document, registry)


def _repeats(entries: Sequence[RegistryEntry]) -> Iterator[Fault]:
    """Faults for names that are in two files."""
    owner: dict[str, RegistryEntry] = {}
    for entry in entries:
        for index, name in enumerate(entry.registry.names):
            first = owner.setdefault(name, entry)
            if first is not entry:
                path = f"also[{index - 1}]" if index else "service"
                yield entry.fault(path, f"the service {name!r} is also in {Path(first.document.file).name}")


def _is_registry(name: str) -> bool:
    # Hidden names belong to editors and Kubernetes. Case is ignored, so that no file is skipped because of it.
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)
