"""Puts the pages of a running server together."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Flask

from tokenserver.authn.oidc.login import OidcLogins
from tokenserver.authn.oidc.logout import BackChannelLogout
from tokenserver.management.openid.openid_sign_in import OpenIdSignIn
from tokenserver.management.sign_in import SignIn
from tokenserver.policy.playground.playground import Playground
from tokenserver.server.compose import new_id
from tokenserver.server.running import RunningServer
from tokenserver.web.client_address import finder
from tokenserver.web.https_only import HttpsOnly
from tokenserver.web.pages.blueprints import blueprints
from tokenserver.web.pages.cookies import Cookies
from tokenserver.web.pages.form_tokens import FormTokens
from tokenserver.web.pages.guard import PagesForPeople
from tokenserver.web.pages.openid.site import OpenIdSite
from tokenserver.web.pages.shell import attach
from tokenserver.web.pages.site import LoginProvider, Site


def pages_for(parts: RunningServer) -> Callable[[Flask], PagesForPeople]:
    """Adds the pages of this server to an application, see `attach`."""
    site = site_of(parts)
    return lambda app: attach(app, site, blueprints(site))


def site_of(parts: RunningServer) -> Site:
    """The site of a server that has a storage."""
    storage, server = parts.storage, parts.settings.server
    assert storage is not None  # noqa: S101 - the caller has looked
    management = storage.management(
        parts.settings,
        parts.live.snapshot,
        parts.trail.record,
        is_blocked=lambda: parts.clock.jump() is not None,
    )
    sign_in = storage.sign_in(parts.live.snapshot, parts.trail.record)
    return Site(
        settings=parts.settings,
        sign_in=sign_in,
        used_forms=storage.used_forms,
        management=management,
        answers=storage.answers,
        snapshot=parts.live.snapshot,
        refused=parts.exchange.refused,
        cookies=Cookies(secure=urlsplit(server.pages_url).scheme == "https"),
        forms=FormTokens(),
        client_of=finder(server.trusted_proxies),
        https_only=HttpsOnly(server.trusted_proxies).check if server.require_https else None,
        admission=parts.admission,
        new_id=new_id,
        now=time.time,
        device_logins=parts.device_logins,
        playground=Playground(),
        providers=[LoginProvider(one.name, one.name, f"/login/with/{one.name}") for one in parts.settings.oidc_sources],
        openid=_openid_of(parts, sign_in),
        is_administrator=management.context.is_administrator,
    )


def _openid_of(parts: RunningServer, sign_in: SignIn) -> OpenIdSite | None:
    """The logins at the providers of a server; None if it has none."""
    if parts.stored is None or not parts.settings.oidc_sources:
        return None
    stored = parts.stored.openid
    logout = BackChannelLogout(seen=stored.seen, end_session=stored.end_session, end_logins=stored.end_logins)
    logins = OidcLogins(stored.boxes)
    openid = OpenIdSignIn(parts.live.snapshot, sign_in, logins, logout, parts.trail.record)
    return OpenIdSite(openid, stored.boxes)
