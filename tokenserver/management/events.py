"""Audit events of management: each change is written before it takes effect, and is not made if that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tokenserver.errors import AuditUnavailable, OutdatedLogin, RequestError, TokenserverError
from tokenserver.exchange.audit_events import cut, shown
from tokenserver.management.actors import Actor
from tokenserver.management.refusals import ActorEnded

MANAGEMENT = "management"
"""The value of `event`."""

REPEATED = "the attempt was repeated"


class ChangeRecorder:
    """Writes the events of one change: call it with the facts of what is about to be done."""

    def __init__(self, write: Callable[[dict[str, Any]], None], head: dict[str, Any]) -> None:
        self._write = write
        self._head = head
        self.written: list[dict[str, Any]] = []

    def __call__(self, **facts: Any) -> None:
        """Write the event of a change that is about to be in force.

        Raises:
            AuditUnavailable: the change must not be made.
        """
        event = {**self._head, **facts, "outcome": "done"}
        self._write(event)
        self.written.append(event)

    def failed(self, event: dict[str, Any], reason: str) -> None:
        """Write that the change of an event was not made after all, if that can be written."""
        with suppress(AuditUnavailable):
            self._write({**event, "outcome": "failed", "problem": cut(reason)})

    def refused(self, outcome: str, error: TokenserverError) -> None:
        """Write that nothing was done.

        Raises:
            AuditUnavailable: the refusal must not be answered.
        """
        self._write({**self._head, "outcome": outcome, "problem": cut(str(error))})


class ManagementEvents:
    """The events of management. `write` writes one to the audit trail."""

    def __init__(self, write: Callable[[dict[str, Any]], None]) -> None:
        self._write = write

    @contextmanager
    def change(self, actor: Actor, action: str, **target: str) -> Iterator[ChangeRecorder]:
        """The recorder of a change by the actor; `target` says of what, as it was sent.

        A change that fails after its event has another one that says so. A refused one has an event, too.

        Raises:
            ActorEnded: the login of the actor has ended meanwhile.
            AuditUnavailable: an event could not be written.
        """
        sent = {name: cut(shown(text)) for name, text in target.items()}
        recorder = ChangeRecorder(self._write, {**_head(actor, action), **sent})
        try:
            yield recorder
        except Exception as error:
            for event in recorder.written:
                recorder.failed(event, str(error) if isinstance(error, TokenserverError) else type(error).__name__)
            if not recorder.written and isinstance(error, TokenserverError) and not isinstance(error, AuditUnavailable):
                recorder.refused("refused" if isinstance(error, RequestError) else "failed", error)
            if isinstance(error, OutdatedLogin):
                raise ActorEnded(str(error)) from None
            raise
        for event in recorder.written[:-1]:  # a transaction that broke off and was made again
            recorder.failed(event, REPEATED)


def _head(actor: Actor, action: str) -> dict[str, Any]:
    agent = shown(actor.agent)
    return {
        "event": MANAGEMENT,
        "request_id": actor.request_id,
        "action": action,
        "actor": actor.identity.subject,
        "kind": actor.identity.kind.value,
        **({"actor_credential": actor.identity.credential} if actor.identity.credential else {}),
        "via": actor.via,
        "client": None if actor.client is None else str(actor.client),
        **({} if agent is None else {"user_agent": cut(agent)}),
    }
