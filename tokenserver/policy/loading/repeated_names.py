"""Repeated names: faults of names that are unique in all policy files, and used twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenserver.documents.document import Document, Path
from tokenserver.errors import Fault


def repeated(what: str, named: Iterable[tuple[Document, Path, str]], below: Path = ()) -> Iterator[Fault]:
    """A fault for each name that came before; each is at `below`, relative to its place."""
    first: dict[str, tuple[Document, Path]] = {}
    for document, place, name in named:
        if name in first:
            other, at = first[name]
            line = other.line((*at, *below))
            yield document.fault((*place, *below), f"the {what} {name!r} is already used in {other.file}:{line}")
        else:
            first[name] = document, place
