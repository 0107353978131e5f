"""Replays a verifier's checks on a token, one by one, to say which one fails. Pure.

Which key signed it is `verifiers`' to say; its verdicts come in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tokenserver.doctor.facts import RegistryKind
from tokenserver.doctor.findings import Finding, doubtful, failed, known, passed
from tokenserver.printable import shell_word
from tokenserver.scopes import Resource, Scope, in_order

LEEWAY = 60
"""Seconds of another clock that Distribution forgives; zot forgives none."""

_TIMES = ("exp", "nbf", "iat")
_LATEST = 253_402_300_799  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class Expected:
    """What the registry wants of a token. None: it does not look, or nobody knows.

    `at` is the registry's time. `mends` has what to do for `issuer`, `audience`, `time` and `key`.
    """

    issuer: str | None
    service: str | None
    at: datetime
    kinds: tuple[RegistryKind, ...]
    mends: Mapping[str, str]


def check_shape(claims: Mapping[str, Any]) -> list[Finding]:
    """Claims must have the types that every registry reads (RFC 7519, section 4.1)."""
    wrong = [name for name in _TIMES if type(claims.get(name, 0)) is not int]
    if wrong:
        says = f"{', '.join(wrong)} is no whole number, which registries refuse"
        return [failed("shape", says, "ask the server that issued it to write whole seconds", theirs="whole numbers")]
    if isinstance(claims.get("aud"), list):
        says = f"aud is a list, which {RegistryKind.DISTRIBUTION2} refuses"
        return [failed("shape", says, "ask the server that issued it to write aud as text", theirs="text")]
    access = claims.get("access", [])
    if not isinstance(access, list) or not all(isinstance(entry, dict) for entry in access):
        says = "access is not a list of entries, at which registries break off"
        return [failed("shape", says, "ask the server that issued it for a list", theirs="a list")]
    return []


def check_claims(claims: Mapping[str, Any], expected: Expected) -> list[Finding]:
    """Issuer, audience and time, in this order."""
    found: list[Finding] = []
    for check, name, wanted in (("issuer", "iss", expected.issuer), ("audience", "aud", expected.service)):
        said = _audience(claims.get(name))
        if wanted is None:
            found.append(known(check, f"the token's {name}; the registry's is not known here", ours=said))
        elif said == wanted:
            found.append(passed(check, f"the token's {name} is what it must be: {said}", ours=said, theirs=wanted))
        else:
            says = f"the token's {name} is not what it must be"
            found.append(failed(check, says, expected.mends[check], ours=said or "nothing", theirs=wanted))
    found.append(_check_time(claims, expected))
    return found


def check_keys(verdicts: Mapping[RegistryKind, str | None], expected: Expected) -> list[Finding]:
    """Of the kinds that have to take it the first refusal; of the others what they would say."""
    refused = [(kind, verdicts[kind]) for kind in expected.kinds if verdicts[kind] is not None]
    names = " and ".join(expected.kinds)
    if refused:
        kind, reason = refused[0]
        found = [failed("key", f"{kind} refuses the token's key: {reason}", expected.mends["key"], theirs=kind)]
    else:
        found = [passed("key", f"the token's key is found and trusted ({names})", theirs=names)]
    for kind, verdict in verdicts.items():
        if kind not in expected.kinds:
            said = "would trust the token's key" if verdict is None else f"would refuse the token's key: {verdict}"
            found.append(known("other kinds", f"{kind}, given the same files, {said}", theirs=kind))
    return found


def check_access(
    claims: Mapping[str, Any], wanted: Sequence[Scope], *, who: str = "--user NAME", hint: str = "tokenserver"
) -> list[Finding]:
    """What the token allows, and what it lacks of what is wanted."""
    held = access_in(claims)
    listed = spell_access(held)
    lacking = [Scope(one.resource, one.actions - held.get(one.resource, frozenset())) for one in wanted]
    lacking = [one for one in lacking if one.actions]
    if not lacking:
        return [passed("access", f"the token allows: {listed}", ours=listed, theirs=_spell_scopes(wanted))]
    first = lacking[0]
    action = in_order(first.actions)[0]
    mend = f"ask for the reason: {hint} policy why {action} {shell_word(first.resource.name)} {who}"
    says = f"the token lacks {_spell_scopes(lacking)}"
    return [failed("access", says, mend, ours=listed, theirs=_spell_scopes(wanted))]


def access_in(claims: Mapping[str, Any]) -> dict[Resource, frozenset[str]]:
    """The entries that a registry would read; others allow nothing."""
    found: dict[Resource, frozenset[str]] = {}
    access = claims.get("access")
    for entry in access if isinstance(access, list) else ():
        match entry:
            case {"type": str(kind), "name": str(name), "actions": [*actions]}:
                resource = Resource(kind, name)
                said = {action for action in actions if isinstance(action, str)}
                found[resource] = found.get(resource, frozenset()) | said
            case _:
                continue
    return found


def spell_access(access: Mapping[Resource, frozenset[str]]) -> str:
    """What a token allows, on one line."""
    return (
        ", ".join(f"{resource}:{','.join(sorted(actions))}" for resource, actions in access.items()) or "a login only"
    )


def check_clock(difference: float | None, lifetime: int, *, whose: str, backdated: int = 10) -> list[Finding]:
    """`difference` is how many seconds the registry's clock is ahead of the clock that tokens are made by.

    A token of `lifetime` seconds begins `backdated` seconds before it is made.
    """
    if difference is None:
        return [known("clock", "the registry tells no time, so the clocks could not be compared")]
    said = f"{round(difference):+d} s"
    mend = "set both clocks by NTP: on each machine, `timedatectl` says whether that is on"
    if difference < -(backdated + LEEWAY) or difference > lifetime + LEEWAY:
        when = "not valid yet" if difference < 0 else "over"
        says = f"the registry's clock is {said} against {whose}: every token is {when} when it arrives"
        return [failed("clock", says, mend, theirs=said)]
    if difference < -backdated:
        says = f"the registry's clock is {said} against {whose}: Distribution forgives a minute, zot nothing"
        return [doubtful("clock", says, mend, theirs=said)]
    if difference > LEEWAY:
        says = f"the registry's clock is {said} against {whose}: tokens live that much shorter there"
        return [doubtful("clock", says, mend, theirs=said)]
    return [passed("clock", f"the clocks agree ({said})", theirs=said)]


def _check_time(claims: Mapping[str, Any], expected: Expected) -> Finding:
    until, since = claims.get("exp"), claims.get("nbf", 0)
    if type(until) is not int or type(since) is not int:
        says = "the token does not say until when it is good, which registries take for over"
        return failed("time", says, expected.mends["time"])
    leeway = timedelta(seconds=0 if expected.kinds == (RegistryKind.ZOT,) else LEEWAY)
    end, begin = _moment(until), _moment(since)
    there = _spell(expected.at)
    # Compared by their distance, since leeway added to the last moment of the calendar would overflow.
    if expected.at - end > leeway:
        says = f"the token was good until {_spell(end)}, and at the registry it is {there}"
        return failed("time", says, expected.mends["time"], ours=_spell(end), theirs=there)
    if begin - expected.at > leeway:
        says = f"the token is good from {_spell(begin)} on, and at the registry it is {there}"
        return failed("time", says, expected.mends["time"], ours=_spell(begin), theirs=there)
    return passed("time", f"the token is good until {_spell(end)}", ours=_spell(end), theirs=there)


def _audience(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, str) else ""


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0), _LATEST), UTC)


def _spell(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _spell_scopes(scopes: Sequence[Scope]) -> str:
    return ", ".join(f"{one.resource}:{','.join(in_order(one.actions))}" for one in scopes) or "nothing in particular"
