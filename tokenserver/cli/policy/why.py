"""`tokenserver policy why`: explains why a request is allowed or denied, also from what a client printed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TextIO

import click

from tokenserver.cli.exits import NO, OK
from tokenserver.cli.options import TokenFile
from tokenserver.cli.policy.asked_names import AskedName, asked_name
from tokenserver.cli.policy.client.account import account_problem
from tokenserver.cli.policy.client.machines import AskedMachine, exit_if_refused, machine_of, machine_options
from tokenserver.cli.policy.client.name_notes import notes_on_client
from tokenserver.cli.policy.options import (
    Source,
    asked_identity,
    asked_resource,
    circumstances,
    policy_command,
    read_source,
    revision_option,
)
from tokenserver.cli.policy.why_output import Pasted, explanation_as_json, print_challenge, print_explanation
from tokenserver.cli.terminal import echo, echo_json
from tokenserver.doctor.challenge import parse_challenge
from tokenserver.doctor.token import MAX_TOKEN, read_claims
from tokenserver.errors import Fault, LoadError
from tokenserver.identity import ANONYMOUS, ROBOT_PREFIX, WORKLOAD_PREFIX, Identity
from tokenserver.policy.losses import restricting_rule
from tokenserver.policy.model import Context
from tokenserver.policy.queries.why import AccessVerdict, why
from tokenserver.policy.terms import actions_of, parse_name
from tokenserver.scopes import Scope


@click.command("why")
@click.argument("action", required=False)
@click.argument("repository", required=False)
@click.option("--user", help="The user, spelled as in the user source.")
@click.option("--group", "groups", multiple=True, help="A group that the user brings from a directory; repeatable.")
@click.option("--namespace", help="The user's namespace, where user sources map names.")
@click.option("--anonymous", is_flag=True, help="A client that is not logged in.")
@click.option("--as", "lookup", help="A user, with the groups that the configured user sources report.")
@machine_options
@circumstances
@click.option("--challenge", help="The registry's WWW-Authenticate header, instead of ACTION REPOSITORY.")
@click.option("--token", type=TokenFile("r"), help="The rejected token, or a file with it (- for standard input).")
@revision_option
@click.option("--all", "every_rule", is_flag=True, help="List every rule, even those about other repositories.")
@policy_command
def policy_why(  # noqa: PLR0917 - click passes options by name
    action: str | None,
    repository: str | None,
    user: str | None,
    groups: Sequence[str],
    namespace: str | None,
    anonymous: bool,
    lookup: str | None,
    machine: AskedMachine,
    service: str | None,
    client: IPv4Address | IPv6Address | None,
    at: datetime | None,
    challenge: str | None,
    token: TextIO | None,
    every_rule: bool,
    revision: str | None,
    config: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Explain why ACTION on REPOSITORY is allowed, denied or not granted. Exit code 0: allowed; 1: not.

    REPOSITORY may be an image name as clients print it, such as registry.example.com/web/site:1.

    `tokenserver policy why push web/site --user ann --group web-devs`,
    `tokenserver policy why push web/site --workload github --claim repository_id=74`
    """
    pasted = Pasted(
        None if challenge is None else parse_challenge(challenge),
        None if token is None else read_claims(token.read(MAX_TOKEN + 1)),
    )
    source = read_source(config, folder, revision)
    now = datetime.now(UTC)
    is_named = user is not None or anonymous or lookup is not None
    if machine.is_given and (is_named or groups):
        raise click.UsageError("--robot and --workload exclude options about people")
    bearer = None if is_named or machine.is_given else pasted.token
    if bearer is not None and bearer.subject.startswith((ROBOT_PREFIX, WORKLOAD_PREFIX)):
        machine = machine_of(bearer.subject)
    name = user if bearer is None or not bearer.subject or machine.is_given else parse_name(bearer.subject)
    identity = machine.identity(source)
    if identity is None:
        identity = asked_identity(source, name, groups, anonymous=anonymous, lookup=lookup, namespace=namespace)
    if bearer is not None and not bearer.subject:
        identity = ANONYMOUS
    if identity is None:
        if pasted.challenge is not None and not as_json:
            print_challenge(pasted.challenge, pasted.challenge.scopes.scopes)
        raise click.UsageError(
            "name the client: --user NAME (with --group), --group, --anonymous, --as NAME, --robot NAME"
            " or --workload SOURCE"
        )
    exit_if_refused(source, identity, as_json=as_json)
    named = None if repository is None else asked_name(source, repository, service)
    wanted = _wanted(action, named, pasted)
    service = service if named is None else named.service
    context = Context(source.service(_service(source, service, pasted)), client, at or now)
    _require_all_groups(source, identity, context.service)
    notes = notes_on_client(source, identity, context.service)
    answers = [
        why(source.policies, identity, one, scope.resource, context, every_rule=every_rule)
        for scope in wanted
        for one in actions_of(scope)
    ]
    account = account_problem(source, identity)
    if as_json:
        more = {
            **({} if named is None else named.facts()),
            **source.revision_facts(),
            **({"notes": notes} if notes else {}),
        }
        echo_json({**explanation_as_json(answers, pasted, wanted, account), **more}, indent=2)
    else:
        source.print_revision()
        if named is not None:
            named.print_note()
        for note in notes:
            echo(note, err=True)
        print_explanation(source, answers, pasted, wanted, context=context, now=now, account=account)
    is_allowed = all(answer.verdict is AccessVerdict.ALLOWED for answer in answers)
    is_complete = not any(pasted.missing(wanted).values())
    raise SystemExit(OK if is_allowed and is_complete and not pasted.is_expired(now) else NO)


def _require_all_groups(source: Source, identity: Identity, service: str) -> None:
    """Give no explanation for a user whose login is rejected because some of the group names are unknown.

    Raises:
        LoadError: with those groups and the rule that needs them.
    """
    rule = restricting_rule(source.policies, service) if identity.lost else None
    if rule is not None:
        lost = ", ".join(map(ascii, identity.lost))
        problem = (
            f"{identity.source} cannot name all groups of {identity.subject!r} ({lost}), but {rule.id}"
            f" ({rule.file}:{rule.line}) needs them, so the login is refused"
        )
        raise LoadError([Fault("--as", 0, "", problem)])


def _wanted(action: str | None, named: AskedName | None, pasted: Pasted) -> tuple[Scope, ...]:
    """What the question is about. Empty: nothing but the token."""
    if pasted.challenge is not None:
        if action is not None:
            raise click.UsageError("--challenge and ACTION REPOSITORY exclude each other")
        return pasted.challenge.scopes.scopes
    if action is not None and named is not None:
        return (Scope(asked_resource(action, named.name), frozenset({action})),)
    if action is None and pasted.token is not None:
        return ()
    raise click.UsageError("name ACTION and REPOSITORY, such as: push web/site")


def _service(source: Source, asked: str | None, pasted: Pasted) -> str | None:
    """The registry of the question: as given by `--service`, else as the challenge or the token names it."""
    service = asked or pasted.service
    if service and asked is None and source.settings is not None and service not in source.services:
        known = ", ".join(sorted(source.services))
        raise click.UsageError(
            f"the registry calls itself {service!r}, which is not configured; configured: {known};"
            " fix: use the same name on both sides"
        )
    return service or None
