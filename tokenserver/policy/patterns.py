"""Repository patterns: parsed once, matched segment by segment, never with a regular expression.

`*` is any run of characters, also none, inside one segment; `**` is one or more whole segments; `${user}` and
`${group}` are one whole segment, literally. A pattern always covers the whole name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from tokenserver.errors import TokenserverError
from tokenserver.scopes import MAX_NAME_LENGTH, is_path_component, is_repository_name

_GLOB = re.compile(r"[a-z0-9._*-]+", re.ASCII)
_HOST_GLOB = re.compile(r"[a-z0-9.*-]+:[0-9*]+", re.ASCII)
_VARIABLES = {"${user}", "${group}"}


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
    """One segment of a pattern; `pieces` are the texts between the `*` of a glob."""

    kind: SegmentKind
    text: str
    pieces: tuple[str, ...] = ()


MAX_GLOBS = 32
"""Limit for the segments of one pattern that contain `*`, which bounds the cost of matching a name."""

_WHOLE_TREE = (Segment(SegmentKind.MANY, "**"),)


@lru_cache(maxsize=4096)
def _kept_once(rest: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """The first equal value, shared: most patterns of a large tree have the same end."""
    return rest


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern: its literal prefix of `depth` whole segments, and the `rest` that must be compared."""

    text: str
    prefix: str
    depth: int
    rest: tuple[Segment, ...]
    repeats_group: bool = False

    def uses(self, kind: SegmentKind) -> bool:
        """Whether it has a segment of this kind, other than in its prefix."""
        return any(segment.kind is kind for segment in self.rest)


def parse_pattern(text: str) -> Pattern:
    """Parse a pattern of the policy language.

    Raises:
        PatternError: no repository name could match it, or it is likely to be misread.
    """
    if len(text) > MAX_NAME_LENGTH:
        raise PatternError(f"longer than {MAX_NAME_LENGTH} characters, the limit for repository names")
    parts = text.split("/")
    segments = [_parse_segment(part, is_host=index == 0 and len(parts) > 1) for index, part in enumerate(parts)]
    if sum(segment.kind is SegmentKind.GLOB for segment in segments) > MAX_GLOBS:
        raise PatternError(f"has a * in more than {MAX_GLOBS} segments; fix: use one ** for several segments")
    depth = 0
    while depth < len(segments) and segments[depth].kind is SegmentKind.LITERAL:
        depth += 1
    repeats_group = sum(segment.kind is SegmentKind.GROUP for segment in segments) > 1
    return Pattern(text, "/".join(parts[:depth]), depth, _kept_once(tuple(segments[depth:])), repeats_group)


def parse_name(text: str) -> Pattern:
    """Parse a plain name without any wildcard, as registry resources have.

    Raises:
        PatternError: not a legal name.
    """
    if not is_repository_name(text):
        raise PatternError("must be a plain name such as catalog, without wildcards")
    return Pattern(text, text, text.count("/") + 1, ())


def matches(pattern: Pattern, segments: Sequence[str], user: str | None, groups: Collection[str]) -> bool:
    """Whether the pattern covers the name with these `segments`, for this user (None: no user) in these groups."""
    if "/".join(segments[: pattern.depth]) != pattern.prefix:
        return False
    return matches_below(pattern, segments, user, groups)


def matches_somebody(pattern: Pattern, segments: Sequence[str]) -> bool:
    """Whether the pattern covers the name with these `segments` for any user in any groups."""
    users: Iterable[str | None] = segments if pattern.uses(SegmentKind.USER) else (None,)
    return any(matches(pattern, segments, user, segments) for user in users)


def matches_below(pattern: Pattern, segments: Sequence[str], user: str | None, groups: Collection[str]) -> bool:
    """Like `matches`, for a caller that found the pattern by its prefix and need not compare it again."""
    rest = pattern.rest
    if not rest:
        return len(segments) == pattern.depth
    if len(segments) - pattern.depth < len(rest):
        return False  # every segment of a pattern takes at least one of the name
    if rest == _WHOLE_TREE:
        return True
    if not pattern.repeats_group:
        return _matches_rest(rest, segments, pattern.depth, user, groups)
    # `${group}` twice in one pattern is the same group twice.
    candidates = {segment for segment in segments if segment in groups}
    return any(_matches_rest(rest, segments, pattern.depth, user, (group,)) for group in candidates)


def _matches_rest(
    rest: Sequence[Segment], segments: Sequence[str], start: int, user: str | None, groups: Collection[str]
) -> bool:
    """Compare from left to right, going back to the last `**` alone: at most segments x pattern steps.

    Going back further is never needed: what an earlier `**` could give up, the last one can take.
    """
    position, at = start, 0
    many_at, many_ends = -1, 0
    while position < len(segments):
        if at < len(rest) and rest[at].kind is SegmentKind.MANY:
            many_at, many_ends = at, position
        elif at >= len(rest) or not _fits(rest[at], segments[position], user, groups):
            if many_at < 0:
                return False
            many_ends += 1
            position, at = many_ends, many_at
        position, at = position + 1, at + 1
    return at == len(rest)


def _fits(segment: Segment, text: str, user: str | None, groups: Collection[str]) -> bool:
    kind = segment.kind
    if kind is SegmentKind.LITERAL:
        return text == segment.text
    if kind is SegmentKind.GLOB:
        return _fits_glob(segment.pieces, text)
    # A host:port segment could equal a strange user name; such a value must never match.
    if kind is SegmentKind.USER:
        return text == user and is_path_component(text)
    return text in groups and is_path_component(text)


def _fits_glob(pieces: tuple[str, ...], text: str) -> bool:
    first, last = pieces[0], pieces[-1]
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
def _parse_segment(text: str, *, is_host: bool) -> Segment:
    if text == "**":
        return Segment(SegmentKind.MANY, text)
    if text in _VARIABLES:
        return Segment(SegmentKind.USER if text == "${user}" else SegmentKind.GROUP, text)
    if not text:
        raise PatternError("has an empty segment; fix: remove the / at either end, and // inside")
    if "**" in text:
        raise PatternError(f"{text!r}: ** must be a whole segment; fix: use * inside a segment")
    if "$" in text:
        raise PatternError(f"{text!r}: the only variables are ${{user}} and ${{group}}, each as a whole segment")
    if text.lower() != text:
        raise PatternError(f"{text!r}: repository names are lower case")
    if ".." in text.strip("."):
        raise PatternError(f"{text!r}: no repository can have this name; fix: use single dots")
    is_legal_host = is_host and (is_repository_name(f"{text}/x") or _HOST_GLOB.fullmatch(text) is not None)
    if ".." in text or not (_GLOB.fullmatch(text) or is_legal_host):
        hint = "; a repository has no tag, digest or port" if ":" in text or "@" in text else ""
        raise PatternError(f"{text!r}: a segment consists of a-z 0-9 . _ - and the wildcards * and **{hint}")
    if text[0] in "._-" or text[-1] in "._-" or not ("*" in text or is_path_component(text) or is_legal_host):
        raise PatternError(
            f"{text!r}: no repository can have this name; fix: put separators only between letters or digits"
        )
    if "*" in text:
        return Segment(SegmentKind.GLOB, text, tuple(text.split("*")))
    return Segment(SegmentKind.LITERAL, text)
