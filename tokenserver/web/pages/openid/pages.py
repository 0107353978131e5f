"""Pages of logins at OpenID providers: the way there, the way back, and logouts.

The way back always leads on to an address without a code, also after an error, so that nothing of the provider's answer
stays in the address bar or in the history of the browser.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

from flask import Blueprint, Response, request

from tokenserver.authn.oidc.refusals import RefusedLogin
from tokenserver.credentials import Secret
from tokenserver.documents.base64url import decode_canonical_base64url, encode_base64url
from tokenserver.errors import InvalidCredentials, ServiceError, TokenserverError
from tokenserver.management.openid.openid_sign_in import NoSuchProvider
from tokenserver.storage.boxes import UnreadableBox
from tokenserver.web.pages.errors import PageProblem, page_problem
from tokenserver.web.pages.login import START
from tokenserver.web.pages.openid.site import OpenIdSite
from tokenserver.web.pages.shell import (
    current_actor,
    error_page,
    next_path,
    page,
    pages_blueprint,
    see_other,
    slot_released,
    the_site,
    visitor,
)
from tokenserver.web.token_endpoint import log_failure

LOGIN_SECONDS = 600
FAILURE_SECONDS = 60
MAX_COOKIE = 4096
_BOX = re.compile(r"[0-9A-Za-z_-]+", re.ASCII)
_FAILURE = b"failed login"


def oidc_blueprint() -> Blueprint:
    """The pages, and the address to which providers send logout tokens."""
    blueprint = pages_blueprint("oidc")
    blueprint.add_url_rule("/login/with/<name>", "begin", begin, methods=["GET"])
    blueprint.add_url_rule("/login/callback/<name>", "finish", finish, methods=["GET"])
    blueprint.add_url_rule("/login/failed", "failed", failed, methods=["GET"])
    blueprint.add_url_rule("/logout/done/<name>", "logged_out", logged_out, methods=["GET"])
    blueprint.add_url_rule("/logout/backchannel/<name>", "end_by_provider", end_by_provider, methods=["POST"])
    return blueprint


def begin(name: str) -> Response:
    """Lead to the provider."""
    site = the_site()
    begun = _openid().sign_in.begin(name, next_path(request.args.get("next")) or START)
    response = Response("", 303, headers={"Location": begun.url})
    _put(response, site.cookies.login, begun.cookie, LOGIN_SECONDS)
    return response


def finish(name: str) -> Response:
    """Begin a session with the answer of the provider; whatever happens, the login is over."""
    site, answer = the_site(), request.args.to_dict()
    try:
        openid = _openid()
        with slot_released(), openid.bulkhead:
            cookie, wanted = openid.sign_in.finish(name, _read(site.cookies.login), answer, visitor())
    except (TokenserverError, NoSuchProvider) as error:
        response = _failure(error)
    else:
        before = current_actor()
        if before is not None:
            site.sign_in.end(before)
        path, _, query = wanted.partition("?")
        response = see_other(path, **dict([query.split("=", 1)] if query else []))
        site.cookies.put(response, site.cookies.session, cookie)
        site.cookies.drop(response, site.cookies.visit)
    site.cookies.drop(response, site.cookies.login)
    return response


def failed() -> Response:
    """Why the last login of this browser failed; shown once."""
    site, cookie = the_site(), _read(the_site().cookies.failure)
    if cookie is None:
        return see_other("/login")
    try:
        found = json.loads(_openid().boxes.open(decode_canonical_base64url(cookie.reveal()), about=_FAILURE))
    except (ValueError, UnreadableBox):
        return see_other("/login")
    problem = PageProblem(found["status"], found["title"], found["text"], found["values"])
    response = error_page(problem, found["request_id"])
    site.cookies.drop(response, site.cookies.failure)
    return response


def logged_out(name: str) -> Response:
    """That the person is logged out here, and where they can log out at the provider."""
    site, openid = the_site(), _openid()
    url = openid.sign_in.logout_url(name, f"{site.settings.server.pages_url}/login")
    if url is None:
        return see_other("/login", note="logged-out")
    return page("logged_out.html", actor=None, name=name, url_of_provider=url)


def end_by_provider(name: str) -> Response:
    """End sessions by a logout token (OpenID Connect Back-Channel Logout, sections 2.5 and 2.8)."""
    token = request.form.get("logout_token", "")
    try:
        openid = _openid()
        with slot_released(), openid.bulkhead:
            openid.sign_in.end_by_provider(name, Secret(token), visitor())
    except NoSuchProvider:
        return _json({"error": "invalid_request", "error_description": "there is no provider of this name"}, 404)
    except InvalidCredentials:
        return _json({"error": "invalid_request", "error_description": "the logout token is not accepted"}, 400)
    except ServiceError as error:
        log_failure(error, visitor().request_id)
        return _json({"error": "temporarily_unavailable"}, 503)
    return _json({}, 200)


def _openid() -> OpenIdSite:
    """The providers of this server.

    Raises:
        NoSuchProvider: there are none.
    """
    found = the_site().openid
    if found is None:
        raise NoSuchProvider("there is no provider")
    return found


def _failure(error: TokenserverError) -> Response:
    """Lead to the page about an error, which the browser carries in a sealed cookie."""
    if isinstance(error, ServiceError):
        log_failure(error, visitor().request_id)
    site, problem = the_site(), openid_problem(error)
    content = {"status": problem.status, "title": problem.title, "text": problem.text, "values": problem.values}
    text = json.dumps(content | {"request_id": visitor().request_id}).encode()
    response = see_other("/login/failed")
    openid = site.openid
    if openid is not None:
        box = openid.boxes.close(text, about=_FAILURE)
        _put(response, site.cookies.failure, Secret(encode_base64url(box)), FAILURE_SECONDS)
    return response


def openid_problem(error: Exception) -> PageProblem:
    """What the page about an error of a login at a provider says."""
    if isinstance(error, RefusedLogin):
        return PageProblem(403, "Login failed", error.text, cast("dict[str, Any]", error.values))
    return page_problem(error)


def _put(response: Response, name: str, value: Secret, seconds: int) -> None:
    secure = the_site().cookies.secure
    response.set_cookie(name, value.reveal(), max_age=seconds, secure=secure, httponly=True, samesite="Lax", path="/")


def _read(name: str) -> Secret | None:
    text = request.cookies.get(name, "")
    return Secret(text) if len(text) <= MAX_COOKIE and _BOX.fullmatch(text) else None


def _json(content: dict[str, str], status: int) -> Response:
    return Response(json.dumps(content), status, content_type="application/json")
