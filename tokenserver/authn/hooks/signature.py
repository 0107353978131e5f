"""The signature by which an HTTP hook recognizes requests of this server, and rejects old ones. Pure.

The header is `Tokenserver-Signature: t=SECONDS,v1=HEX`: the time of the request in seconds since the epoch, and the
HMAC-SHA256 of that number, a dot and the body, by the shared secret (UTF-8).
"""

from __future__ import annotations

import hmac

from tokenserver.credentials import Secret

HEADER = "Tokenserver-Signature"


def signature(secret: Secret, body: bytes, now: int) -> str:
    """The value of the header for a request with this body."""
    signed = f"{now}.".encode() + body
    return f"t={now},v1={hmac.digest(secret.reveal().encode(), signed, 'sha256').hex()}"
