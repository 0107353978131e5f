"""The columns of the table of failures: a sentence and a fix for each cause.

Its rows are in `connection_advice.py` and `login_advice.py`. Facts, such as the host or the end of a certificate, are
filled in by `failure.py`; without them, `/readyz` can show a row to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Advice:
    """`title` reports the failure in general; each fragment of `more` follows if its facts are known.

    `service_fix` replaces `fix` if the failure is about the service account.
    """

    title: str
    fix: str
    more: tuple[str, ...] = ()
    service_fix: str = ""


GENERAL: Mapping[str, str] = MappingProxyType(
    {
        "account": "bind_dn",
        "attribute": "the subject's attribute",
        "base": "the base",
        "count": "some",
        "domains": "the domain",
        "detail": "cannot be searched for",
        "host": "the host in url",
        "issuer": "the CA that issued it",
        "key": "base",
        "other": "",
        "place": "in",
        "user": "the name without it",
        "way": "another way",
    }
)
"""What fixes say if a fact is unknown, or must not be shown."""

SEE_LOG = "see the directory's log"
