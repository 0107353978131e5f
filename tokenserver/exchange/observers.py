"""Observers of the exchange: audit trail, metrics and shadow policy are informed before an answer leaves.

The path itself (`service`) knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, Protocol

from tokenserver.exchange.service import TokenRequest, TokenResult, TokenService


class UnparsedRequest(NamedTuple):
    """A request that was refused before it became a `TokenRequest`.

    Everything but the first three is as the client sent it, as far as it was read. `asked` has the first scopes, and
    `asked_omitted` counts the rest.
    """

    request_id: str
    method: str
    client: IPv4Address | IPv6Address | None
    service: str | None = None
    username: str | None = None
    asked: tuple[str, ...] = ()
    asked_omitted: int = 0
    client_id: str | None = None
    user_agent: str | None = None


class Observer(Protocol):
    """Follows requests and their outcomes."""

    def observe(
        self, request: TokenRequest | UnparsedRequest, outcome: TokenResult | Exception, seconds: float
    ) -> None:
        """Record one request, which has taken `seconds` so far.

        Raises:
            TokenserverError: no answer may leave, because this one could not be recorded. Later observers see this
                error as the outcome.
        """
        ...


class ObservedExchange:
    """The exchange that the web calls: the service, with observers in the order in which they are informed.

    `monotonic` gives seconds for durations.
    """

    def __init__(self, service: TokenService, observers: Sequence[Observer], *, monotonic: Callable[[], float]) -> None:
        self.service = service
        self.observers = tuple(observers)
        self._monotonic = monotonic

    def exchange(self, request: TokenRequest) -> TokenResult:
        """As `TokenService.exchange`; if an observer fails, its error (`AuditUnavailable`) and no token or login."""
        start = self._monotonic()
        remaining = iter(self.observers)
        result: TokenResult | None = None
        try:
            result = self.service.exchange(request)
            for observer in remaining:
                observer.observe(request, result, self._monotonic() - start)
        except Exception as error:
            if result is not None:
                self.service.withdraw(result)
            self._report(request, error, start, remaining)
            raise
        return result

    def refused(self, request: UnparsedRequest, error: Exception, seconds: float) -> None:
        """Inform the observers of a request that the web answers with `error` after `seconds`, without an exchange.

        Raises:
            AuditUnavailable: it could not be recorded.
        """
        self._report(request, error, self._monotonic() - seconds, iter(self.observers))

    def _report(
        self, request: TokenRequest | UnparsedRequest, error: Exception, start: float, remaining: Iterator[Observer]
    ) -> None:
        """Inform the `remaining` observers of an error; if one of them fails, those after it are given its error."""
        for observer in remaining:
            try:
                observer.observe(request, error, self._monotonic() - start)
            except Exception as failure:
                self._report(request, failure, start, remaining)
                raise
