"""All operations of the API, in the order of its document."""

from __future__ import annotations

import json
from functools import cache

from tokenserver.scopes import parse_scopes
from tokenserver.web.api.answers import ExplanationDocument, WhoAmIDocument
from tokenserver.web.api.documents import whoami_document
from tokenserver.web.api.openapi import document_text
from tokenserver.web.api.operation import Call, Operation, QueryParameter, Reply
from tokenserver.web.api.operations.access_keys import KEY_OPERATIONS
from tokenserver.web.api.operations.logins import LOGIN_OPERATIONS
from tokenserver.web.api.operations.robots import ROBOT_OPERATIONS
from tokenserver.web.payloads import explanation_body


def whoami(call: Call) -> Reply:
    """The client, whatever credential it used."""
    return Reply(200, whoami_document(call.management.whoami(call.who)))


def explain(call: Call) -> Reply:
    """What the client would be granted now."""
    limits = call.management.scope_limits
    found = call.management.explain(call.who, call.query.get("service"), parse_scopes(call.repeated["scope"], limits))
    content = json.loads(explanation_body(found.ruling, found.denials))
    return Reply(200, ExplanationDocument.model_validate(content))


def openapi(call: Call) -> Reply:
    """The document of the API."""
    return Reply(200, _document(call.management.context.settings.server.path))


@cache
def _document(prefix: str) -> bytes:
    return document_text(OPERATIONS, prefix).encode("utf-8")


OPERATIONS = (
    Operation(
        "GET",
        "/whoami",
        "whoAmI",
        "Show who you are",
        whoami,
        "The only operation that every credential may use, access keys and refresh tokens included.",
        answer=WhoAmIDocument,
    ),
    *KEY_OPERATIONS,
    *ROBOT_OPERATIONS,
    *LOGIN_OPERATIONS,
    Operation(
        "GET",
        "/explain",
        "explain",
        "Explain what you would be granted",
        explain,
        "As `explain=1` at the token endpoint: the rules that decide now, and what is missing. Nothing is issued.",
        answer=ExplanationDocument,
        query=(
            QueryParameter("service", "The registry; may be left out where there is only one."),
            QueryParameter(
                "scope", "What to explain, such as `repository:web/site:pull,push`.", is_required=True, may_repeat=True
            ),
        ),
    ),
    Operation(
        "GET",
        "/openapi.json",
        "openApi",
        "Describe this API",
        openapi,
        "This document. No credentials are needed.",
        is_public=True,
    ),
)
