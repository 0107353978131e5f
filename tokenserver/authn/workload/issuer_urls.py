"""URLs of issuers and of their keys: https, or plain http at this machine. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tokenserver.documents.urls import checked_url, is_local


def require_safe(url: str, *, may_be_plain: bool = True) -> None:
    """Check a URL from which keys are fetched: https, or http at this machine unless it `may_be_plain`.

    Raises:
        ValueError: it is another one; the text continues a sentence about it.
    """
    example = "https://issuer.example.com/jwks"
    parts = urlsplit(checked_url(url.partition("?")[0], example))
    if re.fullmatch(r"[!-~]+", url) is None or "#" in url:
        raise ValueError(f"must be a URL such as {example}")
    if parts.scheme != "https" and not (may_be_plain and is_local(parts.hostname or "")):
        raise ValueError("must be https; plain http is for issuers on this machine alone")
