"""Operations on stored logins: refresh tokens, sessions of workloads and sessions of browsers."""

from __future__ import annotations

from tokenserver.web.api.answers import EndedLogins, LoginPage
from tokenserver.web.api.cursors import USUAL_LIMIT, page_of
from tokenserver.web.api.documents import login_document
from tokenserver.web.api.operation import Call, Operation, Reply
from tokenserver.web.api.operations.access_keys import PAGING, USER
from tokenserver.web.api.requests import EndLogins


def list_logins(call: Call) -> Reply:
    """The logins of the client or of another user."""
    items, following = page_of(
        call.management.logins(call.who, call.query.get("user")),
        lambda login: (-login.created, login.id),
        limit=call.number("limit", USUAL_LIMIT),
        cursor=call.query.get("cursor"),
    )
    return Reply(200, LoginPage(items=[login_document(one) for one in items], next=following))


def end_login(call: Call) -> Reply:
    """The end of a login."""
    call.management.end_login(call.who, call.path["id"], call.query.get("user"))
    return Reply(204, None)


def end_logins(call: Call) -> Reply:
    """The end of all logins of somebody."""
    body: EndLogins = call.content()
    return Reply(200, EndedLogins(ended=call.management.end_logins_of(call.who, call.path["subject"], body.reason)))


LOGIN_OPERATIONS = (
    Operation(
        "GET",
        "/logins",
        "listLogins",
        "List stored logins that can be used",
        list_logins,
        answer=LoginPage,
        query=(USER, *PAGING),
    ),
    Operation(
        "DELETE",
        "/logins/{id}",
        "endLogin",
        "End a stored login",
        end_login,
        "The client that has it must log in again.",
        status=204,
        query=(USER,),
        problems=(409,),
    ),
    Operation(
        "POST",
        "/people/{subject}/end-logins",
        "endLogins",
        "End all stored logins of somebody",
        end_logins,
        "Refresh tokens, sessions of workloads and sessions of browsers, except the one of this request. Access keys"
        " stay.",
        body=EndLogins,
        answer=EndedLogins,
        problems=(409,),
    ),
)
