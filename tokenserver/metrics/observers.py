"""What wraps the exchange, so that it is measured; the path itself knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable

from tokenserver.errors import AuditUnavailable, TokenserverError
from tokenserver.exchange.service import Exchange, Explain, Refusals, Ruling, TokenRequest, TokenResult
from tokenserver.metrics.definitions import NO_SERVICE
from tokenserver.metrics.recorder import Meter


class MeteredExchange:
    """An exchange that is counted, whatever becomes of it. `monotonic` gives seconds for durations."""

    def __init__(self, inner: Exchange, meter: Meter, *, monotonic: Callable[[], float]) -> None:
        self._inner = inner
        self._meter = meter
        self._monotonic = monotonic

    def exchange(self, request: TokenRequest) -> TokenResult:
        """As the wrapped exchange."""
        start = self._monotonic()
        try:
            result = self._inner.exchange(request)
        except Exception as error:
            self._meter.failed(request.method, request.service, error, self._monotonic() - start)
            raise
        self._meter.ruled(request.method, result.ruling, self._monotonic() - start)
        return result


class MeteredExplain:
    """Explanations that are counted as exchanges are."""

    def __init__(self, inner: Explain, meter: Meter, *, monotonic: Callable[[], float]) -> None:
        self._inner = inner
        self._meter = meter
        self._monotonic = monotonic

    def explain(self, request: TokenRequest) -> Ruling:
        """As the wrapped one."""
        start = self._monotonic()
        try:
            ruling = self._inner.explain(request)
        except Exception as error:
            self._meter.failed(request.method, request.service, error, self._monotonic() - start)
            raise
        self._meter.explained(request.method, ruling, self._monotonic() - start)
        return ruling


class MeteredRefusals:
    """Refusals that are counted; nobody knows which registry they were meant for."""

    def __init__(self, inner: Refusals, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    def refused(self, *, request_id: str, method: str, client: object, error: TokenserverError, ms: float) -> None:
        """As the wrapped one."""
        try:
            self._inner.refused(request_id=request_id, method=method, client=client, error=error, ms=ms)
        except AuditUnavailable as lost:
            self._meter.failed(method, NO_SERVICE, lost, ms / 1000)
            raise
        self._meter.failed(method, NO_SERVICE, error, ms / 1000)
