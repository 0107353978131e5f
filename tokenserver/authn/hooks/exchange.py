"""What a hook is asked and what it answers, as JSON: strictly read, and bounded. Pure.

docs/login-hooks.md describes both for authors of hooks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from tokenserver.credentials import Secret
from tokenserver.documents.strict_json import InvalidJson, read_object
from tokenserver.errors import BackendUnavailable, TokenserverError

VERSION = 1

MAX_ANSWER = 64 * 1024
"""Bytes of an answer."""

MAX_GROUPS = 1000
MAX_PROOF = 1024

_USER = frozenset({"subject", "groups", "proof"})
_LABELS = "labels"


class HookResult(StrEnum):
    """What a hook says: right, mine and wrong, not mine, or a question that it does not support."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    UNSUPPORTED = "unsupported"


class HookQuestion(NamedTuple):
    """A question about a user. Without a `password`, it is whether the user could log in now.

    `client` is the address of the client, empty if it is unknown.
    """

    user: str
    password: Secret | None
    client: str = ""


class HookUser(NamedTuple):
    """A user as a hook reports it. `proof` changes when the password does; empty: the hook cannot tell."""

    subject: str
    groups: tuple[str, ...]
    proof: str = ""


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """An answer; `user` is there if the result is `OK`."""

    result: HookResult
    user: HookUser | None = None


class Hook(Protocol):
    """A way to ask a hook."""

    @property
    def can_find(self) -> bool:
        """Whether it may be asked about users without their passwords."""
        ...

    def ask(self, question: HookQuestion) -> HookAnswer:
        """The answer.

        Raises:
            HookMisbehaved: there is none that can be read.
            BackendUnavailable: there is none.
        """
        ...

    def retire(self) -> None:
        """Release what it holds. It can still be asked, by requests that began before."""
        ...


class HookMisbehaved(BackendUnavailable):
    """The hook can be reached, and gave no usable answer. That may be because of this one question."""


class UnusableHookAnswer(TokenserverError):
    """An answer that breaks the contract. The text continues a sentence about it, and repeats nothing of it."""


def question_body(question: HookQuestion, number: str | None = None) -> bytes:
    """The JSON object of a question, in one line of ASCII; with `number` as its `id`, if it has one."""
    members: dict[str, Any] = {"version": VERSION}
    if number is not None:
        members["id"] = number
    members["user"] = question.user
    if question.password is None:
        members["find"] = True
    else:
        members |= {"password": question.password.reveal(), "client": question.client}
    return json.dumps(members, separators=(",", ":")).encode("ascii")


def user_answer(body: bytes) -> HookAnswer:
    """The answer with this JSON object, by a hook that has said otherwise that the user is known.

    Raises:
        UnusableHookAnswer: it is none.
    """
    return HookAnswer(HookResult.OK, _user(_members(body)))


def line_answer(line: bytes, number: str) -> HookAnswer:
    """The answer in this line to the question with this id.

    Raises:
        UnusableHookAnswer: it is none, or the answer to another question.
    """
    members = _members(line)
    if members.pop("id", None) != number:
        raise UnusableHookAnswer("is not the answer to this question: its id is another one")
    try:
        result = HookResult(members.pop("result", ""))
    except ValueError:
        raise UnusableHookAnswer(f"has no result that is one of {', '.join(HookResult)}") from None
    if result is HookResult.OK:
        return HookAnswer(result, _user(members))
    if members:
        raise UnusableHookAnswer(f"has members besides id and result, which is not {HookResult.OK}")
    return HookAnswer(result)


def labelled_answer(output: bytes, user: str, plain: Collection[str] = ()) -> HookAnswer:
    """The answer of a program for docker_auth that accepts this user: `{"labels": {"team": ["web"]}}`, or nothing.

    A label with a value yields the group `LABEL=VALUE`, and `VALUE` if the label is one of `plain`. As in docker_auth,
    the name of the member is read in any case, and other members are ignored.

    Raises:
        UnusableHookAnswer: it is none.
    """
    members = _members(output) if output.strip() else {}
    found = [value for name, value in members.items() if name.casefold() == _LABELS and value is not None]
    if len(found) > 1:
        raise UnusableHookAnswer("has labels twice")
    return HookAnswer(HookResult.OK, HookUser(user, _groups_of(found[0], plain) if found else ()))


def _groups_of(labels: object, plain: Collection[str]) -> tuple[str, ...]:
    if not isinstance(labels, dict):
        raise UnusableHookAnswer("has labels that are no object")
    groups: list[str] = []
    for label, values in labels.items():
        if "=" in label:  # `a=b` with the value `c` and `a` with the value `b=c` would be one group
            raise UnusableHookAnswer("has a label with '=' in its name")
        groups.extend(value if label in plain else f"{label}={value}" for value in _texts(values, "label"))
    return _bounded(groups)


def _members(body: bytes) -> dict[str, Any]:
    try:
        return read_object(body)
    except InvalidJson as error:
        raise UnusableHookAnswer(str(error)) from None


def _user(members: Mapping[str, Any]) -> HookUser:
    """The user in these members. Unknown ones are rejected: a mistyped `groups` would lose groups that rules deny."""
    if members.keys() - _USER:
        raise UnusableHookAnswer(f"has a member that is none of {', '.join(sorted(_USER))}")
    if not isinstance(members.get("subject"), str):
        raise UnusableHookAnswer("has no subject that is text")
    if "groups" not in members:
        raise UnusableHookAnswer("has no groups; fix: answer with an empty list if there are none")
    proof = members.get("proof", "")
    if not isinstance(proof, str) or len(proof) > MAX_PROOF:
        raise UnusableHookAnswer(f"has a proof that is no text of at most {MAX_PROOF} characters")
    return HookUser(members["subject"], _bounded(_texts(members["groups"], "list of groups")), proof)


def _texts(values: object, what: str) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UnusableHookAnswer(f"has a {what} that is no list of texts")
    return values


def _bounded(groups: list[str]) -> tuple[str, ...]:
    if len(groups) > MAX_GROUPS:
        raise UnusableHookAnswer(f"has more than {MAX_GROUPS} groups")
    return tuple(groups)
