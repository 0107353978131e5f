"""The static users of a configuration as an htpasswd file: they keep their passwords. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tokenserver.authn.usernames import fold, name_problem
from tokenserver.importers.docker_auth.model import DockerAuthConfig, StaticUser
from tokenserver.importers.report import Construct, Verdict

_KNOWN = frozenset(
    {
        "$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC",
        "$2y$05$WuwBasGDAgr.QCbGIjKJaep4dhxeai9gNZdmBnQXqpKly57oNutya",
    }
)
"""Hashes in docker_auth's examples and its Helm chart, whose passwords everybody can look up."""


@dataclass(frozen=True, slots=True)
class TakenUsers:
    """The text of the users file, whether anonymous clients are served, and what became of each user."""

    text: str = field(repr=False)
    is_anonymous: bool
    constructs: tuple[Construct, ...]
    names: tuple[str, ...]


def take_static_users(config: DockerAuthConfig, problem_with: Callable[[str], str | None]) -> TakenUsers:
    """The users as lines of an htpasswd file. `problem_with` says why a hash is rejected here, or None.

    Nothing but the text repeats a hash.
    """
    lines: list[str] = []
    constructs: list[Construct] = []
    names: list[str] = []
    folded: dict[str, str] = {}
    for user in (config.users or {}).values():
        construct = _construct(config, user, folded, problem_with)
        constructs.append(construct)
        if user.name and construct.verdict in (Verdict.EXACT, Verdict.DIFFERENT):
            folded[fold(user.name)] = user.name
            names.append(user.name)
            lines.append(f"{user.name}:{user.password_hash}\n")
    is_anonymous = "" in (config.users or {})
    return TakenUsers("".join(lines), is_anonymous, tuple(constructs), tuple(names))


def _construct(
    config: DockerAuthConfig, user: StaticUser, folded: dict[str, str], problem_with: Callable[[str], str | None]
) -> Construct:
    place = f"{config.file}:{user.line}"
    hashed = user.password_hash
    if not user.name:
        if hashed is not None:
            note = "the user without a name has a password; here clients without credentials are anonymous"
            return Construct(place, "users: anonymous", Verdict.DIFFERENT, note, became=("anonymous: true",))
        return Construct(place, "users: anonymous", Verdict.EXACT, became=("anonymous: true",))
    problem = name_problem(user.name)
    text = "users: (a name that is not shown)" if problem else f"users: {user.name}"
    set_one = "give this user another name: tokenserver users set NAME, and change the policies accordingly"
    if problem:
        return Construct(place, text, Verdict.NOT_TRANSLATED, problem, set_one)
    if hashed is None:
        note = "docker_auth accepts any password, and none, for this user; here nobody can log in with this name"
        return Construct(place, text, Verdict.CLOSED, note, "set a password: tokenserver users set NAME")
    if fold(user.name) in folded:
        note = f"the name differs only in case or width from {folded[fold(user.name)]}, which would be taken for it"
        return Construct(place, text, Verdict.NOT_TRANSLATED, note, set_one)
    problem = problem_with(hashed)
    if problem:
        instead = "set a password: tokenserver users set NAME"
        return Construct(place, text, Verdict.NOT_TRANSLATED, f"the hash {problem}", instead)
    if _is_example(hashed):
        note = "the password is the one of docker_auth's examples, which everybody knows"
        return Construct(
            place, text, Verdict.DIFFERENT, note, "change it: tokenserver users set NAME", became=("htpasswd",)
        )
    return Construct(place, text, Verdict.EXACT, became=("htpasswd",))


def _is_example(text: str) -> bool:
    return text in _KNOWN
