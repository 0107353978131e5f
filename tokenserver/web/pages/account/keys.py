"""The pages of personal access keys: making one, whose secret is shown once, and changing or ending one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from flask import Blueprint, Response

from tokenserver.management.actors import Actor
from tokenserver.management.facts import is_live, state_of
from tokenserver.management.refusals import InvalidWish, NotFoundHere
from tokenserver.management.rights import owns
from tokenserver.management.wishes import SecretLifetimes
from tokenserver.storage.selection import Listed
from tokenserver.web.pages.account.endings import KEY, ask_first, is_sure
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

SUGGESTED_LIFETIME = timedelta(hours=12)
"""How long a key is valid that is made on the page, unless another lifetime is chosen."""


def keys_blueprint() -> Blueprint:
    """The pages."""
    blueprint = pages_blueprint("keys")
    blueprint.add_url_rule("/account/keys/new", "new", new, methods=["GET"])
    blueprint.add_url_rule("/account/keys/new", "make", make, methods=["POST"])
    blueprint.add_url_rule("/account/keys/<identifier>", "show", show, methods=["GET"])
    blueprint.add_url_rule("/account/keys/<identifier>/rename", "rename", rename, methods=["POST"])
    blueprint.add_url_rule("/account/keys/<identifier>/replace", "rotate", rotate, methods=["POST"])
    blueprint.add_url_rule("/account/keys/<identifier>/end", "end", end, methods=["POST"])
    return blueprint


@signed_in
def new(actor: Actor) -> Response:
    """The form for a new key."""
    if not is_fresh(actor):
        return to_login()
    return _new_page(actor, _form())


@signed_in
def make(actor: Actor) -> Response:
    """Make a key, and show its secret."""
    sent = checked_form(once=True)
    try:
        made = the_site().management.create_access_key(actor, wish_of(sent))
    except InvalidWish as error:
        return _new_page(actor, replace(_form(sent), wrong=wrong_fields(error.faults)), status=400)
    return secret_page(actor, made, back="/account", service=sent.get("service", ""))


@signed_in
def show(actor: Actor, identifier: str) -> Response:
    """One key."""
    return _key_page(actor, identifier)


@signed_in
def rename(actor: Actor, identifier: str) -> Response:
    """Give a key another name."""
    name = checked_form().get("name", "").strip()
    try:
        the_site().management.rename_access_key(actor, identifier, name)
    except InvalidWish as error:
        return _key_page(actor, identifier, name=name, wrong=error.faults[0].message)
    return see_other("/account", note="key-renamed")


@signed_in
def rotate(actor: Actor, identifier: str) -> Response:
    """Make the successor of a key, and show its secret."""
    if not is_fresh(actor):
        return to_login()
    checked_form(once=True)
    made = the_site().management.rotate_access_key(actor, identifier)
    return secret_page(actor, made, back="/account")


@signed_in
def end(actor: Actor, identifier: str) -> Response:
    """End a key."""
    form = checked_form()
    if not is_sure(form):
        key = _own_key(actor, identifier).credential
        return ask_first(actor, form, KEY, back=f"/account/keys/{identifier}", name=key.name or key.id)
    the_site().management.end_access_key(actor, identifier)
    return see_other("/account", note="key-ended")


def _form(typed: Mapping[str, str] | None = None) -> SecretForm:
    site = the_site()
    most = timedelta(seconds=site.management.access_key_settings.max_lifetime)
    return secret_form(site.settings, SecretLifetimes(SUGGESTED_LIFETIME, most), typed=typed)


def _new_page(actor: Actor, form: SecretForm, *, status: int = 200) -> Response:
    return page("new_key.html", actor=actor, status=status, form=form)


def _own_key(actor: Actor, identifier: str) -> Listed:
    found = the_site().management.access_key(actor, identifier)
    if not owns(actor.identity, found.credential):
        raise NotFoundHere("there is no such access key")
    return found


def _key_page(actor: Actor, identifier: str, *, name: str | None = None, wrong: str | None = None) -> Response:
    management = the_site().management
    found, moment = _own_key(actor, identifier), management.context.moment
    return page(
        "key.html",
        actor=actor,
        status=200 if wrong is None else 400,
        key=found,
        state=state_of(found, moment),
        is_live=is_live(found, moment),
        name=found.credential.name if name is None else name,
        wrong=wrong,
        overlap=management.access_key_settings.rotate_overlap // 3600,
    )
