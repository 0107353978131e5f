"""The pages of administrators: all robots, and everybody's keys and logins."""

from __future__ import annotations

from flask import Blueprint, Response, request

from tokenserver.management.actors import Actor
from tokenserver.management.facts import LIVE_STATES, is_live, state_of
from tokenserver.management.refusals import InvalidWish
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
    robots = [(one, sum(each.state in LIVE_STATES for each in one.secrets)) for one in management.robots(actor)]
    holders = management.holders(actor)
    return page("admin.html", actor=actor, robots=robots, holders=holders)


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
        the_site().management.end_logins_of(actor, user, form.get("reason", ""))
    except InvalidWish as error:
        return _person_page(actor, user, status=400, wrong=error.faults[0].message, reason=form.get("reason", ""))
    return see_other("/admin/person", user=user, note="logins-ended")


@administrators_only
def end_login(actor: Actor) -> Response:
    """End one login of a person."""
    form = checked_form()
    the_site().management.end_login(actor, form.get("id", ""), form.get("user", ""))
    return see_other("/admin/person", user=form.get("user", ""), note="login-ended")


@administrators_only
def end_key(actor: Actor) -> Response:
    """End a key of a person."""
    form = checked_form()
    user, reason = form.get("user", ""), form.get("reason", "")
    try:
        the_site().management.end_access_key(actor, form.get("id", ""), reason)
    except InvalidWish as error:
        return _person_page(actor, user, status=400, wrong=error.faults[0].message, reason=reason)
    return see_other("/admin/person", user=user, note="key-ended")


def _person_page(
    actor: Actor, user: str, *, status: int = 200, note: str | None = None, wrong: str | None = None, reason: str = ""
) -> Response:
    management = the_site().management
    moment = management.context.moment
    keys = management.access_keys(actor, user)
    return page(
        "person.html",
        actor=actor,
        status=status,
        user=user,
        keys=[(one, state_of(one, moment)) for one in keys if is_live(one, moment)],
        logins=management.logins(actor, user),
        note=note,
        wrong=wrong,
        reason=reason,
    )
