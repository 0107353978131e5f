"""The page `/account`: who somebody is, their groups, keys, robots and logins."""

from __future__ import annotations

from flask import Blueprint, Response, request

from tokenserver.management.actors import Actor
from tokenserver.management.facts import is_live, state_of
from tokenserver.web.pages.account.endings import LOGIN, OTHER_LOGINS, ask_first, is_sure, login_name
from tokenserver.web.pages.shell import checked_form, page, pages_blueprint, see_other, signed_in, the_site

NOTES = {
    "key-ended": "The access key has ended. Nobody can use it any more.",
    "key-renamed": "The access key has its new name.",
    "login-ended": "The login has ended.",
    "logins-ended": "All other logins have ended.",
}
"""Texts that an address may ask for, by `note`."""


def account_blueprint() -> Blueprint:
    """The page, and what its buttons do."""
    blueprint = pages_blueprint("account")
    blueprint.add_url_rule("/account", "show", show, methods=["GET"])
    blueprint.add_url_rule("/account/logins/<identifier>/end", "end_login", end_login, methods=["POST"])
    blueprint.add_url_rule("/account/logins/end-others", "end_others", end_others, methods=["POST"])
    return blueprint


@signed_in
def show(actor: Actor) -> Response:
    """The page."""
    site = the_site()
    management, moment = site.management, site.management.context.moment
    with management.reading():
        keys = management.access_keys(actor) if site.settings.access_keys is not None else None
        robots, logins = management.robots(actor), management.logins(actor)
    live = None if keys is None else [(one, state_of(one, moment)) for one in keys if is_live(one, moment)]
    return page(
        "account.html",
        actor=actor,
        me=management.whoami(actor),
        keys=live,
        ended=[(one, state_of(one, moment)) for one in keys or () if not is_live(one, moment)][:MAX_ENDED],
        robots=robots,
        logins=logins,
        note=NOTES.get(request.args.get("note", "")),
    )


MAX_ENDED = 10
"""How many keys are shown that have ended."""


@signed_in
def end_login(actor: Actor, identifier: str) -> Response:
    """End one login."""
    form = checked_form()
    if not is_sure(form):
        name = login_name(the_site().management.logins(actor), identifier)
        return ask_first(actor, form, LOGIN, back="/account", name=name)
    the_site().management.end_login(actor, identifier)
    return see_other("/account", note="login-ended")


@signed_in
def end_others(actor: Actor) -> Response:
    """End all logins but this one."""
    form = checked_form()
    if not is_sure(form):
        return ask_first(actor, form, OTHER_LOGINS, back="/account")
    the_site().management.end_logins_of(actor, actor.identity.subject)
    return see_other("/account", note="logins-ended")
