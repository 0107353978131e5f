"""Reasons of management in the language of a page.

They are English sentences with values in them, for the API and commands too. What they are made from is in the table of
a language, so a reason is translated as a whole, with its values, or shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

_VALUE = re.compile(r"\{(\w+)\}", re.ASCII)


class Reasons:
    """Translates reasons by `texts`: English ones with `{name}` where a value is, and theirs in another language."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._known = [(_pattern_of(text), translated) for text, translated in texts.items()]
        self._is_foreign = bool(texts)

    def translated(self, reason: str) -> Markup:
        """The reason in the language; one that is not known stays English, and says so if the page is not."""
        for pattern, translated in self._known:
            found = pattern.fullmatch(reason)
            if found is not None:
                return escape(translated).format(**found.groupdict())
        return Markup('<span lang="en">{}</span>').format(reason) if self._is_foreign else escape(reason)


def _pattern_of(text: str) -> re.Pattern[str]:
    pieces = _VALUE.split(text)
    names, fixed = pieces[1::2], [re.escape(piece) for piece in pieces[::2]]
    values = [f"(?P<{name}>.*?)" for name in names] + [""]
    return re.compile("".join(f"{piece}{value}" for piece, value in zip(fixed, values, strict=True)), re.DOTALL)
