"""The name that a directory's certificate must have, as a strict field."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator

_HOST_NAME = re.compile(r"(?!.{254})[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")


def _certificate_name(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        if _HOST_NAME.fullmatch(value.lower()) is None or not value.isascii():
            raise ValueError("must be a host name of the certificate, such as ldap.example.com") from None
        return value.lower()


CertificateName = Annotated[str, AfterValidator(_certificate_name)]
"""A host name in lower case, or an IP address. A wildcard in the certificate matches it; in it, none is allowed."""
