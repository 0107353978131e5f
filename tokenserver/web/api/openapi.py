"""The OpenAPI 3.1 document, generated from the operations and the models of their bodies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from tokenserver.web.api.answers import ProblemDocument
from tokenserver.web.api.operation import API, Operation, QueryParameter

VERSION = "1.0.0"
"""The version of the API, which is not that of the program."""

PROBLEM = "application/problem+json"
JSON = "application/json"

IDEMPOTENCY_KEY = "Idempotency-Key"
MAX_IDEMPOTENCY_KEY = 255

_REFERENCE = "#/components/schemas/{model}"
_DESCRIPTION = (
    "Management of the credentials that tokenserver stores: access keys, secrets of robots, and stored logins.\n\n"
    "Log in with Basic, by the password of a person or the secret of a robot that is an administrator; or from a page"
    " of the server with its session and the header `X-CSRF-Token`. Other credentials may only ask who they are."
)
_HEADERS: dict[str, Any] = {
    "RequestId": {"description": "The id of the request, also in logs.", "schema": {"type": "string"}},
}


def document(operations: Sequence[Operation], prefix: str = "") -> dict[str, Any]:
    """The document as JSON values, of a server whose public URL has the path `prefix`."""
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tokenserver",
            "version": VERSION,
            "summary": "Management of stored credentials",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": prefix + API, "description": "Below the public URL of the server."}],
        "security": [{"basic": []}, {"session": [], "csrf": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(operations),
            "headers": _HEADERS,
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-tokenserver"},
                "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
            },
        },
    }


def document_text(operations: Sequence[Operation], prefix: str = "") -> str:
    """The document as it is committed and served; for `prefix` see `document`."""
    return json.dumps(document(operations, prefix), indent=2, ensure_ascii=False, sort_keys=False) + "\n"


def _operation(one: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": one.name, "summary": one.summary}
    if one.description:
        found["description"] = one.description
    parameters = [_path_parameter(name) for name in one.parameters] + [_parameter(query) for query in one.query]
    if one.method == "POST":
        parameters.append(_idempotency_key())
    if parameters:
        found["parameters"] = parameters
    if one.body is not None:
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": _reference(one.body)}}}
    found["responses"] = {str(one.status): _answer(one)} | {str(status): _problem(status) for status in _problems(one)}
    if one.is_public:
        found["security"] = []
    return found


def _problems(one: Operation) -> list[int]:
    found = {400, 500, 503, *one.problems}
    if not one.is_public:
        found |= {401, 403, 429}
    if one.parameters or any(query.name == "user" for query in one.query):
        found.add(404)
    if one.body is not None:
        found |= {408, 413, 415}
    if one.method == "POST":
        found |= {409, 422}
    return sorted(found)


def _answer(one: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": HTTPStatus(one.status).phrase,
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}},
    }
    if one.status == HTTPStatus.CREATED:
        found["headers"]["Location"] = {"description": "Where it is.", "schema": {"type": "string"}}
    if one.answer is not None:
        found["content"] = {JSON: {"schema": _reference(one.answer)}}
    elif one.status == HTTPStatus.OK:
        found["content"] = {JSON: {"schema": {"type": "object"}}}
    return found


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM: {"schema": _reference(ProblemDocument)}},
    }


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _parameter(one: QueryParameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if one.is_number:
        schema = {"type": "integer", "minimum": 1, "maximum": one.most}
    elif one.choices:
        schema = {"type": "string", "enum": list(one.choices)}
    if one.may_repeat:
        schema = {"type": "array", "items": schema, "minItems": 1}
    found = {"name": one.name, "in": "query", "description": one.description, "schema": schema}
    return {**found, "required": True} if one.is_required else found


def _idempotency_key() -> dict[str, Any]:
    return {
        "name": IDEMPOTENCY_KEY,
        "in": "header",
        "description": "A text of your choice, such as a UUID. The same request with the same key is done once, and has"
        " the same answer for 24 hours.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY, "pattern": "^[!-~]+$"},
    }


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    bodies = [(one.body, "validation") for one in operations if one.body is not None]
    answers = [(one.answer, "serialization") for one in operations if one.answer is not None]
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [*bodies, *answers, (ProblemDocument, "serialization")]  # type: ignore[list-item]  # words of JsonSchemaMode
    _, found = models_json_schema(list(dict.fromkeys(models)), ref_template=_REFERENCE)
    return dict(sorted(found["$defs"].items()))
