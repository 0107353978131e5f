"""The users file of a registry, read as the registry reads it (registry/auth/htpasswd in Distribution). Pure.

Of two lines for one name the registry takes the last. It compares passwords with bcrypt alone, so a user with any other
hash never could log in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tokenserver.authn.usernames import fold, name_problem
from tokenserver.errors import Fault, LoadError, note
from tokenserver.importers.report import Construct, Verdict

_BCRYPT = re.compile(r"\$2[aby]?\$")
_SET = "tokenserver users set NAME, once the server is set up"


@dataclass(frozen=True, slots=True)
class RegistryUsers:
    """The users that are taken over: the text of their file, which has their hashes, and their names in its order."""

    text: str
    names: tuple[str, ...]
    constructs: tuple[Construct, ...]


def take_users(text: str, file: str, problem_with: Callable[[str], str | None]) -> RegistryUsers:
    """The users of a registry's file. `problem_with` says why a hash is rejected here, or None.

    Nothing in the result but its text repeats a hash, or a line that may be one.

    Raises:
        LoadError: lines with which the registry does not start.
    """
    last, faults = _lines(text, file)
    if faults:
        raise LoadError(faults)
    kept: dict[str, str] = {}
    by_fold: dict[str, str] = {}
    constructs = []
    for name, (number, hashed) in last.items():
        place = f"{file}:{number}"
        problem, instead = _problem(name, hashed, by_fold, problem_with)
        if problem:
            shown = "a user" if name_problem(name) else name
            constructs.append(Construct(place, shown, Verdict.NOT_TRANSLATED, problem, instead))
            continue
        by_fold[fold(name)] = name
        kept[name] = hashed
        constructs.append(Construct(place, name, Verdict.EXACT, became=(f"user:{name}",)))
    lines = [f"{name}:{hashed}\n" for name, hashed in kept.items()]
    return RegistryUsers("".join(lines), tuple(kept), tuple(constructs))


def _lines(text: str, file: str) -> tuple[dict[str, tuple[int, str]], list[Fault]]:
    """The last line of each name, with its number and hash, and the lines that are none."""
    last: dict[str, tuple[int, str]] = {}
    faults: list[Fault] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, colon, hashed = line.partition(":")
        if not colon:
            note(faults, Fault(file, number, "", "is not NAME:HASH, with which the registry does not start"))
            continue
        last.pop(name, None)
        last[name] = (number, hashed)
    return last, faults


def _problem(
    name: str, hashed: str, by_fold: dict[str, str], problem_with: Callable[[str], str | None]
) -> tuple[str, str]:
    """Why a user is not taken over, and what to do; both empty if it is."""
    if (problem := name_problem(name)) is not None:
        return f"{problem}, so this user cannot exist here", f"another name: {_SET}"
    if _BCRYPT.match(hashed) is None:
        return "the hash is not bcrypt, so the registry never let this user in", _SET
    if (problem := problem_with(hashed)) is not None:
        return problem, _SET
    if (twin := by_fold.get(fold(name))) is not None:
        return f"the name differs only in case or width from {twin}", f"another name: {_SET}"
    return "", ""
