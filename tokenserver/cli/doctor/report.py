"""The doctor's findings as lines for people, or as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from tokenserver.cli.terminal import echo, echo_json, style
from tokenserver.credentials import Secret
from tokenserver.doctor.findings import Finding, exit_code


def report(found: Sequence[Finding], *, as_json: bool, token: Secret | None) -> None:
    """Print the findings, and exit with their code."""
    if as_json:
        echo_json([finding.as_json() for finding in found], indent=2)
    else:
        for finding in found:
            _print(finding)
        count = sum(finding.is_actionable for finding in found)
        echo()
        if count:
            echo(f"{count} finding{'s' if count != 1 else ''}. Fix the first one, then run doctor again.", fg="red")
        else:
            echo("No findings.", fg="green")
    if token is not None:
        echo(token.reveal(), err=as_json)
    raise SystemExit(exit_code(found))


def _print(finding: Finding) -> None:
    marks = {True: ("ok     ", "green"), False: ("FAULT  ", "red"), None: ("info   ", None)}
    mark, colour = ("warning", "yellow") if finding.ok is None and finding.is_actionable else marks[finding.ok]
    echo(f"{style(mark, fg=colour)}  {finding.check}: {finding.message}")
    if finding.ok is True:
        return
    if finding.theirs is not None and finding.is_actionable:
        echo(f"           there: {finding.theirs}")
    if finding.ours is not None and finding.is_actionable:
        echo(f"           here:  {finding.ours}")
    if finding.fix is not None:
        echo(f"           fix:   {finding.fix}")
