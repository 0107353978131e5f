"""The readiness of the server that runs with these settings, as it reports it at its own address."""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from tokenserver.config.settings import Settings
from tokenserver.doctor.examination.fetch import fetch
from tokenserver.doctor.http import HttpAnswer

DEADLINE = 2.0

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - addresses to connect to, not to listen on


def running_parts(settings: Settings, certificates: Collection[str] = ()) -> Mapping[str, str] | None:
    """What `/readyz` says of each part at `server.listen`: `ok`, or its problem. None: no tokenserver answers there.

    `certificates` are the token CAs of this installation in PEM; a server with another one is not this installation's.
    Without them, any server is. With TLS, it must have the configured certificate.
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
    tls = settings.server.tls
    try:
        context = ssl.create_default_context(cafile=None if tls is None else str(tls.certificate))
    except OSError:  # no such file, or no certificate in it
        return None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the server's own certificate is enough
    host, port = settings.server.address
    url = f"{'http' if tls is None else 'https'}://{urlsplit(settings.server.url).netloc}{path}"
    answer = fetch(url, context=context, deadline=DEADLINE, address=(_ANYWHERE.get(host, host), port))
    return answer.body if isinstance(answer, HttpAnswer) else None
