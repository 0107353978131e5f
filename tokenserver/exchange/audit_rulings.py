"""A ruling's part of an audit event, as JSON. Pure.

What is in every event is written by hand, since the general encoder takes three times as long; every text goes through
its escaping.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

from tokenserver.exchange.audit_events import MAX_REJECTED, cited_together, cut, members, shown
from tokenserver.exchange.rulings import Ruling, WorkloadFacts
from tokenserver.identity import Identity, Sort
from tokenserver.policy.decision import Decision, Reason
from tokenserver.scopes import RejectedScope
from tokenserver.storage.ceiling_text import spell_ceiling

_quoted = encode_basestring_ascii


def ruling_members(ruling: Ruling) -> str:
    """The members of an event that depend on the ruling alone."""
    registry, identity = ruling.registry, ruling.identity
    rules, omitted = cited_together(ruling.decisions)
    encoded = f'"asked":[{",".join([_quoted(str(decision.scope)) for decision in ruling.decisions])}]'
    if ruling.rejected:
        encoded += _rarely(rejected_facts(ruling.rejected))
    encoded += f',"registry":{_quoted(registry.service)}'
    if registry.asked_as is not None:  # the client asked for the registry under another of its names
        encoded += f',"asked_as":{_quoted(registry.asked_as)}'
    if registry.holds:  # tokens carry more than was asked: what is `granted` goes beyond `asked`
        encoded += ',"grant":"held"'
    encoded += f',"subject":{_quoted(identity.subject)},"source":{_quoted(identity.source)}'
    if identity.namespace is not None and identity.sort is Sort.USER:  # the source maps names: the value of `${user}`
        encoded += f',"namespace":{_quoted(identity.namespace)}'
    encoded += f',"kind":{_quoted(identity.kind)}'
    if identity.credential:
        encoded += f',"credential":{_quoted(identity.credential)}'
    if identity.via:
        encoded += _stored_members(identity)
    encoded += f',"groups":{_texts(sorted(identity.groups))}' if identity.groups else ',"groups":[]'
    encoded += f',"granted":[{",".join([_quoted(str(access)) for access in ruling.access])}]'
    encoded += f',"rules":[{_rules(ruling.decisions, rules)}]'
    if omitted:
        encoded += f',"rules_omitted":{omitted}'
    encoded += f',"policy":{_quoted(ruling.policy)}'
    if identity.stale:  # the source was unreachable, and the last answer it gave was used
        encoded += ',"stale":true'
    if identity.lost:  # groups whose names the source could not resolve
        encoded += f',"lost":{_texts(identity.lost)}'
    if identity.sort is not Sort.USER:
        encoded += f',"sort":{_quoted(identity.sort)}'
    if ruling.workload is not None:
        encoded += _workload_members(ruling.workload)
    return encoded.replace("\x7f", "\\u007f")  # JSON allows DEL unescaped


def _stored_members(identity: Identity) -> str:
    """What a stored credential is, whose rights bound it, and what narrows it."""
    encoded = f',"via":{_quoted(identity.via)},"owner":{_quoted(identity.owner)}'
    return encoded if identity.ceiling is None else f'{encoded},"ceiling":{_quoted(spell_ceiling(identity.ceiling))}'


def _workload_members(workload: WorkloadFacts) -> str:
    """The declared workloads that a client is, and its claims on which that depends."""
    claims = ",".join([f"{_quoted(name)}:{_texts(values)}" for name, values in workload.claims])
    return f',"workloads":{_texts(workload.names)},"claims":{{{claims}}}'


def rejected_facts(rejected: Sequence[RejectedScope]) -> dict[str, Any]:
    """The first few of the texts that were asked and are no scopes, and the number of the rest."""
    if not rejected:
        return {}
    listed = [{"scope": cut(shown(one.text)), "reason": one.reason} for one in rejected[:MAX_REJECTED]]
    omitted = len(rejected) - len(listed)
    return {"rejected": listed, **({"rejected_omitted": omitted} if omitted else {})}


def _rarely(facts: dict[str, Any]) -> str:
    return f",{members(facts)}"


def _texts(texts: Iterable[str]) -> str:
    return f"[{','.join(map(_quoted, texts))}]"


def _rules(decisions: Sequence[Decision], cited: Sequence[Sequence[Reason]]) -> str:
    encoded: list[str] = []
    by_rule: dict[tuple[str, int], str] = {}  # many scopes are often decided by the same few rules
    for decision, reasons in zip(decisions, cited, strict=True):
        resource = decision.scope.resource
        start = f'{{"resource":{_quoted(f"{resource.type}:{resource.name}")},'
        for reason in reasons:
            key = (reason.action, id(reason.by))
            rest = by_rule.get(key)
            if rest is None:
                rest = by_rule[key] = _rule(reason)
            encoded.append(start + rest)
    return ",".join(encoded)


def _rule(reason: Reason) -> str:
    rule = reason.by
    message = "" if rule.message is None else f',"message":{_quoted(rule.message)}'
    return (
        f'"action":{_quoted(reason.action)},"effect":{_quoted(rule.effect)},"rule":{_quoted(rule.id)},'
        f'"at":{_quoted(f"{rule.file}:{rule.line}")}{message}}}'
    )
