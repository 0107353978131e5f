"""Login protection plan of a worker, from settings: cache lifetimes, throttle limits and concurrency."""

from __future__ import annotations

from dataclasses import replace

from tokenserver.authn.protection.failure_counters import Limit, Limits, growing, shared
from tokenserver.authn.protection.login_cache import CacheLifetime
from tokenserver.authn.protection.plan import Plan
from tokenserver.authn.protection.shared_checks import WAITERS
from tokenserver.config.protection import ThrottleSettings
from tokenserver.config.settings import Settings
from tokenserver.config.sources.user_source import UserSource
from tokenserver.runtime.cpu_affinity import core_count

SPARE_DIRECTORIES = 2
"""Directories, databases and hooks that can be added to a running server; each needs threads for its logins."""


def worker_count(settings: Settings) -> int:
    """The number of workers: as configured, else one for each core that this server may use."""
    return settings.server.workers or core_count()


def plan_for(settings: Settings, *, workers: int, cores: int) -> Plan:
    """The plan for each of `workers` processes that share `cores`.

    Each allows its part of the failures while it cannot count together with the others.
    """
    return Plan(
        lifetimes={source.name: _lifetime(source) for source in settings.authentication},
        directories=tuple(source.name for source in settings.authentication if source.ldap or source.hook),
        databases=tuple(source.name for source in settings.authentication if source.sql is not None),
        limits=limits_for(settings.throttle, workers=workers) if settings.throttle.enabled else None,
        hashers=max(1, cores // workers),
        waiters=WAITERS if workers > 1 else 0,
        domains=_stripped_domains(settings),
    )


def provisioned(plan: Plan) -> Plan:
    """The plan with all directories that may be added without a restart, for which the server provides threads."""
    spare = tuple(f"spare-{number}" for number in range(SPARE_DIRECTORIES))
    return replace(plan, directories=(*plan.directories, *spare))


def _stripped_domains(settings: Settings) -> tuple[str, ...]:
    found = (source.ldap.strip_domain for source in settings.authentication if source.ldap is not None)
    return tuple(dict.fromkeys(domain for domains in found for domain in domains))


def _lifetime(source: UserSource) -> CacheLifetime:
    if source.remote is not None:
        return CacheLifetime(source.remote.cache, source.remote.stale_grace)
    if source.workload is not None:
        return CacheLifetime(source.workload.cache)
    if source.oidc is not None:
        return CacheLifetime(source.oidc.cache)
    return CacheLifetime(source.htpasswd.cache if source.htpasswd is not None else 0)


def limits_for(throttle: ThrottleSettings, *, workers: int) -> Limits:
    """The limits of each of `workers` processes, so that together they allow what is configured."""
    return Limits(
        user=shared(growing(throttle.failures_per_user, throttle.window), workers),
        address=shared((Limit(throttle.failures_per_address, throttle.window),), workers),
        total=shared((Limit(throttle.failures_total, throttle.window),), workers),
    )
