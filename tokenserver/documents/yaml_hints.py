"""Hints for frequent mistakes in YAML, whose parser only says which character it did not expect."""

from __future__ import annotations

import re

_INDENTED_WITH_TAB = re.compile(r"[ ]*\t")
_VALUE = r"(?:^[ \t]*|[\[,{][ \t]*|(?:^|[ \t])-[ \t]+|:[ \t]+)"
_PLAIN = r"[^\s,\[\]{}\"'#]"
_MISTAKES = (
    (re.compile(_VALUE + r"\*"), 'quote a value that begins with *, as in "**"'),
    (re.compile(_VALUE + _PLAIN + r"*\$\{"), 'quote a value with ${, as in "${user}/**"'),
    (re.compile(_VALUE + _PLAIN + r"+\{|\{\w*\}" + _PLAIN), 'quote a value with {, as in "group:reg-{team}-rw"'),
    (re.compile(_VALUE + r"[@`%!]"), "quote a value that begins with @, %, ! or `"),
)
"""Hints never repeat the text, which may be a secret."""

_END = re.compile(r"^\.\.\.[ \t]*(?:#.*)?$", re.MULTILINE)


def beginners_hint(text: str, line: int) -> str:
    """What is probably wrong on this line (1-based) of a text that is not valid YAML; empty if there is no idea."""
    lines = text.split("\n")
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    end = _END.search(text)
    if end is not None and text.count("\n", 0, end.start()) < line - 1:
        return "; nothing may stand after the line ..., which ends the file; fix: move it above that line"
    if _INDENTED_WITH_TAB.match(here):
        return "; fix: indent with spaces, since YAML has no tabs there"
    return next((f"; fix: {fix}" for mistake, fix in _MISTAKES if mistake.search(here)), "")
