"""Why a registry refuses a token that is right by all that is seen from here: what its answers give away. Pure."""

from __future__ import annotations

from tokenserver.doctor.checks.live import place_of
from tokenserver.doctor.checks.setup import RESTART
from tokenserver.doctor.facts import OurRegistry, Ours, RegistryKind
from tokenserver.doctor.findings import Finding, failed
from tokenserver.doctor.http import HttpAnswer, Outcome
from tokenserver.printable import shell_word


def is_key_known(outcome: Outcome) -> bool:
    """Whether a registry that was brought a wrong signature found the key that it names.

    Distribution 3 says `invalid_token` for a key that it does not trust, an algorithm that it does not take and wrong
    claims, and leaves the word out where the signature alone is wrong. Distribution 2.8 always says it.
    """
    if not isinstance(outcome, HttpAnswer) or outcome.status != 401:
        return False
    challenge = outcome.bearer()
    return challenge is not None and "error=" not in challenge


def generation(outcome: Outcome) -> RegistryKind | None:
    """What the registry is, by its answer to `Authorization: Bearer x x`; None: none of these.

    2.8 splits at every blank and sees no token, 3.x splits at the first and sees a malformed one. zot answers a token
    that it cannot read without a challenge.
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
    """Why a registry refuses a token whose audience and times are right, from what its answers give away.

    `known_by` are the algorithms under which it found our key.
    """
    place = place_of(registry.compat)
    command = f"tokenserver registry-config {shell_word(registry.service)}"
    files = "`tokenserver doctor --registry-config FILE` with its configuration"
    algorithm = ours.active.algorithm
    if kind is RegistryKind.ZOT or registry.compat == "zot":
        says = "zot does not trust the token's key: its cert is not the certificate of the key that signs"
        mend = f"write its cert with `{command} --for zot --write DIR` {RESTART}"
        return failed("cert", says, mend)
    if algorithm in known_by:
        says = "the registry trusts the token's key, audience and time fit, so it wants another issuer"
        mend = f"set issuer to {registry.issuer} in {place} {RESTART}"
        return failed("issuer", says, mend, ours=registry.issuer)
    if known_by:
        says = f"the registry knows our key, and does not take its algorithm {algorithm}"
        mend = f"add {algorithm} to signingalgorithms in {place} {RESTART}"
        return failed("algorithm", says, mend, ours=algorithm, theirs=", ".join(sorted(known_by)))
    option, source = ("jwks", ours.jwks_url) if registry.compat == "jwks" else ("rootcertbundle", ours.ca_url)
    if registry.compat in ("universal", "jwks"):
        fetched = f"put `curl -fsS {shell_word(source)}` where its {option} points"
    else:
        fetched = f"write its {option} with `{command} --for … --write DIR`"
    if kind is RegistryKind.DISTRIBUTION3:
        says = f"the registry does not trust the token's key: its {option} does not hold what compat:"
        return failed(option, f"{says} {registry.compat} needs", f"{fetched} {RESTART}; {files} says what is there")
    says = f"audience and time fit, so the registry has another issuer than ours or a {option} without our key"
    mend = f"{files} says which; then set issuer to {registry.issuer}, or {fetched}, {RESTART}"
    return failed("trust or issuer", says, mend, ours=registry.issuer, theirs=url)


def explain_zots_login(refused: HttpAnswer, registry: OurRegistry) -> Finding | None:
    """zot says what access it misses only to tokens whose key it trusts; None where it is no zot, or not that.

    Up to 2.1.2 it wants access to its catalog even for a login.
    """
    if registry.compat != "zot" or refused.bearer() is None:
        return None
    says = "zot trusts the token's key and wants more access: up to 2.1.2 a login takes access to its catalog"
    mend = 'run zot 2.1.3 or later, or grant its users the catalog: {registry: [catalog], actions: ["*"]}'
    return failed("access", says, mend, ours="a login only", theirs=refused.bearer())


def explain_despite_files(registry: OurRegistry, places: str) -> Finding:
    """Why a registry refuses a token although the configuration that was read would take it."""
    says = f"the registry refuses {registry.service}'s tokens although its configuration would take them"
    mend = "restart the registry, which reads its configuration at its start alone; else it runs with another one"
    return failed("restart", says, mend, theirs=places)
