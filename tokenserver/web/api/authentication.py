"""Who sends an API request: by Basic, through the chain of every login, or by the session of a browser.

Browsers send a session, and Basic credentials that were typed into them, to this server from pages of other sites, too.
So a request that changes something must not come from there, and one with a session needs the header of a form token.
"""

from __future__ import annotations

import time
from dataclasses import replace

from flask import Request

from tokenserver.credentials import Password
from tokenserver.errors import AuthenticationRequired, TokenserverError
from tokenserver.exchange.observers import UnparsedRequest
from tokenserver.management.actors import Actor
from tokenserver.web.api.faults import CrossSiteRequest
from tokenserver.web.authorization_header import parse_authorization, refresh_token_in
from tokenserver.web.client_address import Address
from tokenserver.web.pages.shell import slot_released
from tokenserver.web.pages.site import Site

CSRF_HEADER = "X-CSRF-Token"

SAFE_METHODS = frozenset({"GET", "HEAD"})


def authenticated(site: Site, request: Request, *, request_id: str, client: Address | None) -> Actor:
    """The client of a request.

    Raises:
        AuthenticationRequired: it says nothing about who it is, or its session has ended.
        CrossSiteRequest: another site may have sent it.
        InvalidCredentials, Throttled, BackendUnavailable: as any login.
        AuditUnavailable: a refused login could not be recorded.
    """
    changes = request.method not in SAFE_METHODS
    if changes and request.headers.get("Sec-Fetch-Site") not in (None, "same-origin", "none"):
        raise CrossSiteRequest("a page of another site sent the request")
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is not None:
        return _by_header(site, request, header, request_id=request_id, client=client)
    cookie = site.cookies.read(request, site.cookies.session)
    if cookie is None:
        raise AuthenticationRequired
    if changes and not site.forms.is_right(cookie, request.headers.get(CSRF_HEADER, "")):
        raise CrossSiteRequest(f"the header {CSRF_HEADER} is missing or wrong; fix: GET /whoami has it")
    agent = request.environ.get("HTTP_USER_AGENT") or None
    with slot_released(), site.admission:
        actor = site.sign_in.actor(cookie, client=client, agent=agent, request_id=request_id)
    if actor is None:
        raise AuthenticationRequired
    return replace(actor, via="api")


def _by_header(site: Site, request: Request, header: str, *, request_id: str, client: Address | None) -> Actor:
    start = time.perf_counter()
    agent = request.environ.get("HTTP_USER_AGENT") or None
    credentials = parse_authorization((header,))
    verified = None if request.method in SAFE_METHODS else site.sign_in.revision()
    try:
        # Verification gives the slot of `admission` back, so it must hold one.
        with slot_released(), site.admission:
            chain, sent = site.snapshot().chain, refresh_token_in(credentials)
            if verified is None:
                identity = chain.authenticate(sent, client)
            else:  # what was remembered may be older than the end of all logins
                identity = chain.authenticate_since(verified, sent, client)
        if identity.is_anonymous:
            raise AuthenticationRequired
    except TokenserverError as error:
        username = credentials.username if isinstance(credentials, Password) else None
        refused = UnparsedRequest(request_id, request.method, client, username=username, user_agent=agent)
        site.refused(refused, error, time.perf_counter() - start)
        raise
    if identity.verified is None:
        identity = replace(identity, verified=verified)
    return Actor(identity, request_id, client, agent, authenticated=site.now(), via="api")
