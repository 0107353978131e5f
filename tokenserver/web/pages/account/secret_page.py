"""The page that shows a new secret, of a person or a robot: the only time that it is shown."""

from __future__ import annotations

from flask import Response

from tokenserver.credentials import Secret
from tokenserver.management.actors import Actor
from tokenserver.storage.credential import StoredCredential
from tokenserver.web.pages.account.secret_form import login_commands
from tokenserver.web.pages.shell import page, the_site


def secret_page(
    actor: Actor, made: tuple[Secret, StoredCredential], *, back: str, robot: str | None = None, service: str = ""
) -> Response:
    """The page, for what the actor has just made. `robot` is whose it is, None: the actor's own.

    `back` is where the page leads to, `service` the only registry that the secret is for; empty: all of them.
    """
    secret, credential = made
    name = actor.identity.subject if robot is None else robot
    commands = login_commands(the_site().settings, name, service)
    return page(
        "secret.html",
        actor=actor,
        secret=secret.reveal(),
        made=credential,
        commands=commands,
        back=back,
        robot=robot,
    )
