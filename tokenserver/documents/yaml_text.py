"""YAML that this program writes: scalars and lists that every YAML parser, old or new, reads as the same strings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/:-]*[A-Za-z0-9]")
_YAML_WORDS = {"yes", "no", "on", "off", "true", "false", "null"}


def yaml_scalar(text: str) -> str:
    """The text as a YAML scalar, quoted unless every YAML parser reads it as the same string without quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return json.dumps(text)  # a JSON string is a YAML string


def yaml_list(texts: Iterable[str]) -> str:
    """The texts as a YAML list on one line."""
    return f"[{', '.join(yaml_scalar(text) for text in texts)}]"


def yaml_comment(text: str, indent: str = "") -> str:
    """The text as YAML comment lines, each ended; control characters, which could end a comment, become blanks."""
    lines = text.split("\n")
    printable = ("".join(letter if letter.isprintable() else " " for letter in line).rstrip() for line in lines)
    return "".join(f"{indent}# {line}".rstrip() + "\n" for line in printable)
