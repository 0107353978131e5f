"""Go's regular expressions: whether a text contains a match, and its groups. The time is linear in the text's length.

`is_found` builds a deterministic automaton while it runs. `groups_in` runs all threads of the nondeterministic one side
by side, in the order of preference, which finds the leftmost match that Go and Perl find.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property, lru_cache

from tokenserver.importers.golang.characters import contains
from tokenserver.importers.golang.expression import (
    Assertion,
    Character,
    Expression,
    ExpressionBeyondLimits,
    NumberedGroup,
    Position,
    Sequence,
)
from tokenserver.importers.golang.expression_parser import parse_expression
from tokenserver.importers.golang.expression_program import (
    Accept,
    Branch,
    Consume,
    ExpressionProgram,
    Instruction,
    Keep,
    Require,
    compile_expression,
)

MAX_SUBJECT = 10_000
MAX_STEPS = 2_000_000
"""Instructions in one search: about a second."""

_MAX_STATES = 200

_REPLACEMENT = 0xFFFD
_NEWLINE = 10
_EDGE = -1

_Groups = tuple[int, ...]
_Thread = tuple[int, _Groups]
_State = tuple[frozenset[int], int]

_META = frozenset("\\.+*?()|[]{}^$")


def quote_meta(text: str) -> str:
    """The expression that matches just this text."""
    return "".join(f"\\{char}" if char in _META else char for char in text)


@lru_cache(maxsize=65_536)
def go_expression(text: str) -> GoExpression:
    """The expression, which is compiled when it is first needed.

    Raises:
        BadExpression: Go rejects it.
        ExpressionBeyondLimits: it is too large, or has classes that depend on the version of Go.
    """
    return GoExpression(text, _prefix(parse_expression(text)))


def _prefix(expression: Expression) -> str:
    """The text that every match begins with, at the beginning of the subject; empty if there is none."""
    parts = _flat(expression)
    if next(parts) != Position(Assertion.BEGIN_TEXT):
        return ""
    text = ""
    for part in parts:
        if not isinstance(part, Character) or len(part.ranges) != 1 or len(set(part.ranges[0])) != 1:
            break
        text += chr(part.ranges[0][0])
    # A byte that is not UTF-8 is another character in the subject.
    return text.partition(chr(_REPLACEMENT))[0]


def _flat(expression: Expression) -> Iterator[Expression]:
    """The parts that follow each other, in groups and outside; an empty expression is a part."""
    waiting = [expression]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Sequence) and part.parts:
            waiting += part.parts[::-1]
        elif isinstance(part, NumberedGroup):
            waiting.append(part.part)
        else:
            yield part


class GoExpression:
    """An expression, unanchored as in Go."""

    def __init__(self, text: str, prefix: str) -> None:
        self._text, self._prefix = text, prefix
        self._next: dict[_State, dict[int, _State | None]] = {}

    @cached_property
    def _compiled(self) -> ExpressionProgram:
        return compile_expression(parse_expression(self._text))

    @cached_property
    def _program(self) -> tuple[Instruction, ...]:
        return self._compiled.instructions

    def is_found(self, subject: str) -> bool:
        """Whether the subject contains a match.

        Raises:
            ExpressionBeyondLimits: the subject is too long, or the search too expensive.
        """
        if not subject.startswith(self._prefix):
            return False
        runes = _runes(subject)
        steps = 0
        state: _State = (frozenset(), _EDGE)
        for char in (*runes, _EDGE):
            moves = self._next.get(state)
            if moves is None:
                if len(self._next) >= _MAX_STATES:
                    self._next.clear()
                moves = self._next[state] = {}
            if char not in moves:
                moves[char], cost = self._move(state, char)
                steps = _count(steps, cost)
            found = moves[char]
            if found is None:
                return True
            state = found
        return False

    def _move(self, state: _State, char: int) -> tuple[_State | None, int]:
        """The state after a character, None if a match ends before it; and how many instructions that took."""
        waiting, previous = state
        holding = _holding(previous, char)
        stack, seen, after = [0, *waiting], set[int](), set[int]()
        while stack:
            at = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            match self._program[at]:
                case Consume(ranges):
                    if contains(ranges, char):
                        after.add(at + 1)
                case Branch(first, second):
                    stack += (first, second)
                case Require(assertion) if assertion not in holding:
                    pass
                case Accept():
                    return None, len(seen)
                case _:
                    stack.append(at + 1)
        return (frozenset(after), _kind(char)), len(seen)

    def groups_in(self, subject: str) -> tuple[str, ...] | None:
        """The texts of the leftmost match and of its groups, empty for a group that takes no part; None without one.

        Raises:
            ExpressionBeyondLimits: the subject is too long, or the search too expensive.
        """
        if not subject.startswith(self._prefix):
            return None
        runes = _runes(subject)
        nothing = (-1,) * (2 * self._compiled.groups + 2)
        found: _Groups | None = None
        threads: list[_Thread] = []
        steps, previous = 0, _EDGE
        for position, char in enumerate((*runes, _EDGE)):
            if found is None:
                threads.append((0, (position, *nothing[1:])))
            elif not threads:
                break
            ready, cost = self._ready(threads, position, _holding(previous, char))
            steps = _count(steps, cost)
            threads = []
            for at, groups in ready:
                instruction = self._program[at]
                if not isinstance(instruction, Consume):
                    found = (groups[0], position, *groups[2:])
                    break
                if contains(instruction.ranges, char):
                    threads.append((at + 1, groups))
            previous = char
        if found is None:
            return None
        return tuple(subject[max(begin, 0) : max(end, 0)] for begin, end in zip(found[::2], found[1::2], strict=True))

    def _ready(self, threads: list[_Thread], position: int, holding: frozenset[Assertion]) -> tuple[list[_Thread], int]:
        """The threads at instructions that consume or accept, best first."""
        ready: list[_Thread] = []
        seen: set[int] = set()
        stack = threads[::-1]
        while stack:
            at, groups = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            match self._program[at]:
                case Branch(first, second):
                    stack += ((second, groups), (first, groups))
                case Keep(slot):
                    stack.append((at + 1, (*groups[:slot], position, *groups[slot + 1 :])))
                case Require(assertion):
                    if assertion in holding:
                        stack.append((at + 1, groups))
                case _:
                    ready.append((at, groups))
        return ready, len(seen)


def _runes(subject: str) -> list[int]:
    if len(subject) > MAX_SUBJECT:
        raise ExpressionBeyondLimits(f"the text to search is longer than {MAX_SUBJECT:,} characters")
    # A byte that is not UTF-8, which is a lone surrogate in Python, is the replacement character for Go.
    return [_REPLACEMENT if 0xD800 <= code < 0xE000 else code for code in map(ord, subject)]


def _count(steps: int, cost: int) -> int:
    if steps + cost > MAX_STEPS:
        raise ExpressionBeyondLimits(f"the search takes more than {MAX_STEPS:,} steps")
    return steps + cost


def _is_word(char: int) -> bool:
    return char == 0x5F or (0 <= char < 0x80 and chr(char).isalnum())


def _kind(char: int) -> int:
    """All that assertions see of a character: a newline, a part of a word, or neither."""
    return _NEWLINE if char == _NEWLINE else 0x5F if _is_word(char) else 0x20


@cache
def _holding_kinds(previous: int, following: int) -> frozenset[Assertion]:
    at_word = _is_word(previous) != _is_word(following)
    holding = {Assertion.WORD if at_word else Assertion.NOT_WORD}
    if previous in (_EDGE, _NEWLINE):
        holding.add(Assertion.BEGIN_LINE)
    if following in (_EDGE, _NEWLINE):
        holding.add(Assertion.END_LINE)
    if previous == _EDGE:
        holding.add(Assertion.BEGIN_TEXT)
    if following == _EDGE:
        holding.add(Assertion.END_TEXT)
    return frozenset(holding)


def _holding(previous: int, following: int) -> frozenset[Assertion]:
    """The assertions that hold between two characters; the edge of the text is one of its own."""
    return _holding_kinds(*(char if char == _EDGE else _kind(char) for char in (previous, following)))
