"""Operations on personal access keys."""

from __future__ import annotations

from tokenserver.management.facts import is_live
from tokenserver.storage.selection import Listed
from tokenserver.web.api.answers import KeyDocument, KeyPage, NewSecretDocument
from tokenserver.web.api.cursors import MAX_LIMIT, USUAL_LIMIT, SortKey, page_of
from tokenserver.web.api.documents import key_document, new_secret_document
from tokenserver.web.api.operation import Call, Operation, QueryParameter, Reply
from tokenserver.web.api.requests import NewAccessKey, Renaming, Rotation

PAGING = (
    QueryParameter("limit", f"How many items to answer at most; {USUAL_LIMIT} if left out.", True, MAX_LIMIT),
    QueryParameter("cursor", "Where to go on: `next` of the page before."),
)
USER = QueryParameter("user", "Whose, for an administrator; your own if left out.")
REASON = QueryParameter("reason", "Why; an administrator needs one for what belongs to somebody else.")
STATE = QueryParameter(
    "state", "`live`: those that can be used (if left out); `all`: also those that ended.", choices=("live", "all")
)


def list_access_keys(call: Call) -> Reply:
    """The keys of the client or of another user."""
    found = call.management.access_keys(call.who, call.query.get("user"))
    if call.query.get("state") != "all":
        found = [one for one in found if is_live(one, call.moment)]
    items, following = page_of(
        found, _newest_first, limit=call.number("limit", USUAL_LIMIT), cursor=call.query.get("cursor")
    )
    return Reply(200, KeyPage(items=[key_document(one, call.moment) for one in items], next=following))


def create_access_key(call: Call) -> Reply:
    """A new key."""
    body: NewAccessKey = call.content()
    secret, made = call.management.create_access_key(call.who, body.wish(), call.query.get("user"), body.reason)
    listed = Listed(made)
    return Reply(201, new_secret_document(secret, listed, call.moment), f"/access-keys/{made.id}")


def get_access_key(call: Call) -> Reply:
    """One key."""
    return Reply(200, key_document(call.management.access_key(call.who, call.path["id"]), call.moment))


def rename_access_key(call: Call) -> Reply:
    """Another name."""
    body: Renaming = call.content()
    return Reply(
        200, key_document(call.management.rename_access_key(call.who, call.path["id"], body.name), call.moment)
    )


def rotate_access_key(call: Call) -> Reply:
    """A successor."""
    body: Rotation = call.content()
    secret, made = call.management.rotate_access_key(call.who, call.path["id"], body.lifetime_seconds)
    return Reply(201, new_secret_document(secret, Listed(made), call.moment), f"/access-keys/{made.id}")


def end_access_key(call: Call) -> Reply:
    """The end of a key."""
    call.management.end_access_key(call.who, call.path["id"], call.query.get("reason"))
    return Reply(204, None)


def _newest_first(listed: Listed) -> SortKey:
    return -listed.credential.created, listed.credential.id


KEY_OPERATIONS = (
    Operation(
        "GET",
        "/access-keys",
        "listAccessKeys",
        "List access keys",
        list_access_keys,
        answer=KeyPage,
        query=(USER, STATE, *PAGING),
    ),
    Operation(
        "POST",
        "/access-keys",
        "createAccessKey",
        "Make an access key",
        create_access_key,
        "The answer has the secret, which is shown once. A key can do at most what its owner can.",
        body=NewAccessKey,
        answer=NewSecretDocument,
        status=201,
        query=(USER,),
        problems=(409,),
    ),
    Operation("GET", "/access-keys/{id}", "getAccessKey", "Show an access key", get_access_key, answer=KeyDocument),
    Operation(
        "PATCH",
        "/access-keys/{id}",
        "renameAccessKey",
        "Rename an access key",
        rename_access_key,
        body=Renaming,
        answer=KeyDocument,
        problems=(409,),
    ),
    Operation(
        "DELETE",
        "/access-keys/{id}",
        "endAccessKey",
        "End an access key",
        end_access_key,
        "Every worker refuses it within two seconds. It never comes back.",
        status=204,
        query=(REASON,),
        problems=(409,),
    ),
    Operation(
        "POST",
        "/access-keys/{id}/rotate",
        "rotateAccessKey",
        "Replace an access key",
        rotate_access_key,
        "The new key has the same limits. The old one ends after the configured overlap.",
        body=Rotation,
        answer=NewSecretDocument,
        status=201,
        problems=(409,),
    ),
)
