"""Robots' secrets by the API: two at most, those of policy files included, for owners and administrators."""

from __future__ import annotations

import pytest
from api_calls import ApiSite, declared_secret, with_secret
from stored_logins_server import claims_of


def test_the_life_of_a_secret(site: ApiSite) -> None:
    """Made, used, replaced, ended."""
    made = site.call("POST", "/robots/ci/secrets", {"name": "runner 7", "actions": ["pull"]}).get_json()
    assert (made["owner"], made["name"], made["secret"][:5]) == ("robot:ci", "runner 7", "tknr_")
    token = claims_of(site.stored.get("ci", made["secret"]))
    assert (token["sub"], token["access"][0]["actions"]) == ("robot:ci", ["pull"])
    robot = site.call("GET", "/robots/ci").get_json()
    (shown,) = robot.pop("secrets")
    assert robot == {
        "name": "ci",
        "subject": "robot:ci",
        "description": "builds",
        "owners": ["user:ann"],
    }
    assert (shown["id"], shown["stored"], shown["state"], shown["note"]) == (made["id"], True, "active", "runner 7")
    new = site.call("POST", f"/robots/ci/secrets/{made['id']}/rotate", {}).get_json()
    assert (new["replaces"], new["ceiling"]) == (made["id"], made["ceiling"])
    assert site.call("DELETE", f"/robots/ci/secrets/{made['id']}").status_code == 204
    assert [one["id"] for one in site.call("GET", "/robots/ci").get_json()["secrets"]] == [new["id"]]
    assert site.stored.get("ci", made["secret"]).status_code == 401
    events = [(event["action"], event["robot"], event["outcome"]) for event in site.audit]
    actions = ["create_robot_secret", "rotate_robot_secret", "end_robot_secret"]
    assert events == [(action, "ci", "done") for action in actions]


def test_two_at_most(site: ApiSite) -> None:
    """A third is refused, and so is a rotation, which would make one."""
    first, _ = (site.call("POST", "/robots/ci/secrets", {}).get_json() for _ in range(2))
    limit = "the robot ci has 2 live secrets, in files and stored, which is the limit"
    third = (409, "conflict", f"{limit}; fix: see which one is used, and end the other one")
    assert site.problem("POST", "/robots/ci/secrets", {}) == third
    assert site.problem("POST", f"/robots/ci/secrets/{first['id']}/rotate", {}) == third
    assert site.call("DELETE", f"/robots/ci/secrets/{first['id']}").status_code == 204
    assert site.call("POST", "/robots/ci/secrets", {}).status_code == 201


def test_declared_ones_count(site: ApiSite) -> None:
    """They are shown, and end with their lines alone."""
    _, line = declared_secret()
    site.add_robots(with_secret(line))
    stored = site.call("POST", "/robots/ci/secrets", {}).get_json()
    assert site.problem("POST", "/robots/ci/secrets", {})[:2] == (409, "conflict")
    assert site.problem("POST", f"/robots/ci/secrets/{stored['id']}/rotate", {})[:2] == (409, "conflict")
    secrets = site.call("GET", "/robots/ci").get_json()["secrets"]
    assert [one["stored"] for one in secrets] == [False, True]
    for method, path in (("DELETE", ""), ("POST", "/rotate")):
        body: object = {} if method == "POST" else None
        problem = site.problem(method, f"/robots/ci/secrets/{secrets[0]['id']}{path}", body)
        assert problem == (409, "conflict", "the secret is one of a policy file; fix: change its line there")


@pytest.mark.parametrize(
    ("user", "names"),
    [
        pytest.param("ann", ["ci"], id="owner"),
        pytest.param("zoë", [], id="anybody"),
        pytest.param("root-ann", ["ci", "lonely", "terraform"], id="administrator"),
    ],
)
def test_who_manages_which(site: ApiSite, user: str, names: list[str]) -> None:
    """The others are like robots that do not exist."""
    assert [one["name"] for one in site.call("GET", "/robots", user=user).get_json()["items"]] == names
    for name in ("ci", "lonely", "terraform", "nowhere"):
        expected = 200 if name in names else 404
        assert site.call("GET", f"/robots/{name}", user=user).status_code == expected
        made = site.call("POST", f"/robots/{name}/secrets", {}, user=user)
        assert made.status_code == (201 if name in names else 404)
        ended = site.call("DELETE", f"/robots/{name}/secrets/000000000000", user=user)
        assert (ended.status_code, ended.get_json()["code"]) == (404, "not_found")


def test_a_secret_of_another_robot(site: ApiSite) -> None:
    """Is none of this one."""
    other = site.call("POST", "/robots/lonely/secrets", {}, user="root-ann").get_json()["id"]
    assert site.problem("DELETE", f"/robots/ci/secrets/{other}")[:2] == (404, "not_found")
    assert site.problem("POST", f"/robots/ci/secrets/{other}/rotate", {})[:2] == (404, "not_found")
    key = site.new_key()["id"]
    assert site.problem("DELETE", f"/robots/ci/secrets/{key}")[:2] == (404, "not_found")


def test_pages_of_robots(site: ApiSite) -> None:
    """By name."""
    first = site.call("GET", "/robots?limit=2", user="root-ann").get_json()
    rest = site.call("GET", f"/robots?limit=2&cursor={first['next']}", user="root-ann").get_json()
    assert [one["name"] for one in first["items"] + rest["items"]] == ["ci", "lonely", "terraform"]
    assert rest["next"] is None


def test_wrong_wishes(site: ApiSite) -> None:
    """As those for access keys."""
    answer = site.call("POST", "/robots/ci/secrets", {"networks": ["x"], "lifetime_seconds": 1})
    assert [fault["place"] for fault in answer.get_json()["errors"]] == ["body.networks[0]", "body.lifetime_seconds"]
    made = site.call("POST", "/robots/ci/secrets", {}).get_json()["id"]
    assert site.call("POST", f"/robots/ci/secrets/{made}/rotate", {"lifetime_seconds": 1}).status_code == 400
