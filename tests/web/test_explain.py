"""`explain=1`: what the caller may and why, about nobody else, and without a token."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from tests_web_server import PASSWORDS, Server, make_server

QUERY = "service=reg&explain=1&scope=repository:team/prod/x:pull,push,delete&scope=repository:other/x:pull"


def as_user(name: str, password: str | None = None) -> dict[str, str]:
    """The header of a user."""
    pair = f"{name}:{PASSWORDS[name] if password is None else password}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def get(server: Server, query: str, headers: dict[str, str] | None = None) -> Any:
    return server.client.get(f"/token?{query}", headers=headers or {})


def test_the_caller_learns_what_and_why(server: Server) -> None:
    """For each scope: asked, granted, the deciding rules by id, and the message of a deny rule."""
    response = get(server, QUERY, as_user("ann"))
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert response.get_json() == {
        "service": "reg",
        "subject": "ann",
        "groups": [],
        "scopes": [
            {
                "resource": "repository:team/prod/x",
                "asked": ["pull", "push", "delete"],
                "granted": ["pull"],
                "rules": [
                    {"action": "pull", "effect": "allow", "rule": "team", "message": None},
                    {"action": "push", "effect": "deny", "rule": "frozen", "message": "from the pipeline"},
                ],
                "nearest": [],
                "contacts": [],
            },
            {
                "resource": "repository:other/x",
                "asked": ["pull"],
                "granted": [],
                "rules": [],
                "nearest": [],
                "contacts": [],
            },
        ],
        "rejected": [],
    }


def test_it_says_the_same_as_the_token(server: Server) -> None:
    """The explanation and the exchange are the same decision; the events show it."""
    explained = get(server, QUERY, as_user("ann")).get_json()
    get(server, QUERY.replace("explain=1&", ""), as_user("ann"))
    first, second = server.audit.events[-2:]
    same = ("registry", "subject", "source", "kind", "groups", "asked", "granted", "rules", "policy")
    assert {key: first[key] for key in same} == {key: second[key] for key in same}
    granted = [f"{one['resource']}:{','.join(one['granted'])}" for one in explained["scopes"] if one["granted"]]
    assert granted == second["granted"]


def test_it_is_audited_without_a_token(server: Server) -> None:
    """Outcome `explained`, no jti; the event has the deny rule's message, its file and its line."""
    response = get(server, QUERY, as_user("ann"))
    event = server.audit.events[-1]
    assert (event["outcome"], event["request_id"]) == ("explained", response.headers["X-Request-Id"])
    assert "jti" not in event
    assert event["rules"][1]["message"] == "from the pipeline"
    assert event["rules"][1]["at"].startswith("policy.yaml:")
    assert "message" not in event["rules"][0]


def test_no_place_and_no_token_is_told(server: Server) -> None:
    """No file, no line, and nothing that looks like a JWT."""
    text = get(server, QUERY, as_user("ann")).get_data(as_text=True)
    for forbidden in (".yaml", "token", "eyJ", "jti", "root-ann", server.audit.events[-1]["policy"]):
        assert forbidden not in text


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic Og=="}], ids=["nothing", "empty"])
def test_an_anonymous_caller_is_401_though_anonymous_access_is_on(server: Server, headers: dict[str, str]) -> None:
    """Nobody may look around in the policies without a name."""
    assert get(server, "service=reg", headers).status_code == 200
    response = get(server, QUERY, headers)
    assert response.status_code == 401
    assert "WWW-Authenticate" in response.headers
    assert server.audit.events[-1]["outcome"] == "authentication_required"


def test_a_wrong_password_gets_the_usual_401(server: Server) -> None:
    """Byte for byte what it gets without explain."""
    plain, explained = (get(server, query, as_user("ann", "wrong")) for query in ("service=reg", QUERY))
    assert (plain.status_code, plain.data) == (explained.status_code, explained.data)
    assert explained.status_code == 401


def test_another_account_is_401(server: Server) -> None:
    """`account` asks about somebody else: it is refused as in an exchange."""
    assert get(server, QUERY + "&account=root-ann", as_user("ann")).status_code == 401


@pytest.mark.parametrize("value", ["0", "true", "11", "1&explain=1"])
def test_explain_is_1_or_nothing(server: Server, value: str) -> None:
    """A client that asks for an explanation in another form gets no token by mistake."""
    response = get(server, f"service=reg&explain={value}", as_user("ann"))
    assert response.status_code == 400
    assert b"explain" in response.data


def test_an_empty_explain_counts_as_absent(server: Server) -> None:
    """As every empty parameter does."""
    assert "token" in get(server, "service=reg&explain=", as_user("ann")).get_json()


def test_a_post_cannot_explain(server: Server) -> None:
    """Who sends it in a form is refused, and gets no token by mistake."""
    form = {"grant_type": "password", "service": "reg", "username": "ann", "password": PASSWORDS["ann"]}
    response = server.client.post("/token", data={**form, "explain": "1"})
    assert response.status_code == 400
    assert b"GET" in response.data


def test_rejected_scopes_are_told(server: Server) -> None:
    """With the reason; the others are explained."""
    body = get(
        server, "service=reg&explain=1&scope=repository:Team/x:pull&scope=repository:team/x:pull", as_user("ann")
    )
    content = body.get_json()
    assert content["rejected"] == [{"scope": "repository:Team/x:pull", "reason": "malformed name"}]
    assert [one["granted"] for one in content["scopes"]] == [["pull"]]


def test_nothing_is_explained_that_cannot_be_audited(server: Server) -> None:
    """As no token leaves without its line."""
    server.audit.broken = True
    assert get(server, QUERY, as_user("ann")).status_code == 503


def test_a_token_s_answer_has_the_messages_as_well(server: Server) -> None:
    """The protocol allows further members; only authenticated clients get messages, and only about their request."""
    query = QUERY.replace("explain=1&", "")
    body = get(server, query, as_user("ann")).get_json()
    assert body["messages"] == ["from the pipeline"]
    form = {"grant_type": "password", "service": "reg", "username": "ann", "password": PASSWORDS["ann"]}
    posted = server.client.post("/token", data={**form, "scope": "repository:team/prod/x:push"}).get_json()
    assert (posted["messages"], posted["scope"]) == (["from the pipeline"], "")
    for asked, headers in ((query.replace("push,", ""), as_user("ann")), (query, {})):
        assert "messages" not in get(server, asked, headers).get_json()


TEAM = """\
version: 1
allow:
  - {id: web-developers, to: ["group:developers", "user:eve"], repositories: ["web/**"], role: writer}
groups:
  developers: {users: [bob]}
"""


def test_what_is_not_granted_has_the_nearest_rules_and_the_owners(server_folder: Path) -> None:
    """Groups and contacts, which the caller needs for a request; not the users, files and lines of others."""
    root, team = server_folder / "policies" / "root.yaml", server_folder / "policies" / "teams" / "web.yaml"
    team.parent.mkdir(mode=0o755)
    team.write_text(TEAM)
    root.write_text(
        'version: 1\ndelegate: [{file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push],'
        " contact: '#team-web'}]\n"
    )
    try:
        server = make_server(server_folder)
        query = "service=reg&explain=1&scope=repository:web/x:pull&scope=repository:users/bob/x:pull"
        first, second = get(server, query, as_user("ann")).get_json()["scopes"]
    finally:
        team.unlink()
        team.parent.rmdir()
        root.unlink()
    assert (first["granted"], first["rules"], first["contacts"]) == ([], [], ["#team-web"])
    missing = ["you are in none of these groups"]
    assert first["nearest"] == [
        {"action": "pull", "rule": "web-developers", "to": ["group:developers"], "missing": missing}
    ]
    assert second["contacts"] == []
    assert [one["missing"] for one in second["nearest"]] == [["users/${user}/** does not match users/bob/x for you"]]


def test_pasted_image_names(server: Server) -> None:
    """They get a hint, and are decided as they were sent: with a host it is another repository, a tag is malformed."""
    scopes = ("localhost:5000/team/x:pull", "team/x:1:pull", "team/x:pull")
    query = "service=reg&explain=1" + "".join(f"&scope=repository:{scope}" for scope in scopes)
    found = get(server, query, as_user("ann")).get_json()
    with_host, plain = found["scopes"]
    asked = "ask for repository:team/x:pull; a scope names the repository alone"
    assert (with_host["granted"], with_host["hint"]) == ([], f"if localhost:5000 is the registry's host, {asked}")
    assert (plain["granted"], "hint" in plain) == (["pull"], False)
    assert found["rejected"] == [{"scope": "repository:team/x:1:pull", "reason": "malformed name", "hint": asked}]
