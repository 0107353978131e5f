"""The pages of personal access keys: making one, whose secret is shown once, and changing or ending one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flask import Blueprint, Response

from tokenserver.config.credentials import AccessKeySettings
from tokenserver.credentials import Secret
from tokenserver.management.actors import Actor
from tokenserver.management.facts import is_live, state_of
from tokenserver.management.refusals import InvalidWish, NotFoundHere
from tokenserver.storage.credential import StoredCredential
from tokenserver.web.pages.account.secret_form import SecretForm, login_commands, secret_form, wish_of, wrong_fields
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
        secret, made = the_site().management.create_access_key(actor, wish_of(sent))
    except InvalidWish as error:
        return _new_page(actor, replace(_form(sent), wrong=wrong_fields(error.faults)), status=400)
    return _made(actor, secret, made, sent.get("service", ""))


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
    secret, made = the_site().management.rotate_access_key(actor, identifier)
    return _made(actor, secret, made)


@signed_in
def end(actor: Actor, identifier: str) -> Response:
    """End a key."""
    checked_form()
    the_site().management.end_access_key(actor, identifier)
    return see_other("/account", note="key-ended")


def _form(typed: Mapping[str, str] | None = None) -> SecretForm:
    return secret_form(the_site().settings, _settings().max_lifetime, typed=typed)


def _settings() -> AccessKeySettings:
    settings = the_site().settings.access_keys
    if settings is None:
        raise NotFoundHere("there are no personal access keys at this server")
    return settings


def _new_page(actor: Actor, form: SecretForm, *, status: int = 200) -> Response:
    return page("new_key.html", actor=actor, status=status, form=form)


def _key_page(actor: Actor, identifier: str, *, name: str | None = None, wrong: str | None = None) -> Response:
    management = the_site().management
    found, moment = management.access_key(actor, identifier), management.context.moment
    is_own = found.credential.owner == actor.identity.subject and found.credential.source == actor.identity.source
    if not is_own:
        raise NotFoundHere("there is no such access key")
    return page(
        "key.html",
        actor=actor,
        status=200 if wrong is None else 400,
        key=found,
        state=state_of(found, moment),
        is_live=is_live(found, moment),
        name=found.credential.name if name is None else name,
        wrong=wrong,
        overlap=_settings().rotate_overlap // 3600,
    )


def _made(actor: Actor, secret: Secret, made: StoredCredential, service: str = "") -> Response:
    commands = login_commands(the_site().settings, actor.identity.subject, service)
    return page(
        "secret.html",
        actor=actor,
        secret=secret.reveal(),
        made=made,
        commands=commands,
        back="/account",
        robot=None,
    )
