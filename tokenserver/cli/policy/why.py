"""`tokenserver policy why`: why somebody may do something, or may not; also from what a client printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, TextIO

import click

from tokenserver.cli.options import TokenFile
from tokenserver.cli.policy.options import (
    Source,
    asked_identity,
    asked_resource,
    circumstances,
    policy_command,
    read_source,
    table,
)
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.doctor.challenge import Challenge, parse_challenge
from tokenserver.doctor.token import MAX_TOKEN, UnverifiedClaims, read_claims
from tokenserver.errors import Fault, LoadError
from tokenserver.identity import ANONYMOUS, Identity, Kind, spell_group
from tokenserver.policy.analysis.conditions import spell_moment
from tokenserver.policy.losses import restricting_rule
from tokenserver.policy.model import Context, Effect
from tokenserver.policy.queries.why import Explanation, Verdict, spell_who, why
from tokenserver.policy.terms import actions_of, parse_name, spell_request
from tokenserver.scopes import Scope, in_order


@click.command("why")
@click.argument("action", required=False)
@click.argument("repository", required=False)
@click.option("--user", help="The user, as the user source spells it.")
@click.option("--group", "groups", multiple=True, help="A group that the user brings from a directory; repeatable.")
@click.option("--anonymous", is_flag=True, help="A client that did not log in.")
@click.option("--as", "lookup", help="A user, with what the configured user sources say about him or her.")
@circumstances
@click.option(
    "--challenge", help="The WWW-Authenticate header that the registry answered, instead of ACTION REPOSITORY."
)
@click.option(
    "--token", type=TokenFile("r"), help="The token that was refused, or a file with it (- is standard input)."
)
@click.option("--all", "every_rule", is_flag=True, help="List every rule, also those about other repositories.")
@policy_command
def policy_why(  # noqa: PLR0917 - click hands every option over by its name
    action: str | None,
    repository: str | None,
    user: str | None,
    groups: Sequence[str],
    anonymous: bool,
    lookup: str | None,
    service: str | None,
    client: IPv4Address | IPv6Address | None,
    at: datetime | None,
    challenge: str | None,
    token: TextIO | None,
    every_rule: bool,
    config: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Why is ACTION on REPOSITORY allowed, denied, or not granted? Exit code 0: allowed; 1: not.

    `tokenserver policy why push web/site --user ann --group web-devs`
    """
    pasted = None if challenge is None else parse_challenge(challenge)
    carried = None if token is None else read_claims(token.read(MAX_TOKEN + 1))
    source = read_source(config, folder)
    now = datetime.now(UTC)
    identity = asked_identity(source, user, groups, anonymous=anonymous, lookup=lookup)
    if carried is not None and (identity is None or (user is None and not anonymous and lookup is None)):
        identity = _bearer(carried, identity)
    if identity is None:
        if pasted is not None and not as_json:
            _show_challenge(pasted, pasted.scopes.scopes)
        raise click.UsageError("say who it is: --user NAME (with --group), --group, --anonymous or --as NAME")
    wanted = _wanted(action, repository, pasted, carried)
    context = Context(source.service(_service(source, service, pasted, carried)), client, at or now)
    _refuse_unless_complete(source, identity, context.service)
    answers = [
        why(source.policies, identity, one, scope.resource, context, every_rule=every_rule)
        for scope in wanted
        for one in actions_of(scope)
    ]
    lacking = {} if carried is None else {scope: carried.lacks(_spelled_out(scope)) for scope in wanted}
    if as_json:
        facts = [_facts(answer) for answer in answers]
        whole: Any = facts[0] if pasted is None and carried is None else _pasted_facts(wanted, pasted, carried, facts)
        echo_text(json.dumps(whole, indent=2))
    else:
        if pasted is not None:
            _show_challenge(pasted, wanted)
        if carried is not None:
            _show_token(carried, lacking, now)
        for number, answer in enumerate(answers):
            if number or pasted is not None or carried is not None:
                echo()
            _show(source, answer, context)
    is_good = all(answer.verdict is Verdict.ALLOWED for answer in answers) and not any(lacking.values())
    is_late = carried is not None and carried.expires is not None and carried.expires <= now
    raise SystemExit(0 if is_good and not is_late else 1)


def _refuse_unless_complete(source: Source, identity: Identity, service: str) -> None:
    """Refuse to answer for somebody whose login is refused, because not all names of groups are known.

    Raises:
        LoadError: it is so.
    """
    rule = restricting_rule(source.policies, service) if identity.lost else None
    if rule is not None:
        lost = ", ".join(map(ascii, identity.lost))
        problem = (
            f"{identity.source} cannot tell the names of all groups of {identity.subject!r} ({lost}), and {rule.id} "
        )
        problem += f"({rule.file}:{rule.line}) needs them: the login is refused"
        raise LoadError([Fault("--as", 0, "", problem)])


def _wanted(
    action: str | None, repository: str | None, pasted: Challenge | None, carried: UnverifiedClaims | None
) -> tuple[Scope, ...]:
    if pasted is not None:
        if action is not None:
            raise click.UsageError("--challenge says what was wanted: leave ACTION and REPOSITORY out")
        return pasted.scopes.scopes
    if action is not None and repository is not None:
        return (Scope(asked_resource(action, repository), frozenset({action})),)
    if action is None and carried is not None:
        return ()
    raise click.UsageError("ask about ACTION and REPOSITORY, such as: push web/site")


def _service(
    source: Source, asked: str | None, pasted: Challenge | None, carried: UnverifiedClaims | None
) -> str | None:
    """The registry: as asked, else as the challenge or the token names it."""
    said = asked or (pasted.service if pasted is not None else "") or (carried.service if carried is not None else "")
    if said and asked is None and source.settings is not None and said not in source.services:
        known = ", ".join(sorted(source.services))
        raise click.UsageError(f"the registry calls itself {said!r}, but configured is: {known}; they must be the same")
    return said or None


def _bearer(carried: UnverifiedClaims, known: Identity | None) -> Identity:
    """Whom the token names, with the groups that the options name: a token holds none."""
    if not carried.subject:
        return ANONYMOUS
    return Identity(parse_name(carried.subject), Kind.PASSWORD, groups=frozenset() if known is None else known.groups)


def _spelled_out(scope: Scope) -> Scope:
    """`*` on a repository as what registries check."""
    return Scope(scope.resource, frozenset(actions_of(scope)))


def _facts(answer: Explanation) -> dict[str, Any]:
    rules = [
        {
            "id": one.rule.id,
            "effect": one.rule.effect.value,
            "file": one.rule.file,
            "line": one.rule.line,
            "applies": one.applies,
            "because": one.because,
        }
        for one in answer.rules
    ]
    nearest = [
        {
            "id": near.rule.id,
            "file": near.rule.file,
            "line": near.rule.line,
            "missing": list(near.missing),
            "because": near.sentence,
        }
        for near in answer.nearest
    ]
    name = answer.resource.name if answer.resource.type == "repository" else str(answer.resource)
    verdict = {"verdict": answer.verdict.value, "action": answer.action, "repository": name}
    messages = [reason.message for reason in answer.decision.reasons if reason.message is not None]
    return {**verdict, "rules": rules, "nearest": nearest, "messages": messages}


def _pasted_facts(
    wanted: Sequence[Scope], pasted: Challenge | None, carried: UnverifiedClaims | None, answers: list[dict[str, Any]]
) -> dict[str, Any]:
    facts: dict[str, Any] = {"wanted": [str(scope) for scope in wanted]}
    if pasted is not None:
        facts["challenge"] = {"realm": pasted.realm, "service": pasted.service, "error": pasted.error}
        facts["rejected"] = [{"text": one.text, "reason": one.reason} for one in pasted.scopes.rejected]
    if carried is not None:
        lacking = ((scope, carried.lacks(_spelled_out(scope))) for scope in wanted)
        facts["token"] = {
            "verified": False,
            "subject": carried.subject,
            "service": carried.service,
            "expires": None if carried.expires is None else spell_moment(carried.expires),
            "access": [f"{resource}:{','.join(sorted(actions))}" for resource, actions in carried.access.items()],
            "lacks": [str(Scope(scope.resource, actions)) for scope, actions in lacking if actions],
        }
    return {**facts, "answers": answers}


def _show_challenge(pasted: Challenge, wanted: Sequence[Scope]) -> None:
    said = ", ".join(map(str, wanted)) or "any token at all, as for a login"
    echo(f"The registry {pasted.service!r} wanted: {said}")
    if pasted.error:
        echo(f"It says: {pasted.error!r}")
    for one in pasted.scopes.rejected:
        echo(f"It also asked {one.text!r}, which grants nothing: {one.reason}")


def _show_token(carried: UnverifiedClaims, lacking: dict[Scope, frozenset[str]], now: datetime) -> None:
    echo("The token (its signature was NOT verified; anybody can write such a token):")
    echo(f"  is for {carried.subject!r} at {carried.service!r}")
    if carried.expires is not None:
        tense = "expired" if carried.expires <= now else "expires"
        echo(f"  {tense} at {spell_moment(carried.expires)}")
    said = ", ".join(f"{resource}:{','.join(sorted(actions))}" for resource, actions in carried.access.items())
    echo(f"  carries {said!r}" if said else "  carries no access")
    for scope, actions in lacking.items():
        if actions:
            echo(f"  lacks {','.join(in_order(actions))} on {scope.resource}")
    if lacking and not any(lacking.values()):
        echo("  lacks nothing of that")


def _show(source: Source, answer: Explanation, context: Context) -> None:
    request = spell_request(answer.action, answer.decision.scope)
    by = ", ".join(f"{one.rule} ({one.file}:{one.line})" for one in answer.decision.reasons)
    said = {
        Verdict.ALLOWED: ("green", f"allowed by {by}"),
        Verdict.DENIED: ("red", f"denied by {by}"),
        Verdict.NOT_GRANTED: ("yellow", "not granted: no allow rule applies"),
    }
    colour, text = said[answer.verdict]
    if answer.is_bounded:
        text = "not granted: rules allow it, but the credential was made for less"
    echo(f"{request}: {text}", fg=colour)
    for reason in answer.decision.reasons:
        if reason.message is not None and reason.effect is Effect.DENY:
            echo(f"  {reason.message}")
    where = f"from {context.client}" if context.client is not None else "from an unknown address"
    groups = ", ".join(map(spell_group, sorted(answer.identity.groups)))
    who = spell_who(answer.identity) + (f" (bringing {groups})" if groups else "")
    at = f"at {spell_moment(context.now.replace(microsecond=0))}"
    echo(f"  for {who}, " + (f"on {context.service}, " if context.service else "") + f"{where}, {at}")
    if answer.identity.is_anonymous and source.settings is not None and not source.settings.anonymous:
        echo("  but the configuration says anonymous: false, so such a client gets no token at all", fg="yellow")
    if answer.rules:
        rows = [
            (one.rule.id, one.rule.effect.value, f"{one.rule.file}:{one.rule.line}", one.because)
            for one in answer.rules
        ]
        echo()
        echo_text(table(("rule", "effect", "place", "because"), rows))
    if answer.nearest:
        echo()
        echo("nearest:")
        for near in answer.nearest:
            echo(f"  {near.sentence} ({near.rule.file}:{near.rule.line})")
