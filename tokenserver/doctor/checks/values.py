"""How a value that should be ours differs from ours, where the two look alike. Pure."""

from __future__ import annotations

import unicodedata


def difference(theirs: str, ours: str) -> str | None:
    """How `theirs` differs from `ours`: `ends in a blank`. None if the two are equal or different altogether."""
    if theirs == ours or not theirs.strip() or not ours.strip():
        return None
    if theirs.strip() == ours.strip():
        return _at_an_end(theirs)
    for mark in "\"'`":
        if theirs.strip().strip(mark).strip() == ours:
            return f"has quotes ({mark}) around it that belong to its value"
    hidden = [character for character in theirs if not character.isprintable()]
    if hidden and "".join(one for one in theirs if one not in hidden) == ours:
        return f"holds an invisible character, U+{ord(hidden[0]):04X}"
    if theirs.casefold() == ours.casefold():
        return "differs in upper and lower case"
    if theirs.rstrip("/") == ours.rstrip("/"):
        return "ends in a slash" if theirs.endswith("/") else "lacks the slash at its end"
    return _shape(theirs, ours)


def _shape(theirs: str, ours: str) -> str | None:
    for scheme in ("https://", "http://"):
        if theirs.startswith(scheme) and theirs.removeprefix(scheme).rstrip("/") == ours:
            return f"has {scheme} before it"
        if ours.startswith(scheme) and ours.removeprefix(scheme).rstrip("/") == theirs.rstrip("/"):
            return f"lacks the {scheme} before it"
    name, _, port = theirs.rpartition(":")
    if name == ours and port.isdecimal():
        return f"has a port behind it, :{port}"
    if unicodedata.normalize("NFKC", theirs) == unicodedata.normalize("NFKC", ours):
        return "is written with other characters that look the same"
    return None


def _at_an_end(theirs: str) -> str:
    if theirs == theirs.strip():
        return "lacks a blank that ours has"
    start = theirs[: len(theirs) - len(theirs.lstrip())]
    end = theirs[len(theirs.rstrip()) :]
    what = "a line break" if "\n" in (end or start) else "a blank"
    return f"ends in {what}" if end else f"begins with {what}"
