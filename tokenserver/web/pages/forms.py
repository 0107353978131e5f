"""Forms that were sent: accepted only from a page of ours, in the browser that it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from flask import request

from tokenserver.web.pages.errors import CookieMissing, FormRefused, FormSentTwice
from tokenserver.web.pages.guard import BODY_ERROR
from tokenserver.web.pages.site import Site
from tokenserver.web.pages.visits import the_site
from tokenserver.web.parameters import UnsupportedMediaType

_FORM = "application/x-www-form-urlencoded"


TYPED = (
    ("name", "Name"),
    ("repositories", "Repositories"),
    ("networks", "Networks"),
    ("reason", "Reason"),
    ("name.new", "Name"),
    ("text.new", "Text"),
)
"""The fields that people type in, besides those of the login, with their labels; the files of a change come on top."""


def typed_texts() -> list[tuple[str, str]]:
    """What somebody typed into the form of this request, each with its label, so that a refusal does not lose it.

    Empty unless the browser says that a page of this server sent the form: others must not choose texts of our pages.
    """
    if request.method != "POST" or request.headers.get("Sec-Fetch-Site") != "same-origin":
        return []
    if BODY_ERROR in request.environ:
        return []
    form = request.form.to_dict()
    files = [(form.get(f"name.{number}", ""), form.get(f"text.{number}", "")) for number in range(len(form))]
    return [(label, form.get(name, "")) for name, label in TYPED if form.get(name, "").strip()] + [
        # A label is a text with values in braces, see `translator`.
        (name.replace("{", "{{").replace("}", "}}"), text)
        for name, text in files
        if text
    ]


def checked_form(*, before_login: bool = False, once: bool = False) -> Mapping[str, str]:
    """The fields of the form that was sent, the first of each name, once it is known to be from a page of ours.

    `before_login`: it is bound to the browser, not to a session. `once`: it is accepted a single time, so that loading
    the answer again changes nothing.

    Raises:
        FormRefused: it was made for another browser, or another site sent it.
        FormSentTwice: it was accepted before.
        UnsupportedMediaType, RequestTooLarge: it is no form, or too large.
    """
    site = the_site()
    if request.mimetype != _FORM:
        raise UnsupportedMediaType("the body is not a form")
    _require_same_origin(site)
    form = request.form.to_dict()
    cookie = site.cookies.read(request, site.cookies.visit if before_login else site.cookies.session)
    token = form.pop("form", "")
    if cookie is None:
        raise CookieMissing("the browser sent no cookie of ours")
    if not site.forms.is_right(cookie, token):
        raise FormRefused("the form was not made for this browser, or too long ago")
    if once and not site.used_forms.use(token):
        raise FormSentTwice("the form was sent before")
    return form


def _require_same_origin(site: Site) -> None:
    """Check where a form comes from, as far as the browser says. With `no-referrer`, its Origin is null.

    Raises:
        FormRefused: another site sent it.
    """
    fetch_site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if fetch_site is not None and fetch_site != "same-origin":
        raise FormRefused("another site sent the form")
    if origin is None or origin == "null":
        return
    own = urlsplit(site.settings.server.pages_url)
    if origin != f"{own.scheme}://{own.netloc}" and urlsplit(origin).netloc != request.headers.get("Host"):
        raise FormRefused("another site sent the form")
