"""A failure at a directory: its cause and facts, as sentence and fix for logs, `/readyz` and `ldap test`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from types import MappingProxyType

from tokenserver.authn.ldap.failures.advice import GENERAL, Advice
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.connection_advice import CONNECTION
from tokenserver.authn.ldap.failures.login_advice import LOGIN
from tokenserver.printable import cut, one_line

ADVICE: Mapping[FailureCause, Advice] = MappingProxyType({**CONNECTION, **LOGIN})
"""The table of failures, with a row for each cause."""

_MAX_FACT = 200


@dataclass(frozen=True, slots=True)
class DirectoryFailure:
    """A failure: its cause, the facts about it, and whether it is about the service account.

    The facts are the fields in the templates of `ADVICE`; one that is unknown is left out of the sentence.
    """

    cause: FailureCause
    facts: Mapping[str, str] = field(default_factory=dict)
    is_service: bool = False

    @property
    def text(self) -> str:
        """One sentence with the facts, on one line."""
        row = ADVICE[self.cause]
        known = {key: _fit(value) for key, value in self.facts.items() if value}
        more = [part.format_map(known) for part in row.more if _fields(part) <= known.keys()]
        return row.title.format_map({**GENERAL, **known}) + "".join(more)

    @property
    def fix(self) -> str:
        """What to change, with the facts."""
        return self._fix({key: _fit(value) for key, value in self.facts.items() if value})

    @property
    def summary(self) -> str:
        """The failure and its fix without any facts, for `/readyz`."""
        return f"{ADVICE[self.cause].title.format_map(GENERAL)}; fix: {self._fix({})}"

    def __str__(self) -> str:
        return f"{self.text}; fix: {self.fix}"

    def _fix(self, facts: Mapping[str, str]) -> str:
        row = ADVICE[self.cause]
        fix = row.service_fix if self.is_service and row.service_fix else row.fix
        return fix.format_map({**GENERAL, **facts})


class DirectoryError(Exception):
    """Something failed at a directory. `failure` says what, with the fix; `facts` are filled into both."""

    def __init__(self, failure: FailureCause | DirectoryFailure, /, **facts: str) -> None:
        self.failure = failure if isinstance(failure, DirectoryFailure) else DirectoryFailure(failure, facts)
        super().__init__(self.failure.text)

    @property
    def cause(self) -> FailureCause:
        """What was observed."""
        return self.failure.cause

    @property
    def reason(self) -> str:
        """The failure as one sentence, for the audit event."""
        return self.failure.text


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def _fit(text: str) -> str:
    """A fact as one line; a server can say anything."""
    return cut(one_line(text), _MAX_FACT)
