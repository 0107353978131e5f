"""Compiler of regular expressions into instructions of an automaton, in the order in which Go prefers its branches."""

from __future__ import annotations

from dataclasses import dataclass

from tokenserver.importers.golang.characters import Ranges
from tokenserver.importers.golang.expression import (
    Assertion,
    Character,
    Choice,
    Expression,
    ExpressionBeyondLimits,
    NumberedGroup,
    Position,
    Repeat,
    Sequence,
)

MAX_INSTRUCTIONS = 5_000


@dataclass(frozen=True, slots=True)
class Consume:
    """Take one character of a set, and go on with the next instruction."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Require:
    """Go on if an assertion holds here."""

    assertion: Assertion


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep the position: where a group begins (twice its number) or ends (that plus 1)."""

    slot: int


@dataclass(slots=True)
class Branch:
    """Go on at either target, the first one preferred."""

    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Accept:
    """The expression matches up to here."""


Instruction = Consume | Require | Keep | Branch | Accept


@dataclass(frozen=True, slots=True)
class ExpressionProgram:
    """Instructions, executed from the first one, and the number of groups."""

    instructions: tuple[Instruction, ...]
    groups: int


def compile_expression(expression: Expression) -> ExpressionProgram:
    """The program of an expression.

    Raises:
        ExpressionBeyondLimits: it would have more than `MAX_INSTRUCTIONS` instructions.
    """
    compiler = _Emitter()
    compiler.emit(expression)
    compiler.add(Accept())
    return ExpressionProgram(tuple(compiler.instructions), _groups(expression))


def _groups(expression: Expression) -> int:
    match expression:
        case NumberedGroup(part, index):
            return max(index, _groups(part))
        case Repeat(part):
            return _groups(part)
        case Sequence(parts) | Choice(parts):
            return max(map(_groups, parts), default=0)
        case _:
            return 0


def _is_nullable(expression: Expression) -> bool:
    """Whether the empty text can match."""
    match expression:
        case Character():
            return False
        case Position():
            return True
        case Sequence(parts):
            return all(map(_is_nullable, parts))
        case Choice(alternatives):
            return any(map(_is_nullable, alternatives))
        case Repeat(part, least):
            return least == 0 or _is_nullable(part)
        case _:
            return _is_nullable(expression.part)


class _Emitter:
    """Instructions that fall through to the next one."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []

    def add(self, instruction: Instruction) -> int:
        if len(self.instructions) >= MAX_INSTRUCTIONS:
            raise ExpressionBeyondLimits(f"needs more than {MAX_INSTRUCTIONS:,} instructions")
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def emit(self, expression: Expression) -> None:
        match expression:
            case Character(ranges):
                self.add(Consume(ranges))
            case Position(assertion):
                self.add(Require(assertion))
            case Sequence(parts):
                for part in parts:
                    self.emit(part)
            case Choice(alternatives):
                self._choice(alternatives)
            case NumberedGroup(part, index):
                self.add(Keep(2 * index))
                self.emit(part)
                self.add(Keep(2 * index + 1))
            case _:
                self._repeat(expression)

    def _here(self) -> int:
        return len(self.instructions)

    def _branch(self) -> Branch:
        branch = Branch(0, 0)
        self.add(branch)
        return branch

    def _choice(self, alternatives: tuple[Expression, ...]) -> None:
        exits: list[Branch] = []
        for alternative in alternatives[:-1]:
            branch = self._branch()
            branch.first = self._here()
            self.emit(alternative)
            exits.append(self._branch())
            branch.second = self._here()
        self.emit(alternatives[-1])
        for each in exits:
            each.first = each.second = self._here()

    def _repeat(self, repeat: Repeat) -> None:
        part, greedy = repeat.part, repeat.greedy
        if repeat.most is not None:
            for _ in range(repeat.least):
                self.emit(part)
            self._optional(part, repeat.most - repeat.least, greedy=greedy)
            return
        for _ in range(repeat.least - 1):
            self.emit(part)
        if repeat.least:
            self._plus(part, greedy=greedy)
        elif _is_nullable(part):
            # As Go does: (x+)? keeps the order of preference that x* would lose.
            skip = self._branch()
            begin = self._here()
            self._plus(part, greedy=greedy)
            _aim(skip, begin, self._here(), greedy=greedy)
        else:
            loop_at = self._here()
            loop = self._branch()
            begin = self._here()
            self.emit(part)
            self.add(Branch(loop_at, loop_at))
            _aim(loop, begin, self._here(), greedy=greedy)

    def _plus(self, part: Expression, *, greedy: bool) -> None:
        begin = self._here()
        self.emit(part)
        again = self._branch()
        _aim(again, begin, self._here(), greedy=greedy)

    def _optional(self, part: Expression, times: int, *, greedy: bool) -> None:
        skips = []
        for _ in range(times):
            skips.append((self._branch(), self._here()))
            self.emit(part)
        for skip, begin in skips:
            _aim(skip, begin, self._here(), greedy=greedy)


def _aim(branch: Branch, into: int, past: int, *, greedy: bool) -> None:
    branch.first, branch.second = (into, past) if greedy else (past, into)
