"""Logins on devices, from the codes to the refresh token, over the whole application.

See docs/design/threats.md#threat-190 and those after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import canaries
import pytest
from device_logins import CLIENT, PERSON, Device
from sqlalchemy import update
from stored_logins_server import StoredSite, claims_of, stored_site
from tests_web_server import PASSWORDS, Server

from tokenserver.authn.stored.owners import Owners
from tokenserver.credentials import AccessKeyForm, Password, Secret
from tokenserver.errors import BackendUnavailable, InvalidCredentials, Throttled
from tokenserver.exchange.outcomes import DEVICE_STEPS
from tokenserver.exchange.stored.device_logins import PER_SESSION
from tokenserver.exchange.stored.device_refusals import UnknownUserCode
from tokenserver.storage.people import flows
from tokenserver.storage.people.user_codes import LETTERS
from tokenserver.storage.selection import Listed, Selection
from tokenserver.storage.tables import flows as table
from tokenserver.web.application import application
from tokenserver.web.oauth.grants import DEVICE_CODE

PUSH = "repository:team/x:pull,push"


@pytest.fixture
def site(server_folder: Path, tmp_path: Path) -> Iterator[StoredSite]:
    """A server that gives refresh tokens, and whose logins are looked up each time."""
    with stored_site(server_folder, tmp_path / "server", cache="0s") as found:
        yield found


@pytest.fixture
def device(site: StoredSite) -> Device:
    """A program at a terminal."""
    return Device(site)


def test_the_codes(device: Device) -> None:
    """RFC 8628, section 3.2."""
    answer = device.ask()
    codes = answer.get_json()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert len(codes["device_code"]) == 64
    first, hyphen, second = codes["user_code"].partition("-")
    assert (len(first), hyphen, len(second)) == (4, "-", 4)
    assert set(first + second) <= set(LETTERS)
    assert codes["verification_uri"] == "http://localhost:5001/device"
    assert codes["verification_uri_complete"] == f"http://localhost:5001/device?user_code={codes['user_code']}"
    assert (codes["expires_in"], codes["interval"]) == (600, 5)


def test_a_login(device: Device) -> None:
    """Pending, approved, given once; the events connect its steps, and have neither of the codes."""
    codes = device.ask().get_json()
    assert device.error(codes["device_code"]) == "authorization_pending"
    assert device.decide(codes["user_code"])
    answer = device.poll(codes["device_code"])
    given = answer.get_json()
    assert answer.status_code == 200
    assert set(given) == {"refresh_token", "refresh_token_expires_in"}
    assert given["refresh_token_expires_in"] == 90 * 86_400
    assert given["refresh_token"].startswith("tknf_")
    assert device.error(codes["device_code"]) == "invalid_grant"
    events = [event for event in device.site.audit.events if event["event"] == "device"]
    assert [event["step"] for event in events] == ["asked", "approved", "given"]
    assert len({event["flow"] for event in events}) == 1
    assert {event["device"] for event in events} == {"192.0.2.1"}
    assert [event.get("subject") for event in events] == [None, "ann", "ann"]
    assert events[2]["issued"] == given["refresh_token"][5:17]
    assert events[0]["client_id"] == CLIENT
    written = b"".join(device.site.audit.raw)
    assert not any(codes[name].encode() in written for name in ("device_code", "user_code"))
    assert claims_of(device.site.refresh(given["refresh_token"]))["sub"] == "ann"


def test_with_a_token_for_a_registry(device: Device) -> None:
    """A form with `service` spares the second request; the exchange has its own event, by the new refresh token."""
    given = device.poll(device.approved(), service="reg", scope=PUSH)
    body = given.get_json()
    assert claims_of(given)["access"] == [{"type": "repository", "name": "team/x", "actions": ["pull", "push"]}]
    assert (body["token_type"], body["scope"]) == ("Bearer", PUSH)
    assert body["refresh_token"].startswith("tknf_")
    last = device.site.last
    assert (last["event"], last["credential"], last["via"]) == ("exchange", body["refresh_token"][5:17], "refresh")


@pytest.mark.parametrize(
    ("asked", "bound"),
    [
        ([], {"other", "reg"}),
        (["reg"], {"reg"}),
        (["reg-alias"], {"reg"}),
        (["reg", "other", "reg"], {"other", "reg"}),
    ],
)
def test_the_registries(device: Device, asked: list[str], bound: set[str]) -> None:
    """Those that were asked for, else all that give refresh tokens; also under another name of theirs."""
    token = device.poll(device.approved(service=asked or None)).get_json()["refresh_token"]
    usable = {
        name for name in ("reg", "other", "without") if device.site.refresh(token, service=name).status_code == 200
    }
    assert usable == bound


@pytest.mark.parametrize(
    ("form", "error", "text"),
    [
        ({"client_id": None, "service": "reg"}, "invalid_client", "fix: tokenserver-helper"),
        ({"client_id": "docker"}, "invalid_client", "fix: tokenserver-helper"),
        ({"service": "unknown"}, "invalid_request", "no registry of that name"),
        ({"service": "without"}, "invalid_request", "gives no refresh tokens"),
        ({"service": ["reg", "without"]}, "invalid_request", "gives no refresh tokens"),
        ({"scope": "repository:team/x"}, "invalid_request", "scope: must be type:name:actions"),
    ],
)
def test_what_cannot_be_asked(device: Device, form: dict[str, str], error: str, text: str) -> None:
    """With the fix where there is one; nothing is stored."""
    answer = device.ask(**form)
    body = answer.get_json()
    assert (answer.status_code, body["error"]) == (400, error)
    assert text in body["error_description"]
    assert device.steps == []


def test_forms_that_are_none(device: Device) -> None:
    """As at the token endpoint."""
    client = device.site.client
    assert client.get("/device/code", base_url="https://localhost").status_code == 405
    assert client.get("/device/code", base_url="https://localhost").headers["Allow"] == "POST"
    assert client.post("/device/code", json={}, base_url="https://localhost").status_code == 415
    assert device.site.post("/device/code", client_id=[CLIENT, CLIENT]).status_code == 400
    secret = client.post(f"/token?device_code={'0' * 64}", data={}, base_url="https://localhost")
    assert "secrets do not belong in a URL" in secret.get_json()["error_description"]
    far = {"REMOTE_ADDR": "192.0.2.1", "wsgi.url_scheme": "http"}
    plain = client.post("/device/code", data={"client_id": CLIENT}, environ_overrides=far)
    assert plain.status_code == 403


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"device_code": None}, "invalid_request"),
        ({"client_id": None}, "invalid_client"),
        ({"client_id": "docker"}, "invalid_client"),
        ({"service": "unknown"}, "invalid_request"),
        ({"service": "other"}, "invalid_request"),
        ({"service": "reg", "scope": ["x" * 70_000]}, "invalid_request"),
        ({"device_code": "0" * 64}, "invalid_grant"),
        ({"device_code": "é\x00"}, "invalid_grant"),
    ],
)
def test_a_question_that_is_wrong_takes_nothing(device: Device, form: dict[str, str], error: str) -> None:
    """It leaves an event, and a right one is answered after it."""
    code = device.approved(service="reg")
    wrong = device.poll(**{"code": code, **{"code" if key == "device_code" else key: one for key, one in form.items()}})
    assert (wrong.status_code in {400, 413}, wrong.get_json()["error"]) == (True, error)
    assert device.site.last["event"] == "exchange"
    assert device.poll(code).status_code == 200


def test_credentials_in_the_header(device: Device) -> None:
    """A device has none; a mistake must not pass for a login of somebody else."""
    data = {"grant_type": DEVICE_CODE, "device_code": device.approved(), "client_id": CLIENT}
    basic = {"auth": ("ann", PASSWORDS["ann"]), "base_url": "https://localhost"}
    assert device.site.client.post("/token", data=data, **basic).status_code == 400
    assert device.poll(data["device_code"]).status_code == 200


def test_one_of_sixteen(device: Device) -> None:
    """Whoever comes first gets the refresh token, and there is no second one.

    See docs/design/threats.md#threat-192.
    """
    code = device.approved()
    with ThreadPoolExecutor(16) as pool:
        answers = [run.result() for run in [pool.submit(device.poll, code) for _ in range(16)]]
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 15
    assert device.steps.count("given") == 1
    storage = device.site.parts.storage
    assert storage is not None
    assert len(storage.store.listed(Selection(owner="ann"))) == 1


def test_a_denial(device: Device) -> None:
    """The device learns it, whenever it asks; a second decision changes nothing."""
    codes = device.ask().get_json()
    assert device.decide(codes["user_code"], approves=False)
    assert [device.error(codes["device_code"]) for _ in range(2)] == ["access_denied"] * 2
    assert not device.decide(codes["user_code"])
    assert device.steps == ["asked", "denied"]


def test_too_fast(device: Device) -> None:
    """Five seconds more for each question that comes too soon, and pending again after the wait.

    See docs/design/threats.md#threat-193.
    """
    code = device.ask().get_json()["device_code"]
    assert [device.error(code) for _ in range(3)] == ["authorization_pending", "slow_down", "slow_down"]
    assert device.site.audit.events[-1]["step"] == "asked"


def test_expired(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said once with an event; also where it was approved too late to be fetched."""
    monkeypatch.setattr(flows, "LIFETIME_SECONDS", 0)
    codes = device.ask().get_json()
    with pytest.raises(UnknownUserCode):
        device.decide(codes["user_code"])
    assert [device.error(codes["device_code"]) for _ in range(2)] == ["expired_token", "invalid_grant"]
    assert device.steps == ["asked", "wrong_code", "expired"]


def test_every_step_is_counted(site: StoredSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the audit log, and by a name that the metric has."""
    counted: list[str] = []
    meter = SimpleNamespace(count_device_step=counted.append)
    site.parts = replace(site.parts, meter=meter)  # type: ignore[arg-type]  # counts only these
    site.client = application(site.parts).test_client()
    device = Device(site)
    assert device.poll(device.approved()).status_code == 200
    assert device.decide(device.ask().get_json()["user_code"], approves=False)
    monkeypatch.setattr(flows, "LIFETIME_SECONDS", 0)
    codes = device.ask().get_json()
    with pytest.raises(UnknownUserCode):
        device.decide(codes["user_code"])
    assert device.error(codes["device_code"]) == "expired_token"
    assert counted == device.steps
    assert set(counted) == set(DEVICE_STEPS)


def test_the_ceiling(device: Device) -> None:
    """What was asked for bounds the token, which is listed with it; it never grants."""
    code = device.approved(scope="repository:team/x:pull repository:infra/**:pull,push")
    token = device.poll(code).get_json()["refresh_token"]
    assert (
        device.site.refresh(token, scope=f"{PUSH} repository:infra/x:push").get_json()["scope"]
        == "repository:team/x:pull"
    )
    asked = device.site.audit.events[0]
    assert '"team/x"' in asked["ceiling"]


def test_who_may_not_log_in_any_more(device: Device) -> None:
    """The person is looked up when the token is given: a changed password between is a denial."""
    code = device.approved()
    device.site.rewrite_users(lambda text: text.replace("ann:", "gone:"))
    assert [device.error(code) for _ in range(2)] == ["access_denied"] * 2
    denied = device.site.audit.events[-3]
    assert (denied["step"], denied["subject"], denied["reason"]) == (
        "denied",
        "ann",
        "htpasswd has no user ann any more",
    )


def test_another_password(device: Device) -> None:
    """The login in the browser was by the old one."""
    code = device.approved()
    other = "$2y$04$abcdefghijklmnopqrstuuGJ1eHbCkBvHkQqE3d0W3yW6p1YlD4fO"
    device.site.rewrite_users(
        lambda text: "\n".join(f"ann:{other}" if line.startswith("ann:") else line for line in text.splitlines()) + "\n"
    )
    assert device.error(code) == "access_denied"


def test_who_cannot_approve(device: Device) -> None:
    """A login by an access key makes no other credential."""
    text = device.site.stored(AccessKeyForm.PERSONAL)
    chain = device.site.parts.live.snapshot().chain
    person = chain.authenticate(Password("ann", Secret(text)), None)
    codes = device.ask().get_json()
    flow = device.logins.look_up(codes["user_code"], PERSON, session="s")
    with pytest.raises(InvalidCredentials):
        device.logins.decide(flow, PERSON, person, approves=True)
    assert device.error(codes["device_code"]) == "authorization_pending"


def test_an_unreachable_source(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person of whom only the last answer of the source is known approves nothing, and is given nothing, for now."""
    codes = device.ask().get_json()
    chain = device.site.parts.live.snapshot().chain
    person = chain.authenticate(Password("ann", Secret(PASSWORDS["ann"])), None)
    flow = device.logins.look_up(codes["user_code"], PERSON, session="s")
    with pytest.raises(BackendUnavailable):
        device.logins.decide(flow, PERSON, replace(person, stale=True), approves=True)
    assert device.decide(codes["user_code"])
    with monkeypatch.context() as patched:
        patched.setattr(Owners, "person", lambda *_: replace(person, stale=True))
        assert device.poll(codes["device_code"]).status_code == 503
    assert device.poll(codes["device_code"]).status_code == 200


def test_guessing(device: Device) -> None:
    """A session has five wrong codes; right ones do not count.

    See docs/design/threats.md#threat-190.
    """
    codes = device.ask().get_json()
    for _ in range(PER_SESSION + 1):
        assert device.logins.look_up(codes["user_code"].lower(), PERSON, session="s").user_code
    for guess in ("BBBB-BBBB", "no code", "", "A" * 10_000, "BBBB-BBBC"):
        with pytest.raises(UnknownUserCode):
            device.logins.look_up(guess, PERSON, session="s")
    with pytest.raises(Throttled) as caught:
        device.logins.look_up(codes["user_code"], PERSON, session="s")
    assert 590 <= caught.value.retry_after <= 600
    assert device.logins.look_up(codes["user_code"], PERSON, session="another")


def test_too_many_of_one_address(device: Device) -> None:
    """The 21st waits; others, and those who only log in, do not notice.

    See docs/design/threats.md#threat-193.
    """
    assert [device.ask().status_code for _ in range(20)] == [200] * 20
    full = device.ask()
    assert (full.status_code, full.headers["Retry-After"]) == (503, "60")
    assert device.ask(address="192.0.2.2").status_code == 200
    assert device.site.login().status_code == 200


@pytest.mark.parametrize("state", ["approved", "taken", "denied", "nonsense"])
def test_a_changed_state_gives_nothing(device: Device, state: str) -> None:
    """Whoever writes to the database approves nothing.

    See docs/design/threats.md#threat-192.
    """
    code = device.ask().get_json()["device_code"]
    storage = device.site.parts.storage
    assert storage is not None
    with storage.database.engine.begin() as connection:
        connection.execute(update(table).values(state=state))
    assert device.error(code) in {"invalid_grant", "access_denied"}


def test_taken_stays_taken(device: Device) -> None:
    """The row of a login that was given has no approval any more, whatever its state says."""
    code = device.approved()
    assert device.poll(code).status_code == 200
    storage = device.site.parts.storage
    assert storage is not None
    with storage.database.engine.begin() as connection:
        connection.execute(update(table).values(state="approved"))
    assert device.error(code) == "invalid_grant"


def test_what_cannot_be_stored_is_not_lost(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose token cannot be kept asks again later."""
    code = device.approved()
    assert device.site.parts.stored is not None
    store = device.site.parts.stored.logins

    def down(*_: object) -> None:
        raise BackendUnavailable("storage", "down")

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "begin", down)
        assert device.poll(code).status_code == 503
    assert device.poll(code).status_code == 200


def test_what_cannot_be_recorded_is_not_done(device: Device) -> None:
    """No codes and no approval without their events. A token without one ends, and the device asks again later."""
    device.site.audit.broken = True
    assert device.ask().status_code == 503
    device.site.audit.broken = False
    codes = device.ask().get_json()
    device.site.audit.broken = True
    with pytest.raises(Exception, match="audit event"):
        device.decide(codes["user_code"])
    device.site.audit.broken = False
    assert device.error(codes["device_code"]) == "authorization_pending"
    assert device.decide(codes["user_code"])
    device.site.audit.broken = True
    assert device.poll(codes["device_code"]).status_code == 503
    device.site.audit.broken = False
    (withdrawn,) = refresh_tokens(device)
    assert (withdrawn.ended is None, withdrawn.reason) == (False, "its audit event could not be written")
    assert device.poll(codes["device_code"]).status_code == 200
    assert [one.ended is None for one in refresh_tokens(device)].count(True) == 1
    assert device.steps == ["asked", "approved", "given"]


def test_a_token_that_cannot_be_withdrawn_is_the_only_one(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither recorded nor ended: the approval stays used."""
    code = device.approved()
    stored = device.site.parts.stored
    assert stored is not None

    def down(*_: object) -> None:
        raise BackendUnavailable("storage", "down")

    device.site.audit.broken = True
    with monkeypatch.context() as patched:
        patched.setattr(type(stored.logins), "end", down)
        assert device.poll(code).status_code == 503
    device.site.audit.broken = False
    assert device.error(code) == "invalid_grant"
    assert len(refresh_tokens(device)) == 1


def refresh_tokens(device: Device) -> list[Listed]:
    """Those of ann, also those that have ended."""
    storage = device.site.parts.storage
    assert storage is not None
    return storage.store.listed(Selection(owner="ann", forms=frozenset({AccessKeyForm.REFRESH})))


def test_where_there_are_no_refresh_tokens(server_folder: Path, tmp_path: Path, server: Server) -> None:
    """Nothing is offered, with the fix; with a storage and without one."""
    with stored_site(server_folder, tmp_path / "server", sections="access_keys: {}") as site:
        for client in (site.client, server.client):
            asked = client.post("/device/code", data={"client_id": CLIENT}, base_url="https://localhost")
            assert asked.status_code == 404
            assert "set refresh_tokens and storage" in asked.get_json()["error_description"]
            data = {"grant_type": DEVICE_CODE, "device_code": "0" * 64, "client_id": CLIENT}
            answer = client.post("/token", data=data, base_url="https://localhost")
            assert (answer.status_code, answer.get_json()["error"]) == (400, "unsupported_grant_type")


def test_codes_are_secrets(device: Device) -> None:
    """Neither shows in what Python prints of a login."""
    codes = device.ask().get_json()
    flow = device.logins.look_up(codes["user_code"], PERSON, session="s")
    canaries.watch(repr(flow), "the repr of a login")
    assert codes["user_code"].replace("-", "") not in repr(flow)
