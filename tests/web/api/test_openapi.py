"""The OpenAPI document: committed as it is generated, valid, and without anything secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from api_calls import ApiSite
from jsonschema import Draft202012Validator
from openapi_answers import references_in, validator_for

from tokenserver.web.api.openapi import document, document_text
from tokenserver.web.api.operations.table import OPERATIONS

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"
DOCUMENT = document(OPERATIONS)


def test_it_is_committed() -> None:
    """So that a change of the API is seen in a review; scripts/reference writes it."""
    assert COMMITTED.read_text("utf-8") == document_text(OPERATIONS)


def test_every_schema_is_one() -> None:
    """OpenAPI 3.1 has the dialect of JSON Schema 2020-12."""
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for path in DOCUMENT["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                Draft202012Validator.check_schema(parameter["schema"])


def test_every_reference_leads_somewhere() -> None:
    """And every schema is used."""
    found = set(references_in(DOCUMENT))
    names = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert found == names | {"#/components/headers/RequestId"}


def test_every_operation_is_complete() -> None:
    """A name, a summary, its parameters, and every answer with its schema."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            assert method in {"get", "post", "patch", "delete"}
            assert operation["operationId"]
            assert operation["summary"]
            in_path = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert in_path == {piece[1:-1] for piece in path.split("/") if piece.startswith("{")}
            statuses = operation["responses"]
            assert {"400", "500", "503"} <= statuses.keys()
            assert [status for status in statuses if status.startswith("2")]
            assert ("requestBody" in operation) == (method in {"post", "patch"})


def test_bodies_refuse_what_they_do_not_know() -> None:
    """Programs can see from the document that a misspelt member is an error."""
    schemas: dict[str, Any] = DOCUMENT["components"]["schemas"]
    for name in ("NewAccessKey", "SecretWish", "Renaming", "Rotation", "EndLogins"):
        assert schemas[name]["additionalProperties"] is False


def test_no_example_is_a_secret() -> None:
    """Secret scanners would find it in every copy."""
    assert "tkn" not in json.dumps(DOCUMENT)


@pytest.mark.parametrize("user", ["ann", "root-ann"])
def test_answers_are_as_the_document_says(site: ApiSite, user: str) -> None:
    """Each operation, each of these statuses."""
    check = validator_for(DOCUMENT)
    key = site.call("POST", "/access-keys", {"actions": ["pull"], "name": "a"}, user=user)
    check("/access-keys", "post", key)
    path = f"/access-keys/{key.get_json()['id']}"
    check("/access-keys/{id}", "get", site.call("GET", path, user=user))
    check("/access-keys/{id}", "patch", site.call("PATCH", path, {"name": "b"}, user=user))
    check("/access-keys/{id}/rotate", "post", site.call("POST", f"{path}/rotate", {}, user=user))
    check("/access-keys/{id}", "delete", site.call("DELETE", path, user=user))
    check("/access-keys/{id}", "delete", site.call("DELETE", path, user=user))
    check("/access-keys", "get", site.call("GET", "/access-keys?state=all", user=user))
    check("/access-keys", "post", site.call("POST", "/access-keys", {"name": 1}, user=user))
    check("/access-keys", "post", site.call("POST", "/access-keys", raw=b"x", user=user))
    secret = site.call("POST", "/robots/ci/secrets", {}, user=user)
    check("/robots/{name}/secrets", "post", secret)
    check("/robots", "get", site.call("GET", "/robots", user=user))
    check("/robots/{name}", "get", site.call("GET", "/robots/ci", user=user))
    check("/robots/{name}", "get", site.call("GET", "/robots/nowhere", user=user))
    at = f"/robots/ci/secrets/{secret.get_json()['id']}"
    check("/robots/{name}/secrets/{id}/rotate", "post", site.call("POST", f"{at}/rotate", {}, user=user))
    check("/robots/{name}/secrets/{id}", "delete", site.call("DELETE", at, user=user))
    site.stored.login(user)
    check("/logins", "get", site.call("GET", "/logins", user=user))
    login = site.call("GET", "/logins", user=user).get_json()["items"][0]["id"]
    check("/logins/{id}", "delete", site.call("DELETE", f"/logins/{login}", user=user))
    check("/people/{subject}/end-logins", "post", site.call("POST", f"/people/{user}/end-logins", {}, user=user))
    check("/whoami", "get", site.call("GET", "/whoami", user=user))
    check("/whoami", "get", site.call("GET", "/whoami", user=None))
    check("/explain", "get", site.call("GET", "/explain?service=reg&scope=repository:x/y:push&scope=bad", user=user))
    check("/openapi.json", "get", site.call("GET", "/openapi.json"))
