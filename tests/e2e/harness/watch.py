"""Both sides of what a client did: the requests on the wire and the audit events, seen to tell the same."""

from __future__ import annotations

from collections import Counter

from harness.server import Event, Person, TokenServer
from harness.wire import Exchanged


class Watch:
    """What came over the wire since it was made."""

    def __init__(self, server: TokenServer) -> None:
        self._server = server
        self.restart()

    def restart(self) -> None:
        """Forget what came so far."""
        self._wire = self._server.wire.mark()
        self._audit = self._server.audit.mark()

    def requests(self) -> list[Exchanged]:
        """The requests to the token endpoint that were answered."""
        return [one for one in self._all() if one.status]

    def events(self, person: Person) -> list[Event]:
        """This person's audit events, which agree with the answers on the wire.

        A request whose client went away may or may not have its event.
        """
        requests = [one for one in self._all() if (one.user or "") == person]
        answered = Counter((one.status == 200, one.granted) for one in requests if one.status)
        cut_off = len(requests) - answered.total()

        def agree(events: list[Event]) -> bool:
            told = Counter(
                (event.outcome in ("granted", "partial", "denied", "login"), event.granted)
                for event in events
                if (event.subject or "") == person
            )
            return not answered - told and (told - answered).total() <= cut_off

        events = self._server.audit.events(self._audit, agree)
        assert agree(events), f"the audit trail and the wire differ for {person!r}: {events} {requests}"
        return [event for event in events if (event.subject or "") == person]

    def _all(self) -> list[Exchanged]:
        return [one for one in self._server.wire.settled(self._wire) if one.path == "/token"]
