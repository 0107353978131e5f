"""Who may call the API, with which credentials, and from where."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from api_calls import ApiSite, declared_secret, with_secret
from page_visits import Browser
from stored_logins_server import HOME

from tokenserver.credentials import AccessKeyForm

JSON = {"Content-Type": "application/json"}


def test_a_wrong_password(site: ApiSite) -> None:
    """One text for every reason, and an event as for any login."""
    known = site.problem("GET", "/whoami", password="wrong")
    unknown = site.problem("GET", "/whoami", user="nobody", password="wrong")
    assert known == unknown == (401, "invalid_credentials", "wrong user name or password")
    event = site.stored.last
    assert (event["event"], event["outcome"], event["username"]) == ("exchange", "invalid_credentials", "nobody")


def test_failures_count_as_those_of_any_login(site: ApiSite) -> None:
    """The throttle is the one of token requests."""
    codes = {site.call("GET", "/whoami", user="zoë", password=f"wrong{number}").status_code for number in range(25)}
    assert codes == {401, 429}
    assert site.stored.get("zoë", "z").status_code == 429


@pytest.mark.parametrize(
    ("form", "via"),
    [
        pytest.param(AccessKeyForm.PERSONAL, "key", id="access-key"),
        pytest.param(AccessKeyForm.REFRESH, "refresh", id="refresh-token"),
    ],
)
def test_credentials_that_may_not_manage(site: ApiSite, form: AccessKeyForm, via: str) -> None:
    """They may ask who they are, and nothing else: no credential makes another one."""
    key = site.stored.stored(form)
    found = site.call("GET", "/whoami", password=key).get_json()
    assert (found["subject"], found["via"], found["may_manage"]) == ("ann", via, False)
    assert found["expires"] is not None
    for method, path, body in CHANGES:
        problem = site.problem(method, path, body, password=key)
        assert problem == (403, "may_not_manage", "credential may not manage"), (method, path)
    assert site.call("GET", "/explain?service=reg&scope=repository:team/x:pull", password=key).status_code == 200
    assert {event["outcome"] for event in site.audit} == {"refused"}


CHANGES: list[tuple[str, str, Any]] = [
    ("GET", "/access-keys", None),
    ("POST", "/access-keys", {}),
    ("GET", "/robots", None),
    ("GET", "/robots/ci", None),
    ("POST", "/robots/ci/secrets", {}),
    ("GET", "/logins", None),
    ("DELETE", "/logins/000000000000", None),
    ("POST", "/people/ann/end-logins", {}),
]


def test_a_robot_that_is_an_administrator(site: ApiSite) -> None:
    """Its secret manages, unless it is narrowed: what it makes would not be."""
    text = site.stored.stored(AccessKeyForm.ROBOT, "robot:terraform")
    found = site.call("GET", "/whoami", user="terraform", password=text).get_json()
    assert (found["subject"], found["sort"], found["may_manage"]) == ("robot:terraform", "robot", True)
    assert site.call("POST", "/robots/ci/secrets", {}, user="terraform", password=text).status_code == 201
    answer = site.call("POST", "/access-keys?user=zo%C3%AB", {"reason": "new"}, user="terraform", password=text)
    assert answer.get_json()["owner"] == "zoë"
    problem = site.call("POST", "/access-keys", {}, user="terraform", password=text).get_json()
    assert problem["errors"][0]["place"] == "query.user"
    made = site.call("POST", "/robots/terraform/secrets", {"actions": ["pull"]}, user="terraform", password=text)
    narrowed = made.get_json()["secret"]
    assert site.problem("GET", "/robots", user="terraform", password=narrowed)[:2] == (403, "may_not_manage")


def test_a_robot_that_is_none(site: ApiSite) -> None:
    """It may not manage even its own secrets."""
    text, line = declared_secret()
    site.add_robots(with_secret(line))
    found = site.call("GET", "/whoami", user="ci", password=text).get_json()
    assert (found["subject"], found["may_manage"], found["expires"] is None) == ("robot:ci", False, False)
    assert site.problem("POST", "/robots/ci/secrets", {}, user="ci", password=text)[:2] == (403, "may_not_manage")


def test_a_workload(site: ApiSite) -> None:
    """It may ask who it is."""
    found = site.call("GET", "/whoami", user="job", password=site.stored.jwt()).get_json()
    assert (found["sort"], found["may_manage"]) == ("workload", False)
    assert (found["workloads"], found["groups"]) == (["job"], [])


def browser_call(site: ApiSite, method: str, path: str, **headers: str) -> Any:
    """A request of the browser that is logged in."""
    return site.stored.client.open(
        f"/api/v1{path}",
        method=method,
        headers=headers,
        data=None if method in ("GET", "DELETE") else b"{}",
        environ_overrides={"REMOTE_ADDR": HOME, "wsgi.url_scheme": "https"},
    )


def test_a_browser_s_session(site: ApiSite) -> None:
    """With the token that `whoami` answers in a header."""
    Browser(site.stored.client).log_in("ann")
    answer = browser_call(site, "GET", "/whoami")
    token = answer.headers["X-CSRF-Token"]
    assert (answer.get_json()["via"], answer.get_json()["may_manage"]) == ("browser", True)
    made = browser_call(
        site, "POST", "/access-keys", **JSON, **{"X-CSRF-Token": token, "Sec-Fetch-Site": "same-origin"}
    )
    assert made.status_code == 201
    assert site.audit[-1]["via"] == "api"
    sessions = browser_call(site, "GET", "/logins").get_json()["items"]
    assert [(one["kind"], one["current"]) for one in sessions] == [("browser", True)]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no token"),
        pytest.param({"X-CSRF-Token": "0" * 32 + "." + "0" * 64}, id="wrong token"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="another host of the domain"),
    ],
)
def test_a_request_that_another_site_sent(site: ApiSite, headers: dict[str, str]) -> None:
    """The browser sends the session with it; nothing is done."""
    Browser(site.stored.client).log_in("ann")
    token = browser_call(site, "GET", "/whoami").headers["X-CSRF-Token"]
    sent = {"X-CSRF-Token": token, **headers} if "Sec-Fetch-Site" in headers else headers
    answer = browser_call(site, "POST", "/access-keys", **JSON, **sent)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "cross_site")
    assert browser_call(site, "GET", "/access-keys").get_json()["items"] == []


def test_a_form_of_another_site_with_a_typed_password(site: ApiSite) -> None:
    """Browsers repeat Basic credentials to a site, too. A form is no JSON, and says where it comes from."""
    for headers, status in (({"Sec-Fetch-Site": "cross-site", **JSON}, 403), ({"Content-Type": "text/plain"}, 415)):
        assert site.call("POST", "/access-keys", raw=b"{}", headers=headers).status_code == status
    assert site.call("POST", "/access-keys", raw=b"").status_code == 415
    assert site.call("GET", "/access-keys").get_json()["items"] == []


def test_a_browser_is_not_asked_for_a_password(site: ApiSite) -> None:
    """It would open a window again and again."""
    answer = site.call("GET", "/whoami", user=None, headers={"Sec-Fetch-Mode": "cors"})
    assert answer.headers["WWW-Authenticate"] == 'Session realm="auth.example.com"'


def test_an_ended_session(site: ApiSite) -> None:
    """Is none."""
    browser = Browser(site.stored.client)
    browser.log_in("ann")
    session = browser_call(site, "GET", "/logins").get_json()["items"][0]["id"]
    assert site.call("DELETE", f"/logins/{session}").status_code == 204
    assert browser_call(site, "GET", "/whoami").status_code == 401


def test_credentials_in_the_query(site: ApiSite) -> None:
    """Are unknown parameters, and are not repeated."""
    answer = site.call("GET", "/whoami?access_token=tknp_secret", user=None)
    assert answer.status_code == 401
    assert "tknp_secret" not in answer.get_data(as_text=True)


def test_two_headers(site: ApiSite) -> None:
    """Are no credentials, and never nobody."""
    one = base64.b64encode(b"ann:x").decode()
    answer = site.call("GET", "/whoami", user=None, headers={"Authorization": f"Basic {one},Basic {one}"})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "invalid_credentials")
