"""Regular expressions as finite unions of sequences, where they are that. Pure.

What has no such form (nested repetition, word boundaries, flags other than `(?i)`) raises `Inexpressible`; nothing is
approximated here.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from itertools import product

from tokenserver.importers.docker_auth.shapes.atoms import (
    MAX_SEQUENCES,
    PRINTABLE,
    Anchor,
    Atom,
    Inexpressible,
    Sequence_,
    literal,
)

_MAX_LENGTH = 512
_MAX_REPEAT = 16

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


def regex_sequences(text: str) -> list[Sequence_]:
    """The sequences of a regular expression, with its anchors where they are written.

    Raises:
        Inexpressible: it has none, or more than `MAX_SEQUENCES`.
    """
    if len(text) > _MAX_LENGTH:
        raise Inexpressible(f"it is longer than {_MAX_LENGTH} characters")
    ignores_case = text.startswith("(?i)")
    reader = _ExpressionReader(text.removeprefix("(?i)"), ignores_case=ignores_case)
    found = reader.alternatives()
    if reader.place < len(reader.text):
        raise Inexpressible("a closing parenthesis is alone")
    return found


class _ExpressionReader:
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
            is_negated = self.text.startswith("^", self.place)
            return [(Atom(self._class(), is_open=is_negated),)]
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
            if character.islower():
                return (Atom(characters),)
            return (Atom(PRINTABLE - characters, is_open=True),)
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
