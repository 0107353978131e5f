"""The revocation endpoint (RFC 7009): a form with `token`, and 200 whatever the token is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tokenserver.credentials import Secret
from tokenserver.errors import InvalidRequest
from tokenserver.exchange.stored.revocation import RevocationRequest
from tokenserver.web.client_address import Address
from tokenserver.web.parameters import Parameters

REVOKE_PATH = "/revoke"

Revoke = Callable[[RevocationRequest], None]


def revocation_request(
    environ: Mapping[str, Any], form: Parameters, *, request_id: str, client: Address | None
) -> RevocationRequest:
    """The request that a form makes. `token_type_hint` is ignored: the token says what it is.

    Raises:
        InvalidRequest: there is no token.
    """
    token = form.get("token")
    if token is None:
        raise InvalidRequest("token: is missing")
    agent = environ.get("HTTP_USER_AGENT") or None
    return RevocationRequest(request_id, Secret(token), client, form.get("client_id"), agent)
