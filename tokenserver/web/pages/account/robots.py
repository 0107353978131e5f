"""The pages of robots: their secrets, which the owners of a robot and administrators make, replace and end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flask import Blueprint, Response, request

from tokenserver.management.actors import Actor
from tokenserver.management.facts import LIVE_STATES
from tokenserver.management.refusals import InvalidWish, NotFoundHere
from tokenserver.management.robot_rules import MAX_LIVE, secret_lifetimes
from tokenserver.web.pages.account.endings import SECRET, ask_first, is_sure
from tokenserver.web.pages.account.secret_form import SecretForm, secret_form, wish_of, wrong_fields
from tokenserver.web.pages.account.secret_page import secret_page
from tokenserver.web.pages.shell import (
    checked_form,
    is_fresh,
    page,
    pages_blueprint,
    see_other,
    signed_in,
    the_site,
    to_login,
)

NOTES = {"secret-ended": "The secret has ended. Nobody can use it any more."}
"""Texts that an address may ask for, by `note`."""


def robots_blueprint() -> Blueprint:
    """The pages."""
    blueprint = pages_blueprint("robots")
    blueprint.add_url_rule("/robots/<name>", "show", show, methods=["GET"])
    blueprint.add_url_rule("/robots/<name>/secrets", "make", make, methods=["POST"])
    blueprint.add_url_rule("/robots/<name>/secrets/<identifier>/replace", "rotate", rotate, methods=["POST"])
    blueprint.add_url_rule("/robots/<name>/secrets/<identifier>/end", "end", end, methods=["POST"])
    return blueprint


@signed_in
def show(actor: Actor, name: str) -> Response:
    """One robot."""
    return _robot_page(actor, name, _form())


@signed_in
def make(actor: Actor, name: str) -> Response:
    """Make a secret, and show it."""
    sent = checked_form(once=True)
    try:
        made = the_site().management.create_robot_secret(actor, name, wish_of(sent))
    except InvalidWish as error:
        return _robot_page(actor, name, replace(_form(sent), wrong=wrong_fields(error.faults)), status=400)
    return secret_page(actor, made, back=f"/robots/{name}", robot=name, service=sent.get("service", ""))


@signed_in
def rotate(actor: Actor, name: str, identifier: str) -> Response:
    """Make the successor of a secret, and show it."""
    if not is_fresh(actor):
        return to_login()
    checked_form(once=True)
    made = the_site().management.rotate_robot_secret(actor, name, identifier)
    return secret_page(actor, made, back=f"/robots/{name}", robot=name)


@signed_in
def end(actor: Actor, name: str, identifier: str) -> Response:
    """End a secret."""
    form = checked_form()
    if not is_sure(form):
        secrets = the_site().management.robot(actor, name).secrets
        notes = [one.note or one.id for one in secrets if one.id == identifier]
        if not notes:
            raise NotFoundHere("the robot has no such secret")
        return ask_first(actor, form, SECRET, back=f"/robots/{name}", name=notes[0])
    the_site().management.end_robot_secret(actor, name, identifier)
    return see_other(f"/robots/{name}", note="secret-ended")


def _form(typed: Mapping[str, str] | None = None) -> SecretForm:
    settings = the_site().settings
    return secret_form(settings, secret_lifetimes(settings), typed=typed)


def _robot_page(actor: Actor, name: str, form: SecretForm, *, status: int = 200) -> Response:
    robot = the_site().management.robot(actor, name)
    live = [one for one in robot.secrets if one.state in LIVE_STATES]
    return page(
        "robot.html",
        actor=actor,
        status=status,
        robot=robot,
        secrets=live,
        has_room=len(live) < MAX_LIVE,
        is_fresh=is_fresh(actor),
        form=form,
        note=NOTES.get(request.args.get("note", "")),
    )
