"""Lint rules for the declared secrets of robots: those that have expired, end soon, or live too long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tokenserver.access_keys import DeclaredSecret
from tokenserver.policy.lint.tests import LintedFile
from tokenserver.policy.lint.unknown_names import LocatedFinding
from tokenserver.policy.model import PolicySet

SOON = timedelta(days=14)
"""How long before its end a secret is reported, which leaves time to replace it."""

LONGEST = timedelta(days=365)
"""How long from now a secret may live without a finding."""


def secret_findings(policies: PolicySet, files: Sequence[LintedFile], now: datetime) -> Iterator[LocatedFinding]:
    """Findings about declared secrets, each at the line of its secret."""
    documents = {file.name: file.document for file in files}
    for robot in policies.robots.values():
        for number, secret in enumerate(robot.secrets if robot.file in documents else ()):
            found = _problem(secret, now)
            if found is not None:
                code, problem, fix = found
                line = documents[robot.file].line(("robots", robot.name, "secrets", number))
                yield robot.file, line, code, f"robot:{robot.name}: the secret {secret.id} {problem}; fix: {fix}"


def _problem(secret: DeclaredSecret, now: datetime) -> tuple[str, str, str] | None:
    """The code of what is wrong with the secret, what that is, and how to fix it."""
    ends = f"{secret.expires:%Y-%m-%d %H:%M} UTC"
    if secret.is_expired(now):
        return "TS129", f"expired at {ends}", "remove it, or replace it by a new one"
    if secret.expires - now <= SOON:
        return (
            "TS130",
            f"ends within {SOON.days} days, at {ends}",
            "add a new secret, and remove this one once it is used",
        )
    if secret.expires - now > LONGEST:
        return "TS131", f"lives longer than {LONGEST.days} days, until {ends}", "make one with an earlier end"
    return None
