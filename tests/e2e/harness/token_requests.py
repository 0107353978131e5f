"""How often each client asks for a token, and whether it shows the server's text: a table of docs/compatibility.md.

test_token_requests.py holds every number against the real program.
"""

from __future__ import annotations

from typing import NamedTuple

REFUSALS = (401, 403, 429, 503)
"""The refusals that are tried: a wrong password, plain http, too many attempts, an outage."""


class Requests(NamedTuple):
    """Requests for tokens in one command: a pull, a push that is granted, and one that is not.

    A denied push has a range, since blobs are uploaded side by side and each upload that is denied asks again.
    `refused` has the requests of a pull whose token is refused, by `REFUSALS`; a number is negative if the client does
    not show the server's text.
    """

    pull: int
    push: int
    denied_push: tuple[int, int]
    refused: tuple[int, int, int, int]


REQUESTS = {
    "gcrane": Requests(1, 1, (2, 3), (1, 1, 3, 3)),
    "regsync": Requests(1, 2, (2, 2), (-1, -1, -1, -1)),
    "imgpkg": Requests(1, 1, (2, 3), (1, 1, 1, 1)),
    "ko": Requests(1, 3, (3, 7), (1, 1, 3, 3)),
    "ctr2": Requests(2, 1, (2, 4), (-2, -1, -1, -1)),
    "buildkit": Requests(1, 1, (1, 3), (2, 1, 1, 4)),
}
