"""Access keys by the API: what narrows them, whose they are, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_calls import ApiSite
from stored_logins_server import claims_of

from tokenserver.web.api.requests import NewAccessKey

ZOE = "zo%C3%AB"
JSON = {"Content-Type": "application/json"}


def test_what_narrows_a_key(site: ApiSite) -> None:
    """Actions, repositories, registries, networks and an end, as wished; the key does no more."""
    made = site.new_key(
        name="ci of a laptop",
        actions=["pull"],
        repositories=["team/*", "team/*"],
        registries=["reg-alias"],
        networks=["192.0.2.0/24"],
        lifetime_seconds=7200,
    )
    assert made["ceiling"] == [{"type": "repository", "patterns": ["team/*"], "actions": ["pull"]}]
    assert (made["registries"], made["networks"], made["name"]) == (["reg"], ["192.0.2.0/24"], "ci of a laptop")
    left = datetime.fromisoformat(made["expires"]) - datetime.now(UTC)
    assert timedelta(hours=1, minutes=59) < left < timedelta(hours=2, minutes=2)
    (access,) = claims_of(site.stored.get("ann", made["secret"]))["access"]
    assert access["actions"] == ["pull"]
    assert site.stored.get("ann", made["secret"], address="198.51.100.1").status_code == 401
    event = site.audit[-1]
    facts = {"credential": made["id"], "owner": "ann", "name": "ci of a laptop", "networks": ["192.0.2.0/24"]}
    assert {name: event[name] for name in facts} == facts
    assert event["ceiling"] == "pull on team/*, at reg only"


def test_what_is_left_out_narrows_nothing(site: ApiSite) -> None:
    """The end is the configured one."""
    made = site.new_key()
    assert (made["ceiling"], made["registries"], made["networks"], made["source"]) == (None, None, [], "htpasswd")
    left = datetime.fromisoformat(made["expires"]) - datetime.now(UTC)
    assert timedelta(days=89) < left < timedelta(days=91)


@pytest.mark.parametrize(
    ("body", "places"),
    [
        pytest.param({"owner": "zoë"}, ["body.owner"], id="whose"),
        pytest.param(
            {"id": "a", "ends": 1, "created_by": "x"}, ["body.created_by", "body.ends", "body.id"], id="facts"
        ),
        pytest.param({"name": 1, "networks": "10.0.0.0/8"}, ["body.name", "body.networks"], id="types"),
        pytest.param({"lifetime_seconds": "7200"}, ["body.lifetime_seconds"], id="no number"),
        pytest.param({"lifetime_seconds": 59}, ["body.lifetime_seconds"], id="too short"),
        pytest.param({"lifetime_seconds": 2**31}, ["body.lifetime_seconds"], id="too long"),
        pytest.param({"lifetime_seconds": True}, ["body.lifetime_seconds"], id="a truth"),
        pytest.param(
            {
                "actions": ["read"],
                "repositories": ["**", "A"],
                "registries": ["x"],
                "networks": ["1.2.3.4/8"],
                "name": "\t",
            },
            [
                "body.repositories[0]",
                "body.repositories[1]",
                "body.actions[0]",
                "body.registries[0]",
                "body.networks[0]",
                "body.name",
            ],
            id="all terms",
        ),
        pytest.param({"actions": []}, ["body.actions"], id="no action"),
        pytest.param({"actions": ["pull", "read", "*"]}, ["body.actions[1]", "body.actions[2]"], id="unknown actions"),
        pytest.param({"repositories": ["a"] * 101}, ["body.repositories"], id="too many"),
        pytest.param({"repositories": ["a" * 513]}, ["body.repositories[0]"], id="too large"),
        pytest.param({"repositories": ["users/${user}/*"]}, ["body.repositories[0]"], id="variable"),
    ],
)
def test_wrong_wishes(site: ApiSite, body: Any, places: list[str]) -> None:
    """All that is wrong, by its place; nothing is made."""
    answer = site.call("POST", "/access-keys", body)
    assert answer.status_code == 400
    assert [fault["place"] for fault in answer.get_json()["errors"]] == places
    assert site.call("GET", "/access-keys").get_json()["items"] == []


def test_no_member_of_a_row_can_be_set() -> None:
    """What a body may have is what an owner decides, whatever else a row has."""
    wished = {"name", "actions", "repositories", "registries", "networks", "lifetime_seconds", "reason"}
    assert set(NewAccessKey.model_fields) == wished


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"name": "a", "name": "b"}', b"\xff", b'{"name": "\\ud800"}'])
def test_bodies_that_are_no_object(site: ApiSite, raw: bytes) -> None:
    """One place is enough."""
    answer = site.call("POST", "/access-keys", raw=raw, headers={"Content-Type": "application/json"})
    assert [fault["place"] for fault in answer.get_json()["errors"]] == ["body"]


def test_too_many_keys(site: ApiSite) -> None:
    """As many as the configuration says."""
    for _ in range(20):
        site.new_key()
    assert site.problem("POST", "/access-keys", {}) == (
        409,
        "conflict",
        "ann has 20 live ones, the limit; fix: revoke one first",
    )
    assert site.audit[-1]["outcome"] == "refused"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("GET", "/access-keys/{id}", None, id="show"),
        pytest.param("PATCH", "/access-keys/{id}", {"name": "mine"}, id="rename"),
        pytest.param("POST", "/access-keys/{id}/rotate", {}, id="rotate"),
        pytest.param("DELETE", "/access-keys/{id}?reason=x", None, id="end"),
    ],
)
def test_keys_of_others_are_like_keys_that_do_not_exist(site: ApiSite, method: str, path: str, body: Any) -> None:
    """Nobody learns which ids there are."""
    other = site.new_key("zoë")["id"]
    found = {site.problem(method, path.format(id=one), body) for one in (other, "0" * 12, "%00", "é", other[:11])}
    assert found == {(404, "not_found", "there is no such access key")}
    assert site.call("GET", f"/access-keys/{other}", user="zoë").get_json()["state"] == "active"


@pytest.mark.parametrize("user", [ZOE, "nobody"])
def test_only_administrators_ask_about_others(site: ApiSite, user: str) -> None:
    """Whether there is such a user makes no difference."""
    expected = (403, "may_not_manage", "only administrators manage what belongs to others")
    assert site.problem("GET", f"/access-keys?user={user}") == expected
    assert site.problem("POST", f"/access-keys?user={user}", {"reason": "x"}) == expected


def test_oneself_by_name(site: ApiSite) -> None:
    """Is no other."""
    assert site.call("POST", f"/access-keys?user={ZOE}", {}, user="zoë").status_code == 201
    assert len(site.call("GET", f"/access-keys?user={ZOE}", user="zoë").get_json()["items"]) == 1


def test_an_administrator_makes_a_key_for_somebody_else(site: ApiSite) -> None:
    """With a reason, which is in the event; the key is the other's and can do what the other can."""
    path = f"/access-keys?user={ZOE}"
    assert site.call("POST", path, {}, user="root-ann").get_json()["errors"][0]["place"] == "body.reason"
    made = site.call("POST", path, {"reason": "first day"}, user="root-ann").get_json()
    assert (made["owner"], made["created_by"]) == ("zoë", "root-ann")
    event = site.audit[-1]
    assert (event["actor"], event["owner"], event["reason"]) == ("root-ann", "zoë", "first day")
    assert claims_of(site.stored.get("zoë", made["secret"]))["sub"] == "zoë"
    listed = site.call("GET", path, user="root-ann").get_json()["items"]
    assert [one["id"] for one in listed] == [made["id"]]
    assert site.problem("POST", "/access-keys?user=nobody", {"reason": "x"}, user="root-ann")[:2] == (404, "not_found")


def test_an_administrator_ends_and_does_not_take_over(site: ApiSite) -> None:
    """A key of somebody else can be seen and ended with a reason; a successor would be a secret of the other."""
    other = site.new_key("zoë")["id"]
    path = f"/access-keys/{other}"
    assert site.call("GET", path, user="root-ann").get_json()["owner"] == "zoë"
    for method, at, body in (("PATCH", path, {"name": "x"}), ("POST", f"{path}/rotate", {})):
        assert site.problem(method, at, body, user="root-ann")[:2] == (403, "may_not_manage")
    assert site.problem("DELETE", path, user="root-ann")[0] == 400
    assert site.call("DELETE", f"{path}?reason=left", user="root-ann").status_code == 204
    ended = site.call("GET", path, user="zoë").get_json()
    assert (ended["state"], ended["ended_by"], ended["reason"]) == ("ended", "root-ann", "left")


def test_what_has_ended_cannot_be_changed(site: ApiSite) -> None:
    """It never comes back."""
    made = site.new_key()["id"]
    site.call("DELETE", f"/access-keys/{made}")
    for method, path, body in (
        ("DELETE", f"/access-keys/{made}", None),
        ("PATCH", f"/access-keys/{made}", {"name": "x"}),
        ("POST", f"/access-keys/{made}/rotate", {}),
    ):
        assert site.problem(method, path, body)[:2] == (409, "conflict")


def test_one_rotation_at_a_time(site: ApiSite) -> None:
    """The old key is valid for as long as the overlap."""
    made = site.new_key()
    new = site.call("POST", f"/access-keys/{made['id']}/rotate", {"lifetime_seconds": 7200}).get_json()
    assert site.problem("POST", f"/access-keys/{made['id']}/rotate", {})[:2] == (409, "conflict")
    for secret in (made["secret"], new["secret"]):
        assert site.stored.get("ann", secret).status_code == 200
    old = site.call("GET", f"/access-keys/{made['id']}").get_json()
    assert timedelta(hours=23) < datetime.fromisoformat(old["expires"]) - datetime.now(UTC) <= timedelta(hours=24)
    assert site.call("POST", f"/access-keys/{new['id']}/rotate", {"lifetime_seconds": 1}).status_code == 400


def test_a_key_in_the_place_of_an_id_is_not_repeated(site: ApiSite) -> None:
    """Neither in the answer nor in the event."""
    made = site.new_key()
    answer = site.call("DELETE", f"/access-keys/{made['secret']}")
    assert (answer.status_code, made["secret"] in answer.get_data(as_text=True)) == (404, False)
    assert site.audit[-1]["credential"] == "<access key>"


def test_a_whole_number(site: ApiSite) -> None:
    """JSON does not tell 7200.0 from 7200; half a second is none."""
    assert site.call("POST", "/access-keys", {"lifetime_seconds": 7200.0}).status_code == 201
    assert site.call("POST", "/access-keys", {"lifetime_seconds": 7200.5}).status_code == 400
    assert site.call("POST", "/access-keys", raw=b'{"lifetime_seconds": 1e400}', headers=JSON).status_code == 400


def test_the_detail_of_many_faults(site: ApiSite) -> None:
    """The first one; all are in `errors`."""
    answer = site.call("POST", "/access-keys", {"networks": ["x", "y", "z"]}).get_json()
    assert answer["detail"].startswith("body.networks[0]: 'x': must be a network")
    assert answer["detail"].endswith("; and 2 more")
