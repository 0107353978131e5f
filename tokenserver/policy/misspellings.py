"""Misspelt names of users and groups, with the spelling that was probably meant.

An allow rule for a name that nobody has grants nothing, which users notice. A deny rule for it forbids nothing,
which goes unnoticed. So names that are principals (`user:ann` instead of `ann`), sets of people (`everyone`) or several
principals in one text are faults wherever a name is expected.
"""

from __future__ import annotations

import re

from tokenserver.documents.hints import nearest

SETS = ("everyone", "authenticated", "anonymous", "robots", "workloads")
"""The sets of clients. No user or group can have one of these names."""

_SORTS = ("user", "group", "robot", "workload")
_PREFIX = re.compile(rf"\s*({'|'.join(_SORTS)})s?\s*:\s*(.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_SEVERAL = re.compile(rf"(?:[,;&|]|\s)\s*(?:{'|'.join(_SORTS)})s?:", re.IGNORECASE | re.ASCII)
_CAPTURE = re.compile(r"\{\w*\}")
_ALSO_CALLED = {
    "everyone": ("*", "all", "any", "anybody", "anyone", "every", "everybody", "public", "world"),
    "authenticated": ("auth", "logged-in", "loggedin", "members", "users"),
    "anonymous": ("anon", "guest", "guests", "nobody", "unauthenticated"),
    "robots": ("bots", "robot"),
    "workloads": ("workload",),
}
_SET_BY_WORD = {word: name for name, words in _ALSO_CALLED.items() for word in (name, *words)}


def mistake_in_name(text: str, sort: str = "") -> str | None:
    """The fault of `text` as the name of a `sort` (`user`, `group`, or empty for any), with a hint; None if it is fine.

    A colon alone is not a fault, since names in directories can have one.
    """
    matched = _PREFIX.fullmatch(text)
    if matched is not None:
        found, name = matched[1].lower(), matched[2]
        if sort in ("user", "group") and found != sort:
            return f"is a {found}, but the name of a {sort} is expected"
        return f"is a principal, but a name is expected; did you mean {name!r}?"
    if _SEVERAL.search(text) is not None:
        return "is more than one principal; fix: write one entry for each"
    if sort in ("user", "group") and text in SETS:
        return f"is a set of clients, not a {sort}; fix: as a principal, write {text!r} without a prefix"
    capture = _CAPTURE.search(text)
    if capture is not None and sort == "group":
        example = _CAPTURE.sub("web", text)
        return f"captures such as {capture[0]} are only in a rule's to; fix: name each group, such as {example}"
    if capture is not None:
        return "names are literal, without variables; fix: define a group"
    return None


def right_principal(text: str) -> str:
    """A hint at the principal that was probably meant by the invalid `text`."""
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
