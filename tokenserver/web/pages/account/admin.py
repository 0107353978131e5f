"""The pages of administrators: all robots, and everybody's keys and logins."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, Response, request

from tokenserver.management.actors import Actor
from tokenserver.management.facts import LIVE_STATES, is_live, state_of
from tokenserver.management.refusals import InvalidWish
from tokenserver.management.wishes import parse_reason
from tokenserver.web.pages.account.endings import ALL_LOGINS, KEY, LOGIN, ask_first, is_sure, login_name
from tokenserver.web.pages.shell import administrators_only, checked_form, page, pages_blueprint, see_other, the_site

NOTES = {
    "login-ended": "The login has ended.",
    "logins-ended": "All logins of this person have ended.",
    "key-ended": "The access key has ended. Nobody can use it any more.",
}
"""Texts that an address may ask for, by `note`."""


def admin_blueprint() -> Blueprint:
    """The pages."""
    blueprint = pages_blueprint("admin")
    blueprint.add_url_rule("/admin", "show", show, methods=["GET"])
    blueprint.add_url_rule("/admin/person", "person", person, methods=["GET"])
    blueprint.add_url_rule("/admin/person/end-logins", "end_logins", end_logins, methods=["POST"])
    blueprint.add_url_rule("/admin/person/end-login", "end_login", end_login, methods=["POST"])
    blueprint.add_url_rule("/admin/person/end-key", "end_key", end_key, methods=["POST"])
    return blueprint


@administrators_only
def show(actor: Actor) -> Response:
    """Robots, and who is logged in."""
    management = the_site().management
    with management.reading():
        robots, holders = management.robots(actor), management.holders(actor)
    valid = [(one, sum(each.state in LIVE_STATES for each in one.secrets)) for one in robots]
    return page("admin.html", actor=actor, robots=valid, holders=holders)


@administrators_only
def person(actor: Actor) -> Response:
    """One person's keys and logins."""
    note = NOTES.get(request.args.get("note", ""))
    return _person_page(actor, request.args.get("user", ""), note=note)


@administrators_only
def end_logins(actor: Actor) -> Response:
    """End all logins of a person."""
    form = checked_form()
    user = form.get("user", "")
    try:
        parse_reason(form.get("reason", ""))
        if not is_sure(form):
            return ask_first(actor, form, ALL_LOGINS, back=_address_of(user), name=user)
        the_site().management.end_logins_of(actor, user, form.get("reason", ""))
    except InvalidWish as error:
        return _person_page(actor, user, status=400, wrong=error.faults[0].message, reason=form.get("reason", ""))
    return see_other("/admin/person", user=user, note="logins-ended")


@administrators_only
def end_login(actor: Actor) -> Response:
    """End one login of a person."""
    form = checked_form()
    identifier, user, management = form.get("id", ""), form.get("user", ""), the_site().management
    if not is_sure(form):
        name = login_name(management.logins(actor, user), identifier)
        return ask_first(actor, form, LOGIN, back=_address_of(user), name=name)
    management.end_login(actor, identifier, user)
    return see_other("/admin/person", user=user, note="login-ended")


@administrators_only
def end_key(actor: Actor) -> Response:
    """End a key of a person."""
    form = checked_form()
    user, reason = form.get("user", ""), form.get("reason", "")
    management = the_site().management
    try:
        parse_reason(reason)
        if not is_sure(form):
            key = management.access_key(actor, form.get("id", "")).credential
            return ask_first(actor, form, KEY, back=_address_of(user), name=key.name or key.id)
        management.end_access_key(actor, form.get("id", ""), reason)
    except InvalidWish as error:
        return _person_page(actor, user, status=400, wrong=error.faults[0].message, reason=reason)
    return see_other("/admin/person", user=user, note="key-ended")


def _address_of(user: str) -> str:
    return f"/admin/person?{urlencode({'user': user})}"


def _person_page(
    actor: Actor, user: str, *, status: int = 200, note: str | None = None, wrong: str | None = None, reason: str = ""
) -> Response:
    management = the_site().management
    moment = management.context.moment
    with management.reading():
        keys, logins = management.access_keys(actor, user), management.logins(actor, user)
    return page(
        "person.html",
        actor=actor,
        status=status,
        user=user,
        keys=[(one, state_of(one, moment)) for one in keys if is_live(one, moment)],
        logins=logins,
        note=note,
        wrong=wrong,
        reason=reason,
    )
