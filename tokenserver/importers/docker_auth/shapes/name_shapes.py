"""Globs and regular expressions over repository names as patterns of the policy language. Pure.

Two readings go with what has no exact one: `patterns`, which never cover more than the original, and `widest`, which
never cover less. Only legal repository names count, since no others are ever granted here.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from tokenserver.importers.docker_auth.shapes.atoms import (
    Anchor,
    Atom,
    Inexpressible,
    Sequence_,
    glob_sequence,
    literal,
)
from tokenserver.importers.docker_auth.shapes.pattern_spelling import (
    CAPTURE,
    MANY,
    USER,
    is_crowded,
    is_pattern,
    is_wide,
    spelled,
    widened,
)
from tokenserver.importers.docker_auth.shapes.regex_sequences import regex_sequences

_NAME = frozenset(string.ascii_lowercase + string.digits + "._-:/")
_SEGMENT = _NAME - {"/"}
_WITH_VARIABLES = _NAME | {USER, CAPTURE}
_ANY = Atom(_NAME, is_run=True)
_SPECIAL = frozenset("\\.+*?()|[]{}^$")

MAX_PATTERNS = 64
"""Patterns of one name field."""

_MAX_CROSSING = 4
"""Runs over several segments of one sequence."""

_MAX_WITHOUT = 48


@dataclass(frozen=True, slots=True)
class NameShape:
    """A pattern, and the patterns of what it does not cover."""

    pattern: str
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NameSet:
    """A set of names between two readings, the same if `inexact` is empty; else that says why there are two.

    `shapes` cover no name that the original does not. `widest` cover every name that it does: wider than `shapes` where
    these have exceptions.
    """

    shapes: tuple[NameShape, ...]
    widest: tuple[str, ...]
    inexact: str = ""


EVERY_NAME = NameSet((NameShape("**"),), ("**",))
NO_NAME = NameSet((), ())


def glob_names(text: str) -> NameSet:
    """The names that a glob matches."""
    sequence = glob_sequence(text)
    return NO_NAME if sequence is None else _names([sequence], anchored=True)


def quoted(text: str) -> str:
    """The text as a glob or a regular expression for itself."""
    return "".join(f"\\{one}" if one in _SPECIAL else one for one in text)


def regex_names(text: str, *, anchored: bool) -> NameSet:
    """The names in which a regular expression is found; `anchored`: alternatives without anchors match whole names."""
    try:
        return _names(regex_sequences(text), anchored=anchored)
    except Inexpressible as error:
        return NameSet((), ("**",), str(error))


def united(sets: Sequence[NameSet]) -> NameSet:
    """The names of all sets together."""
    shapes = dict.fromkeys(shape for one in sets for shape in one.shapes)
    widest = dict.fromkeys(text for one in sets for text in one.widest)
    return NameSet(tuple(shapes), tuple(widest), next((one.inexact for one in sets if one.inexact), ""))


def _names(sequences: Iterable[Sequence_], *, anchored: bool) -> NameSet:
    found: list[NameSet] = []
    for sequence in sequences:
        try:
            atoms = _whole(sequence, anchored=anchored)
        except Inexpressible as error:
            found.append(NameSet((), ("**",), str(error)))
            continue
        if atoms is not None:
            found.append(_sequence_names(atoms))
    everything = united(found)
    if any(shape == NameShape("**") for shape in everything.shapes):
        return EVERY_NAME
    if len(everything.shapes) > MAX_PATTERNS:
        return NameSet(everything.shapes[:MAX_PATTERNS], everything.widest, f"more than {MAX_PATTERNS} patterns")
    if not everything.inexact and not any(shape.without for shape in everything.shapes):
        return replace(everything, widest=tuple(dict.fromkeys(shape.pattern for shape in everything.shapes)))
    return everything


def _whole(sequence: Sequence_, *, anchored: bool) -> list[Atom] | None:
    """The atoms of the whole name, with runs where it is not anchored; None if no legal name has them.

    Raises:
        Inexpressible: an anchor is in the middle.
    """
    inner = list(sequence)
    begins = ends = anchored and not any(isinstance(one, Anchor) for one in sequence)
    while inner and isinstance(inner[0], Anchor) and inner[0].is_begin:
        begins = True
        del inner[0]
    while inner and isinstance(inner[-1], Anchor) and not inner[-1].is_begin:
        ends = True
        del inner[-1]
    atoms = [one for one in inner if isinstance(one, Atom)]
    if len(atoms) < len(inner):
        raise Inexpressible("an anchor is in the middle")
    legal = [replace(atom, characters=atom.characters & _WITH_VARIABLES) for atom in atoms]
    if any(not atom.characters and (not atom.is_run or atom.least) for atom in legal):
        return None
    kept = [atom for atom in legal if atom.characters]
    return _merged([*([] if begins else [_ANY]), *kept, *([] if ends else [_ANY])])


def _merged(atoms: Iterable[Atom]) -> list[Atom]:
    """The atoms with neighbouring runs of the same characters as one, and runs of all characters absorbing others."""
    merged: list[Atom] = []
    for atom in atoms:
        last = merged[-1] if merged else None
        if last is not None and last.is_run and atom.is_run:
            small, large = sorted((last, atom), key=lambda run: len(run.characters))
            if small.characters <= large.characters and not (small.least and large.least):
                if small.least == 0:
                    merged[-1] = large
                    continue
                if small.characters == large.characters:
                    merged[-1] = small
                    continue
        merged.append(atom)
    return merged


def _sequence_names(atoms: Sequence[Atom]) -> NameSet:
    if sum("/" in atom.characters and len(atom.characters) > 1 for atom in atoms) > _MAX_CROSSING:
        return NameSet((), ("**",), f"more than {_MAX_CROSSING} parts may cross segments")
    widest = _widest(atoms)
    why = ""
    narrow: list[Atom] = []
    choices = 1
    has_dots = sum(atom.is_dot and not atom.is_run for atom in atoms) > 1
    for atom in atoms:
        one = atom
        if atom.is_run:
            if "/" in atom.characters and atom.characters != _NAME:
                why = "a class of characters crosses segments"
                one = replace(atom, characters=atom.characters - {"/"})
        elif atom.is_dot and has_dots:
            why = "unescaped dots stand for any characters"
            one = literal(".")
        else:
            choices *= len(atom.characters)
            if choices > MAX_PATTERNS:
                return NameSet((), widest, f"a class of characters stands for more than {MAX_PATTERNS} patterns")
        narrow.append(one)
    shapes: list[NameShape] = []
    for characters in product(*(_choices(atom) for atom in narrow)):
        for option in _crossings(_merged(characters)):
            shape, doubt = _shape(option)
            why = why or doubt
            if shape is not None:
                shapes.append(shape)
    return NameSet(tuple(dict.fromkeys(shapes)), widest, why)


def _choices(atom: Atom) -> Sequence[Atom]:
    return [atom] if atom.is_run else [literal(one) for one in sorted(atom.characters)]


def _widest(atoms: Sequence[Atom]) -> tuple[str, ...]:
    """Patterns for at least these names: every class becomes a run."""
    wide = [
        Atom(_NAME if "/" in atom.characters else _SEGMENT, is_run=True)
        if atom.is_run or len(atom.characters) > 1
        else atom
        for atom in atoms
    ]
    texts = [spelled(option) for option in _crossings(_merged(wide))]
    return tuple(dict.fromkeys(widened(text) if is_crowded(text) else text for text in texts if is_wide(text)))


def _crossings(atoms: Sequence[Atom]) -> Iterator[tuple[Atom, ...]]:
    """What runs of all characters can be: inside one segment, or from one to another."""
    place = next((at for at, atom in enumerate(atoms) if atom.is_run and "/" in atom.characters), None)
    if place is None:
        yield tuple(atoms)
        return
    before, run, after = tuple(atoms[:place]), atoms[place], tuple(atoms[place + 1 :])
    inside = Atom(_SEGMENT, is_run=True)
    slash = literal("/")
    is_first = not before or before[-1] == slash
    is_last = not after or after[0] == slash
    middle: list[tuple[Atom, ...]]
    if is_first and is_last:
        middle = [(MANY,)]
    elif is_first:
        middle = [(replace(inside, least=run.least),), (MANY, slash, inside)]
    elif is_last:
        middle = [(replace(inside, least=run.least),), (inside, slash, MANY)]
    else:
        middle = [
            (replace(inside, least=run.least),),
            (inside, slash, inside),
            (inside, slash, MANY, slash, inside),
        ]
    for one in middle:
        for rest in _crossings(after):
            yield (*before, *one, *rest)


def _shape(atoms: Sequence[Atom]) -> tuple[NameShape | None, str]:
    """The shape of a sequence without classes of single characters, and why it is not exact."""
    text = spelled(atoms)
    if not is_pattern(text):
        return None, "a variable stands beside another one or between wildcards" if is_crowded(text) else ""
    without: list[str] = []
    doubt = ""
    many = [at for at, atom in enumerate(atoms) if atom == MANY]
    for place, atom in enumerate(atoms):
        if not atom.is_run or atom == MANY:
            continue
        before, after = _within_segment(atoms, place)
        missing = _SEGMENT - atom.characters
        if not missing and (not atom.least or not (before or after)):
            continue
        if any(one.is_run for one in (*before, *after)) or (many and many[0] < place < many[-1]):
            doubt = "where a class of characters begins and ends is ambiguous"
        instead: list[tuple[Atom, ...]] = [
            (Atom(_SEGMENT, is_run=True), literal(one), Atom(_SEGMENT, is_run=True)) for one in sorted(missing)
        ]
        if atom.least and (before or after):
            instead.append(())
        for one in instead:
            exception = spelled((*atoms[:place], *one, *atoms[place + 1 :]))
            if is_pattern(exception):
                without.append(exception)
    if len(without) > _MAX_WITHOUT:
        return None, f"a class of characters stands for more than {_MAX_WITHOUT} exceptions"
    if any("${" in one for one in without):
        return None, "a class of characters stands beside a variable"
    return NameShape(text, tuple(dict.fromkeys(without))), doubt


def _within_segment(atoms: Sequence[Atom], place: int) -> tuple[list[Atom], list[Atom]]:
    slash = literal("/")
    before: list[Atom] = []
    for atom in reversed(atoms[:place]):
        if atom == slash:
            break
        before.append(atom)
    after: list[Atom] = []
    for atom in atoms[place + 1 :]:
        if atom == slash:
            break
        after.append(atom)
    return before, after
