"""Secrets that must never show: what any test makes the server write is searched for them.

Whoever makes a secret says so with `know`; whoever collects output gives it to `watch`. What is found fails the test
that is running (tests/conftest.py), whichever it is: so every route and every fault that has a test is covered.

See docs/design/threats.md#threat-97.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from urllib.parse import quote, quote_plus

SHAPES = re.compile(
    rb"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"  # a signed token
    rb"|\$(?:2[aby]|5|6|1|apr1|argon2id?)\$[^ ]{8,}"  # a password's hash
    rb"|-----BEGIN [A-Z ]*PRIVATE KEY"
    rb"|\b[Bb]asic (?![a-z]+\b)[A-Za-z0-9+/]{10,}"  # a header
    rb"|tkn[a-z]_[0-9A-Za-z]{20,}"  # an access key, whole or cut
    rb"|canary-[0-9]",  # what tests send to see it again
)
"""What a secret looks like, whatever it is."""

SHORTEST = 6
"""Shorter ones stand in other words."""

_known: dict[bytes, str] = {}
_found: list[str] = []


def know(secret: str, *, user: str = "") -> None:
    """Remember a secret in all of its spellings; with `user`, also as in a Basic header."""
    if len(secret) < SHORTEST:
        return
    spellings = {
        secret,
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        quote(secret),
        quote(secret, ""),
        quote_plus(secret),
    }
    encodings = {spelling.encode(coding, "ignore") for spelling in spellings for coding in ("utf-8", "latin-1")}
    headers = {base64.b64encode(f"{user}:{secret}".encode(coding, "ignore")) for coding in ("utf-8", "latin-1")}
    _known.update(dict.fromkeys(encodings | (headers if user else set()), f"a secret of {len(secret)} characters"))


def know_keys(folder: Path) -> None:
    """Remember every line of every private key below the folder."""
    for file in folder.rglob("*.key"):
        for line in file.read_text().splitlines():
            if not line.startswith("-----"):
                know(line)


def watch(output: str | bytes, place: str) -> None:
    """Search what was written. `place` says where."""
    data = output.encode("utf-8", "replace") if isinstance(output, str) else output
    _found.extend(f"{place}: {what}" for secret, what in _known.items() if secret in data)
    matched = SHAPES.search(data)
    if matched is not None:
        _found.append(f"{place}: looks like a secret: {matched[0][:12].decode('latin-1')}…")


def taken() -> list[str]:
    """What was found since the last call."""
    found = list(dict.fromkeys(_found))
    _found.clear()
    return found
