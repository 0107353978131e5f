"""What the pages of logins at OpenID providers need of the running server."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tokenserver.exchange.admission import MAX_PROVIDER_LOGINS
from tokenserver.management.openid.openid_sign_in import OpenIdSignIn
from tokenserver.runtime.bulkhead import Bulkhead
from tokenserver.storage.boxes import Boxes


def provider_bulkhead() -> Bulkhead:
    """The logins that a worker completes concurrently at providers; more are rejected instead of queued."""
    return Bulkhead("providers", workers=MAX_PROVIDER_LOGINS, queue=0, wait=0.0, monotonic=time.monotonic)


@dataclass(frozen=True, slots=True)
class OpenIdSite:
    """The logins at the providers, and boxes for what a browser keeps in between.

    Whatever may wait for a provider holds a slot of `bulkhead`, and none that token requests or other pages need.
    """

    sign_in: OpenIdSignIn
    boxes: Boxes
    bulkhead: AbstractContextManager[None] = field(default_factory=provider_bulkhead)
