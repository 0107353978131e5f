"""YAML that this program writes: scalars and lists that every YAML parser, old or new, reads as the same strings."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/:-]*[A-Za-z0-9]")
_YAML_WORDS = {"yes", "no", "on", "off", "true", "false", "null"}
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def yaml_scalar(text: str) -> str:
    """The text as a YAML scalar, quoted unless every YAML parser reads it as the same string without quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return _quoted(text)


def yaml_flow_scalar(text: str) -> str:
    """As `yaml_scalar`, within brackets or braces, where old parsers take a colon for the end of a key."""
    return _quoted(text) if ":" in text else yaml_scalar(text)


def yaml_list(texts: Iterable[str]) -> str:
    """The texts as a YAML list on one line."""
    return f"[{', '.join(yaml_flow_scalar(text) for text in texts)}]"


def yaml_comment(text: str, indent: str = "") -> str:
    """The text as YAML comment lines, each ended; control characters, which could end a comment, become blanks."""
    lines = text.split("\n")
    printable = ("".join(letter if letter.isprintable() else " " for letter in line).rstrip() for line in lines)
    return "".join(f"{indent}# {line}".rstrip() + "\n" for line in printable)


def _quoted(text: str) -> str:
    """As in JSON, but not with two escapes for one character beyond U+FFFF, which YAML takes for two characters."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable():
        return letter
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
