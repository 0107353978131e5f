"""Go's `path.Match`: globs over paths, byte for byte as its algorithm finds them, not as its grammar promises.

`*` is any run without `/`, `?` one character but `/`; a class such as `[^a]` does match `/`. Every literal part between
two stars is taken where it fits first and never tried again, and a star may end inside a character of several bytes.
"""

from __future__ import annotations

import codecs

_META = frozenset("*?[\\")
_REPLACEMENT = 0xFFFD


class BadGlob(ValueError):
    """The glob is malformed: Go reports it, if at all, by not matching."""


def glob_matches(pattern: str, name: str) -> bool:
    """Whether a whole name matches; False for a malformed glob. Bytes that are not UTF-8 are lone surrogates."""
    if _META.isdisjoint(pattern):
        return pattern == name
    try:
        return _matches(_bytes(pattern), _bytes(name))
    except BadGlob:
        return False


def is_bad_glob(pattern: str) -> bool:
    """Whether a glob is malformed, so that it never matches anything."""
    rest = _bytes(pattern)
    try:
        while rest:
            _, chunk, rest = _next_chunk(rest)
            _match_chunk(chunk, b"")
    except BadGlob:
        return True
    return False


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _matches(pattern: bytes, name: bytes) -> bool:
    while pattern:
        star, chunk, pattern = _next_chunk(pattern)
        if star and not chunk:
            return b"/" not in name
        rest = _after_chunk(chunk, name, is_last=not pattern)
        skipped = 0
        while rest is None and star and skipped < len(name) and name[skipped] != 0x2F:
            skipped += 1
            rest = _after_chunk(chunk, name[skipped:], is_last=not pattern)
        if rest is None:
            return False
        name = rest
    return not name


def _after_chunk(chunk: bytes, name: bytes, *, is_last: bool) -> bytes | None:
    """What is left of the name after the chunk at its start; None if it does not match, or ends too early."""
    rest = _match_chunk(chunk, name)
    return None if rest is None or (is_last and rest) else rest


def _next_chunk(pattern: bytes) -> tuple[bool, bytes, bytes]:
    """Whether stars begin the pattern, the part up to the next star, and the rest."""
    stripped = pattern.lstrip(b"*")
    in_class, at = False, 0
    while at < len(stripped):
        char = stripped[at]
        if char == 0x5C:  # a backslash takes the next byte along
            at += 1
        elif char == 0x5B:
            in_class = True
        elif char == 0x5D:
            in_class = False
        elif char == 0x2A and not in_class:
            break
        at += 1
    return len(stripped) < len(pattern), stripped[:at], stripped[at:]


def _match_chunk(chunk: bytes, name: bytes) -> bytes | None:
    """What is left of the name; None if it does not match. The chunk is checked to its end in any case.

    Raises:
        BadGlob: the chunk is malformed.
    """
    failed = False
    while chunk:
        failed = failed or not name
        first = chunk[0]
        if first == 0x5B:
            char, size = (-1, 0) if failed else _first_rune(name)
            chunk, matched = _match_class(chunk[1:], char)
            failed, name = failed or not matched, name[size:]
        elif first == 0x3F:
            if not failed:
                failed, name = name[0] == 0x2F, name[_first_rune(name)[1] :]
            chunk = chunk[1:]
        else:
            if first == 0x5C:
                chunk = chunk[1:]
                if not chunk:
                    raise BadGlob
            if not failed:
                failed, name = chunk[0] != name[0], name[1:]
            chunk = chunk[1:]
    return None if failed else name


def _match_class(chunk: bytes, char: int) -> tuple[bytes, bool]:
    """What follows a class, which begins after its bracket, and whether the character is in it."""
    negated = chunk[:1] == b"^"
    if negated:
        chunk = chunk[1:]
    matched, ranges = False, 0
    while not (chunk[:1] == b"]" and ranges):
        low, chunk = _class_char(chunk)
        high = low
        if chunk[0] == 0x2D:
            high, chunk = _class_char(chunk[1:])
        matched = matched or low <= char <= high
        ranges += 1
    return chunk[1:], matched != negated


def _class_char(chunk: bytes) -> tuple[int, bytes]:
    if not chunk or chunk[0] in b"-]":
        raise BadGlob
    if chunk[0] == 0x5C:
        chunk = chunk[1:]
        if not chunk:
            raise BadGlob
    char, size = _first_rune(chunk)
    rest = chunk[size:]
    if (char == _REPLACEMENT and size == 1) or not rest:
        raise BadGlob
    return char, rest


def _first_rune(text: bytes) -> tuple[int, int]:
    """The first character and its length; the replacement character and 1 where the bytes are not UTF-8."""
    if text[0] < 0x80:
        return text[0], 1
    size = 2 if text[0] < 0xE0 else 3 if text[0] < 0xF0 else 4
    try:
        char, _ = codecs.utf_8_decode(text[:size], "strict", True)
    except UnicodeDecodeError:
        return _REPLACEMENT, 1
    return ord(char), size
