"""What is measured: tables whose labels come from closed sets, so that no request can make a new series."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from tokenserver.exchange.outcomes import OUTCOMES

METHODS = ("GET", "POST")

RELOADED = ("users", "keys", "policies", "shadow_policies")
"""What is watched and reloaded separately; see `server.reload`."""

NO_SERVICE = ""
"""The label of requests that name no registry of ours."""

ANONYMOUS = "anonymous"
"""The label of decided requests for which no user source vouched."""

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds: a remembered login takes a tenth of a millisecond, a slow directory seconds."""

ROOMS = ("hashing", "logins", "requests")
"""What may be overloaded beside the user sources."""


class Table(dict[tuple[str, ...], int]):
    """The cells of one metric: its labels' values -> the place in a row."""

    def __init__(self, name: str, text: str, labels: dict[str, tuple[str, ...]], start: int) -> None:
        values = product(*(dict.fromkeys(known) for known in labels.values()))
        super().__init__((one, start + index) for index, one in enumerate(values))
        self.name = name
        self.text = text
        self.labels = tuple(labels)

    @property
    def cell(self) -> int:
        """The one cell of a metric without labels."""
        return self[()]


class Latency(NamedTuple):
    """Where the histogram of one outcome stands: its buckets in a row, and the sum of all seconds."""

    first_bucket: int
    total: int


class Layout:
    """Where everything stands. Made once, by the process that starts the workers, so that all mean the same.

    `services`, `sources` (of users), `directories` (those of them that have a circuit breaker) and `keys` (folders)
    are those of the configuration.
    """

    def __init__(
        self,
        *,
        services: tuple[str, ...],
        sources: tuple[str, ...],
        directories: tuple[str, ...],
        keys: tuple[str, ...],
    ) -> None:
        self.size = 0
        self.exchanges = self._table(
            "exchanges",
            "Requests at the token endpoint, by the registry that was meant and what came of them.",
            service=(*services, NO_SERVICE),
            method=METHODS,
            outcome=OUTCOMES,
        )
        self.authenticated = self._table(
            "authenticated",
            "Requests that were decided, by the user source that vouched for the client.",
            source=(*sources, ANONYMOUS),
        )
        self.unavailable = self._table(
            "unavailable",
            "Requests that were answered with 503 because a user source gave no (whole) answer, or for lack of room.",
            backend=(*sources, *ROOMS),
            reason=("no_answer", "incomplete", "overloaded"),
        )
        self.signing_failures = self._table(
            "signing_failures", "Tokens that were not given because they could not be signed as they were decided."
        )
        self.audit_failures = self._table(
            "audit_failures", "Requests that got 503 because their audit event could not be written."
        )
        self.reloads = self._table("policy_reloads", "Changes of policies, users or keys that went live, by worker.")
        self.reload_failures = self._table(
            "policy_reload_failed", "Changes of policies, users or keys that were refused, by worker."
        )
        self.sent_away = self._table(
            "sent_away", "Requests that found no room at the door; nothing was exchanged, so they have no audit event."
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
        )
        bounds = tuple(str(index) for index in range(len(BUCKETS) + 1))
        self.buckets = self._table(
            "exchange_seconds",
            "How long requests took, from the first look at the credentials to the written audit event.",
            outcome=OUTCOMES,
            bound=bounds,
        )
        self.seconds = self._table("exchange_seconds_sum", "", outcome=OUTCOMES)
        self.latency = {one: Latency(self.buckets[one, bounds[0]], self.seconds[(one,)]) for one in OUTCOMES}
        self.heartbeat = self._table("heartbeat", "")
        self.policy = self._table("policy_info", "Workers in which the policies of this digest are live.")
        self.policy_since = self._table(
            "policy_age_seconds", "For how long the live policies are live; that of the worker that has the oldest."
        )
        self.throttle_fallback = self._table(
            "throttle_fallback", "Workers that count failed logins alone, because the shared counters do not answer."
        )
        self.not_ready = self._table(
            "not_ready",
            "Workers in which this part is not ready; /readyz says why.",
            part=("keys", "policies", "files", "audit", *sources),
        )
        self.reload_delay = self._table(
            "reload_delay_seconds",
            "For how long files have been changing, or loading, without going live; that of the slowest worker.",
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
            "What is worked on or waits, looked at once a second: all requests, and logins that have to be checked.",
            room=("requests", "hashing", *directories),
            state=("running", "waiting"),
        )
        self.certificates = self._table(
            "certificate_expiry_seconds",
            "Seconds until the certificate ends; below zero, since it has ended.",
            keys=keys,
            certificate=("signing", "ca"),
        )
        self.clock_jump = self._table(
            "clock_jump_seconds", "How far the clock was moved within the last hour, below zero for back; else 0."
        )

    def of_methods(self, service: str, outcome: str) -> dict[str, int]:
        """Where exchanges of this registry with this outcome are counted, by method."""
        return {
            method: cell for method in METHODS if (cell := self.exchanges.get((service, method, outcome))) is not None
        }

    def _table(self, name: str, text: str, **labels: tuple[str, ...]) -> Table:
        table = Table(name, text, labels, self.size)
        self.size += len(table)
        return table
