"""Definitions of all metrics, with labels from closed sets, so that no request can create a new series."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

from tokenserver.authn.robots.declared import ROBOTS
from tokenserver.exchange.outcomes import DEVICE_STEPS, EXPLAINED, OUTCOMES, PEER_RESULTS
from tokenserver.notifications.facts import DEEDS, UNREADABLE
from tokenserver.runtime.tracing.results import SPAN_RESULTS

METHODS = ("GET", "POST")

RELOADED = ("users", "keys", "policies", "shadow_policies")
"""The parts that are watched and reloaded separately; see `server.reload`."""

PENDING = ("restart", "rejected")
"""Why the configuration file is not in force: it waits for a restart, or it is faulty."""

FORMS = {"p": "key", "r": "robot", "f": "refresh", "s": "session"}
"""Forms of stored credentials, as labels."""

WARNED = ("key", "robot")
"""The forms whose end people have to prepare for: a client gets the others again at its next login."""

NO_SERVICE = ""
"""The label of requests that name no configured registry."""

ANONYMOUS = "anonymous"
"""The label of decided requests of anonymous clients."""

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds: a cached login takes a tenth of a millisecond, a slow directory seconds."""

ROOMS = ("hashing", "logins", "requests")
"""Bulkheads that may be overloaded, besides the user sources."""

REPORTED = (*DEEDS, UNREADABLE)

REFUSED_REPORTS = tuple(
    outcome for outcome in OUTCOMES if outcome not in {"login", "granted", "partial", "denied", EXPLAINED}
)
"""How a notification can be refused."""


Names = tuple[str | None, ...]
"""Values of one label; None for a name that may be given later, whose cells exist already."""


class LabelNames(NamedTuple):
    """Label values that come from the configuration: names of registries, sources, those of them that are directories,
    key folders, and the workload sources, whose issuers have keys.
    """

    services: Names
    sources: Names
    directories: Names
    keys: Names
    issuers: Names

    def with_spares(self, numbers: tuple[int, int, int, int, int]) -> LabelNames:
        """The same, and room for this number of further names of each kind."""
        return LabelNames(*(names + (None,) * number for names, number in zip(self, numbers, strict=True)))

    def including(self, others: LabelNames) -> LabelNames:
        """The same, in which those of `others` that are new have taken spare places, as far as there are any."""
        return LabelNames(*(_including(names, more) for names, more in zip(self, others, strict=True)))

    def missing(self, others: LabelNames) -> list[str]:
        """The names of `others` that have no place here."""
        pairs = zip(self, others, strict=True)
        return [name for names, more in pairs for name in dict.fromkeys(more) if name is not None and name not in names]


def _including(names: Names, others: Names) -> Names:
    new = iter([name for name in dict.fromkeys(others) if name is not None and name not in names])
    return tuple(next(new, None) if name is None else name for name in names)


class Table(dict[tuple[str, ...], int]):
    """The cells of one metric: label values -> index in a row. Names that are not given yet have cells, but no entry.

    A name that occurs twice has the cells of its first place, so names of ours come first and keep theirs.
    """

    def __init__(self, name: str, text: str, labels: Mapping[str, Names], start: int) -> None:
        super().__init__()
        self.size = 0
        """The number of cells, which depends only on how many values each label has."""
        for self.size, values in enumerate(product(*labels.values()), start=1):
            given = tuple(value for value in values if value is not None)
            if len(given) == len(values):
                self.setdefault(given, start + self.size - 1)
        self.name = name
        self.text = text
        self.labels = tuple(labels)

    @property
    def cell(self) -> int:
        """The only cell of a metric without labels."""
        return self[()]


class Latency(NamedTuple):
    """The cells of one outcome's histogram: the first of its consecutive buckets, and the sum of all seconds."""

    first_bucket: int
    total: int


class Layout:
    """Where each metric is in a row. For names at the same places of `LabelNames`, the cells are the same.

    `services`, `sources` (of users and workloads), `directories` (the sources with a circuit breaker), `keys` (folders)
    and `issuers` (the workload sources) are those of the configuration.
    """

    def __init__(self, *, services: Names, sources: Names, directories: Names, keys: Names, issuers: Names) -> None:
        self.names = LabelNames(services, sources, directories, keys, issuers)
        self.size = 0
        self.exchanges = self._table(
            "exchanges",
            "Requests at the token endpoint, by registry, method and outcome.",
            service=(NO_SERVICE, *services),
            method=METHODS,
            outcome=OUTCOMES,
        )
        self.authenticated = self._table(
            "authenticated",
            "Requests that were decided, by the user source that authenticated the client.",
            source=(ANONYMOUS, ROBOTS, *sources),
        )
        self.unavailable = self._table(
            "unavailable",
            "Requests that got 503 because a user source gave no complete answer, or because of overload.",
            backend=(*ROOMS, *sources),
            reason=("no_answer", "incomplete", "overloaded"),
        )
        self.signing_failures = self._table(
            "signing_failures", "Tokens that were not issued because they could not be signed as decided."
        )
        self.audit_failures = self._table(
            "audit_failures", "Requests that got 503 because their audit event could not be written."
        )
        self.reloads = self._table("policy_reloads", "Changes of policies, users or keys that went live, by worker.")
        self.reload_failures = self._table(
            "policy_reload_failed", "Changes of policies, users or keys that were refused, by worker."
        )
        self.sent_away = self._table(
            "sent_away", "Requests that admission control rejected; nothing was exchanged, so they have no audit event."
        )
        self.refused_credentials = self._table(
            "stored_credentials_refused",
            "Stored credentials that were refused because their seal is wrong or they are unreadable, by worker.",
        )
        self.device_logins = self._table(
            "device_logins", "Logins of programs at a terminal, by the step that was done.", step=DEVICE_STEPS
        )
        self.shadow_peer = self._table(
            "shadow_peer", "Exchanges by how the answer of the shadow peer compares with ours.", result=PEER_RESULTS
        )
        self.trace_spans = self._table(
            "trace_spans",
            "Spans of traces, by whether the collector took them or why they were dropped.",
            result=SPAN_RESULTS,
        )
        self.new_networks = self._table(
            "credential_new_networks",
            "Stored credentials that were used from another network than before, by worker; each has an audit event.",
        )
        self.reports = self._table(
            "registry_reports",
            "Reports of registries that are in the audit trail: what was pushed, pulled, mounted or deleted.",
            service=services,
            action=REPORTED,
        )
        self.refused_reports = self._table(
            "registry_reports_refused",
            "Notifications of registries that were refused, by outcome; the registry sends what it may send again.",
            service=(NO_SERVICE, *services),
            outcome=REFUSED_REPORTS,
        )
        self.push_tokens = self._table(
            "registry_push_tokens",
            "Tokens that allow a push to a registry which is to report pushes; 0 for registries which are not.",
            service=services,
        )
        self.counters = (
            self.sent_away,
            self.exchanges,
            self.authenticated,
            self.unavailable,
            self.signing_failures,
            self.audit_failures,
            self.reloads,
            self.reload_failures,
            self.refused_credentials,
            self.device_logins,
            self.shadow_peer,
            self.new_networks,
            self.trace_spans,
            self.reports,
            self.refused_reports,
            self.push_tokens,
        )
        bounds = tuple(str(index) for index in range(len(BUCKETS) + 1))
        self.buckets = self._table(
            "exchange_seconds",
            "Duration of requests, from the authentication of the client to the written audit event.",
            outcome=OUTCOMES,
            bound=bounds,
        )
        self.seconds = self._table("exchange_seconds_sum", "", outcome=OUTCOMES)
        self.latency = {one: Latency(self.buckets[one, bounds[0]], self.seconds[(one,)]) for one in OUTCOMES}
        self.heartbeat = self._table("heartbeat", "")
        self.policy = self._table("policy_info", "Workers in which the policies of this digest are live.")
        self.policy_since = self._table(
            "policy_age_seconds", "How long the current policies have been live; the longest of all workers."
        )
        self.throttle_fallback = self._table(
            "throttle_fallback",
            "Workers that count failed logins on their own, because the shared counters do not answer.",
        )
        self.not_ready = self._table(
            "not_ready",
            "Workers in which this part is not ready; /readyz says why.",
            part=("keys", "policies", "files", "audit", *sources),
        )
        self.reload_delay = self._table(
            "reload_delay_seconds",
            "How long files have been changing, or loading, without going live; the longest of all workers.",
            files=RELOADED,
            state=("changing", "loading"),
        )
        self.breakers = self._table(
            "breaker",
            "Workers whose circuit breaker for this directory is in this state.",
            source=directories,
            state=("closed", "open", "half-open"),
        )
        self.load = self._table(
            "load",
            "Requests, and logins in verification, that are running or waiting; sampled once a second.",
            room=("requests", "hashing", *directories),
            state=("running", "waiting"),
        )
        self.certificates = self._table(
            "certificate_expiry_seconds",
            "Seconds until the certificate expires; below zero: since it expired.",
            keys=keys,
            certificate=("signing", "ca"),
        )
        self.tls_certificate = self._table(
            "tls_certificate_expiry_seconds",
            "Seconds until the certificate of server.tls that is in force expires; below zero: since it expired.",
        )
        self.issuer_keys = self._table(
            "issuer_keys_age_seconds",
            "Seconds since the keys of this source's issuer or provider were last fetched; the longest of all workers.",
            source=issuers,
        )
        self.issuer_failures = self._table(
            "issuer_keys_failing",
            "Workers whose last attempt to fetch the keys of this source's issuer or provider failed, or is not over.",
            source=issuers,
        )
        self.clock_jump = self._table(
            "clock_jump_seconds", "How far the clock jumped within the last hour, below zero for backwards; else 0."
        )
        self.pending = self._table(
            "configuration_pending",
            "1 while the configuration file is not in force: it waits for a restart, or was rejected; see /readyz.",
            state=PENDING,
        )

        self.storage = self._table(
            "storage_age_seconds",
            "Seconds since the storage last answered; the longest of all workers.",
        )
        self.stored = self._table(
            "stored_credentials", "Live stored credentials, by what they are.", form=tuple(FORMS.values())
        )
        self.stored_ends = self._table(
            "credential_expires_seconds",
            "Seconds until the first access key, or secret of a robot, ends that has no successor.",
            form=WARNED,
        )

    def of_methods(self, service: str, outcome: str) -> dict[str, int]:
        """The cells that count exchanges of this registry with this outcome, by method."""
        return {
            method: cell for method in METHODS if (cell := self.exchanges.get((service, method, outcome))) is not None
        }

    def _table(self, name: str, text: str, **labels: Names) -> Table:
        table = Table(name, text, labels, self.size)
        self.size += table.size
        return table
