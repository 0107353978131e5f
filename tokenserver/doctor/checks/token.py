"""Replay of a verifier's checks on a token, one by one, to find the one that fails. Pure.

The signature itself is verified by `registry.verifiers`, whose verdicts are passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tokenserver.doctor.facts import RegistryKind
from tokenserver.doctor.findings import Finding, failed, note, passed, warning
from tokenserver.doctor.token import access_in
from tokenserver.scopes import Resource, Scope, in_order

LEEWAY = 60
"""Seconds of clock skew that Distribution tolerates; zot tolerates none."""

_TIMES = ("exp", "nbf", "iat")
_LATEST = 253_402_300_799  # the last second of the year 9999


# Rejections that have nothing to do with the keys that the registry trusts, each with the name of its fix.
_OTHER_FIXES = (
    ("was cut when it was copied", "copy"),
    ("cannot verify", "algorithm"),
)


@dataclass(frozen=True, slots=True)
class Expected:
    """The claims that a registry expects. None: not checked by the registry, or unknown.

    `at` is the registry's time. `fixes` are for `issuer`, `audience`, `time`, `key`, `algorithm` and `copy`.
    """

    issuer: str | None
    service: str | None
    at: datetime
    kinds: tuple[RegistryKind, ...]
    fixes: Mapping[str, str]


def check_shape(claims: Mapping[str, Any]) -> list[Finding]:
    """Check that the claims have the types that every registry reads (RFC 7519, section 4.1)."""
    wrong = [name for name in _TIMES if type(claims.get(name, 0)) is not int]
    if wrong:
        message = f"{', '.join(wrong)} is not an integer, which registries reject"
        return [failed("shape", message, "have the issuing server write whole seconds", theirs="whole numbers")]
    if isinstance(claims.get("aud"), list):
        message = f"aud is a list, which {RegistryKind.DISTRIBUTION2} rejects"
        return [failed("shape", message, "have the issuing server write aud as text", theirs="text")]
    access = claims.get("access", [])
    if not isinstance(access, list) or not all(isinstance(entry, dict) for entry in access):
        message = "access is not a list of entries, which registries reject"
        return [failed("shape", message, "have the issuing server write a list", theirs="a list")]
    return []


def check_claims(claims: Mapping[str, Any], expected: Expected) -> list[Finding]:
    """Check issuer, audience and time, in this order."""
    found: list[Finding] = []
    for check, name, wanted in (("issuer", "iss", expected.issuer), ("audience", "aud", expected.service)):
        said = _audience(claims.get(name))
        if wanted is None:
            found.append(note(check, f"the token's {name}; the registry's is not known here", ours=said))
        elif said == wanted:
            found.append(passed(check, f"the token's {name} is right: {said}", ours=said, theirs=wanted))
        else:
            message = f"the token's {name} is wrong"
            found.append(failed(check, message, expected.fixes[check], ours=said or "nothing", theirs=wanted))
    found.append(_check_time(claims, expected))
    return found


def check_keys(verdicts: Mapping[RegistryKind, str | None], expected: Expected) -> list[Finding]:
    """Report the first rejection by a kind that must accept the token, and the verdicts of the other kinds."""
    refused = [(kind, verdicts[kind]) for kind in expected.kinds if verdicts[kind] is not None]
    names = " and ".join(expected.kinds)
    if refused:
        kind, reason = refused[0]
        name = next((name for sign, name in _OTHER_FIXES if sign in (reason or "")), "key")
        found = [failed("key", f"{kind} rejects the token's key: {reason}", expected.fixes[name], theirs=kind)]
    else:
        found = [passed("key", f"the token's key is found and trusted ({names})", theirs=names)]
    for kind, verdict in verdicts.items():
        if kind not in expected.kinds:
            said = "would trust the token's key" if verdict is None else f"would reject the token's key: {verdict}"
            found.append(note("other kinds", f"{kind}, given the same files, {said}", theirs=kind))
    return found


def check_access(claims: Mapping[str, Any], wanted: Sequence[Scope], explain: Callable[[Scope], str]) -> list[Finding]:
    """Check that the token allows what is wanted. `explain` has the command that shows why a scope is not allowed."""
    held = access_in(claims)
    listed = spell_access(held)
    lacking = [Scope(one.resource, one.actions - held.get(one.resource, frozenset())) for one in wanted]
    lacking = [one for one in lacking if one.actions]
    if not lacking:
        return [passed("access", f"the token allows: {listed}", ours=listed, theirs=_spell_scopes(wanted))]
    fix = f"ask why: {explain(lacking[0])}"
    message = f"the token lacks {_spell_scopes(lacking)}"
    return [failed("access", message, fix, ours=listed, theirs=_spell_scopes(wanted))]


def spell_access(access: Mapping[Resource, frozenset[str]]) -> str:
    """A token's access on one line."""
    return (
        ", ".join(f"{resource}:{','.join(sorted(actions))}" for resource, actions in access.items()) or "a login only"
    )


def check_clock(difference: float | None, lifetime: int, *, whose: str, backdated: int = 10) -> list[Finding]:
    """Check the clock skew: `difference` is how many seconds the registry's clock is ahead of the issuer's.

    A token of `lifetime` seconds is valid from `backdated` seconds before its issue.
    """
    if difference is None:
        return [note("clock", "the registry sends no Date header, so the clocks could not be compared")]
    said = f"{round(difference):+d} s"
    fix = "synchronize both clocks by NTP: on each machine, `timedatectl` shows whether that is on"
    if difference < -(backdated + LEEWAY) or difference > lifetime + LEEWAY:
        when = "not valid yet" if difference < 0 else "expired"
        message = f"the registry's clock is {said} against {whose}: every token is {when} when it arrives"
        return [failed("clock", message, fix, theirs=said)]
    if difference < -backdated:
        message = f"the registry's clock is {said} against {whose}: Distribution tolerates a minute, zot nothing"
        return [warning("clock", message, fix, theirs=said)]
    if difference > LEEWAY:
        message = f"the registry's clock is {said} against {whose}: tokens expire that much earlier there"
        return [warning("clock", message, fix, theirs=said)]
    return [passed("clock", f"the clocks agree ({said})", theirs=said)]


def outvoted_clock(finding: Finding) -> Finding:
    """The finding about clocks of a registry that accepts a token all the same: its verdict counts."""
    message = f"{finding.message}; yet it accepts one, so its Date header may be that of a proxy"
    return note("clock", message, theirs=finding.theirs)


def _check_time(claims: Mapping[str, Any], expected: Expected) -> Finding:
    until, since = claims.get("exp"), claims.get("nbf", 0)
    if type(until) is not int or type(since) is not int:
        message = "the token has no expiry, which registries treat as expired"
        return failed("time", message, expected.fixes["time"])
    leeway = timedelta(seconds=0 if expected.kinds == (RegistryKind.ZOT,) else LEEWAY)
    end, begin = _moment(until), _moment(since)
    there = _spell(expected.at)
    # Compared by difference, since adding the leeway to the last moment of the calendar would overflow.
    if expected.at - end > leeway:
        message = f"the token was valid until {_spell(end)}, and the registry's time is {there}"
        return failed("time", message, expected.fixes["time"], ours=_spell(end), theirs=there)
    if begin - expected.at > leeway:
        message = f"the token is valid from {_spell(begin)}, and the registry's time is {there}"
        return failed("time", message, expected.fixes["time"], ours=_spell(begin), theirs=there)
    return passed("time", f"the token is valid until {_spell(end)}", ours=_spell(end), theirs=there)


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
