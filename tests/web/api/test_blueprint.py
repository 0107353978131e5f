"""The API over the whole application: what it answers, and with which headers."""

from __future__ import annotations

from typing import Any

import pytest
from api_calls import ApiSite

from tokenserver.web.api.operation import Operation
from tokenserver.web.api.operations.table import OPERATIONS


def test_the_life_of_a_key(site: ApiSite) -> None:
    """Made, listed, renamed, replaced and ended; each change has an event."""
    made = site.new_key(name="laptop", actions=["pull"], repositories=["team/**"], networks=["192.0.2.0/24"])
    shown = {name: value for name, value in made.items() if name != "secret"}
    assert made["secret"].startswith("tknp_")
    assert site.call("GET", "/access-keys").get_json() == {"items": [shown], "next": None}
    assert site.call("GET", f"/access-keys/{made['id']}").get_json() == shown
    renamed = site.call("PATCH", f"/access-keys/{made['id']}", {"name": "old laptop"})
    assert renamed.get_json() == {**shown, "name": "old laptop"}
    rotated = site.call("POST", f"/access-keys/{made['id']}/rotate", {})
    assert (rotated.status_code, rotated.get_json()["replaces"]) == (201, made["id"])
    assert rotated.get_json()["ceiling"] == shown["ceiling"]
    assert site.call("DELETE", f"/access-keys/{made['id']}").status_code == 204
    listed = site.call("GET", "/access-keys").get_json()["items"]
    assert [one["id"] for one in listed] == [rotated.get_json()["id"]]
    actions = [(event["action"], event["outcome"], event["actor"], event["via"]) for event in site.audit]
    names = ["create_access_key", "rename_access_key", "rotate_access_key", "end_access_key"]
    assert actions == [(name, "done", "ann", "api") for name in names]


def test_a_key_works_until_it_is_ended(site: ApiSite) -> None:
    """In this process immediately."""
    made = site.new_key()
    assert site.stored.get("ann", made["secret"]).status_code == 200
    assert site.call("DELETE", f"/access-keys/{made['id']}").status_code == 204
    assert site.stored.get("ann", made["secret"]).status_code == 401


def test_what_a_new_secret_answers(site: ApiSite) -> None:
    """Where it is; no cache keeps it, and no later answer, log line or event has it."""
    answer = site.call("POST", "/access-keys", {})
    content = answer.get_json()
    assert answer.headers["Location"] == f"http://localhost:5001/api/v1/access-keys/{content['id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert content["secret"] not in site.call("GET", f"/access-keys/{content['id']}").get_data(as_text=True)
    assert all(content["secret"] not in line.decode() for line in site.stored.audit.raw)


def test_the_headers_of_every_answer(site: ApiSite) -> None:
    """No cache, no script, no other site."""
    for answer in (site.call("GET", "/whoami"), site.call("GET", "/nothing"), site.call("GET", "/openapi.json")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert len(answer.headers["X-Request-Id"]) > 10


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        pytest.param("PUT", "/access-keys", "GET, HEAD, POST", id="put"),
        pytest.param("OPTIONS", "/access-keys", "GET, HEAD, POST", id="preflight"),
        pytest.param("POST", "/whoami", "GET, HEAD", id="post"),
        pytest.param("GET", "/robots/ci/secrets", "POST", id="get"),
    ],
)
def test_other_methods(site: ApiSite, method: str, path: str, allowed: str) -> None:
    """With what is offered instead."""
    answer = site.call(method, path, headers={"Origin": "https://evil.example.com"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert answer.get_json()["code"] == "method_not_offered"


@pytest.mark.parametrize(
    "path", ["/nothing", "/access-keys/", "/access-keys//rotate", "/access-keys/a/b", "/", "/../x"]
)
def test_unknown_paths(site: ApiSite, path: str) -> None:
    """A problem, and no page."""
    assert site.problem("GET", path)[:2] == (404, "unknown_path")


UNUSUAL_IDS = ["a%0Ab", "%0A", "%0D%0A", "a%0A", "%00", "%E2%80%A8", "%C2%85", "%85"]


@pytest.mark.parametrize("identifier", UNUSUAL_IDS)
@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.parameters], ids=lambda one: one.name)
def test_line_breaks_in_ids(site: ApiSite, operation: Operation, identifier: str) -> None:
    """No id of anything: a problem, and never the answer of the token endpoint. Any text is a name of somebody."""
    path = operation.path.replace("/robots/{name}/secrets/{id}", "/robots/ci/secrets/{id}")
    for parameter in operation.parameters:
        path = path.replace(f"{{{parameter}}}", identifier)
    body = None if operation.body is None else {"name": "x"} if operation.method == "PATCH" else {}
    if operation.name == "endLogins":
        answer = site.call("POST", path, {"reason": "lost laptop"}, user="root-ann")
        assert (answer.status_code, answer.get_json()) == (200, {"ended": 0})
    else:
        assert site.problem(operation.method, path, body, user="root-ann")[:2] == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/", "/api/v1", "/api/v2/whoami", "/api//v1/whoami", "/api/%0A", "/api/x%0A", "/api/%0D%0A", "/api//"],
)
def test_beside_the_api(site: ApiSite, path: str) -> None:
    """A problem as well."""
    answer = site.stored.client.get(path, environ_overrides={"wsgi.url_scheme": "https"})
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_head(site: ApiSite) -> None:
    """As GET, without the body."""
    answer = site.call("HEAD", "/whoami")
    assert (answer.status_code, answer.get_data(), answer.content_type) == (200, b"", "application/json")


def test_plain_http(site: ApiSite) -> None:
    """Refused from another machine, before anything is read; nothing is made."""
    assert site.problem("POST", "/access-keys", {}, scheme="http")[:2] == (403, "plain_http")
    assert site.call("GET", "/access-keys").get_json()["items"] == []


def test_a_large_body(site: ApiSite) -> None:
    """More than 64 KiB is not read."""
    raw = b'{"name": "' + b"a" * 65536 + b'"}'
    problem = site.problem("POST", "/access-keys", raw=raw, headers={"Content-Type": "application/json"})
    assert problem[:2] == (413, "too_large")


def test_a_body_where_there_is_none(site: ApiSite) -> None:
    """Is a mistake."""
    assert site.problem("DELETE", "/access-keys/x", {})[:2] == (400, "invalid_request")


@pytest.mark.parametrize(
    ("query", "places"),
    [
        pytest.param("?limit=0", ["query.limit"], id="zero"),
        pytest.param("?limit=1001", ["query.limit"], id="too many"),
        pytest.param("?limit=x&state=some&x=1", ["query.limit", "query.state", "query"], id="all faults"),
        pytest.param("?limit=1&limit=2", ["query.limit"], id="twice"),
        pytest.param("?cursor=x", ["query.cursor"], id="cursor"),
        pytest.param("?%ff", ["query"], id="no parameter"),
        pytest.param("?user=%ff", ["query"], id="no text"),
    ],
)
def test_wrong_queries(site: ApiSite, query: str, places: list[str]) -> None:
    """Every fault with its place."""
    answer = site.call("GET", f"/access-keys{query}")
    assert answer.status_code == 400
    assert [fault["place"] for fault in answer.get_json()["errors"]] == places


def test_pages_of_a_list(site: ApiSite) -> None:
    """Each key once, also while others are made."""
    made = {site.new_key()["id"] for _ in range(5)}
    seen: list[str] = []
    query = "?limit=2"
    while True:
        page = site.call("GET", f"/access-keys{query}").get_json()
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        query = f"?limit=2&cursor={page['next']}"
    assert (len(seen), set(seen)) == (5, made)


def test_ended_keys_are_listed_on_request(site: ApiSite) -> None:
    """For a while, with who ended them."""
    made = site.new_key()
    site.call("DELETE", f"/access-keys/{made['id']}")
    assert site.call("GET", "/access-keys").get_json()["items"] == []
    (ended,) = site.call("GET", "/access-keys?state=all").get_json()["items"]
    assert (ended["state"], ended["ended_by"], ended["reason"]) == ("ended", "ann", "ended by its owner")


def test_the_document_needs_no_login(site: ApiSite) -> None:
    """It is public, since it says nothing about anybody."""
    answer = site.call("GET", "/openapi.json", user=None)
    assert (answer.status_code, answer.get_json()["openapi"]) == (200, "3.1.0")


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if not one.is_public], ids=lambda one: one.name)
def test_every_other_operation_needs_one(site: ApiSite, operation: Any) -> None:
    """No credentials, no session: 401, whatever else is wrong."""
    path = operation.path.replace("{id}", "a").replace("{name}", "ci").replace("{subject}", "ann")
    answer = site.call(operation.method, path, user=None)
    assert (answer.status_code, answer.get_json()["code"]) == (401, "authentication_required")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="auth.example.com", charset="UTF-8"'


def test_an_audit_trail_that_takes_no_events(site: ApiSite) -> None:
    """No change without an event: 503, and nothing is stored."""
    key = site.new_key()
    site.stored.audit.broken = True
    calls = [
        ("POST", "/access-keys", {}),
        ("PATCH", f"/access-keys/{key['id']}", {"name": "x"}),
        ("POST", f"/access-keys/{key['id']}/rotate", {}),
        ("DELETE", f"/access-keys/{key['id']}", None),
        ("POST", "/robots/ci/secrets", {}),
        ("POST", "/people/ann/end-logins", {}),
        ("GET", "/whoami", None),
    ]
    found = [site.call(method, path, body).status_code for method, path, body in calls]
    assert found == [503] * 6 + [200]
    site.stored.audit.broken = False
    assert [one["name"] for one in site.call("GET", "/access-keys?state=all").get_json()["items"]] == [""]
    assert site.call("GET", "/robots/ci").get_json()["secrets"] == []
    assert site.stored.get("ann", key["secret"]).status_code == 200


def test_explain(site: ApiSite) -> None:
    """The answer of `explain=1`, for the client of the request."""
    found = site.call("GET", "/explain?service=reg&scope=repository:team/x:pull,push&scope=repository:other/x:pull")
    direct = site.stored.get("ann", "ann's pässwörd", "&explain=1&scope=repository:other/x:pull").get_json()
    content = found.get_json()
    assert (content["subject"], content["scopes"][0]["granted"]) == ("ann", ["pull", "push"])
    for scope in [*content["scopes"], *content["rejected"]]:
        scope.pop("hint", None) if scope.get("hint") is None else None
    content = {name: value for name, value in content.items() if value is not None}
    assert content == direct
    assert site.problem("GET", "/explain?service=reg")[0] == 400
    assert site.problem("GET", "/explain?service=nowhere&scope=repository:a:pull")[0] == 400
