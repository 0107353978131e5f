"""The protocol contract: every row of its table, asked of a whole server in the process."""

from __future__ import annotations

import base64
import io
import json
import os
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import jwt
import pytest
from built_claims import changed_by
from flask.testing import FlaskClient
from tests_web_server import PASSWORDS, Server
from werkzeug.test import TestResponse

from tokenserver.exchange.audit import Sink
from tokenserver.exchange.audit_events import MAX_CITED
from tokenserver.exchange.audit_sink import DescriptorSink

CHALLENGE = 'Basic realm="auth.example.com", charset="UTF-8"'
ANN = {"username": "ann", "password": PASSWORDS["ann"]}


def basic(username: str, password: str, encoding: str = "utf-8") -> dict[str, str]:
    """The header that clients send."""
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode(encoding)).decode()}


def as_user(name: str) -> dict[str, str]:
    """The header of one of the server's users."""
    return basic(name, PASSWORDS[name])


def claims(body: dict[str, Any]) -> dict[str, Any]:
    """What the token says; its signature is checked by the tests of tokens and by real registries."""
    decoded: dict[str, Any] = jwt.decode(body["token"], options={"verify_signature": False})
    return decoded


def get(server: Server, query: str = "service=reg", headers: dict[str, str] | None = None) -> Any:
    """GET /token."""
    return server.client.get(f"/token?{query}", headers=headers or {})


def post(server: Server, form: dict[str, str] | list[tuple[str, str]], **options: Any) -> Any:
    """POST /token with a form."""
    return server.client.post("/token", data=urlencode(form), content_type=FORM, **options)


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("path", ["/token", "/auth/token", "/auth"])
def test_a_login_gives_both_token_fields_and_true_times(server: Server, path: str) -> None:
    """200 with token, access_token (the same), expires_in and issued_at in UTC with a Z."""
    before = int(datetime.now(UTC).timestamp())
    response = server.client.get(f"{path}?service=reg&account=ann", headers=as_user("ann"))
    assert response.status_code == 200
    body = response.get_json()
    assert set(body) == {"token", "access_token", "expires_in", "issued_at"}
    assert body["token"] == body["access_token"]
    assert body["expires_in"] == 900
    assert isinstance(body["expires_in"], int)
    issued = datetime.strptime(body["issued_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    assert before <= issued <= before + 5
    assert claims(body)["sub"] == "ann"
    assert claims(body)["aud"] == "reg"
    assert claims(body)["iss"] == "auth.example.com"
    assert claims(body)["access"] == []


def test_every_token_answer_forbids_caching_and_names_the_request(server: Server) -> None:
    """no-store on good and bad answers; X-Request-Id on all, equal to the audit event's."""
    for query, headers in (("service=reg", {}), ("service=nope", {}), ("service=reg", {"Authorization": "x"})):
        response = get(server, query, headers)
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Request-Id"] == server.audit.events[-1]["request_id"]
        assert response.content_type == "application/json"


def test_no_credentials_with_anonymous_access_gives_what_everyone_may(server: Server) -> None:
    """sub is empty, and access holds the policy's grant for everyone, nothing more."""
    body = get(server, "service=reg&scope=repository:public/app:pull,push").get_json()
    assert claims(body)["sub"] == ""
    assert claims(body)["access"] == [{"type": "repository", "name": "public/app", "actions": ["pull"]}]


def test_no_credentials_without_anonymous_access_is_401(closed_server: Server) -> None:
    """401 with the Basic challenge."""
    response = get(closed_server)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == CHALLENGE
    assert closed_server.audit.events[-1]["outcome"] == "authentication_required"


UNUSABLE = [
    pytest.param("Basic !!!!", id="not-base64"),
    pytest.param("Basic YW5uOng", id="no-padding"),
    pytest.param("Basic", id="scheme-alone"),
    pytest.param("Basic ", id="scheme-and-blank"),
    pytest.param("Basic YW5u", id="no-colon"),
    pytest.param("Basic\tYW5uOng=", id="tab"),
    pytest.param("Basic YW5uOng=, Basic YW5uOng=", id="comma-joined"),
    pytest.param("Negotiate x", id="negotiate"),
    pytest.param("Bearer x", id="bearer"),
    pytest.param("", id="empty"),
    pytest.param("Basic 77u/YW5uOng=", id="byte-order-mark"),
]


@pytest.mark.parametrize("header", UNUSABLE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_header_that_cannot_be_used_is_never_anonymous(server: Server, header: str, method: str) -> None:
    """Present and unusable is 401 although anonymous access is on; on POST as well.

    See docs/design/threats.md#threat-27 and docs/design/threats.md#bug-12.
    """
    if method == "GET":
        response = get(server, headers={"Authorization": header})
    else:
        form = {"grant_type": "password", "service": "reg", **ANN}
        response = post(server, form, headers={"Authorization": header})
    assert response.status_code == 401
    assert "token" not in response.get_json()
    assert server.audit.events[-1]["outcome"] == "invalid_credentials"


def test_the_empty_user_with_the_empty_password_is_no_credentials(server: Server) -> None:
    """`Basic Og==` counts as nothing."""
    response = get(server, headers={"Authorization": "Basic Og=="})
    assert response.status_code == 200
    assert claims(response.get_json())["sub"] == ""


def test_wrong_password_and_unknown_user_get_the_same_bytes(server: Server) -> None:
    """Only date and request id may differ (docs/design/threats.md#threat-20 and docs/design/threats.md#bug-21)."""
    answers = []
    for header in (basic("ann", "wrong"), basic("nobody", "wrong"), basic("nobody", PASSWORDS["ann"])):
        response = get(server, headers=header)
        headers = {name: value for name, value in response.headers if name != "X-Request-Id"}
        answers.append((response.status_code, headers, response.data))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 401
    assert answers[0][1]["WWW-Authenticate"] == CHALLENGE


WEAK_INPUT = [
    pytest.param("ann", "", id="empty-password"),
    pytest.param("ann", "pass\0word", id="nul-in-password"),
    pytest.param(" ", "x", id="blank-user"),
    pytest.param("\u3000", "x", id="wide-blank-user"),
    pytest.param("", "x", id="empty-user"),
    pytest.param("ann\n", "x", id="newline-in-user"),
    pytest.param("ann", "a" * 1025, id="password-too-long"),
    pytest.param("ann", "a" * 73, id="over-bcrypt-limit"),
]


@pytest.mark.parametrize(("username", "password"), WEAK_INPUT)
def test_weak_input_is_a_wrong_password_by_header_and_by_form(server: Server, username: str, password: str) -> None:
    """401, never 500, never anonymous.

    See docs/design/threats.md#threat-1, docs/design/threats.md#threat-2, docs/design/threats.md#threat-12,
    docs/design/threats.md#threat-13 and docs/design/threats.md#threat-14.
    """
    assert get(server, headers=basic(username, password)).status_code == 401
    form = {"grant_type": "password", "service": "reg", "username": username, "password": password}
    assert post(server, form).status_code == 401


def test_a_latin_1_password_works_once_decoded(server: Server) -> None:
    """python-requests sends Latin-1 (docs/design/threats.md#threat-28)."""
    response = get(server, headers=basic("ann", PASSWORDS["ann"], "latin-1"))
    assert response.status_code == 200


def test_a_decomposed_user_name_is_the_same_user(server: Server) -> None:
    """NFD and NFC are one person, by header and by form (docs/design/threats.md#threat-28)."""
    response = get(server, headers=basic("zoe\u0308", "z"))
    assert claims(response.get_json())["sub"] == "zoë"
    form = {"grant_type": "password", "service": "reg", "username": "zoe\u0308", "password": "z"}
    assert claims(post(server, form).get_json())["sub"] == "zoë"


def test_granted_less_than_asked_is_200_with_the_subset(server: Server) -> None:
    """An ungranted scope is left out, a partly granted one is cut (docs/architecture.md#house-rule-10)."""
    query = "service=reg&scope=repository:team/app:push,pull,delete&scope=repository:secret/app:pull"
    response = get(server, query, as_user("ann"))
    assert response.status_code == 200
    expected = [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}]
    assert claims(response.get_json())["access"] == expected
    event = server.audit.events[-1]
    assert event["outcome"] == "partial"
    assert event["asked"] == ["repository:team/app:pull,push,delete", "repository:secret/app:pull"]
    assert event["granted"] == ["repository:team/app:pull,push"]
    assert event["jti"] == claims(response.get_json())["jti"]
    assert {rule["rule"] for rule in event["rules"]} == {"team"}


def test_a_denial_names_its_rule_with_file_and_line(server: Server) -> None:
    """The event of a denied push says which deny forbade it."""
    get(server, "service=reg&scope=repository:team/prod/app:push", as_user("ann"))
    event = server.audit.events[-1]
    assert event["outcome"] == "denied"
    (rule,) = [rule for rule in event["rules"] if rule["effect"] == "deny"]
    assert rule["rule"] == "frozen"
    assert rule["at"].endswith("policy.yaml:10")


def test_star_on_a_repository_means_what_the_client_may(server: Server) -> None:
    """skopeo's delete asks `*` and gets the explicit list, never the star (docs/architecture.md#house-rule-8)."""
    body = get(server, "service=reg&scope=repository:users/ann/app:*", as_user("ann")).get_json()
    assert claims(body)["access"][0]["actions"] == ["pull", "push", "delete"]
    body = get(server, "service=reg&scope=repository:team/app:*", as_user("ann")).get_json()
    assert claims(body)["access"][0]["actions"] == ["pull", "push"]


def test_the_catalog_is_for_those_that_a_rule_names(server: Server) -> None:
    """The literal star on the catalog comes from a rule that says so, for its group alone.

    See docs/design/threats.md#bug-19.
    """
    query = "service=reg&scope=registry:catalog:*"
    allowed = get(server, query, as_user("root-ann")).get_json()
    assert claims(allowed)["access"] == [{"type": "registry", "name": "catalog", "actions": ["*"]}]
    for headers in ({}, as_user("ann")):
        assert claims(get(server, query, headers).get_json())["access"] == []


SPLITS = [
    pytest.param(["repository:team/a:pull", "repository:team/b:push"], id="repeated"),
    pytest.param(["repository:team/a:pull repository:team/b:push"], id="one-list"),
    pytest.param(["repository:team/a:pull  repository:team/b:push", "repository:team/a:pull", ""], id="mixed"),
]


@pytest.mark.parametrize("values", SPLITS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_scopes_repeat_and_list_alike(server: Server, values: list[str], method: str) -> None:
    """Every spelling of the same scopes gives the same access, on GET and POST.

    See docs/design/threats.md#bug-7, docs/design/threats.md#bug-8 and docs/design/threats.md#threat-40.
    """
    pairs = [("service", "reg"), *(("scope", value) for value in values)]
    if method == "GET":
        body = get(server, urlencode(pairs), as_user("ann")).get_json()
    else:
        body = post(server, [("grant_type", "password"), *ANN.items(), *pairs]).get_json()
    names = {entry["name"]: entry["actions"] for entry in claims(body)["access"]}
    assert names == {"team/a": ["pull"], "team/b": ["push"]}


def test_one_malformed_scope_does_not_touch_the_others(server: Server) -> None:
    """That one grants nothing and is in the event; the other is served (docs/design/threats.md#bug-10)."""
    query = urlencode(
        [("service", "reg"), ("scope", "repository:../x:pull"), ("scope", "galaxy:x:pull repository:public/a:pull")]
    )
    response = get(server, query)
    assert response.status_code == 200
    assert [entry["name"] for entry in claims(response.get_json())["access"]] == ["public/a"]
    rejected = server.audit.events[-1]["rejected"]
    assert [entry["scope"] for entry in rejected] == ["repository:../x:pull", "galaxy:x:pull"]


def test_too_many_scopes_are_refused_at_once(server: Server) -> None:
    """1,000 resources are served, 1,001 are 400 with the limit and its key (docs/design/threats.md#threat-41)."""
    scopes = [("scope", f"repository:public/r{number}:pull") for number in range(1001)]
    body = get(server, urlencode([("service", "reg"), *scopes[:1000]])).get_json()
    assert len(claims(body)["access"]) == 1000
    response = get(server, urlencode([("service", "reg"), *scopes]))
    assert response.status_code == 400
    assert "more than 1000 distinct resources" in response.get_json()["errors"][0]["message"]
    assert "limits.scopes" in response.get_json()["errors"][0]["message"]
    assert "limits.scopes" in server.audit.events[-1]["reason"]


def test_repeated_scopes_are_one(server: Server) -> None:
    """A request of 65 scopes for one repository, which a mirror sends, gets one entry."""
    scopes = [("scope", f"repository:public/a:{action}") for action in ("pull", "pull,push", "push") for _ in range(40)]
    body = get(server, urlencode([("service", "reg"), *scopes]), as_user("ann")).get_json()
    assert claims(body)["access"] == [{"type": "repository", "name": "public/a", "actions": ["pull"]}]
    assert server.audit.events[-1]["asked"] == ["repository:public/a:pull,push"]


def test_a_token_of_many_scopes_passes_a_proxys_header(server: Server) -> None:
    """64 scopes of usual length stay below nginx's 8 kB (docs/design/threats.md#threat-41)."""
    scopes = [("scope", f"repository:public/team-{number}/app:pull") for number in range(64)]
    body = get(server, urlencode([("service", "reg"), *scopes])).get_json()
    assert len(body["token"]) < 7 * 1024


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_large_request_is_audited_in_bounded_lines(server: Server, method: str) -> None:
    """Everything that was asked and granted is in the parts; each has 64 KiB (docs/design/threats.md#threat-41)."""
    names = [f"public/{'n' * 30}-{number}" for number in range(1000)]
    fields = [("service", "reg"), *(("scope", f"repository:{name}:pull") for name in names)]
    before = len(server.audit.events)
    if method == "GET":
        assert get(server, urlencode(fields)).status_code == 200
    else:
        assert post(server, [("grant_type", "password"), *ANN.items(), *fields]).status_code == 200
    parts = server.audit.events[before:]
    assert {part["parts"] for part in parts} == {len(parts)}
    asked, granted, rules = ([one for part in parts for one in part[field]] for field in ("asked", "granted", "rules"))
    assert asked == granted == [f"repository:{name}:pull" for name in names]
    assert len(rules) <= MAX_CITED
    assert sum(len(json.dumps(part)) for part in parts) < 6 * len(urlencode(fields))


@pytest.mark.parametrize("length_known", [True, False], ids=["content-length", "chunked"])
def test_a_large_body_is_413(server: Server, length_known: bool) -> None:
    """The limit holds for a body that announces its length and for a chunked one."""
    body = b"grant_type=password&password=" + b"x" * 140_000
    environ: dict[str, Any] = {"wsgi.input_terminated": True} if not length_known else {}
    response = server.client.post(
        "/token",
        input_stream=io.BytesIO(body),
        content_type=FORM,
        content_length=len(body) if length_known else None,
        environ_overrides=environ,
    )
    assert response.status_code == 413
    assert server.audit.events[-1]["outcome"] == "invalid_request"


def test_a_chunked_form_works(server: Server) -> None:
    """containers/image posts chunked (docs/design/wire.md#chunked-forms), without a length."""
    form = urlencode({"grant_type": "password", "service": "reg", **ANN}).encode()
    response = server.client.post(
        "/token", input_stream=io.BytesIO(form), content_type=FORM, environ_overrides={"wsgi.input_terminated": True}
    )
    assert response.status_code == 200


BAD_SERVICE = [
    pytest.param("service=nope", id="unknown"),
    pytest.param("service=REG", id="other-case"),
    pytest.param("", id="missing"),
    pytest.param("service=", id="empty"),
    pytest.param("service=reg&service=reg", id="twice"),
    pytest.param("service=reg&service=other", id="two"),
]


@pytest.mark.parametrize("query", BAD_SERVICE)
def test_an_unclear_service_is_400_and_named(two_registries: Server, query: str) -> None:
    """With two registries, unknown, missing and repeated are 400 that name the parameter.

    See docs/design/threats.md#threat-58.
    """
    response = get(two_registries, query)
    assert response.status_code == 400
    assert response.get_json()["errors"][0]["message"].startswith("service:")


@pytest.mark.parametrize("query", ["", "service="])
def test_a_missing_service_means_the_only_registry(server: Server, query: str) -> None:
    """With exactly one registry configured, clients that send none are served (GCR sends `service=`)."""
    assert claims(get(server, query).get_json())["aud"] == "reg"


def test_account_must_be_who_authenticated(server: Server) -> None:
    """Another account is 401; without credentials it is no claim at all.

    See docs/design/threats.md#threat-30, docs/design/threats.md#threat-31 and docs/design/threats.md#bug-4.
    """
    assert get(server, "service=reg&account=admin", as_user("ann")).status_code == 401
    assert get(server, "service=reg&account=ann", as_user("ann")).status_code == 200
    body = get(server, "service=reg&account=ann").get_json()
    assert claims(body)["sub"] == ""


@pytest.mark.parametrize("name", ["password", "refresh_token", "client_secret", "id_token", "access_token"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_secrets_in_the_query_are_400_and_not_logged(server: Server, name: str, method: str) -> None:
    """Refused, and the value is in no event (docs/design/threats.md#threat-29)."""
    path = f"/token?service=reg&username=ann&{name}=canary-4711"
    response = server.client.open(path, method=method, data="", content_type=FORM)
    assert response.status_code == 400
    assert name in response.get_json()["details"]
    assert b"canary" not in b"".join(server.audit.raw)
    assert b"canary" not in response.data


@pytest.mark.parametrize("name", ["service", "account", "client_id", "offline_token"])
def test_a_repeated_parameter_is_400(server: Server, name: str) -> None:
    """Single-valued parameters must occur once (docs/design/threats.md#threat-30)."""
    assert get(server, f"service=reg&{name}=reg&{name}=reg").status_code == 400


def test_a_parameter_in_query_and_form_is_400(server: Server) -> None:
    """Query against body (docs/design/threats.md#threat-30)."""
    form = {"grant_type": "password", "service": "reg", **ANN}
    response = server.client.post("/token?service=reg", data=urlencode(form), content_type=FORM)
    assert response.status_code == 400


def test_an_unknown_parameter_in_the_realm_is_ignored(server: Server) -> None:
    """Clients keep what the realm's own query holds."""
    form = {"grant_type": "password", "service": "reg", **ANN}
    response = server.client.post("/token?tenant=a", data=urlencode(form), content_type=FORM)
    assert response.status_code == 200


def test_the_password_grant_answers_as_oauth(server: Server) -> None:
    """POST: access_token, expires_in, issued_at, and scope as one space-separated text.

    See docs/design/threats.md#bug-14.
    """
    form = {
        "grant_type": "password",
        "service": "reg",
        "client_id": "containerd-client",
        "scope": "repository:team/a:pull repository:public/b:pull,push",
        **ANN,
    }
    body = post(server, form).get_json()
    assert set(body) == {"token", "access_token", "expires_in", "issued_at", "scope"}
    assert body["scope"] == "repository:team/a:pull repository:public/b:pull"
    assert claims(body)["sub"] == "ann"


def test_a_wrong_password_by_form_is_401_with_oauth_members(server: Server) -> None:
    """POST errors have the members of OAuth next to those of registries."""
    response = post(server, {"grant_type": "password", "service": "reg", "username": "ann", "password": "no"})
    body = response.get_json()
    assert response.status_code == 401
    assert body["error"] == "invalid_grant"
    assert body["error_description"] == body["details"] == body["errors"][0]["message"]
    assert body["errors"][0]["code"] == "UNAUTHORIZED"


BAD_GRANTS = [
    pytest.param({"grant_type": "refresh_token"}, "invalid_request", id="no-refresh-token"),
    pytest.param({"grant_type": "refresh_token", "refresh_token": ""}, "invalid_request", id="empty-refresh-token"),
    pytest.param({"grant_type": "authorization_code", "code": "x"}, "unsupported_grant_type", id="code"),
    pytest.param({"grant_type": "Password", **ANN}, "unsupported_grant_type", id="other-case"),
    pytest.param({"service": "reg"}, "invalid_request", id="missing"),
    pytest.param({"grant_type": "password", "username": "ann"}, "invalid_request", id="no-password"),
    pytest.param({"grant_type": "password", "password": "x"}, "invalid_request", id="no-username"),
]


@pytest.mark.parametrize(("form", "error"), BAD_GRANTS)
def test_other_grants_are_400_in_oauths_words(server: Server, form: dict[str, str], error: str) -> None:
    """RFC 6749, section 5.2."""
    response = post(server, form)
    assert response.status_code == 400
    assert response.get_json()["error"] == error


REFRESH = {"grant_type": "refresh_token", "service": "reg", "client_id": "docker", "refresh_token": "of-old"}

STALE_TOKENS = [
    pytest.param("POST", REFRESH, {}, id="refresh grant"),
    pytest.param("POST", {**REFRESH, "scope": "repository:public/a:pull"}, {}, id="for what is public"),
    pytest.param("GET", {}, basic("", "of-old"), id="containerd's second try"),
    pytest.param("GET", {}, basic("<token>", "of-old"), id="a credential helper's user name"),
    pytest.param("POST", {"grant_type": "password", "username": "", "password": "of-old"}, {}, id="empty user"),
    pytest.param(
        "POST", {"grant_type": "password", "username": "<token>", "password": "x"}, {}, id="token as password"
    ),
]


@pytest.mark.parametrize(("method", "form", "headers"), STALE_TOKENS)
def test_an_unknown_refresh_token_is_401_and_says_what_to_do(
    server: Server, method: str, form: dict[str, str], headers: dict[str, str]
) -> None:
    """Never anonymous, though anonymous access is on; in the words of OAuth on POST (RFC 6749, section 5.2)."""
    response = server.client.open(
        "/token?service=reg" if method == "GET" else "/token",
        method=method,
        headers=headers,
        data=urlencode({"service": "reg", **form}) if method == "POST" else None,
        content_type=FORM if method == "POST" else None,
    )
    body = response.get_json()
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == CHALLENGE
    assert response.headers["Cache-Control"] == "no-store"
    assert body["details"] == body["errors"][0]["message"]
    assert body["errors"][0]["code"] == "UNAUTHORIZED"
    for command in ("docker logout HOST", "docker login HOST"):
        assert command in body["details"]
    if method == "POST":
        assert (body["error"], body["error_description"]) == ("invalid_grant", body["details"])
    (event,) = server.audit.events
    assert (event["outcome"], event["reason"], event["username"]) == (
        "invalid_credentials",
        "unknown refresh token",
        None,
    )
    assert b"of-old" not in b"".join(server.audit.raw)


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        pytest.param(REFRESH, as_user("ann"), id="beside a right password"),
        pytest.param(REFRESH, basic("ann", "wrong"), id="beside a wrong one"),
        pytest.param(REFRESH, {"Authorization": "Bearer x"}, id="beside another scheme"),
    ],
)
def test_a_refresh_token_is_the_only_credential(server: Server, form: dict[str, str], headers: dict[str, str]) -> None:
    """Two kinds at once are as good as none."""
    response = post(server, form, headers=headers)
    assert response.status_code == 401
    assert response.get_json()["details"] == "wrong user name or password"


def test_a_refresh_token_given_twice_is_400(server: Server) -> None:
    """As every parameter that one request has once."""
    response = post(server, [*REFRESH.items(), ("refresh_token", "another")])
    assert response.status_code == 400
    assert response.get_json()["details"] == "refresh_token: is given twice"


def test_an_unknown_registry_comes_first(server: Server) -> None:
    """Log in again would be the wrong advice."""
    response = post(server, {**REFRESH, "service": "none"})
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")


def test_stored_tokens_do_not_lock_their_owners_out(server: Server) -> None:
    """Many machines behind one address: their tokens are throttled, and a login by password from there is not."""
    answers = [post(server, {**REFRESH, "refresh_token": f"of-old-{number}"}) for number in range(60)]
    statuses = [answer.status_code for answer in answers]
    limit = statuses.index(429)  # one worker's share of five
    assert 2 <= limit <= 5
    assert statuses == [401] * limit + [429] * (60 - limit)
    assert "docker logout HOST" in answers[-1].get_json()["error_description"]
    assert get(server, headers=as_user("ann")).status_code == 200


def test_the_same_stored_token_counts_once(server: Server) -> None:
    """A machine that pulls every minute with its old token gets the same answer each time."""
    assert [post(server, REFRESH).status_code for _ in range(30)] == [401] * 30


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", None])
def test_a_body_that_is_no_form_is_415(server: Server, content_type: str | None) -> None:
    """See docs/design/threats.md#threat-103."""
    response = server.client.post("/token", data=b'{"grant_type":"password"}', content_type=content_type)
    assert response.status_code == 415


def test_different_credentials_in_header_and_form_are_401(server: Server) -> None:
    """Two claims who it is: neither is believed."""
    form = {"grant_type": "password", "service": "reg", **ANN}
    assert post(server, form, headers=as_user("zoë")).status_code == 401
    assert post(server, form, headers=as_user("ann")).status_code == 200


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/token", "/auth/token", "/auth"])
def test_other_methods_are_405_with_allow(server: Server, method: str, path: str) -> None:
    """A HEAD signs nothing (docs/design/threats.md#threat-103)."""
    response = server.client.open(path, method=method)
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, POST"
    assert server.audit.raw == []


@pytest.mark.parametrize("path", ["/token/", "//token", "/auth/", "/Token", "/metrics", "/console", "/token/x"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_redirects_and_nothing_else_is_there(server: Server, path: str, method: str) -> None:
    """A redirect would turn a POST into an anonymous GET; debug pages and metrics are not on this port."""
    response = server.client.open(path, method=method)
    assert response.status_code == 404
    assert response.get_json()["errors"][0]["code"] == "UNSUPPORTED"
    assert "X-Request-Id" in response.headers


FORGED = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X_Forwarded_Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "X_Forwarded_Prefix": "/evil",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Proto": "evil",
    "X_Forwarded_Proto": "evil",
    "X-Forwarded-For": "6.6.6.6",
    "X_Forwarded_For": "6.6.6.6",
    "Forwarded": "host=evil.example;for=6.6.6.6",
    "Script-Name": "/evil",
    "SCRIPT_NAME": "/evil",
    "X-Original-URL": "/evil",
}
PAGES = [
    "/token?service=reg",
    "/token?service=nobody",
    "/healthz",
    "/readyz",
    "/ca.pem",
    "/.well-known/jwks.json",
    "/no",
]


@pytest.mark.parametrize("name", [*FORGED, "all"])
def test_a_forged_host_and_prefix_change_nothing(server: Server, name: str) -> None:
    """Realm, issuer, audience, links and the client of the audit event come from the
    configuration and the connection. Every page is the same as without the header, refusals too.

    See docs/design/threats.md#threat-92, docs/design/threats.md#threat-93 and docs/design/threats.md#bug-17.
    """
    forged = FORGED if name == "all" else {name: FORGED[name]}
    environ = {"SCRIPT_NAME": "/evil"} if name == "all" else {}  # as a front would set it that believes a prefix
    wrong = {"Authorization": "Basic x"}
    for page in PAGES:
        for own in ({}, wrong, as_user("ann")):
            plain = server.client.get(page, headers=own)
            answer = server.client.get(page, headers={**own, **forged}, environ_overrides=environ)
            assert answer.status_code == plain.status_code
            assert without_ids(answer) == without_ids(plain)
            assert b"evil" not in answer.data
    assert plain.status_code == 404
    clients = {event["client"] for event in server.audit.events}
    assert clients == {"127.0.0.1"}


def without_ids(answer: TestResponse) -> tuple[object, object]:
    """All that two equal answers have in common: headers but the request's id, and the body, of a token its claims."""
    headers = sorted(item for item in answer.headers.items() if item[0] not in {"X-Request-Id", "Content-Length"})
    if answer.is_json and "token" in (answer.get_json() or {}):
        found = claims(answer.get_json())
        return headers, {name: value for name, value in found.items() if name not in {"jti", "iat", "nbf", "exp"}}
    return headers, answer.data


@pytest.mark.parametrize("text", ["x\r\nSet-Cookie: a=b", '"quoted"', "<script>alert(1)</script>", "😀", "\x1b[31m"])
@pytest.mark.parametrize("name", ["service", "account", "scope", "client_id"])
def test_no_parameter_reaches_a_header_or_the_body(server: Server, name: str, text: str) -> None:
    """Nothing is echoed (docs/design/threats.md#threat-94 and docs/design/threats.md#threat-95)."""
    response = get(server, f"{name}={quote(text)}", as_user("ann"))
    assert "Set-Cookie" not in response.headers
    assert text.encode() not in response.data
    assert response.content_type == "application/json"


def test_an_event_cannot_be_forged(server: Server) -> None:
    """Newlines, escapes and line separators of a user name stay inside one ASCII line.

    See docs/design/threats.md#threat-96.
    """
    name = 'a\n{"event":"exchange","outcome":"granted"}\x1b[2J\u2028\x7f' + "y" * 2000
    response = get(server, headers=basic(name, "x"))
    assert response.status_code == 401
    (line,) = server.audit.raw
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert all(byte >= 0x20 and byte != 0x7F for byte in line[:-1])
    assert json.loads(line)["outcome"] == "invalid_credentials"
    assert len(line) < 2000


def test_the_client_address_is_the_proxys_word_only_if_it_is_trusted(server: Server) -> None:
    """See docs/design/threats.md#threat-53 and docs/design/threats.md#bug-26."""
    cases = [("10.1.1.1", "203.0.113.7"), ("192.0.2.1", "192.0.2.1")]
    for peer, expected in cases:
        response = server.client.get(
            "/token?service=reg",
            headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.7"},
            environ_overrides={"REMOTE_ADDR": peer, "wsgi.url_scheme": "https"},
        )
        assert (response.status_code, server.audit.events[-1]["client"]) == (200, expected)


ASKED: dict[str, dict[str, Any]] = {
    "anonymous": {"path": "/token?service=reg&scope=repository:public/a:pull"},
    "login": {"path": "/token?service=reg", "headers": as_user("ann")},
    "granted": {"path": "/token?service=reg&scope=repository:team/a:push", "headers": as_user("ann")},
    "form": {"path": "/token", "data": {"grant_type": "password", "client_id": "x", "service": "reg", **ANN}},
    "explained": {"path": "/token?service=reg&explain=1", "headers": as_user("ann")},
    "wrong password": {"path": "/token?service=reg", "headers": basic("ann", "wrong")},
    "no request": {"path": "/token?service=reg&scope=" + "x" * 131_072},
}


def ask(client: FlaskClient, asked: str) -> Any:
    """One request of `ASKED`."""
    request = dict(ASKED[asked])
    return client.open(request.pop("path"), method="POST" if "data" in request else "GET", **request)


@pytest.mark.parametrize("asked", ASKED)
def test_no_token_leaves_when_its_event_cannot_be_written(server: Server, asked: str) -> None:
    """On a full device, and with a reader that is gone, every answer is 503 and holds nothing that was asked
    for; the same request is well again when there is room, and has its event.

    See docs/design/threats.md#threat-98.
    """
    expected = ask(server.client, asked).status_code
    reading, writing = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    sinks: list[Sink] = [DescriptorSink(full), DescriptorSink(writing), server.audit]
    for sink in sinks:
        server.audit.broken = sink is server.audit
        server.parts.trail._sink = sink
        response = ask(server.client, asked)
        assert response.status_code == 503
        assert set(response.get_json()) <= {"errors", "details", "error", "error_description"}
        assert b"eyJ" not in response.data
        assert response.headers["Retry-After"].isdigit()
    server.audit.broken = False
    before = len(server.audit.raw)
    response = ask(server.client, asked)
    assert response.status_code == expected
    (event,) = server.audit.events[before:]
    assert event["request_id"] == response.headers["X-Request-Id"]
    if b"eyJ" in response.data:
        assert event["jti"] == claims(response.get_json())["jti"]
    os.close(writing)
    os.close(full)


def test_a_bug_gives_500_and_no_token(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any exception is 500 without a token, audited as an error, and the next request is fine.

    See docs/design/threats.md#fault-39 and docs/design/threats.md#threat-52.
    """
    import tokenserver.exchange.service

    def broken(*_: object) -> None:
        raise RuntimeError("canary-4711")

    with monkeypatch.context() as patched:
        patched.setattr(tokenserver.exchange.service, "decide", broken)
        response = get(server, "service=reg&scope=repository:public/a:pull")
    assert response.status_code == 500
    assert "token" not in response.get_json()
    assert server.audit.events[-1]["outcome"] == "error"
    assert b"canary" not in b"".join(server.audit.raw) + response.data
    assert get(server).status_code == 200


def test_what_was_decided_is_what_is_signed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """More access between decision and signature is 500, no token (docs/design/threats.md#threat-62)."""

    secret = [{"type": "repository", "name": "secret", "actions": ["pull"]}]
    monkeypatch.setattr(
        "tokenserver.tokens.issuer.encoded_claims", changed_by(lambda claims: claims.update(access=secret))
    )
    response = get(server, "service=reg&scope=repository:public/a:pull")
    assert response.status_code == 500
    assert "token" not in response.get_json()


def looks(response: Any) -> tuple[Any, ...]:
    """All of an answer but what differs from one request to the next in any case: ids, and times of the second."""
    body = response.get_json()
    token = body.get("token")
    shown = {key: value for key, value in body.items() if key not in {"token", "access_token", "issued_at"}}
    told = claims(body) if token else {}
    lasting = {key: value for key, value in told.items() if key not in {"jti", "iat", "nbf", "exp"}}
    times = [told["exp"] - told["iat"], told["iat"] - told["nbf"]] if token else []
    headers = sorted((name, value) for name, value in response.headers if name != "X-Request-Id")
    return response.status_code, headers, shown, jwt.get_unverified_header(token) if token else None, lasting, times


@pytest.mark.parametrize(
    ("present", "absent"),
    [
        pytest.param("users/ann/app", "users/ann/non", id="somebody else's namespace"),
        pytest.param("users/ann/app", "no/such/thing", id="nobody's namespace"),
        pytest.param("team/prod/app", "team/prod/non", id="a deny rule with a message"),
    ],
)
@pytest.mark.parametrize("actions", ["push", "delete", "push,delete"])
def test_denied_and_absent_repositories_look_the_same(server: Server, present: str, absent: str, actions: str) -> None:
    """Nothing in any answer tells whether a repository exists, though others were given access to it.

    What an explanation says of rules and owners depends on the policies and the namespace alone.
    See docs/design/threats.md#threat-51.
    """
    is_one_namespace = present.rpartition("/")[0] == absent.rpartition("/")[0]
    for owner in ("ann", "zoë"):
        given = get(server, f"service=reg&scope=repository:{present}:pull,push", as_user(owner)).get_json()
        is_theirs = owner == "ann" or present.startswith("team/")
        assert bool(claims(given)["access"]) is is_theirs
    for headers in (as_user("zoë"), {}):
        found = []
        for name in (present, absent):
            scope = f"repository:{name}:{actions}"
            query = get(server, f"service=reg&scope={scope}", headers)
            assert claims(query.get_json())["access"] == []
            form = {"grant_type": "password", "service": "reg", "client_id": "x", "username": "zoë", "scope": scope}
            posted = post(server, {**form, "password": PASSWORDS["zoë"]})
            explained = get(server, f"service=reg&explain=1&scope={scope}", headers)
            told = json.loads(explained.data.replace(name.encode(), b"NAME"))
            if not is_one_namespace:
                for one in told.get("scopes", []):
                    del one["nearest"], one["contacts"]
            found.append((looks(query), looks(posted), explained.status_code, told))
        assert found[0] == found[1]


def test_an_exchange_changes_nothing(server: Server) -> None:
    """Asking for a repository, a user or a registry that is not there makes none (docs/design/threats.md#bug-18)."""

    def state() -> dict[str, bytes]:
        files = [path for path in server.folder.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files}

    before, snapshot = state(), server.parts.live.snapshot()
    for scope in ("repository:users/ann/new:pull,push", "repository:new/thing:push", "registry:catalog:*"):
        get(server, f"service=reg&scope={scope}", as_user("ann"))
        get(server, f"service=reg&scope={scope}", basic("nobody", "x"))
        get(server, f"service=new&scope={scope}")
        post(server, {"grant_type": "password", "service": "reg", "scope": scope, **ANN})
    assert len(server.audit.raw) == 12
    assert state() == before
    assert server.parts.live.snapshot() is snapshot


def test_no_secret_in_any_event(server: Server) -> None:
    """Neither password nor token nor header is in the audit trail (docs/design/threats.md#threat-97)."""
    canary = "canary-pässword"
    token = get(server, headers=as_user("ann")).get_json()["token"]
    get(server, headers=basic("ann", canary))
    post(server, {"grant_type": "password", "service": "reg", "username": "ann", "password": canary})
    trail = b"".join(server.audit.raw)
    for secret in (canary, PASSWORDS["ann"], token, token.split(".")[2], basic("ann", canary)["Authorization"]):
        for spelling in (secret, json.dumps(secret)[1:-1], quote(secret)):
            assert spelling.encode() not in trail


def test_every_event_names_the_live_policy(server: Server, closed_server: Server) -> None:
    """Also where nothing was decided: no credentials, wrong ones, no request at all, and an unknown registry."""
    get(server, headers=as_user("ann"))
    get(server, "service=reg&explain=1", headers=as_user("ann"))
    get(closed_server)
    get(server, headers=basic("ann", "wrong"))
    get(server, headers={"Authorization": "Bearer x"})
    get(server, "service=reg&password=x")
    get(server, "service=other")
    post(server, {"grant_type": "refresh_token"})
    for one, outcomes in ((server, 7), (closed_server, 1)):
        digest = one.parts.live.snapshot().policies.digest
        assert [event["policy"] for event in one.audit.events] == [digest] * outcomes


def test_an_event_has_its_fields(server: Server) -> None:
    """What the operator and later tools rely on."""
    get(server, "service=reg&scope=repository:public/a:pull", as_user("ann"))
    event = server.audit.events[-1]
    assert list(event) == [
        "time", "event", "request_id", "method", "client", "user_agent", "asked", "registry", "subject", "source",
        "kind", "groups", "granted", "rules", "policy", "jti", "outcome", "ms",
    ]  # fmt: skip
    assert event["time"].endswith("Z")
    assert (event["subject"], event["source"], event["kind"]) == ("ann", "htpasswd", "password")
    assert event["ms"] > 0
