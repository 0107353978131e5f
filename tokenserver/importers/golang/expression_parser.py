"""Parser of the regular expressions that Go's `regexp` accepts (RE2 in Perl's notation), and of no others."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from tokenserver.importers.golang.characters import ANY, NOT_NEWLINE, folded, merged
from tokenserver.importers.golang.expression import (
    Assertion,
    BadExpression,
    Character,
    Choice,
    Expression,
    ExpressionBeyondLimits,
    NumberedGroup,
    Position,
    Repeat,
    Sequence,
)
from tokenserver.importers.golang.expression_classes import class_escape, escaped_character, read_class

MAX_LENGTH = 10_000
MAX_NESTING = 100
MAX_REPEAT = 1000

_COUNT = re.compile(r"\{(0|[1-9][0-9]*)(?:(,)(0|[1-9][0-9]*)?)?\}", re.ASCII)
_MAX_DIGITS = 9
_NAME = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_ASSERTIONS = {"A": Assertion.BEGIN_TEXT, "b": Assertion.WORD, "B": Assertion.NOT_WORD, "z": Assertion.END_TEXT}


@dataclass(frozen=True, slots=True)
class _Flags:
    fold: bool = False
    lines: bool = False
    dot_newline: bool = False
    lazy: bool = False


_FLAG_NAMES = {"i": "fold", "m": "lines", "s": "dot_newline", "U": "lazy"}


@dataclass(slots=True)
class _Group:
    """An open group: its capture (0: none), the flags to restore after it, its alternatives and the current one."""

    capture: int = 0
    name: str = ""
    flags: _Flags = field(default_factory=_Flags)
    alternatives: list[Expression] = field(default_factory=list)
    parts: list[Expression] = field(default_factory=list)

    def close_alternative(self) -> None:
        self.alternatives.append(self.parts[0] if len(self.parts) == 1 else Sequence(tuple(self.parts)))
        self.parts = []

    def close(self) -> Expression:
        self.close_alternative()
        choices = self.alternatives
        whole = choices[0] if len(choices) == 1 else Choice(tuple(choices))
        return NumberedGroup(whole, self.capture, self.name) if self.capture else whole


def parse_expression(text: str) -> Expression:
    """The tree of an expression.

    Raises:
        BadExpression: Go rejects it.
        ExpressionBeyondLimits: it is too long or too deep, or uses classes that differ between versions of Go.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionBeyondLimits(f"is longer than {MAX_LENGTH:,} characters")
    return _Parser(text).whole()


class _Parser:
    """One pass over an expression."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._flags = _Flags()
        self._groups = [_Group()]
        self._captures = 0
        self._repeated = False

    def whole(self) -> Expression:
        while self._at < len(self._text):
            repeated, self._repeated = self._repeated, False
            self._next(repeated)
        if len(self._groups) > 1:
            raise BadExpression("a parenthesis is not closed")
        return self._groups[0].close()

    def _push(self, part: Expression) -> None:
        self._groups[-1].parts.append(part)

    def _literal(self, char: int) -> None:
        ranges = ((char, char),)
        self._push(Character(folded(ranges) if self._flags.fold else ranges))

    def _next(self, repeated: bool) -> None:
        char = self._text[self._at]
        match char:
            case "(":
                self._open()
                return
            case "[":
                ranges, self._at = read_class(self._text, self._at, fold=self._flags.fold)
                self._push(Character(ranges))
                return
            case "\\":
                self._escape()
                return
            case "*" | "+" | "?":
                self._at += 1
                self._repeat(*{"*": (0, None), "+": (1, None), "?": (0, 1)}[char], stacked=repeated, counted=False)
                return
            case "{" if found := _COUNT.match(self._text, self._at):
                self._at = found.end()
                self._repeat(*_counts(found), stacked=repeated, counted=True)
                return
        self._at += 1
        self._simple(char)

    def _simple(self, char: str) -> None:
        match char:
            case ")":
                self._close()
            case "|":
                self._groups[-1].close_alternative()
            case "^":
                self._push(Position(Assertion.BEGIN_LINE if self._flags.lines else Assertion.BEGIN_TEXT))
            case "$":
                self._push(Position(Assertion.END_LINE if self._flags.lines else Assertion.END_TEXT))
            case ".":
                self._push(Character(ANY if self._flags.dot_newline else NOT_NEWLINE))
            case _:
                self._literal(ord(char))

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise BadExpression("a parenthesis is closed that is not open")
        group = self._groups.pop()
        self._flags = group.flags
        self._push(group.close())

    def _open(self) -> None:
        if not self._text.startswith("(?", self._at):
            self._at += 1
            self._capture("")
            return
        named = next((start for start in ("(?P<", "(?<") if self._text.startswith(start, self._at)), None)
        if named is None:
            self._change_flags()
            return
        begin = self._at + len(named)
        end = self._text.find(">", begin)
        name = self._text[begin : max(end, begin)]
        if not _NAME.fullmatch(name):
            raise BadExpression("a group has no valid name; look-behind is not supported")
        self._at = end + 1
        self._capture(name)

    def _capture(self, name: str) -> None:
        self._captures += 1
        self._begin(self._captures, name)

    def _begin(self, capture: int, name: str) -> None:
        if len(self._groups) > MAX_NESTING:
            raise ExpressionBeyondLimits(f"is nested deeper than {MAX_NESTING} levels")
        self._groups.append(_Group(capture, name, self._flags))

    def _change_flags(self) -> None:
        flags, value, is_named = self._flags, True, False
        for at in range(self._at + 2, len(self._text)):
            char = self._text[at]
            if char in _FLAG_NAMES:
                flags = replace(flags, **{_FLAG_NAMES[char]: value})
                is_named = True
            elif char == "-" and value:
                value = is_named = False
            elif char in ":)" and (value or is_named):
                if char == ":":
                    self._begin(0, "")
                self._flags, self._at = flags, at + 1
                return
            else:
                break
        raise BadExpression("(? does not begin a group or flags; look-around is not supported")

    def _escape(self) -> None:
        letter = self._text[self._at + 1 : self._at + 2]
        if letter in _ASSERTIONS:
            self._at += 2
            self._push(Position(_ASSERTIONS[letter]))
        elif letter == "Q":
            quoted, _, _ = self._text[self._at + 2 :].partition("\\E")
            for char in quoted:
                self._literal(ord(char))
            self._at = min(self._at + 2 + len(quoted) + 2, len(self._text))
        elif (found := class_escape(self._text, self._at, fold=self._flags.fold)) is not None:
            ranges, self._at = found
            self._push(Character(merged(ranges)))
        else:
            char_code, self._at = escaped_character(self._text, self._at)
            self._literal(char_code)

    def _repeat(self, least: int, most: int | None, *, stacked: bool, counted: bool) -> None:
        lazy = self._flags.lazy
        if self._text.startswith("?", self._at):
            self._at += 1
            lazy = not lazy
        if stacked:
            raise BadExpression("a repetition is repeated")
        parts = self._groups[-1].parts
        if not parts:
            raise BadExpression("a repetition has nothing to repeat")
        part = Repeat(parts.pop(), least, most, not lazy, counted)
        if counted and max(least, most or 0) >= 2 and not _is_repeatable(part, MAX_REPEAT):
            raise BadExpression(f"repetitions multiply to more than {MAX_REPEAT}")
        parts.append(part)
        self._repeated = True


def _counts(found: re.Match[str]) -> tuple[int, int | None]:
    least_text, comma, most_text = found.groups()
    if max(len(least_text), len(most_text or "")) > _MAX_DIGITS:
        raise BadExpression(f"a repetition is larger than {MAX_REPEAT}")
    least = int(least_text)
    most = least if comma is None else None if most_text is None else int(most_text)
    if max(least, most or 0) > MAX_REPEAT or (most is not None and least > most):
        raise BadExpression(f"a repetition is larger than {MAX_REPEAT}, or its limits are reversed")
    return least, most


def _is_repeatable(part: Expression, left: int) -> bool:
    """Whether counted repetitions inside each other multiply to at most `left`, as Go counts them."""
    if isinstance(part, Repeat) and part.counted:
        if part.most == 0:
            return True
        most = part.least if part.most is None else part.most
        if most > left:
            return False
        left = left // most if most else left
    match part:
        case Repeat(inner) | NumberedGroup(inner):
            return _is_repeatable(inner, left)
        case Sequence(parts) | Choice(parts):
            return all(_is_repeatable(each, left) for each in parts)
        case _:
            return True
