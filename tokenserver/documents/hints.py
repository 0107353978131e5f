"""Hints at the name that was probably meant by a wrong one, within bounds of work: there may be thousands of both."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator

MAX_WORK = 2_000_000
"""The work for all hints of one object: for each comparison the product of the lengths of both names, since that is
what a comparison takes at worst. A second, if all names are much alike."""

MAX_LISTED = 100
"""Names that a hint lists if none is near."""

TOO_MANY = "no hint, since too many names are wrong; fix the others first"


class Hints:
    """Hints for the wrong names of one load, which share a budget of work; names beyond it get the text `TOO_MANY`."""

    def __init__(self) -> None:
        self.left = MAX_WORK
        """The work that is left."""

    def nearest(self, word: str, known: Iterable[str]) -> str:
        """A hint with the known word nearest to `word`, or with the known words if none is near."""
        if self.left <= 0:
            return TOO_MANY
        words = sorted(known)
        close = self.closest(word, words, most=1)
        if close:
            return f"did you mean {close[0]!r}?"
        return _listed(words)

    def closest(self, word: str, known: Collection[str], *, most: int, cutoff: float = 0.6) -> list[str]:
        """The known words that are nearest to `word`, as `difflib` sees it; those beyond the budget are left out."""
        return difflib.get_close_matches(word, self._affordable(word, known), n=most, cutoff=cutoff)

    def _affordable(self, word: str, known: Collection[str]) -> Iterator[str]:
        """The known words until there is no work left."""
        self.left -= len(word) + len(known)
        for one in known:
            self.left -= len(word) * len(one)
            if self.left <= 0:
                return
            yield one


def nearest(word: str, known: Iterable[str]) -> str:
    """As `Hints.nearest`, for a single word. In loops over names of a file, `Hints` bounds the work for all of them."""
    return Hints().nearest(word, known)


def _listed(known: Collection[str]) -> str:
    if not known:
        return "nothing is allowed here"
    more = f", and {len(known) - MAX_LISTED:,} more" if len(known) > MAX_LISTED else ""
    return "known here: " + ", ".join([*known][:MAX_LISTED]) + more
