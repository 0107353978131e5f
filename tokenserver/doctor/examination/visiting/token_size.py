"""Examination of the way to the registry: does it carry tokens for many repositories?

The tokens are large and have an invalid signature, so they allow nothing, wherever they end up.
"""

from __future__ import annotations

from collections.abc import Callable

from tokenserver.doctor.checks.token_size import FEW, MANY, SOME, check_token_size, claims_for
from tokenserver.doctor.findings import Finding
from tokenserver.doctor.http import Outcome


def examine_token_size(send: Callable[[str], Outcome], usual: Outcome) -> list[Finding]:
    """Send a token for 1,000 repositories, and one for fewer as long as none arrives.

    `send` sends a token with these claims (its second part) and an invalid signature; `usual` is the answer to a small
    one.
    """
    outcomes: dict[int, Outcome] = {}
    for repositories in (MANY, SOME, FEW):
        outcomes[repositories] = send(claims_for(repositories))
        finding = check_token_size(usual, outcomes)
        if finding is not None:
            return [finding]
    return []
