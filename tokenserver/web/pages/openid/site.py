"""What the pages of logins at OpenID providers need of the running server."""

from __future__ import annotations

from dataclasses import dataclass

from tokenserver.management.openid.openid_sign_in import OpenIdSignIn
from tokenserver.storage.boxes import Boxes


@dataclass(frozen=True, slots=True)
class OpenIdSite:
    """The logins at the providers, and boxes for what a browser keeps in between."""

    sign_in: OpenIdSignIn
    boxes: Boxes
