"""`tokenserver workload`: tests the login of a workload with a JWT, and reports each step."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.authn.workload.key_obstacles import Obstacle
from tokenserver.cli.console.prompts import read_pasted
from tokenserver.cli.exits import NO
from tokenserver.cli.lazy import HintingGroup
from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.terminal import echo, echo_json
from tokenserver.config.load import config_path, load_settings
from tokenserver.config.settings import Settings
from tokenserver.config.sources.workload import WorkloadSettings
from tokenserver.doctor.examination.issuers import key_advice
from tokenserver.errors import Fault, LoadError
from tokenserver.identity import Identity
from tokenserver.policy.analysis.conditions import Given, spell_condition
from tokenserver.policy.model import PolicySet
from tokenserver.policy.principals import HypotheticalClient
from tokenserver.policy.queries.what_can import Reach, spell_pattern, what_can
from tokenserver.scopes import in_order
from tokenserver.server.sources.workload_examination import ExaminedStep, examine
from tokenserver.server.startup import configured_policies

MAX_TEXT = 64 * 1024
"""Bytes of standard input that are read."""


@click.group(cls=HintingGroup)
def workload() -> None:
    """Test the login of a workload: a machine with the JWT of an issuer."""


@workload.command("test")
@click.option("--service", help="The registry that the last step is about.  [default: the first one]")
@click.option("--json", "as_json", is_flag=True, help="Print the steps as JSON.")
@config_option
@report_faults
def workload_test(service: str | None, as_json: bool, config: Path | None) -> None:
    """Verify a JWT and report each step.

    It is verified as the server does it: form, issuer, keys, claims, and declared workloads. Then it lists what the
    workload may do. The JWT is prompted for, or read from standard input; it is never an argument. Exit code 0: the
    workload can log in; 1: a step failed, with what to change.
    """
    settings = load_settings(config)
    if not settings.workload_sources:
        problem = "has no workload source; fix: add one, such as workload: {name: github, preset: github_actions, …}"
        raise LoadError([Fault(str(config_path(config)), 0, "authentication", problem)])
    registry = settings.registries[0] if service is None else settings.registry(service)
    if registry is None:
        raise click.UsageError(f"no registry with the service {service!r} is configured")
    text = read_pasted("JWT", limit=MAX_TEXT)
    policies = _policies(settings)
    steps: list[ExaminedStep] = []
    url, file = settings.server.url, str(config_path(config))

    def advise(source: WorkloadSettings, obstacle: Obstacle) -> str:
        return key_advice(source, url, file, obstacle)

    for step in examine(text, settings.workload_sources, url, policies, now=time.time, advise=advise):
        steps.append(step)
        if not as_json:
            _print(step)
    is_right = all(step.advice is None for step in steps)
    reaches: tuple[Reach, ...] = ()
    identity = next((step.identity for step in steps if step.identity is not None), None)
    if is_right and identity is not None and policies is not None:
        reaches = _reaches(policies, identity, registry.service)
    if as_json:
        can = list(map(_spelled, reaches))
        echo_json({"ok": is_right, "steps": list(map(_facts, steps)), "service": registry.service, "can": can})
    elif is_right:
        _print(ExaminedStep("may", f"at {registry.service}:", details=tuple(map(_spelled, reaches)) or ("nothing",)))
        echo("The workload can log in.", fg="green")
    if not is_right:
        raise SystemExit(NO)


def _policies(settings: Settings) -> PolicySet | None:
    try:
        return configured_policies(settings, datetime.now(UTC))
    except LoadError:
        echo("warning: the policies do not load, so no workload is known; fix: tokenserver check", err=True)
        return None


def _reaches(policies: PolicySet, identity: Identity, service: str) -> tuple[Reach, ...]:
    client = HypotheticalClient(identity, policies.groups.holding(identity))
    return what_can(policies, client, Given(service, None, datetime.now(UTC)))


def _spelled(reach: Reach) -> str:
    """What one rule grants, such as `pull,push web/** (release, root.yaml:12)`."""
    when = spell_condition(reach.when)
    cuts = ", except in part" if reach.cuts or reach.without else ""
    what = f"{','.join(in_order(reach.actions))} {spell_pattern(reach.rule.resource_type, reach.pattern)}"
    return f"{what}{f' {when}' if when else ''}{cuts} ({reach.rule.id}, {reach.rule.file}:{reach.rule.line})"


def _facts(step: ExaminedStep) -> dict[str, object]:
    return {"step": step.name, "told": step.result, "details": list(step.details), "advice": step.advice}


def _print(step: ExaminedStep) -> None:
    echo(f"{step.name:<9} {step.result}", fg="red" if step.advice is not None else None)
    for line in step.details:
        echo(f"{'':<9}   {line}")
    if step.advice is not None:
        echo(f"{'':<9} to do: {step.advice}")
