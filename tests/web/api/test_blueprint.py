"""The API over the whole application: what it answers, and with which headers."""

from __future__ import annotations

from api_calls import ApiSite


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
