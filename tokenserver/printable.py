"""Escaping of untrusted text for terminals, logs and shells. Pure.

A file name, a YAML key, a user name or the answer of a registry can contain control characters, which move the cursor,
recolour or reorder printed text, or fake a line. They are printed as escapes (`\\x1b`), never raw.
"""

from __future__ import annotations

import re
import shlex

__all__ = ["cut", "one_line", "printable", "shell_word"]

# C0, DEL, C1, half of a surrogate pair (a byte of a file name that is not UTF-8), line and paragraph separators, and
# bidirectional and invisible characters: of the invisible format characters only the joiners of scripts are text.
_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_UNFIT_BUT_LAYOUT = re.compile(f"(?![\n\t]|\r\n){_UNFIT.pattern}")


def one_line(text: str) -> str:
    """The text on one line: every control character escaped, including newline and tab."""
    return _UNFIT.sub(_escape, text)


def printable(text: str) -> str:
    """The text with newlines (also `\\r\\n`) and tabs kept, and every other control character escaped."""
    return _UNFIT_BUT_LAYOUT.sub(_escape, text)


def cut(text: str, limit: int) -> str:
    """The text, truncated to `limit` characters with an ellipsis at the end."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def shell_word(text: object) -> str:
    """The text quoted as one shell word; control characters become escapes in the form `$'…'`.

    A path that would be taken for an option is prefixed with `./`.
    """
    word = str(text)
    if hasattr(text, "__fspath__") and word.startswith("-"):
        word = f"./{word}"
    if _UNFIT.search(word) is None:
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_UNFIT.sub(_shell_escape, escaped)}'"


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8, as Python represents it
        return f"\\x{code - 0xDC00:02x}"
    if found[0] in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[found[0]]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _shell_escape(found: re.Match[str]) -> str:
    """Three octal digits per byte, so that following digits cannot be taken for part of the escape."""
    return "".join(f"\\{byte:03o}" for byte in found[0].encode("utf-8", "surrogateescape"))
