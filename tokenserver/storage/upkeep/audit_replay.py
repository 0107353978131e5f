"""Which credentials an audit log says have ended, so that restoring a backup does not bring them back.

It may say too much, such as of a change that failed after its event; never too little of what servers ended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

_ID = re.compile(r"[0-9A-Za-z]{12}", re.ASCII)
_REFUSED = re.compile(
    r"(?:access key|stored login|session) ([0-9A-Za-z]{12}) of .* has ended: "
    r"|stored login ([0-9A-Za-z]{12}) of [^:]*: ",
    re.ASCII | re.DOTALL,
)
"""The reason of a refusal because the credential has ended, or the person whose login it is."""

_MEMBERS = {
    "end_access_key": "credential",
    "end_access_keys": "credentials",
    "end_login": "credential",
    "end_logins": "credentials",
    "end_robot_secret": "credential",
    "end_robot_secrets": "credentials",
    "rotate_access_key": "replaces",
    "rotate_robot_secret": "replaces",
}
"""Where the event of an action of management has what it ended. After a rotation, the old one has little time left."""


class ReplayedEnds(NamedTuple):
    """What has ended: credentials by id, and all refresh tokens of a person that were made before a moment.

    Moments are in seconds since the epoch. A person is known by the subject; the user source is not recorded.
    """

    ids: frozenset[str]
    people: frozenset[tuple[str, float]]


def ended_in(lines: Iterable[bytes]) -> ReplayedEnds:
    """What the events in these lines say has ended.

    Lines that are no events are skipped: a log may end in the middle of one.
    """
    ids: set[str] = set()
    people: set[tuple[str, float]] = set()
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            ids.update(one for one in _ids(event) if isinstance(one, str) and _ID.fullmatch(one))
            people.update(_people(event))
    return ReplayedEnds(frozenset(ids), frozenset(people))


def _ids(event: dict[str, Any]) -> Iterator[object]:
    yield from _listed(event.get("displaced"))
    outcome, action = event.get("outcome"), event.get("action")
    if event.get("event") == "management" and outcome == "done" and isinstance(action, str):
        yield from _listed(event.get(_MEMBERS.get(action, "")))
    if event.get("event") == "revocation" and outcome in ("revoked", "ended already"):
        yield event.get("credential")
    reason = event.get("reason")
    found = _REFUSED.match(reason) if isinstance(reason, str) else None
    if found is not None:
        yield found.group(1) or found.group(2)


def _people(event: dict[str, Any]) -> Iterator[tuple[str, float]]:
    if event.get("event") != "provider_logout" or event.get("outcome") != "logged_out":
        return
    subject, moment = event.get("subject"), event.get("time")
    if isinstance(subject, str) and isinstance(moment, str):
        try:
            yield subject, datetime.fromisoformat(moment).timestamp()
        except ValueError:
            return


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
