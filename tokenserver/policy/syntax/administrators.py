"""Syntax of `administrators:` in a policy file: who manages the credentials of others."""

from __future__ import annotations

from typing import Any

from tokenserver.documents.document import Path
from tokenserver.policy.misspellings import SETS
from tokenserver.policy.model import Principal
from tokenserver.policy.syntax.reader import Reader
from tokenserver.policy.terms import TermError, parse_principal


def read_administrators(reader: Reader, value: Any) -> list[tuple[Path, Principal]]:
    """The principals that are administrators, each with its place."""
    items = reader.items(value, ("administrators",))
    found = ((place, reader.term(item, place, parse_administrator)) for place, item in items)
    return [(place, one) for place, one in found if one is not None]


def parse_administrator(text: str) -> Principal:
    """One principal by name.

    Raises:
        TermError: no principal, or a set of clients, such as everybody who logs in.
        MachineNameError: no legal name of a machine.
    """
    principal = parse_principal(text)
    if principal.sort in SETS:
        raise TermError(f"{text!r}: administrators are named one by one; fix: name users and groups, such as group:ops")
    return principal
