"""The readiness of the server that runs with these settings, as it reports it at its own address."""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection, Mapping

from tokenserver.config.settings import Settings
from tokenserver.doctor.examination.fetch import fetch
from tokenserver.doctor.http import HttpAnswer

DEADLINE = 2.0

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - addresses to connect to, not to listen on


def running_parts(settings: Settings, certificates: Collection[str] = ()) -> Mapping[str, str] | None:
    """What `/readyz` says of each part at `server.listen`: `ok`, or its problem. None: no tokenserver answers there.

    `certificates` are the token CAs of this installation in PEM; a server with another one is not this installation's.
    Without them, any server is. The server's TLS certificate is not verified: nothing secret is sent, and its name is
    not that of the address.
    """
    if certificates and _get(settings, "/ca.pem") not in {text.encode() for text in certificates}:
        return None
    try:
        parts = json.loads(_get(settings, "/readyz") or b"")["parts"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(parts, dict) or "policies" not in parts:
        return None
    return {str(name): str(problem) for name, problem in parts.items()}


def _get(settings: Settings, path: str) -> bytes | None:
    host, port = settings.server.address
    host = _ANYWHERE.get(host, host)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    scheme = "http" if settings.server.tls is None else "https"
    answer = fetch(f"{scheme}://{place}{path}", context=context, deadline=DEADLINE)
    return answer.body if isinstance(answer, HttpAnswer) else None
