"""Ending credentials by a command: those that were named, and a sentence for those that were not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tokenserver.cli.exits import NO
from tokenserver.cli.stored.opening import by_whom
from tokenserver.cli.terminal import echo, echo_text

if TYPE_CHECKING:
    from tokenserver.storage.selection import Selection
    from tokenserver.storage.store import CredentialStore

BY_COMMAND = "revoked by command"
"""The reason in the row."""


def end_selected(
    store: CredentialStore,
    selection: Selection,
    *,
    what: str,
    named: Sequence[str],
    as_json: bool,
    end_browsers: Callable[[], int] | None = None,
) -> None:
    """End the credentials of the selection, and say which ones. `what` they are, such as `access key`.

    `end_browsers` ends the logins in browsers that belong to the selection, if any can, and counts them.

    Ends the command with `NO` if none was ended, or one of those that were `named` by id was not.
    """
    ended = store.end(selection, by=by_whom(), reason=BY_COMMAND)
    browsers = 0 if end_browsers is None else end_browsers()
    missing = [identifier for identifier in dict.fromkeys(named) if identifier not in ended]
    if as_json:
        facts: dict[str, Any] = {"revoked": ended, "not_found": missing}
        echo_text(json.dumps(facts if end_browsers is None else {**facts, "browsers": browsers}))
    else:
        for identifier in ended:
            echo(f"{identifier} was revoked.")
        if browsers:
            echo("1 login in a browser ended." if browsers == 1 else f"{browsers} logins in browsers ended.")
        if ended:
            echo("A running server refuses them within two seconds; tokens issued before stay valid until they expire.")
        for identifier in missing:
            echo(f"There is no live {what} {identifier}.", err=True)
        if not ended and not browsers and not named:
            echo(f"There is no such live {what}; nothing was changed.", err=True)
    if missing or not (ended or browsers):
        raise SystemExit(NO)
