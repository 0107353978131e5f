"""Form tokens: a form is accepted only from the browser that it was made for (cross-site request forgery).

The token is an HMAC under the cookie, which no other site can read, over a number of its own; so every worker can check
it, and a form that changes something once is known by its number.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable

from tokenserver.credentials import Secret

_TOKEN = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{64})", re.ASCII)


class FormTokens:
    """Makes and checks the tokens of forms. `random` gives that many random bytes."""

    def __init__(self, *, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._random = random

    def new(self, cookie: Secret) -> str:
        """The token of a form for the browser with this cookie."""
        number = self._random(16).hex()
        return f"{number}.{_code(cookie, number)}"

    def is_right(self, cookie: Secret, token: str) -> bool:
        """Whether a token was made for the browser with this cookie."""
        found = _TOKEN.fullmatch(token)
        return found is not None and hmac.compare_digest(_code(cookie, found[1]), found[2])


def _code(cookie: Secret, number: str) -> str:
    key = cookie.reveal().encode("ascii")
    return hmac.digest(key, b"tokenserver form\0" + number.encode("ascii"), "sha256").hex()
