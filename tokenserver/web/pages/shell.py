"""The shell of all pages: who asks, the headers of every answer, checked forms, and errors as pages.

A page of this package is a view of a `pages_blueprint`, answers with `page`, and reads forms by `checked_form` only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from flask import Blueprint, Flask, Response, request

from tokenserver.credentials import Secret
from tokenserver.management.actors import Actor
from tokenserver.web.pages.cookies import new_visit
from tokenserver.web.pages.errors import LoginEnded, NotAllowed, PageProblem, page_problem
from tokenserver.web.pages.forms import checked_form, typed_texts
from tokenserver.web.pages.guard import BODY_ERROR, PagesForPeople, page_limit
from tokenserver.web.pages.rendering.assets import ICON, STYLE
from tokenserver.web.pages.rendering.renderer import LANGUAGES, Renderer
from tokenserver.web.pages.site import Site
from tokenserver.web.pages.visits import (
    NEXT_PATHS,
    SHELL,
    Shell,
    current_actor,
    is_fresh,
    known_actor,
    known_path,
    next_path,
    see_other,
    slot_released,
    the_shell,
    the_site,
    to_login,
    visitor,
)
from tokenserver.web.token_endpoint import log_failure

__all__ = [
    "NEXT_PATHS",
    "administrators_only",
    "attach",
    "checked_form",
    "current_actor",
    "error_page",
    "is_fresh",
    "next_path",
    "page",
    "pages_blueprint",
    "see_other",
    "signed_in",
    "slot_released",
    "the_site",
    "to_login",
    "visitor",
]

NAVIGATION = (("/account", "Account", False), ("/access", "Access", False), ("/admin", "Administration", True))
"""The links at the top of pages, as far as there are such pages: path, text, whether they are for administrators."""

HOME_PLACES = (
    ("/account", "Your account: access keys and logins"),
    ("/access", "What you may do, and why not"),
    ("/device", "Log in a terminal by its code"),
)
"""The pages that `/` leads to, as far as there are such pages."""


_P = ParamSpec("_P")
View = Callable[Concatenate[Actor, _P], Response]


def attach(app: Flask, site: Site, blueprints: list[Blueprint]) -> PagesForPeople:
    """Add the pages to an application; returns those that are at no path of their own."""
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    urls = {"url": lambda path: site.prefix + path, "style": STYLE.path, "icon": ICON.path}
    paths = frozenset(rule.rule for rule in app.url_map.iter_rules())
    app.extensions[SHELL] = Shell(site, Renderer(**urls), paths)
    return PagesForPeople(_home, lambda error: _finish(_failed(error)))


def _home(is_ready: bool) -> Response:
    """The page at `/`. It looks nobody up, so it costs little, and works while the storage does not."""
    places = [(path, text) for path, text in HOME_PLACES if path in the_shell().paths]
    return _finish(page("home.html", actor=None, is_ready=is_ready, places=places))


def pages_blueprint(name: str) -> Blueprint:
    """A blueprint whose answers are pages, errors included."""
    blueprint = Blueprint(name, __name__)
    blueprint.before_request(_admit)
    blueprint.after_request(_finish)
    blueprint.register_error_handler(Exception, _failed)
    return blueprint


def signed_in(view: View[_P]) -> Callable[_P, Response]:
    """A view for people who are logged in, which is called with the `Actor`; others are led to the login."""

    @wraps(view)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> Response:
        actor = current_actor()
        if actor is None:
            return _led_to_login()
        return view(actor, *args, **kwargs)

    return wrapped


def administrators_only(view: View[_P]) -> Callable[_P, Response]:
    """As `signed_in`, for administrators; others get an error page."""

    @wraps(view)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> Response:
        actor = current_actor()
        if actor is None:
            return _led_to_login()
        if not the_site().is_administrator(actor):
            raise NotAllowed("This page is for administrators.")
        return view(actor, *args, **kwargs)

    return wrapped


def _led_to_login() -> Response:
    """Lead somebody to the login, unless that would lose what they have typed.

    Raises:
        LoginEnded: they have typed something.
    """
    if typed_texts():
        raise LoginEnded("the login ended while a form was filled in")
    return to_login()


def page(
    template: str, *, actor: Actor | None, status: int = 200, form_action: str = "'self'", **values: Any
) -> Response:
    """The answer with this template. `form_action` is where its forms may lead, in the words of a CSP.

    In the template, `form_token()` is the value of the field `form`, which every form must have.
    """
    shell, language = the_shell(), _language()
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
    return error_page(problem, visitor().request_id)


def error_page(problem: PageProblem, request_id: str) -> Response:
    """The page about an error, with what was typed if that would be lost."""
    response = page(
        "error.html",
        actor=known_actor(),
        status=problem.status,
        problem=problem,
        request_id=request_id,
        typed=typed_texts() if problem.keeps_typed else [],
        wanted=known_path(),
    )
    for name, value in problem.headers:
        response.headers[name] = value
    return response
