"""The doctor's judgement of one token: what it says, and what each kind of registry would make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tokenserver.doctor.checks.live import place_of
from tokenserver.doctor.checks.setup import RESTART, kinds_for
from tokenserver.doctor.checks.token import Expected, check_access, check_claims, check_keys, check_shape
from tokenserver.doctor.examination.our_side import Sides
from tokenserver.doctor.examination.registry_files import RegistryFiles
from tokenserver.doctor.facts import OurRegistry, Ours, RegistryKind
from tokenserver.doctor.findings import Finding, known
from tokenserver.doctor.registry.verifiers import refusal, trusted_by_right
from tokenserver.doctor.token import Opened
from tokenserver.keys.ring import KeyRing
from tokenserver.printable import shell_word
from tokenserver.scopes import Scope


@dataclass(frozen=True, slots=True)
class Bench:
    """What a token is held against. `files` are the registry's, where they are known; `at` is its time."""

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
    token: Opened, bench: Bench, wanted: Sequence[Scope] = (), *, service: str | None = None
) -> list[Finding]:
    """Every check that registries make. `service` is what the registry itself says, where that was heard."""
    registry, setup = bench.registry, None if bench.files is None else bench.files.setup
    compat = "universal" if registry is None else registry.compat
    plain = OurRegistry("", "", "universal", 900)
    kinds = kinds_for(setup, registry or plain, bench.kind)
    # Whose it is not known of must be for one of ours at least, by an issuer of ours.
    own = bench.ours.registries if registry is None else (registry,)
    issuer: str | None = " or ".join(dict.fromkeys(one.issuer for one in own))
    audience: str | None = service or " or ".join(
        name for one in own for name in (one.names if registry is None else one.names[:1])
    )
    if setup is not None and setup.auth == "token":
        issuer, audience = setup.issuer, setup.service
    if kinds == (RegistryKind.ZOT,):
        issuer = audience = None
    expected = Expected(issuer, audience, bench.at, kinds, _mends(bench))
    trusted = trusted_by_right(bench.ring, compat) if bench.files is None else bench.files.trusted
    verdicts = {kind: refusal(token, trusted, kind, bench.at) for kind in RegistryKind}
    if bench.files is None and compat != "zot":
        # What zot was given is another file, so there is nothing to say about it.
        verdicts = {
            kind: verdict for kind, verdict in verdicts.items() if kind is not RegistryKind.ZOT or kind in kinds
        }
    how = "x5c" if token.x5c is not None else "kid" if token.kid else "nothing"
    subject = token.claims.get("sub")
    who = f"for {subject}" if isinstance(subject, str) and subject else "for nobody (anonymous)"
    found = [known("token", f"a token {who}, signed by {token.algorithm or 'nothing'}, its key named by {how}")]
    user = f"--user {shell_word(subject)}" if isinstance(subject, str) and subject else "--anonymous"
    return [
        *found,
        *check_shape(token.claims),
        *check_keys(verdicts, expected),
        *check_claims(token.claims, expected),
        *check_access(token.claims, wanted, who=user),
    ]


def _mends(bench: Bench) -> Mapping[str, str]:
    """What to do about each refusal, on the side where it is to be done."""
    ours, registry, files = bench.ours, bench.registry, bench.files
    services = " or ".join(ours.services)
    compat = "universal" if registry is None else registry.compat
    where = place_of(compat) if files is None else files.setup.place("")
    issuer = ours.registries[0].issuer if registry is None else registry.issuer
    audience = services if registry is None else registry.service
    return {
        "issuer": f"set issuer to {issuer} in {where} {RESTART}",
        "audience": f"set service to {audience} in {where} {RESTART}, or ask for a token for the registry's service",
        "time": "ask for a new token; if that is refused too, compare the clocks of both machines",
        "key": (
            "compare the keys: `tokenserver doctor --registry-config FILE` with the registry's configuration says what"
            " it lacks"
        ),
    }
