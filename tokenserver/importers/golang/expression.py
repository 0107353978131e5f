"""The syntax tree of a regular expression of Go, and why an expression is not one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tokenserver.importers.golang.characters import Ranges


class BadExpression(ValueError):
    """Go rejects the expression. The text says why, without repeating it."""


class ExpressionBeyondLimits(ValueError):
    """Go accepts the expression, or would search with it, but it is too large or too rare to be evaluated here."""


class Assertion(Enum):
    """Conditions on a position."""

    BEGIN_TEXT = r"\A"
    END_TEXT = r"\z"
    BEGIN_LINE = "^"
    END_LINE = "$"
    WORD = r"\b"
    NOT_WORD = r"\B"


@dataclass(frozen=True, slots=True)
class Character:
    """One character of a set, in merged ranges."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Position:
    """No character, at a position for which an assertion holds."""

    assertion: Assertion


@dataclass(frozen=True, slots=True)
class Sequence:
    """All parts, one after the other; without any, the empty text."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the alternatives, the first ones preferred."""

    alternatives: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Between `least` and `most` times (None: any number); as often as possible if `greedy`. `counted` is {n,m}."""

    part: Expression
    least: int
    most: int | None
    greedy: bool = True
    counted: bool = False


@dataclass(frozen=True, slots=True)
class NumberedGroup:
    """A group whose text is kept; they are numbered from 1."""

    part: Expression
    index: int
    name: str = ""


Expression = Character | Position | Sequence | Choice | Repeat | NumberedGroup

EMPTY = Sequence(())
