"""`Idempotency-Key`: a request that is sent again is done once, for its sender alone."""

from __future__ import annotations

from typing import Any

import pytest
from api_calls import ApiSite

from tokenserver.management.rights import FRESH_SECONDS

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def made(site: ApiSite, body: Any = None, *, user: str = "ann", path: str = "/access-keys", **headers: str) -> Any:
    """One request for a new secret."""
    return site.call("POST", path, {} if body is None else body, user=user, headers=KEY | headers)


def count(site: ApiSite, user: str = "ann") -> int:
    """How many keys the user has."""
    return len(site.call("GET", "/access-keys", user=user).get_json()["items"])


def test_the_same_request_again(site: ApiSite) -> None:
    """The same answer with the same secret, one key, one event."""
    first, again = made(site, {"name": "a"}), made(site, {"name": "a"})
    assert first.get_data() == again.get_data()
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.headers["Location"] == again.headers["Location"]
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert (count(site), len(site.audit)) == (1, 1)


def test_another_request_with_the_same_key(site: ApiSite) -> None:
    """Is refused, and not done."""
    made(site)
    answer = made(site, {"name": "other"})
    assert (answer.status_code, answer.get_json()["code"]) == (422, "idempotency_key_reused")
    assert count(site) == 1


def test_a_key_of_somebody_else_is_another_key(site: ApiSite) -> None:
    """Nobody gets the secret of somebody else by a key that is known or guessed."""
    mine, others = made(site).get_json(), made(site, user="zoë").get_json()
    assert (mine["owner"], others["owner"]) == ("ann", "zoë")
    assert mine["secret"] != others["secret"]


def test_the_answer_is_for_the_same_kind_of_credential(site: ApiSite) -> None:
    """An access key of the same person does not get the secret, which it may not make."""
    made(site)
    key = site.new_key()["secret"]
    answer = site.call("POST", "/access-keys", {}, password=key, headers=KEY)
    assert answer.status_code == 403


def test_a_login_that_is_not_fresh_gets_no_secret_again(site: ApiSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would get none by a new request, either. What has no secret is repeated."""
    first = made(site)
    body = {"reason": "lost laptop"}
    ended = made(site, body, path="/people/ann/end-logins")
    monkeypatch.setattr("tokenserver.management.rights.FRESH_SECONDS", -FRESH_SECONDS)
    refused = made(site)
    assert (refused.status_code, refused.get_json()["code"]) == (403, "login_too_old")
    assert first.get_json()["secret"] not in refused.get_data(as_text=True)
    again = made(site, body, path="/people/ann/end-logins")
    assert (again.get_data(), again.headers["Idempotent-Replayed"]) == (ended.get_data(), "true")
    monkeypatch.undo()
    assert made(site).get_data() == first.get_data()


def test_another_path_is_another_request(site: ApiSite) -> None:
    """And so is another query."""
    made(site)
    assert made(site, path="/robots/ci/secrets").get_json()["owner"] == "robot:ci"
    assert made(site, path="/access-keys?user=ann").status_code == 201
    assert count(site) == 2


def test_a_request_that_failed_can_be_sent_again(site: ApiSite) -> None:
    """Nothing was done, so there is nothing to repeat."""
    assert made(site, {"networks": ["x"]}).status_code == 400
    site.stored.audit.broken = True
    assert made(site).status_code == 503
    site.stored.audit.broken = False
    assert (made(site).status_code, count(site)) == (201, 1)


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "a" * 256])
def test_no_keys(site: ApiSite, key: str) -> None:
    """A key is visible ASCII."""
    answer = site.call("POST", "/access-keys", {}, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.get_json()["errors"][0]["place"]) == (400, "header.Idempotency-Key")


def test_without_a_key_everything_is_done(site: ApiSite) -> None:
    """Twice is two keys."""
    site.new_key()
    site.new_key()
    assert count(site) == 2
