"""Sequences spelled as patterns of this server, and what is a pattern of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tokenserver.importers.docker_auth.shapes.atoms import Atom
from tokenserver.patterns import PatternError, parse_pattern

USER, CAPTURE = "\ue000", "\ue001"
"""Private characters in place of `${account}`, and of a label's value that a group captures."""

CAPTURED = "value"
"""The name of the variable that a group captures."""

_VARIABLES = re.compile(r"\$\{[a-z]+\}", re.ASCII)
_RUNS = re.compile(r"(?<![^/])\*\*(?![^/])|\*+")

MANY = Atom(frozenset({"*"}), is_run=True, least=2)
"""`**` as a whole segment."""


def is_wide(text: str) -> bool:
    return is_pattern(text) or is_crowded(text)


def is_crowded(text: str) -> bool:
    """Whether it is no pattern only because of where its variables are."""
    return not is_pattern(text) and "${" in text and is_pattern(widened(text))


def widened(text: str) -> str:
    """The pattern with a wildcard in place of each variable, whatever value it has."""
    return _RUNS.sub(lambda found: "**" if found[0] == "**" else "*", _VARIABLES.sub("*", text))


def spelled(atoms: Sequence[Atom]) -> str:
    parts: list[str] = []
    for atom in atoms:
        if atom == MANY:
            parts.append("**")
        elif atom.is_run:
            if not (parts and parts[-1] == "*"):
                parts.append("*")
        else:
            (character,) = atom.characters
            parts.append({USER: "${user}", CAPTURE: f"${{{CAPTURED}}}"}.get(character, character))
    return "".join(parts)


def is_pattern(text: str) -> bool:
    """Whether some repository name could match; what is no pattern, no name matches."""
    try:
        parse_pattern(text, CAPTURED)
    except PatternError:
        return False
    return True
