"""Names that would mean nobody because of how they are written, and the spelling that was probably meant.

A rule about a name that nobody can have grants nothing, which shows; but a deny about it forbids nothing, and that
does not show. So a name that is a principal (`user:ann` where `ann` belongs), a set of people (`everyone`) or several
names in one text is refused wherever names are written.
"""

from __future__ import annotations

import re

from tokenserver.documents import nearest

SETS = ("everyone", "authenticated", "anonymous")
"""The sets of people; no user and no group can have one of these names."""

_SORTS = ("user", "group", "robot", "workload")
_PREFIX = re.compile(rf"\s*({'|'.join(_SORTS)})s?\s*:\s*(.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_SEVERAL = re.compile(rf"(?:[,;&|]|\s)\s*(?:{'|'.join(_SORTS)})s?:", re.IGNORECASE | re.ASCII)
_CAPTURE = re.compile(r"\{\w*\}")
_ALSO_CALLED = {
    "everyone": ("*", "all", "any", "anybody", "anyone", "every", "everybody", "public", "world"),
    "authenticated": ("auth", "logged-in", "loggedin", "members", "users"),
    "anonymous": ("anon", "guest", "guests", "nobody", "unauthenticated"),
}
_SET_BY_WORD = {word: name for name, words in _ALSO_CALLED.items() for word in (name, *words)}


def mistake_in_name(text: str, sort: str = "") -> str | None:
    """What is wrong with `text` as the name of a `sort` (`user`, `group`, else anything), with the right spelling.

    None where it can be a name. A colon inside is none of a prefix's: directories have such names.
    """
    matched = _PREFIX.fullmatch(text)
    if matched is not None:
        found, name = matched[1].lower(), matched[2]
        if sort in ("user", "group") and found != sort:
            return f"is no name of a {sort}: {found}s are not named here"
        return f"is a principal, where a name alone is meant; did you mean {name!r}?"
    if _SEVERAL.search(text) is not None:
        return "is more than one principal in one text; write each as an entry of its own"
    if sort in ("user", "group") and text in SETS:
        return f"is a set of people and no {sort}; as a principal it is written {text!r} alone"
    if _CAPTURE.search(text) is not None:
        return "names are literal, without variables; make a group instead"
    return None


def right_principal(text: str) -> str:
    """A hint at the principal that was probably meant by `text`, which is none."""
    matched = _PREFIX.fullmatch(text)
    if matched is not None:
        return f"did you mean '{matched[1].lower()}:{matched[2].strip()}'?"
    known = _SET_BY_WORD.get(text.strip().lower())
    if known is not None:
        return f"did you mean {known!r}?"
    sort, colon, name = text.partition(":")
    hint = "" if colon else nearest(sort.lower(), SETS)
    if hint.startswith("did you mean"):
        return hint
    return f"did you mean 'user:{name or text}' or 'group:{name or text}'?"
