"""Ending credentials by a command: those that were named, and a sentence for those that were not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tokenserver.cli.exits import NO
from tokenserver.cli.stored.opening import by_whom
from tokenserver.cli.terminal import echo, echo_json
from tokenserver.storage.changes import unrecorded

if TYPE_CHECKING:
    from tokenserver.server.stored.announcing import AnnouncingStore
    from tokenserver.storage.database import Connection
    from tokenserver.storage.selection import Selection

BY_COMMAND = "revoked by command"
"""The reason in the row."""


class BrowserEnds:
    """Ends logins in browsers in the transaction of other ends, with an audit event. `count` is how many ended.

    `end` ends them in a transaction and counts them; `facts` are those of the event.
    """

    def __init__(self, store: AnnouncingStore, end: Callable[[Connection, int], int], **facts: str) -> None:
        self.count = 0
        self._store = store
        self._end = end
        self._facts = facts

    def __call__(self, connection: Connection, rev: int) -> None:
        """End them."""
        self.count = self._end(connection, rev)
        if self.count:
            self._store.announce(connection, rev, "end_browser_logins", browsers=self.count, **self._facts)


def end_selected(
    store: AnnouncingStore,
    selection: Selection,
    *,
    what: str,
    named: Sequence[str],
    as_json: bool,
    browsers: BrowserEnds | None = None,
) -> None:
    """End the credentials of the selection, and say which ones. `what` they are, such as `access key`.

    `browsers` ends the logins in browsers that belong to the selection, if any can, in the same transaction.

    Ends the command with `NO` if none was ended, or one of those that were `named` by id was not.
    """
    ended = store.end(selection, by=by_whom(), reason=BY_COMMAND, also=browsers or unrecorded)
    count = 0 if browsers is None else browsers.count
    missing = [identifier for identifier in dict.fromkeys(named) if identifier not in ended]
    if as_json:
        facts: dict[str, Any] = {"revoked": ended, "not_found": missing}
        echo_json(facts if browsers is None else {**facts, "browsers": count})
    else:
        for identifier in ended:
            echo(f"{identifier} was revoked.")
        if count:
            echo("1 login in a browser ended." if count == 1 else f"{count} logins in browsers ended.")
        if ended:
            echo("A running server refuses them within two seconds; tokens issued before stay valid until they expire.")
        for identifier in missing:
            echo(f"There is no live {what} {identifier}.", err=True)
        if not ended and not count and not named:
            echo(f"There is no such live {what}; nothing was changed.", err=True)
    if missing or not (ended or count):
        raise SystemExit(NO)
