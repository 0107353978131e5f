"""Registries from the settings: their form for exchanges, and the key sets, rotators and checks that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tokenserver.config.settings import KeySet, Settings
from tokenserver.errors import Fault
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.keys.ring_operations import PATIENCE_SECONDS, RingOperations
from tokenserver.keys.rotator import Rotator
from tokenserver.policy.model import Effect
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import compat_problem, compat_warning


def registries_of(settings: Settings) -> dict[str, Registry]:
    """Every registry, under each of its service names."""
    found = {}
    for entry in settings.registries:
        issuer, lifetime, compat = settings.issuer_of(entry), entry.token_lifetime, Compat(entry.compat)
        for name in entry.names:
            asked_as, holds = None if name == entry.service else name, entry.grant == "held"
            own = lifetime.of_actions
            found[name] = Registry(entry.service, issuer, compat, lifetime.default, own, asked_as, holds)
    return found


def key_faults(keys: KeySet, ring: KeyRing) -> list[Fault]:
    """Faults of registries that could not verify tokens signed with these keys."""
    faults = []
    algorithm = ring.active.algorithm
    for entry in keys.registries:
        problem = compat_problem(algorithm, Compat(entry.compat))
        if entry.algorithm not in (None, algorithm):
            problem = (
                f"the keys here sign with {algorithm}, not with its algorithm: {entry.algorithm};"
                " give it a separate folder with keys: and run: tokenserver keys init"
            )
        if problem is not None:
            faults.append(Fault(str(keys.folder), 0, f"registry {entry.service}", problem))
    return faults


def registry_warnings(settings: Settings, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Warnings about registries, each as the service and a sentence."""
    for keys in settings.key_sets():
        for entry in keys.registries:
            algorithm = snapshot.issuer_for(snapshot.registry(entry.service)).ring.active.algorithm
            warning = compat_warning(algorithm, Compat(entry.compat))
            if warning is not None:
                yield entry.service, warning
            others = [other.service for other in keys.registries if other is not entry]
            if entry.compat == "zot" and others:
                message = (
                    f"zot checks neither issuer nor audience, so it also accepts the tokens for {', '.join(others)},"
                    " which are signed with the same key; give it a separate folder with keys:"
                )
                yield entry.service, message


def unmentioned_registries(settings: Settings, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Registries for which no policy grants anything, each as the service and a sentence."""
    for entry in settings.registries:
        if not any(
            rule.effect is Effect.ALLOW and (rule.services is None or entry.service in rule.services)
            for rule in snapshot.policies.rules
        ):
            message = (
                "no policy applies to it, so its tokens never allow anything;"
                f" fix: add {entry.service!r} to registries: of a policy file"
            )
            yield entry.service, message


def key_changes(key_set: KeySet, *, patience: float = PATIENCE_SECONDS) -> RingOperations:
    """The ring operations on these keys; `patience` is how many seconds they wait for another process's lock."""
    wanted = None if key_set.algorithm is None else Algorithm(key_set.algorithm)
    return RingOperations(key_set.folder, key_set.issuer, key_set.schedule, patience, wanted)


def ring_of(snapshot: Snapshot, key_set: KeySet) -> KeyRing:
    """The live ring of this key set."""
    own = (snapshot.own_issuers.get(registry.service) for registry in key_set.registries)
    return next((issuer for issuer in own if issuer is not None), snapshot.issuer).ring


def rotators_for(
    settings: Settings, snapshot: Callable[[], Snapshot], *, is_blocked: Callable[[], bool]
) -> tuple[Rotator, ...]:
    """One rotator for each key set. They change nothing while `is_blocked()`."""

    def rotator(key_set: KeySet) -> Rotator:
        return Rotator(key_changes(key_set, patience=0), lambda: ring_of(snapshot(), key_set), is_blocked=is_blocked)

    return tuple(rotator(key_set) for key_set in settings.key_sets())
