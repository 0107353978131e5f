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
"""How long from now a secret may live without a finding, unless the configuration allows less."""

MAX_NAMED = 5
"""How many secrets one warning names."""


def secret_findings(
    policies: PolicySet, files: Sequence[LintedFile], now: datetime, longest: timedelta = LONGEST
) -> Iterator[LocatedFinding]:
    """Findings about declared secrets, each at the line of its secret. `longest` is the configured lifetime."""
    documents = {file.name: file.document for file in files}
    for robot in policies.robots.values():
        for number, secret in enumerate(robot.secrets if robot.file in documents else ()):
            found = _problem(secret, now, longest)
            if found is not None:
                code, problem, fix = found
                line = documents[robot.file].line(("robots", robot.name, "secrets", number))
                yield robot.file, line, code, f"robot:{robot.name}: the secret {secret.id} {problem}; fix: {fix}"


def long_secrets(policies: PolicySet, now: datetime, longest: timedelta) -> Iterator[str]:
    """One sentence about the declared secrets that live longer than `longest` from now, if there are any."""
    found = [
        f"{secret.id} of robot:{robot.name} ({robot.file}:{robot.line})"
        for robot in policies.robots.values()
        for secret in robot.secrets
        if secret.expires - now > longest
    ]
    if found:
        more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
        yield (
            f"secrets of robots live longer than {spelled_lifetime(longest)} (robots.max_lifetime):"
            f" {', '.join(found[:MAX_NAMED])}{more}; fix: replace them by secrets with an earlier end"
        )


def spelled_lifetime(lifetime: timedelta) -> str:
    """A lifetime in words, such as `365 days` or `90 minutes`."""
    seconds = int(lifetime.total_seconds())
    units = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
    unit = next(name for name, size in units.items() if seconds % size == 0 and seconds >= size)
    return f"{seconds // units[unit]} {unit}"


def _problem(secret: DeclaredSecret, now: datetime, longest: timedelta) -> tuple[str, str, str] | None:
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
    if secret.expires - now > longest:
        return "TS131", f"lives longer than {spelled_lifetime(longest)}, until {ends}", "make one with an earlier end"
    return None
