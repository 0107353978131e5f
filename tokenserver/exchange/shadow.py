"""The shadow policy: a candidate that is decided beside the live policies, and of which only differences are told.

It wraps the exchange and changes nothing in it: not the answer, and not by failing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from tokenserver.exchange.audit_events import cited
from tokenserver.exchange.service import Exchange, Snapshot, TokenRequest, TokenResult
from tokenserver.policy.decide import decide
from tokenserver.policy.decision import Decision
from tokenserver.policy.model import Context
from tokenserver.scopes import in_order

logger = logging.getLogger("tokenserver.shadow")


class ShadowedExchange:
    """An exchange that decides again by `snapshot().candidate`, where there is one, and records what differs.

    `record` takes an event; `now` gives seconds since the epoch.
    """

    def __init__(
        self,
        inner: Exchange,
        snapshot: Callable[[], Snapshot],
        record: Callable[[dict[str, Any]], None],
        *,
        now: Callable[[], float],
    ) -> None:
        self._inner = inner
        self._snapshot = snapshot
        self._record = record
        self._now = now

    def exchange(self, request: TokenRequest) -> TokenResult:
        """As the wrapped exchange, whatever becomes of the comparison."""
        result = self._inner.exchange(request)
        try:
            for event in self._differences(request, result):
                self._record(event)
        except Exception as error:  # a candidate must never cost a token; the kind is all that is safe to tell
            logger.log(logging.ERROR, "request %s: not compared: %s", request.request_id, type(error).__name__)
        return result

    def _differences(self, request: TokenRequest, result: TokenResult) -> Iterator[dict[str, Any]]:
        snapshot = self._snapshot()
        live_now = snapshot.policies.digest
        # After a reload in between, the live decisions are those of another age: nothing to compare.
        if snapshot.candidate is None or live_now != result.ruling.policy:
            return
        context = Context(result.ruling.registry.service, request.client, datetime.fromtimestamp(self._now(), UTC))
        for live in result.ruling.decisions:
            candidate = decide(snapshot.candidate, result.ruling.identity, live.scope, context)
            if candidate.granted != live.granted:
                yield {
                    "event": "shadow_difference",
                    "request_id": request.request_id,
                    "registry": result.ruling.registry.service,
                    "subject": result.ruling.identity.subject,
                    "resource": str(live.scope.resource),
                    "gained": in_order(candidate.granted - live.granted),
                    "lost": in_order(live.granted - candidate.granted),
                    "rules": _rules(live, candidate),
                    "policy": result.ruling.policy,
                    "shadow": snapshot.candidate.digest,
                }


def _rules(live: Decision, candidate: Decision) -> dict[str, list[dict[str, str]]]:
    """The rules of both sides that decide about what differs, as many as an event names."""
    differing = live.granted ^ candidate.granted
    return {
        side: [
            {
                "action": reason.action,
                "effect": reason.effect.value,
                "rule": reason.rule,
                "at": f"{reason.file}:{reason.line}",
            }
            for reason in cited(one for one in decision.reasons if one.action in differing)[0]
        ]
        for side, decision in (("live", live), ("shadow", candidate))
    }
