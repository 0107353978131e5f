"""The identity of a user whom a hook reports: a subject and groups that policies can name. Pure."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass

from tokenserver.authn.hooks.exchange import HookUser
from tokenserver.authn.name_globs import matches
from tokenserver.authn.usernames import name_problem
from tokenserver.errors import Incomplete, InvalidCredentials
from tokenserver.identity import Identity, Kind

MAX_GROUP_NAME = 255
"""Characters, as in policies."""


@dataclass(frozen=True, slots=True)
class HookTerms:
    """The name of a source, and which groups of its users count: `allow` None: all. `prefix` is put before each."""

    name: str
    allow: tuple[str, ...] | None = None
    prefix: str = ""


def hook_identity(user: HookUser, terms: HookTerms) -> Identity:
    """The identity of this user.

    Raises:
        InvalidCredentials: nobody can have this subject.
        Incomplete: no policy can name one of the groups to keep, so a rule that denies might not match.
    """
    problem = name_problem(user.subject)
    if problem is not None:
        raise InvalidCredentials(f"the hook reports a subject that nobody can have: {problem}")
    groups = (unicodedata.normalize("NFC", group) for group in user.groups)
    kept = {f"{terms.prefix}{group}" for group in groups if _is_kept(group, terms)}
    for group in kept:
        problem = _group_problem(group.removeprefix(terms.prefix), group)
        if problem is not None:
            raise Incomplete(terms.name, f"reports a group whose name {problem}")
    proof = hashlib.sha256(user.proof.encode()).digest() if user.proof else b""
    return Identity(user.subject, Kind.PASSWORD, terms.name, frozenset(kept), proof=proof)


def _is_kept(group: str, terms: HookTerms) -> bool:
    return terms.allow is None or any(matches(glob, group) for glob in terms.allow)


def _group_problem(group: str, full: str) -> str | None:
    """Why no policy can name this group; None if one can."""
    if not group:
        return "is empty"
    if len(full) > MAX_GROUP_NAME:
        return f"is longer than {MAX_GROUP_NAME} characters"
    if any(unicodedata.category(character) == "Cc" for character in group):
        return "has a control character"
    return None
