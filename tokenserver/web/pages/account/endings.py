"""The question before something ends for good: asked of every form that ends something, and answered by a button."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from flask import Response, request

from tokenserver.management.actors import Actor
from tokenserver.management.refusals import NotFoundHere
from tokenserver.management.views import LoginView
from tokenserver.web.pages.rendering.spelling import spell_program
from tokenserver.web.pages.shell import page

SURE = "sure"
"""The field of the answer."""


class EndQuestion(NamedTuple):
    """What is asked and what follows from it: English texts, in which `{name}` is what ends, or whose it is."""

    question: str
    text: str


KEY = EndQuestion(
    "End the access key {name}?",
    "The key stops working within two seconds, everywhere, and never comes back."
    " Tokens that were issued already work until they expire, a few minutes later.",
)
SECRET = EndQuestion(
    "End the secret {name}?",
    "The secret stops working within two seconds, everywhere, and never comes back."
    " Tokens that were issued already work until they expire, a few minutes later.",
)
LOGIN = EndQuestion("End the login {name}?", "The browser or the program must log in again. This cannot be undone.")
OTHER_LOGINS = EndQuestion(
    "End all other logins?", "The browsers and programs must log in again. This cannot be undone."
)
ALL_LOGINS = EndQuestion(
    "End all logins of {name}?", "The browsers and programs must log in again. This cannot be undone."
)

ENDINGS = (KEY, SECRET, LOGIN, OTHER_LOGINS, ALL_LOGINS)


def is_sure(form: Mapping[str, str]) -> bool:
    """Whether a form that was sent has the answer already."""
    return form.get(SURE) == "yes"


def login_name(logins: Iterable[LoginView], identifier: str) -> str:
    """What people call a login among theirs: its program, or the beginning of its id.

    Raises:
        NotFoundHere: there is none with this id.
    """
    found = next((one for one in logins if one.id == identifier), None)
    if found is None:
        raise NotFoundHere("there is no such login")
    return spell_program(found.client) or identifier[:12]


def ask_first(actor: Actor, form: Mapping[str, str], ending: EndQuestion, *, back: str, name: str = "") -> Response:
    """The question, whose button sends the form again with the answer; `back` leads on without it."""
    fields = [(field, value) for field, value in form.items() if field != SURE]
    return page("ending.html", actor=actor, ending=ending, name=name, fields=fields, target=request.path, back=back)
