"""Repository patterns: parsed once, matched segment by segment, never with a regular expression.

`*` is any run of characters, also none, inside one segment; `**` is one or more whole segments. `${user}`, `${group}`
and the captured part of a group's name (`${team}` in a rule to `group:reg-{team}-rw`) are one whole segment or a part
of one, literally. A pattern always covers the whole name.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from tokenserver.errors import TokenserverError
from tokenserver.misspelt_variables import mistake_in_variables
from tokenserver.scopes import MAX_NAME_LENGTH, is_path_component, is_repository_name

_GLOB = re.compile(r"[a-z0-9._*-]+", re.ASCII)
_HOST_GLOB = re.compile(r"[a-z0-9.*-]+:[0-9*]+", re.ASCII)
_VARIABLE = re.compile(r"\$\{(\w+)\}", re.ASCII)


class PatternError(TokenserverError):
    """An invalid pattern; the text says what is expected."""


class SegmentKind(Enum):
    """How one segment of a pattern matches."""

    LITERAL = auto()
    GLOB = auto()
    MANY = auto()
    USER = auto()
    GROUP = auto()


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a pattern.

    `pieces` are the texts between the `*` of a glob. Of a variable, they are the texts before and after it, which can
    contain `*`; none if it is the whole segment.
    """

    kind: SegmentKind
    text: str
    pieces: tuple[str, ...] = ()


class Capture(NamedTuple):
    """The literal texts around the captured part of a group's name; at least one of them is not empty."""

    before: str
    after: str

    def value(self, group: str) -> str | None:
        """The captured part of the name of a group; None if it is no such name, or the part no path component."""
        value = inside(self, group)
        return value if is_path_component(value) else None


MAX_GLOBS = 32
"""Limit for the segments of one pattern that contain `*`, which bounds the cost of matching a name."""


@lru_cache(maxsize=4096)
def _kept_once(rest: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """The first equal value, shared: most patterns of a large tree have the same end."""
    return rest


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern: its literal prefix of `depth` whole segments, and the `rest` that must be compared.

    With `captures`, the segments of the kind `GROUP` stand for what any of them captures of a group's name; without,
    for the whole name.
    """

    text: str
    prefix: str
    depth: int
    rest: tuple[Segment, ...]
    repeats_group: bool = False
    captures: tuple[Capture, ...] = ()

    def uses(self, kind: SegmentKind) -> bool:
        """Whether it has a segment of this kind, other than in its prefix."""
        return any(segment.kind is kind for segment in self.rest)


def parse_pattern(text: str, variable: str = "", captures: tuple[Capture, ...] = ()) -> Pattern:
    """Parse a pattern of the policy language. `variable` is the name of what its rule captures by `captures`, if any.

    Raises:
        PatternError: no repository name could match it, or it is likely to be misread.
    """
    if len(text) > MAX_NAME_LENGTH:
        raise PatternError(f"longer than {MAX_NAME_LENGTH} characters, the limit for repository names")
    parts = text.split("/")
    segments = [_parse_segment(part, variable, is_host=not at and len(parts) > 1) for at, part in enumerate(parts)]
    if sum("*" in segment.text and segment.kind is not SegmentKind.MANY for segment in segments) > MAX_GLOBS:
        raise PatternError(f"has a * in more than {MAX_GLOBS} segments; fix: use one ** for several segments")
    depth = 0
    while depth < len(segments) and segments[depth].kind is SegmentKind.LITERAL:
        depth += 1
    group_count = sum(segment.kind is SegmentKind.GROUP for segment in segments)
    rest = _kept_once(tuple(segments[depth:]))
    return Pattern(text, "/".join(parts[:depth]), depth, rest, group_count > 1, captures if group_count else ())


def parse_name(text: str) -> Pattern:
    """Parse a plain name without any wildcard, as registry resources have.

    Raises:
        PatternError: not a legal name.
    """
    if not is_repository_name(text):
        raise PatternError("must be a plain name such as catalog, without wildcards")
    return Pattern(text, text, text.count("/") + 1, ())


def matches(pattern: Pattern, segments: Sequence[str], user: str | None, groups: Container[str]) -> bool:
    """Whether the pattern covers the name with these `segments`, for this user (None: no user) in these groups."""
    if "/".join(segments[: pattern.depth]) != pattern.prefix:
        return False
    return matches_below(pattern, segments, user, groups)


def matches_below(pattern: Pattern, segments: Sequence[str], user: str | None, groups: Container[str]) -> bool:
    """Like `matches`, for a caller that found the pattern by its prefix and need not compare it again."""
    rest = pattern.rest
    if not rest:
        return len(segments) == pattern.depth
    if len(segments) - pattern.depth < len(rest):
        return False  # every segment of a pattern takes at least one of the name
    if len(rest) == 1 and rest[0].kind is SegmentKind.MANY:
        return True
    values: Container[str] = _CapturedParts(pattern.captures, groups) if pattern.captures else groups
    if not pattern.repeats_group:
        return _matches_rest(rest, segments, pattern.depth, user, values)
    # `${group}` twice in one pattern is the same group twice.
    found = _values_in(segments, rest, values)
    return any(_matches_rest(rest, segments, pattern.depth, user, (value,)) for value in found)


@dataclass(slots=True)
class _CapturedParts(Container[str]):
    captures: tuple[Capture, ...]
    groups: Container[str]

    def __contains__(self, part: object) -> bool:
        return any(f"{before}{part}{after}" in self.groups for before, after in self.captures)


def _values_in(segments: Sequence[str], rest: Sequence[Segment], values: Container[str]) -> set[str]:
    """The values of `${group}` that can be in the name with these `segments`."""
    first = next(one for one in rest if one.kind is SegmentKind.GROUP)
    return {part for text in segments for part in _parts(first, text) if part in values}


def _matches_rest(
    rest: Sequence[Segment], segments: Sequence[str], start: int, user: str | None, values: Container[str]
) -> bool:
    """Compare from left to right, going back to the last `**` alone: at most segments x pattern steps.

    Going back further is never needed: what an earlier `**` could give up, the last one can take.
    """
    position, at = start, 0
    many_at, many_ends = -1, 0
    while position < len(segments):
        if at < len(rest) and rest[at].kind is SegmentKind.MANY:
            many_at, many_ends = at, position
        elif at >= len(rest) or not _fits(rest[at], segments[position], user, values):
            if many_at < 0:
                return False
            many_ends += 1
            position, at = many_ends, many_at
        position, at = position + 1, at + 1
    return at == len(rest)


def _fits(segment: Segment, text: str, user: str | None, values: Container[str]) -> bool:
    kind = segment.kind
    if kind is SegmentKind.LITERAL:
        return text == segment.text
    if kind is SegmentKind.GLOB:
        return _fits_glob(segment.pieces, text)
    if segment.pieces:
        return _fits_in_part(segment, text, user, values)
    # A host:port segment could equal a strange user name; such a value must never match.
    if kind is SegmentKind.USER:
        return text == user and is_path_component(text)
    return text in values and is_path_component(text)


def _fits_in_part(segment: Segment, text: str, user: str | None, values: Container[str]) -> bool:
    """Whether a segment with a variable and other texts matches."""
    pieces = segment.pieces
    if segment.kind is SegmentKind.USER:
        return user is not None and is_path_component(user) and fits_around(pieces, user, text)
    found = (part for part in _parts(segment, text) if part in values and fits_around(pieces, part, text))
    return any(map(is_path_component, found))


def _parts(segment: Segment, text: str) -> Iterable[str]:
    """The parts of a text that the variable of a segment may stand for: few, while a client may be in many groups."""
    if not segment.pieces:
        return (text,)
    before, after = segment.pieces
    if "*" in after:
        return (text[len(before) : end] for end in range(len(before) + 1, len(text) + 1))
    if "*" in before:
        end = len(text) - len(after)
        return (text[start:end] for start in range(end))
    return (inside(segment.pieces, text),)


def inside(pieces: tuple[str, ...], text: str) -> str:
    """The text without those before and after the variable; empty if it does not have them."""
    before, after = pieces
    has_both = len(text) > len(before) + len(after) and text.startswith(before) and text.endswith(after)
    return text[len(before) : len(text) - len(after)] if has_both else ""


def fits_around(pieces: tuple[str, ...], value: str, text: str) -> bool:
    """Whether a segment with a variable that has this value, and any `*` beside it, matches."""
    return _fits_glob(tuple(value.join(pieces).split("*")), text)


def _fits_glob(pieces: tuple[str, ...], text: str) -> bool:
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return text == first
    if not (text.startswith(first) and text.endswith(last)):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in pieces[1:-1]:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return position <= end and text != ""


@lru_cache(maxsize=4096)  # most patterns of a large tree share a few segments, which are then kept once
def _parse_segment(text: str, variable: str, *, is_host: bool) -> Segment:
    if text == "**":
        return Segment(SegmentKind.MANY, text)
    if not text:
        raise PatternError("has an empty segment; fix: remove the / at either end, and // inside")
    if "**" in text:
        raise PatternError(f"{text!r}: ** must be a whole segment; fix: use * inside a segment")
    if "$" in text or "{" in text:
        mistake = mistake_in_variables(text, variable)
        if mistake is not None:
            raise PatternError(f"{text!r}: {mistake}")
    if "$" in text:
        return _parse_variable(text)
    _check_characters(text, text, is_host=is_host)
    if "*" in text:
        return Segment(SegmentKind.GLOB, text, tuple(text.split("*")))
    return Segment(SegmentKind.LITERAL, text)


def _parse_variable(text: str) -> Segment:
    found = _VARIABLE.findall(text)
    if len(found) > 1:
        raise PatternError(f"{text!r}: a segment has at most one variable; fix: put a / between them")
    before, after = _VARIABLE.split(text)[::2]
    if "*" in before and "*" in after:
        raise PatternError(f"{text!r}: a variable has a * on one side at most; fix: put a / between them")
    _check_characters(text, f"{before}a{after}", is_host=False)
    pieces = (before, after) if before or after else ()
    return Segment(SegmentKind.USER if found == ["user"] else SegmentKind.GROUP, text, pieces)


def _check_characters(written: str, text: str, *, is_host: bool) -> None:
    """Raise a `PatternError` if no segment of a name could match; in `text`, a letter takes the place of a variable."""
    if text.lower() != text:
        raise PatternError(f"{written!r}: repository names are lower case")
    if ".." in text.strip("."):
        raise PatternError(f"{written!r}: no repository can have this name; fix: use single dots")
    is_legal_host = is_host and (is_repository_name(f"{text}/x") or _HOST_GLOB.fullmatch(text) is not None)
    if ".." in text or not (_GLOB.fullmatch(text) or is_legal_host):
        hint = "; a repository has no tag, digest or port" if ":" in text or "@" in text else ""
        raise PatternError(f"{written!r}: a segment consists of a-z 0-9 . _ - and the wildcards * and **{hint}")
    if text[0] in "._-" or text[-1] in "._-" or not ("*" in text or is_path_component(text) or is_legal_host):
        raise PatternError(
            f"{written!r}: no repository can have this name; fix: put separators only between letters or digits"
        )
