"""What a live registry that accepts our token says about the faults in its files: its own verdict counts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tokenserver.doctor.findings import Finding, note, warning

_PROVEN = frozenset({"issuer", "algorithm", "rootcertbundle", "jwks", "kid", "cert", "compat"})
"""The checks of files that a registry makes as well when it accepts a token."""


def outvoted_files(found: Iterable[Finding], visited: Iterable[Finding], absent: Collection[str]) -> list[Finding]:
    """The findings about a registry's files, after a visit to the registry itself.

    `absent` are the paths that do not exist here: they may exist where the registry runs, as in a container.
    """
    if not any(one.check == "verdict" and one.ok is True for one in visited):
        return list(found)
    return [_outvoted(one, absent) for one in found]


def _outvoted(finding: Finding, absent: Collection[str]) -> Finding:
    if finding.ok is not False or finding.check not in _PROVEN:
        return finding
    if finding.theirs in absent:
        message = f"{finding.theirs} is not on this machine; the registry, which accepts the token, has the right keys"
        return note(finding.check, message, ours=finding.ours, theirs=finding.theirs)
    message = (
        f"{finding.message}; the registry accepts the token all the same: it has not restarted since, runs with another"
        " file, or is of another generation"
    )
    return warning(finding.check, message, finding.fix or "", ours=finding.ours, theirs=finding.theirs)
