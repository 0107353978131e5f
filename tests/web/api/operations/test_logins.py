"""Stored logins by the API: their owners see and end them, administrators those of others."""

from __future__ import annotations

from api_calls import ApiSite
from page_visits import Browser
from stored_logins_server import ISSUER

from tokenserver.credentials import AccessKeyForm

ZOE = "zo%C3%AB"


def refresh_token(site: ApiSite, user: str = "ann") -> str:
    """A refresh token, as docker login gets it."""
    token: str = site.stored.login(user).get_json()["refresh_token"]
    return token


def ids(site: ApiSite, path: str = "/logins", user: str = "ann") -> list[str]:
    """The ids of a list of logins."""
    return [one["id"] for one in site.call("GET", path, user=user).get_json()["items"]]


def test_what_a_login_shows(site: ApiSite) -> None:
    """Where it was made, for which registry, and until when; keys are no logins."""
    refresh_token(site)
    site.new_key()
    (shown,) = site.call("GET", "/logins").get_json()["items"]
    facts = {"kind": "refresh_token", "subject": "ann", "created_from": "192.0.2.1", "registries": ["reg"]}
    assert {name: shown[name] for name in facts} == facts
    assert (shown["last_used"], shown["current"]) == (None, False)


def test_the_end_of_one(site: ApiSite) -> None:
    """Its client must log in again; it never comes back."""
    token = refresh_token(site)
    (login,) = ids(site)
    assert site.call("DELETE", f"/logins/{login}").status_code == 204
    assert site.stored.refresh(token).status_code == 401
    assert site.problem("DELETE", f"/logins/{login}") == (409, "conflict", "the login has ended before")
    assert (ids(site), site.audit[0]["action"], site.audit[0]["owner"]) == ([], "end_login", "ann")


def test_logins_of_others_are_like_logins_that_do_not_exist(site: ApiSite) -> None:
    """Those of browsers, too."""
    refresh_token(site, "zoë")
    Browser(site.stored.client).log_in("zoë")
    site.stored.client.delete_cookie("tokenserver")
    others = ids(site, user="zoë")
    assert sorted(map(len, others)) == [12, 64]
    for login in (*others, "0" * 12, "0" * 64, "x"):
        assert site.problem("DELETE", f"/logins/{login}") == (404, "not_found", "there is no such login")
        assert site.problem("DELETE", f"/logins/{login}?user={ZOE}")[:2] == (403, "may_not_manage")
    assert site.problem("GET", f"/logins?user={ZOE}")[:2] == (403, "may_not_manage")
    assert site.problem("POST", f"/people/{ZOE}/end-logins", {"reason": "x"})[:2] == (403, "may_not_manage")
    assert sorted(ids(site, user="zoë")) == sorted(others)


def test_an_administrator_ends_those_of_others(site: ApiSite) -> None:
    """One by one, or all with a reason."""
    refresh_token(site, "zoë")
    refresh_token(site, "zoë")
    Browser(site.stored.client).log_in("zoë")
    site.stored.client.delete_cookie("tokenserver")
    path = f"/logins?user={ZOE}"
    found = ids(site, path, "root-ann")
    assert len(found) == 3
    assert site.call("DELETE", f"/logins/{found[0]}?user={ZOE}", user="root-ann").status_code == 204
    assert site.call("POST", f"/people/{ZOE}/end-logins", {}, user="root-ann").status_code == 400
    answer = site.call("POST", f"/people/{ZOE}/end-logins", {"reason": "lost laptop"}, user="root-ann")
    assert answer.get_json() == {"ended": 2}
    assert ids(site, path, "root-ann") == []
    event = site.audit[-1]
    assert (event["action"], event["owner"], event["reason"]) == ("end_logins", "zoë", "lost laptop")
    assert (len(event["credentials"]) + event["browsers"], event["outcome"]) == (2, "done")


def test_all_of_one_s_own(site: ApiSite) -> None:
    """Keys stay: they were made on purpose."""
    refresh_token(site)
    refresh_token(site, "zoë")
    key = site.new_key()
    assert site.call("POST", "/people/ann/end-logins", {}).get_json() == {"ended": 1}
    assert site.stored.get("ann", key["secret"]).status_code == 200
    assert len(ids(site, user="zoë")) == 1


def test_the_sessions_of_a_workload(site: ApiSite) -> None:
    """Its subject has colons and slashes; only administrators end them."""
    site.stored.get("job", site.stored.jwt(), "&offline_token=true")
    subject = "workload:ci:repo:o/web"
    (session,) = site.call("GET", f"/logins?user={subject}", user="root-ann").get_json()["items"]
    assert (session["kind"], session["subject"], ISSUER != "") == ("session", subject, True)
    answer = site.call("POST", f"/people/{subject}/end-logins", {"reason": "compromised"}, user="root-ann")
    assert answer.get_json() == {"ended": 1}


def test_keys_are_not_ended_as_logins(site: ApiSite) -> None:
    """Neither are secrets of robots."""
    key = site.new_key()["id"]
    site.stored.stored(AccessKeyForm.ROBOT, "robot:ci")
    assert site.problem("DELETE", f"/logins/{key}")[:2] == (404, "not_found")
    assert site.call("POST", "/people/robot:ci/end-logins", {"reason": "x"}, user="root-ann").get_json() == {"ended": 0}


def test_pages_of_logins(site: ApiSite) -> None:
    """Each once."""
    for _ in range(3):
        refresh_token(site)
    first = site.call("GET", "/logins?limit=2").get_json()
    rest = site.call("GET", f"/logins?limit=2&cursor={first['next']}").get_json()
    assert len({one["id"] for one in first["items"] + rest["items"]}) == 3
    assert rest["next"] is None
