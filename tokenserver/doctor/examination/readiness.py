"""The readiness of the server that runs with these settings, as it reports it at its own address."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tokenserver.config.settings import Settings
from tokenserver.doctor.examination.health import ask_server
from tokenserver.doctor.http import HttpAnswer, ready_parts
from tokenserver.errors import LoadError

DEADLINE = 2.0


def running_parts(settings: Settings, certificates: Collection[str] = ()) -> Mapping[str, str] | None:
    """What `/readyz` says of each part at `server.listen`: `ok`, or its problem. None: no tokenserver answers there.

    `certificates` are the token CAs of this installation in PEM; a server with another one is not this installation's.
    Without them, any server is. With TLS, it must have the configured certificate.
    """
    if certificates and _get(settings, "/ca.pem") not in {text.encode() for text in certificates}:
        return None
    parts = ready_parts(_get(settings, "/readyz") or b"")
    return parts if "policies" in parts else None


def _get(settings: Settings, path: str) -> bytes | None:
    tls = settings.server.tls
    try:
        answer = ask_server(settings.server.address, None if tls is None else tls.certificate, path, deadline=DEADLINE)
    except LoadError:  # no such file, or no certificate in it
        return None
    return answer.body if isinstance(answer, HttpAnswer) else None
