"""Compares the answers of a server with its OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse


def references_in(value: Any) -> Iterator[str]:
    """Every `$ref` of a document."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name == "$ref":
                yield one
            else:
                yield from references_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from references_in(one)


def validator_for(document: dict[str, Any]) -> Callable[[str, str, TestResponse], None]:
    """Asserts that an answer of an operation is one that the document has."""

    def check(path: str, method: str, answer: TestResponse) -> None:
        described = document["paths"][path][method]["responses"][str(answer.status_code)]
        for name in described.get("headers", ()):
            assert name in answer.headers, name
        if "content" not in described:
            assert answer.get_data() == b""
            assert "Content-Type" not in answer.headers
            return
        schema = described["content"][answer.content_type]["schema"]
        validator = Draft202012Validator({**schema, "components": document["components"]})
        faults = [fault.message for fault in validator.iter_errors(answer.get_json())]
        assert faults == [], (path, method, answer.status_code)

    return check
