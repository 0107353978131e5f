"""Printing stored credentials: a new secret once, on standard output, or it is ended again; and their facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tokenserver.access_keys import AccessKey
from tokenserver.cli.console.table import aligned
from tokenserver.cli.stored.opening import by_whom
from tokenserver.cli.terminal import OutputFailed, echo, echo_json, echo_text
from tokenserver.documents.json_output import json_text
from tokenserver.management.facts import facts_of, registries_of, spell_bounds, spelled, state_of
from tokenserver.management.wishes import spell_duration

if TYPE_CHECKING:
    from tokenserver.storage.selection import Listed
    from tokenserver.storage.store import CredentialStore


def print_secret(store: CredentialStore, key: AccessKey, facts: Mapping[str, Any] | None) -> None:
    """Print the key, with its facts as JSON if there are some.

    Raises:
        OutputFailed: it cannot be printed, so that nobody has it; it is revoked.
    """
    # Needed only with a storage.
    from tokenserver.storage.selection import Selection  # noqa: PLC0415 - see above

    try:
        text = key.text.reveal()
        echo_text(text if facts is None else json_text({**facts, "secret": text}))
    except OutputFailed:
        store.end(Selection(ids=frozenset({key.id})), by=by_whom(), reason="its secret could not be printed")
        echo(f"{key.id} was revoked, because its secret could not be printed.", err=True)
        raise


def print_facts(rows: Sequence[tuple[str, str]]) -> None:
    """Print what people want to know of a new secret, to standard error."""
    echo("This is shown once.", err=True)
    echo_text(aligned([row for row in rows if row[1]]), err=True)


def print_credential(listed: Listed, now: datetime, *, as_json: bool) -> None:
    """Print everything that may be known of a credential."""
    if as_json:
        echo_json(facts_of(listed, now))
        return
    one, use = listed.credential, listed.use
    registries = registries_of(listed)
    ended = None if listed.ended is None else f"{spelled(listed.ended)} by {listed.ended_by}: {listed.reason}"
    rows = [
        ("id", one.id),
        ("owner", f"{one.owner} ({one.source})" if one.source else one.owner),
        ("name", one.name),
        ("state", state_of(listed, now)),
        ("can do", (one.ceiling and spell_bounds(one.ceiling)) or "all that its owner can do"),
        ("registries", "all" if registries is None else ", ".join(sorted(registries))),
        ("networks", ", ".join(map(str, one.networks)) or "any"),
        ("made", f"{spelled(one.created)} by {one.created_by}"),
        ("made from", one.created_from),
        ("client", one.client),
        ("expires", spelled(one.ends)),
        ("if unused for", "" if one.idle is None else spell_duration(timedelta(seconds=one.idle))),
        ("replaces", one.replaces),
        ("last used", "never" if use is None else f"{spelled(use.last)} from {use.last_from}"),
        ("first from", None if use is None else use.first_from),
        ("revoked", ended),
    ]
    echo_text(aligned([(head, value) for head, value in rows if value]))
