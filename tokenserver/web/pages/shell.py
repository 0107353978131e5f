"""The shell of all pages: who asks, the headers of every answer, checked forms, and errors as pages.

A page of this package is a view of a `pages_blueprint`, answers with `page`, and reads forms by `checked_form` only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Flask, Response, current_app, g, request

from tokenserver.credentials import Secret
from tokenserver.management.actors import Actor
from tokenserver.management.rights import FRESH_SECONDS
from tokenserver.management.sign_in import Visitor
from tokenserver.web.guarded_pages import BODY_ERROR, GUARD, page_limit
from tokenserver.web.pages.assets import ICON, STYLE
from tokenserver.web.pages.cookies import new_visit
from tokenserver.web.pages.errors import FormRefused, FormSentTwice, NotAllowed, page_problem
from tokenserver.web.pages.rendering import LANGUAGES, Renderer
from tokenserver.web.pages.site import Site
from tokenserver.web.parameters import UnsupportedMediaType
from tokenserver.web.token_endpoint import log_failure

NEXT_PATHS = frozenset(
    {
        "/account",
        "/account/keys/new",
        "/access",
        "/device",
        "/admin",
        "/admin/policies",
        "/admin/who-can",
        "/admin/matrix",
    }
)
"""Where a login may lead to. `/device` may have the code that the terminal shows."""

NAVIGATION = (("/account", "Account", False), ("/access", "Access", False), ("/admin", "Administration", True))
"""The links at the top of pages, as far as there are such pages: path, text, whether they are for administrators."""

HOME_PLACES = (
    ("/account", "Your account: access keys and logins"),
    ("/access", "What you may do, and why not"),
    ("/device", "Log in a terminal by its code"),
)
"""The pages that `/` leads to, as far as there are such pages."""

_NEXT_WITH_CODE = re.compile(r"/device\?user_code=[A-Z0-9-]{1,16}", re.ASCII)
_KEY = "tokenserver.shell"
_FORM = "application/x-www-form-urlencoded"

_P = ParamSpec("_P")
View = Callable[Concatenate[Actor, _P], Response]


@dataclass(frozen=True, slots=True)
class Shell:
    """What every page of an application shares."""

    site: Site
    renderer: Renderer
    paths: frozenset[str]


def attach(app: Flask, site: Site, blueprints: list[Blueprint]) -> Callable[[bool], Response]:
    """Add the pages to an application; returns the page at `/`, by whether the server is ready."""
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    urls = {"url": lambda path: site.prefix + path, "style": STYLE.path, "icon": ICON.path}
    paths = frozenset(rule.rule for rule in app.url_map.iter_rules())
    app.extensions[_KEY] = Shell(site, Renderer(**urls), paths)
    return _home


def _home(is_ready: bool) -> Response:
    """The page at `/`. It looks nobody up, so it costs little, and works while the storage does not."""
    places = [(path, text) for path, text in HOME_PLACES if path in _shell().paths]
    return _finish(page("home.html", actor=None, is_ready=is_ready, places=places))


def the_site() -> Site:
    """The site of this request."""
    return _shell().site


def pages_blueprint(name: str) -> Blueprint:
    """A blueprint whose answers are pages, errors included."""
    blueprint = Blueprint(name, __name__)
    blueprint.before_request(_admit)
    blueprint.after_request(_finish)
    blueprint.register_error_handler(Exception, _failed)
    return blueprint


def visitor() -> Visitor:
    """The browser of this request."""
    if "visitor" not in g:
        environ, site = request.environ, the_site()
        client = site.client_of(environ.get("REMOTE_ADDR") or "", environ.get("HTTP_X_FORWARDED_FOR"))
        g.visitor = Visitor(client, environ.get("HTTP_USER_AGENT") or None, site.new_id())
    return cast("Visitor", g.visitor)


def current_actor() -> Actor | None:
    """Who is logged in in this browser; None: nobody.

    Raises:
        BackendUnavailable: the storage or the user source cannot tell.
    """
    if "actor" not in g:
        site = the_site()
        cookie = site.cookies.read(request, site.cookies.session)
        g.actor = None if cookie is None else site.sign_in.actor(cookie, **visitor()._asdict())
    return cast("Actor | None", g.actor)


def signed_in(view: View[_P]) -> Callable[_P, Response]:
    """A view for people who are logged in, which is called with the `Actor`; others are led to the login."""

    @wraps(view)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> Response:
        actor = current_actor()
        if actor is None:
            return to_login()
        return view(actor, *args, **kwargs)

    return wrapped


def administrators_only(view: View[_P]) -> Callable[_P, Response]:
    """As `signed_in`, for administrators; others get an error page."""

    @wraps(view)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> Response:
        actor = current_actor()
        if actor is None:
            return to_login()
        if not the_site().is_administrator(actor):
            raise NotAllowed("This page is for administrators.")
        return view(actor, *args, **kwargs)

    return wrapped


def is_fresh(actor: Actor) -> bool:
    """Whether this person logged in so recently that changes are accepted."""
    return the_site().now() - actor.authenticated < FRESH_SECONDS


def to_login() -> Response:
    """Lead to the login, also somebody whose login is too long ago, and from there back to this page."""
    had_session = the_site().cookies.session in request.cookies
    note = "again" if current_actor() is not None else "ended" if had_session else None
    wanted = request.path if request.path in NEXT_PATHS else request.full_path
    known = next_path(wanted) or next_path("/" + request.path.split("/")[1])
    values = {"next": known, "note": note}
    return see_other("/login", **{name: value for name, value in values.items() if value is not None})


def see_other(path: str, **query: str) -> Response:
    """Lead to another page with a GET."""
    target = the_site().prefix + path + (f"?{urlencode(query)}" if query else "")
    return Response("", 303, headers={"Location": target})


def next_path(wanted: str | None) -> str | None:
    """A path that a login may lead to: `wanted`, if it is one."""
    is_known = wanted is not None and (wanted in NEXT_PATHS or _NEXT_WITH_CODE.fullmatch(wanted) is not None)
    return wanted if is_known else None


def page(
    template: str, *, actor: Actor | None, status: int = 200, form_action: str = "'self'", **values: Any
) -> Response:
    """The answer with this template. `form_action` is where its forms may lead, in the words of a CSP.

    In the template, `form_token()` is the value of the field `form`, which every form must have.
    """
    shell, language = _shell(), _language()
    cookies = shell.site.cookies
    visit: list[Secret] = []

    def form_token() -> str:
        if actor is not None:
            bound = cookies.read(request, cookies.session)
        else:
            visit[:] = visit or [cookies.read(request, cookies.visit) or new_visit()]
            bound = visit[0]
        return "" if bound is None else shell.site.forms.new(bound)

    common = {"actor": actor, "form_token": form_token, "navigation": _navigation(shell, actor), "path": request.path}
    response = Response(shell.renderer.render(language, template, common | values), status)
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    response.headers["Content-Language"] = language
    response.headers["Content-Security-Policy"] = _policy(form_action)
    if visit:
        cookies.put(response, cookies.visit, visit[0])
    return response


def checked_form(*, before_login: bool = False, once: bool = False) -> Mapping[str, str]:
    """The fields of the form that was sent, the first of each name, once it is known to be from a page of ours.

    `before_login`: it is bound to the browser, not to a session. `once`: it is accepted a single time, so that loading
    the answer again changes nothing.

    Raises:
        FormRefused: it was made for another browser, or another site sent it.
        FormSentTwice: it was accepted before.
        UnsupportedMediaType, RequestTooLarge: it is no form, or too large.
    """
    site = the_site()
    if request.mimetype != _FORM:
        raise UnsupportedMediaType("the body is not a form")
    _require_same_origin(site)
    form = request.form.to_dict()
    cookie = site.cookies.read(request, site.cookies.visit if before_login else site.cookies.session)
    token = form.pop("form", "")
    if cookie is None or not site.forms.is_right(cookie, token):
        raise FormRefused("the form was not made for this browser, or too long ago")
    if once and not site.used_forms.use(token):
        raise FormSentTwice("the form was sent before")
    return form


def slot_released() -> AbstractContextManager[None]:
    """Let other pages be answered while this request waits for something else."""
    guard = request.environ.get(GUARD)
    return nullcontext() if guard is None else guard.slot_released()


def _shell() -> Shell:
    return cast("Shell", current_app.extensions[_KEY])


def _language() -> str:
    wanted = (tag.partition("-")[0].lower() for tag in request.accept_languages.values())
    return next((language for language in wanted if language in LANGUAGES), "en")


def _navigation(shell: Shell, actor: Actor | None) -> list[tuple[str, str]]:
    if actor is None:
        return []
    is_administrator = shell.site.is_administrator(actor)
    wanted = [
        (path, text) for path, text, for_administrators in NAVIGATION if is_administrator or not for_administrators
    ]
    return [(path, text) for path, text in wanted if path in shell.paths]


def _admit() -> None:
    site, client = the_site(), visitor().client
    if site.https_only is not None:
        site.https_only(request.environ, client)
    error = request.environ.get(BODY_ERROR)
    if error is not None:
        raise error
    request.max_content_length = request.max_form_memory_size = page_limit(request.path).most


def _require_same_origin(site: Site) -> None:
    """Check where a form comes from, as far as the browser says. With `no-referrer`, its Origin is null.

    Raises:
        FormRefused: another site sent it.
    """
    fetch_site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if fetch_site is not None and fetch_site != "same-origin":
        raise FormRefused("another site sent the form")
    if origin is None or origin == "null":
        return
    own = urlsplit(site.settings.server.url)
    if origin != f"{own.scheme}://{own.netloc}" and urlsplit(origin).netloc != request.headers.get("Host"):
        raise FormRefused("another site sent the form")


def _policy(form_action: str) -> str:
    allowed = f"default-src 'none'; style-src 'self'; img-src 'self'; form-action {form_action}"
    return f"{allowed}; base-uri 'none'; frame-ancestors 'none'"


def _finish(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", _policy("'none'"))
    headers.setdefault("Cache-Control", "no-store")
    headers["Vary"] = "Accept-Language, Cookie"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["X-Request-Id"] = visitor().request_id
    if BODY_ERROR in request.environ:
        headers["Connection"] = "close"  # nothing more is read from it
    return response


def _failed(error: Exception) -> Response:
    problem = page_problem(error)
    if problem.status >= 500:
        log_failure(error, visitor().request_id)
    response = page("error.html", actor=None, status=problem.status, problem=problem, request_id=visitor().request_id)
    for name, value in problem.headers:
        response.headers[name] = value
    return response
