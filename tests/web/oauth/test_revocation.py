"""POST /revoke: whoever has a credential can end it, and nobody learns anything else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stored_logins_server import StoredSite, stored_site
from tests_web_server import Server

from tokenserver import access_keys
from tokenserver.access_keys import RANDOM_BYTES, compose_key
from tokenserver.credentials import AccessKeyForm


@pytest.fixture
def site(server_folder: Path, tmp_path: Path) -> Iterator[StoredSite]:
    """A server that stores credentials."""
    with stored_site(server_folder, tmp_path / "server") as found:
        yield found


@pytest.mark.parametrize("form", [AccessKeyForm.PERSONAL, AccessKeyForm.REFRESH, AccessKeyForm.SESSION])
def test_its_holder_ends_it(site: StoredSite, form: AccessKeyForm) -> None:
    """Immediately, with an event that has no secret; a second time it is no error."""
    text = site.stored(form)
    answers = [site.post("/revoke", token=text, token_type_hint="refresh_token", client_id="docker") for _ in range(2)]
    assert [(one.status_code, one.get_json()) for one in answers] == [(200, {})] * 2
    first, second = site.audit.events[-2:]
    assert (first["event"], first["outcome"], first["owner"]) == ("revocation", "revoked", "ann")
    assert (first["credential"], first["client_id"], first["client"]) == (text[5:17], "docker", "192.0.2.1")
    assert second["outcome"] == "ended already"
    assert site.get("", text).status_code == 401
    assert site.last["reason"].endswith("has ended: revoked by its holder")


@pytest.mark.parametrize(
    "token", ["tknf_rubbish", "opaque", compose_key(AccessKeyForm.REFRESH, bytes(RANDOM_BYTES)).text.reveal()]
)
def test_what_is_unknown_is_no_error(site: StoredSite, token: str) -> None:
    """RFC 7009, section 2.2."""
    answer = site.post("/revoke", token=token)
    assert (answer.status_code, answer.get_json()) == (200, {})
    assert site.last["outcome"] == "unknown"


def test_a_wrong_secret_ends_nothing(site: StoredSite) -> None:
    """An id is no secret: it is in logs and lists."""
    text = site.stored(AccessKeyForm.PERSONAL)
    wrong = text[:17] + "0" * 43
    assert site.post("/revoke", token=wrong + access_keys._checksum(wrong)).status_code == 200
    assert (site.last["outcome"], "credential" in site.last) == ("unknown", False)
    assert site.get("", text).status_code == 200


def test_a_robot_s_secret_is_its_owners_business(site: StoredSite) -> None:
    """Machines share it, and one of them must not end it for all."""
    text = site.stored(AccessKeyForm.ROBOT, "robot:ci")
    assert site.post("/revoke", token=text).status_code == 200
    assert (site.last["outcome"], site.get("", text).status_code) == ("unknown", 200)


def test_forms_that_are_none(site: StoredSite) -> None:
    """As at the token endpoint."""
    assert site.post("/revoke", client_id="x").get_json()["error_description"] == "token: is missing"
    assert site.post("/revoke").status_code == 415
    assert site.post("/revoke", token=["a", "b"]).status_code == 400
    assert site.client.get("/revoke", base_url="https://localhost").status_code == 405
    assert site.client.get("/revoke", base_url="https://localhost").headers["Allow"] == "POST"
    large = site.client.post("/revoke", data={"token": "x" * 200_000}, base_url="https://localhost")
    assert large.status_code == 413
    asked = site.client.post("/revoke?token=x", data={"token": "x"}, base_url="https://localhost")
    assert asked.status_code == 400


def test_what_cannot_be_recorded_is_not_done(site: StoredSite) -> None:
    """The event comes first."""
    text = site.stored(AccessKeyForm.PERSONAL)
    site.audit.broken = True
    assert site.post("/revoke", token=text).status_code == 503
    site.audit.broken = False
    assert site.get("", text).status_code == 200


def test_without_a_storage_there_is_no_such_page(server: Server) -> None:
    """Nothing could be revoked."""
    assert server.client.post("/revoke", data={"token": "x"}, base_url="https://localhost").status_code == 404
