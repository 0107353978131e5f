"""Traced exchanges: the service and the audit trail of a server with tracing, whose steps become spans.

Spans say which source and registry, how many scopes, and the outcome. Names of people and repositories are in audit
events alone, which have the trace id.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import cast

from tokenserver.authn.chain import Chain
from tokenserver.credentials import Credentials
from tokenserver.exchange.audit import AuditTrail
from tokenserver.exchange.observers import UnparsedRequest
from tokenserver.exchange.outcomes import outcome_of, outcome_of_ruling
from tokenserver.exchange.rulings import Ruling
from tokenserver.exchange.service import TokenRequest, TokenResult, TokenService
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.exchange.stored.logins import NewLogin
from tokenserver.identity import Identity
from tokenserver.runtime.tracing.spans import ActiveTrace, Attribute, current, recording, step

DIGEST_DIGITS = 12
"""Digits of a policy digest, as in metrics."""


class TracedService(TokenService):
    """The exchange whose steps are spans: `authenticate`, `decide`, `sign` and `store login`."""

    def exchange(self, request: TokenRequest) -> TokenResult:
        """See `TokenService.exchange`."""
        trace = recording()
        if trace is None:
            return super().exchange(request)
        trace.mark = 0
        try:
            result = super().exchange(request)
        except Exception as error:
            if trace.mark and not request.explain:
                trace.add("sign", trace.mark, trace.now(), {}, error=outcome_of(error))
            raise
        if trace.mark and result.token is not None:
            _signed(trace)
        return result

    def _ruling(self, snapshot: Snapshot, request: TokenRequest) -> tuple[Identity, Ruling]:
        trace = recording()
        if trace is None:
            return super()._ruling(snapshot, request)
        chain = _TracedChain(snapshot.chain, trace)
        # All that the path calls of a chain is `authenticate` and `confirmed`.
        traced = replace(snapshot, chain=cast("Chain", chain))
        try:
            identity, ruling = super()._ruling(traced, request)
        except Exception as error:
            if chain.end:
                trace.add("decide", chain.end, trace.now(), {}, error=outcome_of(error))
            raise
        trace.mark = trace.now()
        attributes: dict[str, Attribute] = {
            "tokenserver.registry": ruling.registry.service,
            "tokenserver.scopes": len(ruling.decisions),
            "tokenserver.policy": ruling.policy[:DIGEST_DIGITS],
            "tokenserver.outcome": outcome_of_ruling(ruling),
        }
        trace.add("decide", chain.end, trace.mark, attributes)
        return identity, ruling

    def _login(self, request: TokenRequest, identity: Identity, ruling: Ruling) -> NewLogin | None:
        trace = recording()
        if trace is not None:
            _signed(trace)
        with step("store login"):
            return super()._login(request, identity, ruling)


def _signed(trace: ActiveTrace) -> None:
    trace.add("sign", trace.mark, trace.now(), {})
    trace.mark = 0


class _TracedChain:
    """The chain of one exchange. `end` is when it had authenticated the client, 0 before."""

    def __init__(self, chain: Chain, trace: ActiveTrace) -> None:
        self._chain = chain
        self._trace = trace
        self.end = 0

    def authenticate(self, credentials: Credentials, client: IPv4Address | IPv6Address | None = None) -> Identity:
        """See `Chain.authenticate`."""
        with step("authenticate") as span:
            try:
                identity = self._chain.authenticate(credentials, client)
            except Exception as error:
                span.fail(outcome_of(error))
                raise
            source, kind = identity.source or "anonymous", identity.kind.value
            span.note(tokenserver__source=source, tokenserver__kind=kind)
        self.end = self._trace.now()
        return identity

    def confirmed(self, identity: Identity) -> Identity:
        """See `Chain.confirmed`."""
        return self._chain.confirmed(identity)


class TracedTrail(AuditTrail):
    """The audit trail whose events have the trace id of their request, if it has one, as `trace_id`."""

    def observe(
        self, request: TokenRequest | UnparsedRequest, outcome: TokenResult | Exception, seconds: float
    ) -> None:
        """See `AuditTrail.observe`."""
        with step("audit"):
            super().observe(request, outcome, seconds)

    def _write(self, members_of_event: str) -> None:
        trace = current()
        super()._write(members_of_event if trace is None else f'{members_of_event},"trace_id":"{trace.trace_id}"')
