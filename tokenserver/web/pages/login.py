"""The pages `/login` and `/logout`."""

from __future__ import annotations

from flask import Blueprint, Response, request

from tokenserver.credentials import Secret
from tokenserver.errors import InvalidCredentials, Throttled
from tokenserver.exchange.audit_events import shown
from tokenserver.management.actors import Actor
from tokenserver.web.authorization_header import normalize_username
from tokenserver.web.pages.errors import PageProblem, page_problem
from tokenserver.web.pages.shell import (
    checked_form,
    current_actor,
    is_fresh,
    next_path,
    page,
    pages_blueprint,
    see_other,
    signed_in,
    slot_released,
    the_site,
    visitor,
)

START = "/account"
"""Where a login leads by default."""

NOTES = {
    "ended": "You were logged out. Log in again.",
    "logged-out": "You are logged out.",
    "again": "You logged in a while ago. To go on, log in again.",
}
"""Texts that an address may ask for, by `note`."""


def login_blueprint() -> Blueprint:
    """The pages for logging in and out."""
    blueprint = pages_blueprint("login")
    blueprint.add_url_rule("/login", "show", show, methods=["GET"])
    blueprint.add_url_rule("/login", "log_in", log_in, methods=["POST"])
    blueprint.add_url_rule("/logout", "log_out", log_out, methods=["POST"])
    return blueprint


def show() -> Response:
    """The buttons of providers, and the form for passwords. Somebody who is logged in is redirected.

    There is no redirect to a provider without a click: it would log people in again right after a logout.
    """
    wanted, actor = next_path(request.args.get("next")), current_actor()
    if actor is not None and is_fresh(actor):
        return see_other(wanted or START)
    username = "" if actor is None else actor.identity.subject
    return _form(wanted, username, note=NOTES.get(request.args.get("note", "")))


def log_in() -> Response:
    """Check a password, and begin a session."""
    form = checked_form(before_login=True)
    wanted, typed = next_path(form.get("next")), form.get("username", "")
    site = the_site()
    try:
        try:
            username = normalize_username(typed)
        except InvalidCredentials as error:
            site.sign_in.failed(error, typed, **visitor()._asdict())
            raise
        with slot_released(), site.admission:
            cookie, _ = site.sign_in.by_password(username, Secret(form.get("password", "")), **visitor()._asdict())
    except (InvalidCredentials, Throttled) as error:
        return _form(wanted, shown(typed[:256]), problem=page_problem(error))
    before = current_actor()
    if before is not None:
        site.sign_in.end(before)
    response = see_other(wanted or START)
    site.cookies.put(response, site.cookies.session, cookie)
    site.cookies.drop(response, site.cookies.visit)
    return response


@signed_in
def log_out(actor: Actor) -> Response:
    """End the session of this browser."""
    checked_form()
    site = the_site()
    site.sign_in.end(actor)
    provider = None if site.openid is None else site.openid.sign_in.provider_of(actor.session)
    response = see_other("/login", note="logged-out") if provider is None else see_other(f"/logout/done/{provider}")
    site.cookies.drop(response, site.cookies.session)
    return response


def _form(
    wanted: str | None, username: str, *, note: str | None = None, problem: PageProblem | None = None
) -> Response:
    response = page(
        "login.html",
        actor=None,
        status=200 if problem is None else problem.status,
        wanted=wanted,
        username=username,
        note=note,
        problem=problem,
        providers=the_site().providers,
        takes_passwords=the_site().takes_passwords,
    )
    for name, value in () if problem is None else problem.headers:
        response.headers[name] = value
    return response
