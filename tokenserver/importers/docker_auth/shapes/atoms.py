"""Sequences of characters and runs, and globs as such sequences. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

MAX_SEQUENCES = 256
"""Sequences of one pattern."""

PRINTABLE = frozenset(map(chr, range(0x20, 0x7F)))
"""The characters that classes are about; others appear in literal text only."""


class Inexpressible(Exception):
    """The pattern has no form as a finite union of sequences; the text says which part of it has none."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One character of a set, or with `is_run` at least `least` of them.

    `is_dot`: an unescaped dot, for one of all. `is_open`: the set has all characters that are not printable ASCII, too.
    """

    characters: frozenset[str]
    is_run: bool = False
    least: int = 0
    is_dot: bool = False
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Anchor:
    """The begin or the end of the text."""

    is_begin: bool


Sequence_ = tuple[Atom | Anchor, ...]


def literal(character: str) -> Atom:
    """The character alone."""
    return Atom(frozenset({character}))


def glob_sequence(text: str) -> tuple[Atom, ...] | None:
    """The one sequence of a glob of Go's `path.Match`; None if it is malformed, and so matches nothing."""
    atoms: list[Atom] = []
    place = 0
    segment = PRINTABLE - {"/"}
    while place < len(text):
        character = text[place]
        place += 1
        if character == "*":
            if not (atoms and atoms[-1].is_run):
                atoms.append(Atom(segment, is_run=True))
        elif character == "?":
            atoms.append(Atom(segment))
        elif character == "[":
            found = _glob_class(text, place)
            if found is None:
                return None
            is_negated = text.startswith("^", place)
            characters, place = found
            atoms.append(Atom(characters, is_open=is_negated))
        elif character == "\\":
            if place == len(text):
                return None
            atoms.append(literal(text[place]))
            place += 1
        else:
            atoms.append(literal(character))
    return tuple(atoms)


def _glob_class(text: str, place: int) -> tuple[frozenset[str], int] | None:
    is_negated = text.startswith("^", place)
    place += is_negated
    characters: set[str] = set()
    count = 0
    while True:
        if place < len(text) and text[place] == "]" and count:
            break
        low, place = _glob_character(text, place)
        high = low
        if low and text.startswith("-", place):
            high, place = _glob_character(text, place + 1)
        if not low or not high:
            return None
        characters.update(map(chr, range(ord(low), min(ord(high), ord(low) + 256) + 1)))
        count += 1
    found = frozenset(characters)
    return (PRINTABLE - {"/"} - found if is_negated else found - {"/"}), place + 1


def _glob_character(text: str, place: int) -> tuple[str, int]:
    """The next character of a class and the place behind it; empty if there is none."""
    if place >= len(text) or text[place] in "-]":
        return "", place
    if text[place] == "\\":
        place += 1
        if place >= len(text):
            return "", place
    return text[place], place + 1


def texts(sequences: Sequence[Sequence_], limit: int) -> Iterator[str]:
    """The texts of the sequences, in which anchors are ignored.

    Raises:
        Inexpressible: they have runs, or are more than `limit`.
    """
    count = 0
    for sequence in sequences:
        atoms = [atom for atom in sequence if isinstance(atom, Atom)]
        if any(atom.is_run or atom.is_open for atom in atoms):
            raise Inexpressible("it matches any number of texts")
        for characters in product(*(sorted(atom.characters) for atom in atoms)):
            count += 1
            if count > limit:
                raise Inexpressible(f"it matches more than {limit} texts")
            yield "".join(characters)
