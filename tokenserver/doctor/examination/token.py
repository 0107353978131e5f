"""Examination of a token: its claims, and the verdict of each kind of registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from tokenserver.doctor.checks.live import place_of
from tokenserver.doctor.checks.setup import RESTART, kinds_for, sign_for_2
from tokenserver.doctor.checks.token import Expected, check_access, check_claims, check_keys, check_shape
from tokenserver.doctor.commands import compare_files, explain_access
from tokenserver.doctor.examination.our_side import Sides
from tokenserver.doctor.examination.registry_files import RegistryFiles
from tokenserver.doctor.facts import OurRegistry, Ours, RegistryKind
from tokenserver.doctor.findings import Finding, note
from tokenserver.doctor.registry.verifiers import expected_trust, refusal
from tokenserver.doctor.token import UnverifiedToken
from tokenserver.keys.ring import KeyRing
from tokenserver.scopes import Scope


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a token is compared with. `files` are the registry's, if known; `at` is the registry's time."""

    sides: Sides
    registry: OurRegistry | None
    files: RegistryFiles | None
    kind: RegistryKind | None
    at: datetime

    @property
    def ours(self) -> Ours:
        """Our side, with the keys that sign for the registry."""
        return self.sides.of(self.registry).ours

    @property
    def ring(self) -> KeyRing:
        """The keys that sign for the registry."""
        return self.sides.of(self.registry).ring


def examine_token(
    token: UnverifiedToken, baseline: Baseline, wanted: Sequence[Scope] = (), *, service: str | None = None
) -> list[Finding]:
    """Run every check that registries make. `service` is the one in the registry's challenge, if known."""
    expected = _expected(baseline, service, token.claims.get("iss"))
    subject = token.claims.get("sub")
    is_named = isinstance(subject, str) and bool(subject)
    owner = f"for {subject}" if is_named else "for nobody (anonymous)"
    how = "x5c" if token.x5c is not None else "kid" if token.kid else "nothing"
    return [
        note("token", f"a token {owner}, signed by {token.algorithm or 'nothing'}, its key named by {how}"),
        *check_shape(token.claims),
        *check_keys(_verdicts(token, baseline, expected.kinds), expected),
        *check_claims(token.claims, expected),
        *check_access(token.claims, wanted, partial(_explain, baseline, str(subject) if is_named else None)),
    ]


def _explain(baseline: Baseline, user: str | None, scope: Scope) -> str:
    return explain_access(baseline.ours, baseline.registry, scope, user)


def _expected(baseline: Baseline, service: str | None, said: object) -> Expected:
    """What the registry expects: as its configuration says, else any issuer and audience of ours.

    `said` is the issuer that the token names.
    """
    registry, setup = baseline.registry, None if baseline.files is None else baseline.files.setup
    kinds = kinds_for(setup, registry or OurRegistry("", "", "universal", 900), baseline.kind)
    candidates = baseline.ours.registries if registry is None else (registry,)
    issuer: str | None = " or ".join(dict.fromkeys(one.issuer for one in candidates))
    audience: str | None = service or " or ".join(
        name for one in candidates for name in (one.names if registry is None else one.names[:1])
    )
    if setup is not None and setup.auth == "token":
        issuer, audience = setup.issuer, setup.service
    if kinds == (RegistryKind.ZOT,):
        issuer = audience = None
    fixes = _fixes(baseline)
    if registry is not None and issuer == registry.issuer != said:
        fixes |= {"issuer": _fix_our_issuer(registry, baseline.ours)}
    return Expected(issuer, audience, baseline.at, kinds, fixes)


def _verdicts(
    token: UnverifiedToken, baseline: Baseline, kinds: Sequence[RegistryKind]
) -> dict[RegistryKind, str | None]:
    """Each verifier's reason to reject the token's signature, None if it accepts it."""
    compat = "universal" if baseline.registry is None else baseline.registry.compat
    trusted = expected_trust(baseline.ring, compat) if baseline.files is None else baseline.files.trusted
    # Without files, what a zot trusts is only known under `compat: zot`.
    judges_zot = baseline.files is not None or compat == "zot" or RegistryKind.ZOT in kinds
    return {
        kind: refusal(token, trusted, kind, baseline.at)
        for kind in RegistryKind
        if kind is not RegistryKind.ZOT or judges_zot
    }


def _fix_our_issuer(registry: OurRegistry, ours: Ours) -> str:
    """The fix for a token with another issuer than ours, where the registry expects ours."""
    return (
        f"restart the token server, so that it signs as {registry.issuer}, as {ours.config} says; if another server"
        " made the token, request one from ours"
    )


def _fixes(baseline: Baseline) -> dict[str, str]:
    """The fix for each kind of rejection."""
    ours, registry, files = baseline.ours, baseline.registry, baseline.files
    services = " or ".join(ours.services)
    compat = "universal" if registry is None else registry.compat
    where = place_of(compat) if files is None else files.setup.place("")
    issuer = ours.registries[0].issuer if registry is None else registry.issuer
    audience = services if registry is None else registry.service
    return {
        "issuer": f"set issuer to {issuer} in {where} {RESTART}",
        "audience": f"set service to {audience} in {where} {RESTART}, or ask for a token for the registry's service",
        "time": "request a new token; if that is rejected too, compare the clocks of both machines",
        "algorithm": sign_for_2(ours, registry),
        "copy": "copy the whole token again, from the client's or the server's own output",
        "key": (
            f"compare the keys: {compare_files(ours, registry)} with the registry's configuration shows what it lacks"
        ),
    }
