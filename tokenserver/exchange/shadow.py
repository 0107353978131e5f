"""The shadow policy: a candidate policy set that is evaluated next to the live one; only differences are recorded.

It changes nothing about the exchange: neither the answer nor, by failing, whether there is one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from tokenserver.exchange.audit_events import cited
from tokenserver.exchange.observers import UnparsedRequest
from tokenserver.exchange.rulings import Ruling
from tokenserver.exchange.service import TokenRequest, TokenResult
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.identity import Identity, Sort
from tokenserver.policy.decide import decide, decide_held
from tokenserver.policy.decision import Decision
from tokenserver.policy.machines.robots import robot_of
from tokenserver.policy.model import Context, PolicySet
from tokenserver.scopes import in_order

logger = logging.getLogger("tokenserver.shadow")


class ShadowPolicy:
    """An observer that decides every exchange again by `snapshot().candidate`, if there is one.

    `record` takes the event of a difference; `now` gives seconds since the epoch.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        record: Callable[[dict[str, Any]], None],
        *,
        now: Callable[[], float],
    ) -> None:
        self._snapshot = snapshot
        self._record = record
        self._now = now

    def observe(
        self,
        request: TokenRequest | UnparsedRequest,
        outcome: TokenResult | Exception,
        seconds: float,  # noqa: ARG002 - the protocol
    ) -> None:
        """Compare what was decided for a token; see `Observer.observe`. Never raises."""
        if not isinstance(request, TokenRequest) or not isinstance(outcome, TokenResult) or outcome.token is None:
            return
        try:
            for event in self._differences(request, outcome.ruling):
                self._record(event)
        except Exception as error:  # a candidate must never cost a token; only the error's type is safe to log
            logger.log(logging.ERROR, "request %s: not compared: %s", request.request_id, type(error).__name__)

    def _differences(self, request: TokenRequest, ruling: Ruling) -> Iterator[dict[str, Any]]:
        snapshot = self._snapshot()
        live_now = snapshot.policies.digest
        # After a reload in between, the live decisions belong to another policy set: nothing to compare.
        if snapshot.candidate is None or live_now != ruling.policy:
            return
        candidate_now = snapshot.candidate.digest
        if ruling.workload is not None and ruling.candidate != candidate_now:
            return  # this candidate may look at other claims
        context = Context(ruling.registry.service, request.client, datetime.fromtimestamp(self._now(), UTC))
        ruled = decide_held if ruling.registry.holds else decide
        is_let_in = _is_let_in(snapshot.candidate, ruling.identity)
        for live in ruling.decisions:
            candidate = (
                ruled(snapshot.candidate, ruling.identity, live.scope, context)
                if is_let_in
                else Decision(live.scope, frozenset())
            )
            if candidate.granted != live.granted:
                yield {
                    "event": "shadow_difference",
                    "request_id": request.request_id,
                    "registry": ruling.registry.service,
                    "subject": ruling.identity.subject,
                    "resource": str(live.scope.resource),
                    "gained": in_order(candidate.granted - live.granted),
                    "lost": in_order(live.granted - candidate.granted),
                    "rules": _rules(live, candidate),
                    "policy": ruling.policy,
                    "shadow": snapshot.candidate.digest,
                }


def _is_let_in(policies: PolicySet, identity: Identity) -> bool:
    """Whether these policies declare the client, if it is a machine; every other client logs in without them."""
    if identity.sort is Sort.WORKLOAD:
        return policies.groups.workloads.are_declared(identity.source, identity.claims)
    return identity.sort is not Sort.ROBOT or robot_of(identity.subject) in policies.robots


def _rules(live: Decision, candidate: Decision) -> dict[str, list[dict[str, str]]]:
    """The rules of both sides that decide the actions in question, as many as an event cites."""
    differing = live.granted ^ candidate.granted
    return {
        side: [
            {
                "action": reason.action,
                "effect": reason.effect.value,
                "rule": reason.rule,
                "at": f"{reason.file}:{reason.line}",
            }
            for reason in cited([one for one in decision.reasons if one.action in differing])[0]
        ]
        for side, decision in (("live", live), ("shadow", candidate))
    }
