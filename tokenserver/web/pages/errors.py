"""Errors as pages: what went wrong, and what the reader can do, in one sentence each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed

from tokenserver.errors import (
    BackendUnavailable,
    InvalidCredentials,
    PlainHttp,
    RequestError,
    ServiceError,
    Throttled,
)
from tokenserver.management.openid.openid_sign_in import NoSuchProvider
from tokenserver.management.refusals import ActorEnded, Conflict, InvalidWish, MayNotManage, NotFoundHere, ProofTooOld
from tokenserver.management.sign_in import NoPassword
from tokenserver.web.parameters import BodyTooSlow, RequestTooLarge, UnsupportedMediaType


class FormRefused(RequestError):
    """A form that was not made for this browser, or that another site sent."""


class CookieMissing(FormRefused):
    """A form from a browser that sent no cookie of ours."""


class LoginEnded(RequestError):
    """The login ended while somebody filled in a form."""


class FormSentTwice(RequestError):
    """A form that is accepted once, and was."""


class NotAllowed(RequestError):
    """This person may not do that. The text is a sentence of a page."""


@dataclass(frozen=True, slots=True)
class PageProblem:
    """An error as a page shows it: English texts, and the values for their names.

    `reason` is one of management, which is translated by itself.
    `keeps_typed`: nothing was changed, and the page shows what was typed. `needs_login`: a login is what helps.
    """

    status: int
    title: str
    text: str
    values: dict[str, Any] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    keeps_typed: bool = False
    needs_login: bool = False


_BY_STATUS = {
    404: PageProblem(404, "Not found", "There is no page at this address."),
    405: PageProblem(405, "Not possible", "This address is for a form. Go to your account page, and begin there."),
    413: PageProblem(413, "Too large", "What you sent is too large."),
}
_UNREADABLE = PageProblem(400, "Not understood", "The server could not read the request. Go back, and try again.")
_INTERNAL = PageProblem(500, "Something went wrong", "The server made a mistake. Its log says more.", keeps_typed=True)


def page_problem(error: Exception) -> PageProblem:  # noqa: PLR0912 - a case for each error
    """What the page about this error says."""
    match error:
        case NoSuchProvider():
            return _BY_STATUS[404]
        case NoPassword():
            text = "This is an access key, not a password. Log in with the password of your account."
            return PageProblem(403, "Login failed", text)
        case InvalidCredentials():
            return PageProblem(403, "Login failed", "The user name or the password is wrong.")
        case Throttled():
            text = "There were too many attempts. Wait {seconds} seconds, then try again."
            headers = (("Retry-After", str(error.retry_after)),)
            return PageProblem(429, "Too many attempts", text, {"seconds": error.retry_after}, headers)
        case CookieMissing():
            text = "The browser sent no cookie of this page. Allow cookies for it, then load it again."
            return PageProblem(403, "Form refused", text, keeps_typed=True)
        case FormRefused():
            text = "This form is too old, or it is from another site. Nothing was changed. Load the page again."
            return PageProblem(403, "Form refused", text, keeps_typed=True)
        case LoginEnded() | ActorEnded():
            text = "Your login ended while you filled in the form. Nothing was changed. Log in, and send it again."
            return PageProblem(403, "You were logged out", text, keeps_typed=True, needs_login=True)
        case FormSentTwice():
            text = "This form was sent before, and is accepted only once. Nothing was changed this time."
            return PageProblem(409, "Sent before", text)
        case ProofTooOld():
            text = "Your login is more than an hour old. Nothing was made. Log in again, and send it once more."
            return PageProblem(403, "Log in again", text, keeps_typed=True, needs_login=True)
        case MayNotManage():
            return PageProblem(403, "Not allowed", "You may not do this: {reason}.", reason=str(error))
        case NotFoundHere():
            return PageProblem(404, "Not found", "There is nothing like this that you may see.")
        case Conflict():
            return PageProblem(409, "Not possible now", "Nothing was changed: {reason}.", reason=str(error))
        case InvalidWish():
            fault = error.faults[0]
            return PageProblem(400, "Not accepted", "Nothing was changed: {reason}.", reason=fault.message)
        case NotAllowed():
            return PageProblem(403, "Not allowed", str(error))
        case PlainHttp():
            text = "This page is not answered without encryption. Use its address that begins with https."
            return PageProblem(403, "Use https", text)
        case RequestTooLarge():
            return _BY_STATUS[413]
        case BodyTooSlow():
            return PageProblem(408, "Too slow", "The form took too long to arrive. Go back, and send it again.")
        case UnsupportedMediaType():
            return PageProblem(415, "Not understood", _UNREADABLE.text)
        case BackendUnavailable():
            text = "The server cannot answer now. Wait {seconds} seconds, then try again."
            headers = (("Retry-After", str(error.retry_after)),)
            return PageProblem(503, "Not available", text, {"seconds": error.retry_after}, headers, keeps_typed=True)
        case ServiceError():
            text = "The server cannot answer now. Try again later."
            return PageProblem(503, "Not available", text, keeps_typed=True)
        case MethodNotAllowed():
            allowed = ", ".join(sorted(error.valid_methods or ()))
            found = _BY_STATUS[405]
            return PageProblem(405, found.title, found.text, headers=(("Allow", allowed),))
        case HTTPException():
            return _BY_STATUS.get(error.code or 500, _UNREADABLE if (error.code or 500) < 500 else _INTERNAL)
        case RequestError():
            return _UNREADABLE
        case _:
            return _INTERNAL
