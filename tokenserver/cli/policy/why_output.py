"""The output of `policy why`: explanations as text and as JSON, with what the user pasted from a client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tokenserver.cli.console.table import table
from tokenserver.cli.policy.options import Source
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.doctor.challenge import Challenge
from tokenserver.doctor.token import UnverifiedClaims
from tokenserver.identity import spell_group
from tokenserver.policy.analysis.conditions import spell_moment
from tokenserver.policy.model import Context, Effect
from tokenserver.policy.queries.why import AccessVerdict, Explanation, spell_who, spell_workloads
from tokenserver.policy.terms import actions_of, spell_request
from tokenserver.scopes import Scope, in_order


@dataclass(frozen=True, slots=True)
class Pasted:
    """What the user pasted from a client's output: a registry's challenge, a token, both or neither."""

    challenge: Challenge | None
    token: UnverifiedClaims | None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was pasted."""
        return self.challenge is None and self.token is None

    @property
    def service(self) -> str:
        """The registry that the challenge, else the token, names; empty if neither does."""
        return (self.challenge.service if self.challenge else "") or (self.token.service if self.token else "")

    def missing(self, wanted: Sequence[Scope]) -> dict[Scope, frozenset[str]]:
        """The actions of each scope that the token does not carry; nothing without a token."""
        return {} if self.token is None else {scope: self.token.lacks(_spelled_out(scope)) for scope in wanted}

    def is_expired(self, now: datetime) -> bool:
        """Whether the token has expired; False without a token."""
        return self.token is not None and self.token.expires is not None and self.token.expires <= now


def explanation_as_json(
    answers: Sequence[Explanation], pasted: Pasted, wanted: Sequence[Scope], account: str | None
) -> dict[str, Any]:
    """The answers for `--json`: one explanation, or with what was pasted, a list of them.

    `account` is why the user cannot log in, or None.
    """
    facts = [{**_facts(answer), "account": account} for answer in answers]
    return facts[0] if pasted.is_empty else {**_pasted_facts(pasted, wanted), "answers": facts}


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
    workloads = {"workloads": list(answer.workloads)} if answer.workloads else {}
    found = {"rules": rules, "nearest": nearest, "messages": messages, "contacts": list(answer.contacts)}
    return {**verdict, **workloads, **found}


def _pasted_facts(pasted: Pasted, wanted: Sequence[Scope]) -> dict[str, Any]:
    facts: dict[str, Any] = {"wanted": [str(scope) for scope in wanted]}
    if pasted.challenge is not None:
        challenge = pasted.challenge
        facts["challenge"] = {"realm": challenge.realm, "service": challenge.service, "error": challenge.error}
        facts["rejected"] = [{"text": one.text, "reason": one.reason} for one in challenge.scopes.rejected]
    if pasted.token is not None:
        token, missing = pasted.token, pasted.missing(wanted)
        facts["token"] = {
            "verified": False,
            "subject": token.subject,
            "service": token.service,
            "expires": None if token.expires is None else spell_moment(token.expires),
            "access": _spell_access(token),
            "lacks": [str(Scope(scope.resource, actions)) for scope, actions in missing.items() if actions],
        }
    return facts


def print_explanation(
    source: Source,
    answers: Sequence[Explanation],
    pasted: Pasted,
    wanted: Sequence[Scope],
    *,
    context: Context,
    now: datetime,
    account: str | None,
) -> None:
    """Print what was pasted, and below it an explanation for each action.

    `account` is why the user cannot log in, or None.
    """
    if pasted.challenge is not None:
        print_challenge(pasted.challenge, wanted)
    if pasted.token is not None:
        _print_token(pasted.token, pasted.missing(wanted), now)
    for number, answer in enumerate(answers):
        if number or not pasted.is_empty:
            echo()
        _print_verdict(answer)
        _print_client(source, answer, context)
        if account is not None:
            echo(f"  but {account}, so this user gets no token at all", fg="yellow")
        _print_rules(answer)


def print_challenge(challenge: Challenge, wanted: Sequence[Scope]) -> None:
    """Print what the registry asked for."""
    scopes = ", ".join(map(str, wanted)) or "any token, as for a login"
    echo(f"The registry {challenge.service!r} wanted: {scopes}")
    if challenge.error:
        echo(f"It reported: {challenge.error!r}")
    for one in challenge.scopes.rejected:
        echo(f"It also asked for {one.text!r}, which grants nothing: {one.reason}")


def _print_token(token: UnverifiedClaims, missing: Mapping[Scope, frozenset[str]], now: datetime) -> None:
    echo("The token (its signature was NOT verified; anybody can write such a token):")
    echo(f"  is for {token.subject!r} at {token.service!r}")
    if token.expires is not None:
        tense = "expired" if token.expires <= now else "expires"
        echo(f"  {tense} at {spell_moment(token.expires)}")
    access = ", ".join(_spell_access(token))
    echo(f"  carries {access!r}" if access else "  carries no access")
    for scope, actions in missing.items():
        if actions:
            echo(f"  lacks {','.join(in_order(actions))} on {scope.resource}")
    if missing and not any(missing.values()):
        echo("  lacks nothing of that")


def _spell_access(token: UnverifiedClaims) -> list[str]:
    return [f"{resource}:{','.join(sorted(actions))}" for resource, actions in token.access.items()]


def _print_verdict(answer: Explanation) -> None:
    """The verdict on one line, and below it the messages of the rules that deny."""
    by = ", ".join(f"{one.rule} ({one.file}:{one.line})" for one in answer.decision.reasons)
    colour, text = {
        AccessVerdict.ALLOWED: ("green", f"allowed by {by}"),
        AccessVerdict.DENIED: ("red", f"denied by {by}"),
        AccessVerdict.NOT_GRANTED: ("yellow", "not granted: no allow rule applies"),
    }[answer.verdict]
    if answer.is_bounded:
        text = f"not granted: rules allow it, but the key is narrowed to {answer.identity.ceiling}"
    echo(f"{spell_request(answer.action, answer.decision.scope)}: {text}", fg=colour)
    for reason in answer.decision.reasons:
        if reason.message is not None and reason.effect is Effect.DENY:
            echo(f"  {reason.message}")


def _print_client(source: Source, answer: Explanation, context: Context) -> None:
    """The client and the circumstances that the verdict is about."""
    where = f"from {context.client}" if context.client is not None else "from an unknown address"
    groups = ", ".join(map(spell_group, sorted(answer.identity.groups)))
    who = spell_who(answer.identity) + (f" (bringing {groups})" if groups else "")
    who += f" ({spell_workloads(answer.workloads)})" if answer.workloads else ""
    at = f"at {spell_moment(context.now.replace(microsecond=0))}"
    echo(f"  for {who}, " + (f"on {context.service}, " if context.service else "") + f"{where}, {at}")
    if answer.identity.is_anonymous and source.settings is not None and not source.settings.anonymous:
        echo("  but the configuration has anonymous: false, so such a client gets no token at all", fg="yellow")


def _print_rules(answer: Explanation) -> None:
    """The rules that were considered, and the allow rules that come nearest."""
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
    if answer.contacts:
        echo()
        echo(f"owners: {', '.join(answer.contacts)}")


def _spelled_out(scope: Scope) -> Scope:
    """`*` on a repository as the actions that registries check."""
    return Scope(scope.resource, frozenset(actions_of(scope)))
