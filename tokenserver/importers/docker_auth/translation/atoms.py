"""Globs and regular expressions as finite unions of sequences of characters and runs, where they are that. Pure.

What has no such form (nested repetition, word boundaries, flags other than `(?i)`) raises `Inexpressible`; nothing is
approximated here.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

MAX_SEQUENCES = 256
"""Sequences of one pattern."""

_MAX_LENGTH = 512
_MAX_REPEAT = 16

PRINTABLE = frozenset(map(chr, range(0x20, 0x7F)))
"""The characters that classes are about; others appear in literal text only."""

_CLASSES = {
    "d": frozenset(string.digits),
    "w": frozenset(string.ascii_letters + string.digits + "_"),
    "s": frozenset(" \t\n\f\r"),
}
_NAMED = {
    "alpha": frozenset(string.ascii_letters),
    "digit": frozenset(string.digits),
    "alnum": frozenset(string.ascii_letters + string.digits),
    "lower": frozenset(string.ascii_lowercase),
    "upper": frozenset(string.ascii_uppercase),
}


class Inexpressible(Exception):
    """The pattern has no form as a finite union of sequences; the text says which part of it has none."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One character of a set, or with `is_run` at least `least` of them. `is_dot`: an unescaped dot, for one of all."""

    characters: frozenset[str]
    is_run: bool = False
    least: int = 0
    is_dot: bool = False


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
            characters, place = found
            atoms.append(Atom(characters))
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


def regex_sequences(text: str) -> list[Sequence_]:
    """The sequences of a regular expression, with its anchors where they are written.

    Raises:
        Inexpressible: it has none, or more than `MAX_SEQUENCES`.
    """
    if len(text) > _MAX_LENGTH:
        raise Inexpressible(f"it is longer than {_MAX_LENGTH} characters")
    ignores_case = text.startswith("(?i)")
    reader = _Reader(text.removeprefix("(?i)"), ignores_case=ignores_case)
    found = reader.alternatives()
    if reader.place < len(reader.text):
        raise Inexpressible("a closing parenthesis is alone")
    return found


class _Reader:
    """Recursive descent over the common part of RE2."""

    def __init__(self, text: str, *, ignores_case: bool) -> None:
        self.text, self.place, self.depth = text, 0, 0
        self.ignores_case = ignores_case

    def alternatives(self) -> list[Sequence_]:
        found = self._branch()
        while self.text.startswith("|", self.place):
            self.place += 1
            found += self._branch()
            _bound(len(found))
        return list(dict.fromkeys(found))

    def _branch(self) -> list[Sequence_]:
        found: list[Sequence_] = [()]
        while self.place < len(self.text) and self.text[self.place] not in "|)":
            found = _joined(found, self._repeated())
        return found

    def _repeated(self) -> list[Sequence_]:
        one = self._one()
        repeat = self._repeat()
        if repeat is None:
            return one
        least, most = repeat
        if self._repeat() is not None:
            raise Inexpressible("a repetition is repeated")
        if most is None:
            return _endless(one, least)
        found: list[Sequence_] = []
        for count in range(least, most + 1):
            repeats: list[Sequence_] = [()]
            for _ in range(count):
                repeats = _joined(repeats, one)
            found += repeats
            _bound(len(found))
        return found

    def _repeat(self) -> tuple[int, int | None] | None:
        """How often what is before may occur, if a repetition is here."""
        character = self.text[self.place : self.place + 1]
        found: tuple[int, int | None]
        if character in ("*", "+", "?"):
            self.place += 1
            found = {"*": (0, None), "+": (1, None), "?": (0, 1)}[character]
        elif character == "{":
            end = self.text.find("}", self.place)
            least, comma, most = self.text[self.place + 1 : max(end, self.place + 1)].partition(",")
            if end < 0 or not least.isdecimal() or (most and not most.isdecimal()):
                return None  # literal braces
            self.place = end + 1
            found = int(least), (int(most) if most else None if comma else int(least))
        else:
            return None
        if found[0] > _MAX_REPEAT or (found[1] or 0) > _MAX_REPEAT:
            raise Inexpressible(f"more than {_MAX_REPEAT} repetitions")
        if self.text.startswith("?", self.place):
            self.place += 1  # reluctant: the same texts
        return found

    def _one(self) -> list[Sequence_]:
        character = self.text[self.place]
        self.place += 1
        if character == "(":
            return self._group()
        if character == "[":
            return [(Atom(self._class()),)]
        if character == ".":
            return [(Atom(PRINTABLE, is_dot=True),)]
        if character in "^$":
            return [(Anchor(character == "^"),)]
        if character == "\\":
            return [self._escape()]
        if character in "*+?":
            raise Inexpressible("a repetition of nothing")
        return [(self._literal(character),)]

    def _group(self) -> list[Sequence_]:
        self.depth += 1
        if self.depth > 20:
            raise Inexpressible("groups are nested too deeply")
        if self.text.startswith("?", self.place):
            for opening in ("?:", "?P<", "?<"):
                if self.text.startswith(opening, self.place):
                    break
            else:
                raise Inexpressible("a group has flags")
            self.place += len(opening)
            if opening != "?:":
                self.place = self.text.find(">", self.place) + 1
                if not self.place:
                    raise Inexpressible("the name of a group does not end")
        found = self.alternatives()
        if not self.text.startswith(")", self.place):
            raise Inexpressible("a parenthesis is not closed")
        self.place += 1
        self.depth -= 1
        return found

    def _escape(self) -> Sequence_:
        character = self.text[self.place : self.place + 1]
        self.place += 1
        if character in ("A", "z"):
            return (Anchor(character == "A"),)
        if character.lower() in _CLASSES:
            characters = _CLASSES[character.lower()]
            return (Atom(characters if character.islower() else PRINTABLE - characters),)
        if not character or character.isalnum():
            raise Inexpressible(f"\\{character} is used")
        return (self._literal(character),)

    def _class(self) -> frozenset[str]:
        is_negated = self.text.startswith("^", self.place)
        self.place += is_negated
        found: set[str] = set()
        is_first = True
        while self.place < len(self.text) and (is_first or self.text[self.place] != "]"):
            is_first = False
            if self.text.startswith("[:", self.place):
                end = self.text.find(":]", self.place)
                name = self.text[self.place + 2 : end] if end > 0 else ""
                if name not in _NAMED:
                    raise Inexpressible("an unusual class is used")
                found |= _NAMED[name]
                self.place = end + 2
                continue
            low = self._class_character()
            if not isinstance(low, str):
                found |= low
            elif self.text.startswith("-", self.place) and not self.text.startswith("-]", self.place):
                self.place += 1
                high = self._class_character()
                if not isinstance(high, str) or not low <= high or ord(high) - ord(low) > len(PRINTABLE):
                    raise Inexpressible("an unusual class is used")
                found.update(map(chr, range(ord(low), ord(high) + 1)))
            else:
                found.add(low)
        if self.place >= len(self.text):
            raise Inexpressible("a class is not closed")
        self.place += 1
        if self.ignores_case:
            found |= {one.swapcase() for one in found}
        return PRINTABLE - found if is_negated else frozenset(found)

    def _class_character(self) -> str | frozenset[str]:
        character = self.text[self.place : self.place + 1]
        self.place += 1
        if character != "\\":
            return character
        escaped = self.text[self.place : self.place + 1]
        self.place += 1
        if escaped and escaped in "dws":
            return _CLASSES[escaped]
        if not escaped or escaped.isalnum():
            raise Inexpressible("an unusual class is used")
        return escaped

    def _literal(self, character: str) -> Atom:
        return Atom(frozenset({character.lower(), character.upper()})) if self.ignores_case else literal(character)


def _endless(one: Sequence[Sequence_], least: int) -> list[Sequence_]:
    """The sequences of `x*`, `x+` and `x{2,}`, where x is one character of a set."""
    atoms = [sequence[0] for sequence in one if len(sequence) == 1 and isinstance(sequence[0], Atom)]
    if len(atoms) != len(one) or any(atom.is_run for atom in atoms):
        raise Inexpressible("a group is repeated without end")
    characters = frozenset[str]().union(*(atom.characters for atom in atoms))
    before: Sequence_ = tuple(Atom(characters) for _ in range(least - 1))
    return [(*before, Atom(characters, is_run=True, least=min(least, 1)))]


def _joined(first: Sequence[Sequence_], second: Sequence[Sequence_]) -> list[Sequence_]:
    _bound(len(first) * len(second))
    return [(*one, *other) for one, other in product(first, second)]


def _bound(count: int) -> None:
    if count > MAX_SEQUENCES:
        raise Inexpressible(f"it has more than {MAX_SEQUENCES} alternatives")


def texts(sequences: Sequence[Sequence_], limit: int) -> Iterator[str]:
    """The texts of the sequences, in which anchors are ignored.

    Raises:
        Inexpressible: they have runs, or are more than `limit`.
    """
    count = 0
    for sequence in sequences:
        atoms = [atom for atom in sequence if isinstance(atom, Atom)]
        if any(atom.is_run for atom in atoms):
            raise Inexpressible("it matches any number of texts")
        for characters in product(*(sorted(atom.characters) for atom in atoms)):
            count += 1
            if count > limit:
                raise Inexpressible(f"it matches more than {limit} texts")
            yield "".join(characters)
