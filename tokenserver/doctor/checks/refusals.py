"""Diagnosis of a registry that rejects a token which looks right from here, by its responses to probes. Pure."""

from __future__ import annotations

from dataclasses import replace

from tokenserver.doctor.checks.live import place_of
from tokenserver.doctor.checks.setup import RESTART
from tokenserver.doctor.commands import compare_files, fetch_ca, fetch_jwks, sign_with, write_keys
from tokenserver.doctor.facts import OurRegistry, Ours, RegistryKind, Setup
from tokenserver.doctor.findings import Finding, failed
from tokenserver.doctor.http import HttpAnswer, Outcome


def is_key_known(outcome: Outcome) -> bool:
    """Whether a registry that got a token with an invalid signature knows the key that it names.

    Distribution 3 says `invalid_token` for an untrusted key, a disallowed algorithm and wrong claims, but not if only
    the signature is wrong. Distribution 2.8 always says it.
    """
    if not isinstance(outcome, HttpAnswer) or outcome.status != 401:
        return False
    challenge = outcome.bearer()
    return challenge is not None and "error=" not in challenge


def generation(outcome: Outcome) -> RegistryKind | None:
    """The registry's generation, by its response to `Authorization: Bearer x x`; None if it is none of these.

    2.8 splits at every blank and sees no token; 3.x splits at the first one and sees a malformed token. zot answers a
    malformed token without a challenge.
    """
    if not isinstance(outcome, HttpAnswer) or outcome.status != 401:
        return None
    challenge = outcome.bearer()
    if challenge is None:
        return RegistryKind.ZOT
    return RegistryKind.DISTRIBUTION3 if "error=" in challenge else RegistryKind.DISTRIBUTION2


def explain_refusal(
    kind: RegistryKind | None, known_by: frozenset[str], ours: Ours, registry: OurRegistry, url: str
) -> Finding:
    """Explain why a registry rejects a token whose audience and times are right.

    `known_by` are the algorithms under which it found our key.
    """
    place = place_of(registry.compat)
    files = f"{compare_files(ours, registry)} with its configuration"
    algorithm = ours.active.algorithm
    if kind is RegistryKind.ZOT or registry.compat == "zot":
        message = "zot does not trust the token's key: its cert is not the certificate of the active key"
        fix = f"write its cert with {write_keys(ours, registry, (RegistryKind.ZOT,))} {RESTART}"
        if kind is not RegistryKind.ZOT:
            message = f"{message}; or a proxy drops Authorization, which zot before 2.1.3 does not show"
            fix = f"{fix}; ask zot itself, without a proxy, or {files} to see which it is"
        return failed("cert", message, fix)
    if algorithm in known_by:
        message = "the registry trusts the token's key, and audience and time match, so it expects another issuer"
        fix = f"set issuer to {registry.issuer} in {place} {RESTART}"
        return failed("issuer", message, fix, ours=registry.issuer)
    if known_by:
        message = f"the registry knows our key, but does not accept its algorithm {algorithm}"
        fix = f"add {algorithm} to signingalgorithms in {place} {RESTART}"
        return failed("algorithm", message, fix, ours=algorithm, theirs=", ".join(sorted(known_by)))
    option, fetch = ("jwks", fetch_jwks(ours)) if registry.compat == "jwks" else ("rootcertbundle", fetch_ca(ours))
    if registry.compat in ("universal", "jwks"):
        fetched = f"save the output of {fetch} as its {option}"
    else:
        fetched = f"write its {option} with {write_keys(ours, registry, () if kind is None else (kind,))}"
    if kind is RegistryKind.DISTRIBUTION3:
        message = f"the registry does not trust the token's key: its {option} does not hold what compat:"
        return failed(option, f"{message} {registry.compat} needs", f"{fetched} {RESTART}; {files} shows what it has")
    message = f"audience and time match, so the registry has another issuer than ours or a {option} without our key"
    fix = f"{files} says which; then set issuer to {registry.issuer}, or {fetched}, {RESTART}"
    return failed("trust or issuer", message, fix, ours=registry.issuer, theirs=url)


def explain_zot_login(refused: HttpAnswer, registry: OurRegistry) -> Finding | None:
    """Explain a zot that answers a login with a challenge for more access; None if that is not the case.

    zot 2 sends that challenge only for tokens whose key it trusts, and zot 1 for all. Up to 2.1.2 it requires access to
    its catalog for a login.
    """
    if registry.compat != "zot" or refused.bearer() is None:
        return None
    message = "zot trusts the token's key but requires more access: up to 2.1.2 a login needs access to its catalog"
    fix = 'upgrade to zot 2.1.3 or later, or grant its users the catalog: {registry: [catalog], actions: ["*"]}'
    return failed("access", message, fix, ours="a login only", theirs=refused.bearer())


def explain_generation(
    kind: RegistryKind | None, registry: OurRegistry, ours: Ours, *, is_30: bool = False
) -> Finding | None:
    """Explain a registry of another generation than `compat` makes tokens for; None if the two fit.

    `is_30`: it knows our key by the name that Distribution 3.0 gives it.
    """
    fix = f"set compat: universal for {registry.service} in {ours.config}, with the token CA as its rootcertbundle"
    fix = f"{fix} ({fetch_ca(ours)})"
    if kind is RegistryKind.DISTRIBUTION3 and registry.compat == "distribution2":
        message = "the registry is Distribution 3, and compat: distribution2 names keys as only 2.8 does"
    elif kind is RegistryKind.DISTRIBUTION2 and registry.compat in ("distribution3", "jwks"):
        message = (
            f"the registry is Distribution 2.8, and compat: {registry.compat} names keys as only Distribution 3 does"
        )
    elif is_30:
        message = "the registry is Distribution 3.0, which computes the same kid for every EC key, so none matches"
        fix = f"{fix}; or upgrade to 3.1, or sign with RS256: {sign_with(ours, registry, 'RS256')}"
    else:
        return None
    return failed("compat", message, fix, ours=registry.compat, theirs=kind)


def explain_other_way(found: Finding, setup: Setup) -> Finding:
    """Explain a registry that asks for something else than a token although its configuration says token."""
    if setup.auth != "token":
        return found
    message = f"its configuration asks for tokens, but {found.message}: the registry does not run with that alone"
    fix = (
        "look for variables REGISTRY_AUTH… in its environment, which win over the file (ask again with --registry-env"
        f" FILE); otherwise restart it, or find the file that it runs with instead of {setup.place('')}"
    )
    return replace(found, message=message, fix=fix)


def explain_despite_files(registry: OurRegistry, places: str) -> Finding:
    """Explain why a registry rejects a token that the given configuration would accept."""
    message = f"the registry rejects {registry.service}'s tokens although its configuration would accept them"
    fix = (
        "restart the registry, which reads its configuration only at start; if that does not help, a variable"
        " REGISTRY_AUTH_… wins over this file, or it runs with another file: ask again with --registry-env FILE"
    )
    return failed("restart", message, fix, theirs=places)
