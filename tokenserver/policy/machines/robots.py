"""Robots: machines that policy files declare by name, with the hashes of their secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tokenserver.access_keys import DeclaredSecret
from tokenserver.errors import TokenserverError
from tokenserver.identity import ROBOT_PREFIX

MAX_NAME = 64

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)


class MachineNameError(TokenserverError):
    """An invalid name of a robot or workload; the text says what is expected."""


def parse_machine_name(text: str) -> str:
    """The name of a robot or workload as it is.

    Raises:
        MachineNameError: not 1 to 64 lower-case letters, digits, dots, dashes and underscores.
    """
    if _NAME.fullmatch(text) is None:
        raise MachineNameError(
            f"{text!r}: the name of a machine has 1 to {MAX_NAME} characters of a-z 0-9 . _ - "
            "and begins and ends with a letter or digit"
        )
    return text


def subject_of(name: str) -> str:
    """The subject of the robot `name`, in tokens, logs and sets of principals."""
    return ROBOT_PREFIX + name


def robot_of(subject: str) -> str | None:
    """The name of the robot with this subject; None for a user."""
    return subject[len(ROBOT_PREFIX) :] if subject.startswith(ROBOT_PREFIX) else None


@dataclass(frozen=True, slots=True)
class Robot:
    """A declared robot. `file` and `line` say where it is declared.

    `owners` are the people who look after it, as `user:NAME` or `group:NAME`; the name of a group is that in the tree.
    """

    name: str
    description: str = ""
    owners: tuple[str, ...] = ()
    secrets: tuple[DeclaredSecret, ...] = ()
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    @property
    def subject(self) -> str:
        """Its name in tokens and logs."""
        return subject_of(self.name)
