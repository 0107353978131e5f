"""Visits: whose browser a request is from, who is logged in there, and where pages lead.

The pages get all of this from `shell`.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode

from flask import Response, current_app, g, request

from tokenserver.management import rights
from tokenserver.management.actors import Actor
from tokenserver.management.sign_in import Visitor
from tokenserver.web.pages.guard import GUARD
from tokenserver.web.pages.rendering.renderer import Renderer
from tokenserver.web.pages.site import Site

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

_NEXT_WITH_CODE = re.compile(r"/device\?user_code=[A-Z0-9-]{1,16}", re.ASCII)
SHELL = "tokenserver.shell"
"""Where an application keeps its `Shell`, among the extensions."""


@dataclass(frozen=True, slots=True)
class Shell:
    """What every page of an application shares."""

    site: Site
    renderer: Renderer
    paths: frozenset[str]


def the_shell() -> Shell:
    """The shell of the application of this request."""
    return cast("Shell", current_app.extensions[SHELL])


def the_site() -> Site:
    """The site of this request."""
    return the_shell().site


def visitor() -> Visitor:
    """The browser of this request."""
    if "visitor" not in g:
        environ, site = request.environ, the_site()
        client = site.client_of(environ.get("REMOTE_ADDR") or "", environ.get("HTTP_X_FORWARDED_FOR"))
        g.visitor = Visitor(client, environ.get("HTTP_USER_AGENT") or None, site.new_id())
    return cast("Visitor", g.visitor)


def current_actor() -> Actor | None:
    """The person who is logged in with this browser; None if nobody is.

    Raises:
        BackendUnavailable: the storage or the user source cannot tell.
    """
    if "actor" not in g:
        site = the_site()
        cookie = site.cookies.read(request, site.cookies.session)
        g.actor = None if cookie is None else site.sign_in.actor(cookie, **visitor()._asdict())
    return cast("Actor | None", g.actor)


def known_actor() -> Actor | None:
    """The person who is logged in, if this request has looked them up already; no source is asked."""
    return cast("Actor | None", g.get("actor"))


def is_fresh(actor: Actor) -> bool:
    """Whether this person logged in so recently that changes are accepted."""
    return rights.is_fresh(actor, the_site().now())


def to_login() -> Response:
    """A redirect to the login page, also for a login that is not fresh, and from there back to this page."""
    had_session = the_site().cookies.session in request.cookies
    note = "again" if current_actor() is not None else "ended" if had_session else None
    values = {"next": known_path(), "note": note}
    return see_other("/login", **{name: value for name, value in values.items() if value is not None})


def known_path() -> str | None:
    """The page that a login from here may lead to: this one, or the one above."""
    path = request.path
    return next_path(request.full_path) or next_path(path) or next_path("/" + path.split("/")[1])


def see_other(path: str, **query: str) -> Response:
    """A redirect to another page, which the browser loads by GET."""
    target = the_site().prefix + path + (f"?{urlencode(query)}" if query else "")
    return Response("", 303, headers={"Location": target})


def next_path(wanted: str | None) -> str | None:
    """A path that a login may lead to: `wanted`, if it is one."""
    is_known = wanted is not None and (wanted in NEXT_PATHS or _NEXT_WITH_CODE.fullmatch(wanted) is not None)
    return wanted if is_known else None


def slot_released() -> AbstractContextManager[None]:
    """Let other pages be answered while this request waits for something else."""
    guard = request.environ.get(GUARD)
    return nullcontext() if guard is None else guard.slot_released()
