"""`tokenserver token inspect`: what an access key or a JWT is, by its text alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import click

from tokenserver.access_keys import InspectedKey, inspect_key, is_marked
from tokenserver.cli.console.prompts import read_pasted
from tokenserver.cli.console.table import aligned
from tokenserver.cli.exits import NO
from tokenserver.cli.options import exit_with
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.credentials import AccessKeyForm
from tokenserver.doctor.token import UnreadableToken, UnverifiedToken, open_unverified
from tokenserver.documents.json_output import json_text
from tokenserver.printable import cut

MAX_TEXT = 64 * 1024
"""Bytes of standard input that are read: more than any token that a client can send has."""

REGISTERED = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")
"""The registered claims (RFC 7519, section 4.1)."""

MAX_OTHERS = 40
"""How many other claims are shown: GitHub's tokens have about thirty, GitLab's forty."""

MAX_NAME = 64

WITHHELD = "not shown: it may be a secret"

_SECRET_NAME = re.compile(r"secret|passw|token|nonce|assertion|credential|api_?key|private_?key|code\b|\bpin\b", re.I)
_SECRET_VALUE = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.", re.ASCII)
"""A JWT anywhere in the value."""

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
        echo_json({**facts, "problem": found.problem})
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
    shown = {name: _other(name, opened.claims[name]) for name in others[:MAX_OTHERS]}
    if as_json:
        facts = {"kind": "jwt", "verified": False, "header": opened.header, "claims": claims, "other_claims": others}
        facts["other_values"] = shown
        echo_json(facts)
        return
    now = datetime.now(UTC)
    rows = [("kind", "JWT, unverified: anybody can write one with any claims")]
    rows += [(f"header {name}", _value(value)) for name, value in opened.header.items()]
    rows += [(f"claim {name}", _claim(name, value, now)) for name, value in claims.items()]
    rows += [(f"other {cut(name, MAX_NAME)}", value) for name, value in shown.items()]
    if len(others) > MAX_OTHERS:
        rows.append(("more claims", f"{len(others) - MAX_OTHERS}, which are not shown"))
    echo_text(aligned(rows))


def _other(name: str, value: Any) -> str:
    """The value of a claim that RFC 7519 does not know, as text; not if its name or its content may be a secret."""
    text = value if isinstance(value, str) else json_text(value)
    if _SECRET_NAME.search(name) or _SECRET_VALUE.search(text) or is_marked(text):
        return WITHHELD
    return _value(value)


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
    text = value if isinstance(value, str) else json_text(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
