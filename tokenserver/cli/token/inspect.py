"""`tokenserver token inspect`: what an access key or a JWT is, by its text alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from tokenserver.access_keys import InspectedKey, inspect_key, is_marked
from tokenserver.cli.console.prompts import read_pasted
from tokenserver.cli.console.table import aligned
from tokenserver.cli.exits import NO
from tokenserver.cli.options import exit_with
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.credentials import AccessKeyForm
from tokenserver.doctor.token import UnreadableToken, UnverifiedToken, open_unverified

MAX_TEXT = 64 * 1024
"""Bytes of standard input that are read: more than any token that a client can send has."""

REGISTERED = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")
"""The registered claims (RFC 7519, section 4.1)."""

_MOMENTS = frozenset({"exp", "nbf", "iat"})

_FORMS = {
    AccessKeyForm.PERSONAL: "personal access key",
    AccessKeyForm.ROBOT: "access key of a robot",
    AccessKeyForm.REFRESH: "refresh token",
    AccessKeyForm.SESSION: "session token",
}


@click.command("inspect")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
def token_inspect(as_json: bool) -> None:
    """Say what an access key or a JWT is: its kind, its id, and whether its checksum is right.

    The text is prompted for, or read from standard input; it is never an argument. Nothing is verified: that a key is
    well-formed does not mean that it exists, and anybody can write a JWT with any claims. Exit code 0: a well-formed
    key or a JWT; 1: neither.
    """
    text = read_pasted("Key or token", limit=MAX_TEXT).reveal()
    if is_marked(text):
        _show_key(inspect_key(text), as_json=as_json)
        return
    try:
        opened = open_unverified(text)
    except UnreadableToken as error:
        exit_with(f"This is no access key of this server, and as a JWT it {error}.", NO)
    _show_jwt(opened, as_json=as_json)


def _show_key(found: InspectedKey, *, as_json: bool) -> None:
    kind = "unknown" if found.form is None else _FORMS[found.form]
    if as_json:
        facts = {"kind": kind, "form": found.form, "id": found.id, "well_formed": found.problem is None}
        echo_text(json.dumps({**facts, "problem": found.problem}))
    else:
        rows = [("kind", kind), ("id", found.id or "unknown"), ("checksum", _checksum(found))]
        echo_text(aligned(rows))
        if found.problem is not None:
            echo(f"The key {found.problem}; fix: copy it again as a whole", err=True, fg="red")
    if found.problem is not None:
        raise SystemExit(NO)


def _checksum(found: InspectedKey) -> str:
    if found.is_checksum_right is None:
        return "not checked"
    return "right" if found.is_checksum_right else "wrong"


def _show_jwt(opened: UnverifiedToken, *, as_json: bool) -> None:
    claims = {name: opened.claims[name] for name in REGISTERED if name in opened.claims}
    others = sorted(opened.claims.keys() - claims.keys())
    if as_json:
        facts = {"kind": "jwt", "verified": False, "header": opened.header, "claims": claims, "other_claims": others}
        echo_text(json.dumps(facts))
        return
    now = datetime.now(UTC)
    rows = [("kind", "JWT, unverified: anybody can write one with any claims")]
    rows += [(f"header {name}", _value(value)) for name, value in opened.header.items()]
    rows += [(f"claim {name}", _claim(name, value, now)) for name, value in claims.items()]
    rows += [("other claims", ", ".join(others))] if others else []
    echo_text(aligned(rows))


def _claim(name: str, value: Any, now: datetime) -> str:
    """The value; of a moment also as a date, and whether it has passed."""
    if name not in _MOMENTS or isinstance(value, bool) or not isinstance(value, int | float):
        return _value(value)
    try:
        moment = datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return _value(value)
    return f"{_value(value)} ({moment:%Y-%m-%d %H:%M:%S} UTC, {'past' if moment <= now else 'future'})"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
