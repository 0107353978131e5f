"""Refresh tokens and sessions, from the login to the token: which are given, to whom, and how they are used."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from some_ceilings import ceiling
from stored_logins_server import StoredSite, claims_of, message, stored_site
from tests_web_server import PASSWORDS

from tokenserver.credentials import AccessKeyForm
from tokenserver.exchange.stored.logins import UNRECORDED
from tokenserver.storage.selection import Selection
from tokenserver.web.oauth.grants import ACCESS_TOKEN, REFRESH_TOKEN, TOKEN_EXCHANGE
from tokenserver.web.problems import RETRY_AFTER

JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
UNKNOWN = (
    "this server does not know the stored identity token; fix: log out of the registry and in again:"
    " docker logout HOST, then docker login HOST"
)
FIX = "log out of the registry and in again: docker logout HOST, then docker login HOST"


@pytest.fixture
def site(server_folder: Path, tmp_path: Path) -> Iterator[StoredSite]:
    """A server that gives refresh tokens, and whose logins are looked up each time."""
    with stored_site(server_folder, tmp_path / "server", cache="0s") as found:
        yield found


def _token(site: StoredSite) -> str:
    text: str = site.login().get_json()["refresh_token"]
    return text


def test_a_login_that_asks(site: StoredSite) -> None:
    """One for GET and POST, in one member of the answer; the audit event has its id and not its text."""
    first = site.login().get_json()
    posted = site.post(
        grant_type="password", username="ann", password=PASSWORDS["ann"], access_type="offline", client_id="docker"
    ).get_json()
    texts = [first["refresh_token"], posted["refresh_token"]]
    assert [text[:5] for text in texts] == ["tknf_"] * 2
    events = site.audit.events
    assert [event["issued"] for event in events] == [text[5:17] for text in texts]
    assert [event["kind"] for event in events] == ["password"] * 2
    assert not any(text[20:] in line.decode() for text in texts for line in site.audit.raw)


@pytest.mark.parametrize(
    ("query", "status", "given"),
    [
        ("", 200, False),
        ("&offline_token=false", 200, False),
        ("&offline_token=0", 200, False),
        ("&offline_token=1", 200, True),
        ("&offline_token=true&account=ann", 200, True),
        ("&offline_token=", 200, False),
        ("&offline_token=yes", 400, False),
        ("&offline_token=True", 400, False),
        ("&access_type=offline", 200, False),
        ("&offline_token=true&offline_token=true", 400, False),
    ],
)
def test_who_asks(site: StoredSite, query: str, status: int, given: bool) -> None:
    """Only what the specification says; anything else is a mistake that is named."""
    answer = site.login(query=query)
    assert (answer.status_code, "refresh_token" in answer.get_json()) == (status, given)


def test_the_grant(site: StoredSite) -> None:
    """The same value until its end; the answer has no refresh token, even if one is asked for."""
    token = _token(site)
    for more in ({}, {"client_id": "crane"}, {"access_type": "offline"}, {"service": "reg-alias"}):
        answer = site.refresh(token, **more)
        assert "refresh_token" not in answer.get_json()
        assert answer.get_json()["scope"] == "repository:team/x:pull,push"
        assert claims_of(answer)["sub"] == "ann"
    event = site.last
    assert (event["via"], event["credential"], event["owner"], event["kind"]) == (
        "refresh", token[5:17], "ann", "password",
    )  # fmt: skip
    assert "ceiling" not in event


@pytest.mark.parametrize("name", ["", "<token>", "token", "ann", "ANN"])
def test_as_a_password(site: StoredSite, name: str) -> None:
    """With the neutral names, and the owner's: containerd and oras-py send it so."""
    token = _token(site)
    assert claims_of(site.get(name, token))["sub"] == "ann"
    if name:
        assert claims_of(site.post(grant_type="password", username=name, password=token))["sub"] == "ann"


def test_scopes_are_decided_anew(site: StoredSite) -> None:
    """Repeated or in a list; never more than the policies of now give."""
    token = _token(site)
    scopes = ["repository:team/x:pull", "repository:team/prod/y:push repository:infra/z:pull"]
    assert site.refresh(token, scope=scopes).get_json()["scope"] == "repository:team/x:pull"


def test_another_registry(site: StoredSite) -> None:
    """It is for the one that it was made at, under all of its names."""
    token = _token(site)
    status, text = message(site.refresh(token, service="other"))
    assert (status, text) == (401, f"this login is for another registry; fix: {FIX}")
    assert site.last["reason"] == f"credential {token[5:17]} of ann is not for other"


def test_the_name_of_somebody_else(site: StoredSite) -> None:
    """It names nobody but its owner."""
    token = _token(site)
    assert message(site.get("root-ann", token)) == (
        401, "the stored login has another user name; fix: use token as the user name",
    )  # fmt: skip
    assert site.get("", token, "&account=root-ann").status_code == 401
    assert site.get("", token, "&account=ann").status_code == 200


def test_a_registry_without(site: StoredSite) -> None:
    """Switched off for one registry; the login itself is untouched."""
    answer = site.login(service="without")
    assert (answer.status_code, "refresh_token" in answer.get_json()) == (200, False)


def test_without_the_section(server_folder: Path, tmp_path: Path) -> None:
    """People are given none; the storage may be there for other things."""
    with stored_site(server_folder, tmp_path / "server", sections="", session="0s") as site:
        assert "refresh_token" not in site.login().get_json()
        assert "refresh_token" not in site.get("x", site.jwt(), "&offline_token=true").get_json()
        answer = site.post(grant_type=TOKEN_EXCHANGE, subject_token=site.jwt(), subject_token_type=JWT_TYPE,
                           requested_token_type=REFRESH_TOKEN)  # fmt: skip
        assert message(answer) == (400, "requested_token_type: there are no sessions for the issuer of this token")


def test_no_credential_makes_another_one(site: StoredSite) -> None:
    """Not a refresh token, an access key, a robot's secret or a session (docs/design/threats.md#threat-158)."""
    session = site.get("x", site.jwt(), "&offline_token=true").get_json()["refresh_token"]
    texts = [
        _token(site),
        session,
        site.stored(AccessKeyForm.PERSONAL),
        site.stored(AccessKeyForm.ROBOT, "robot:ci"),
    ]
    for text in texts:
        for answer in (
            site.get("", text, "&offline_token=true"),
            site.post(grant_type="refresh_token", refresh_token=text, access_type="offline"),
        ):
            assert answer.status_code == 200, answer.get_json()
            assert "refresh_token" not in answer.get_json()
        exchanged = site.post(grant_type=TOKEN_EXCHANGE, subject_token=text, subject_token_type=JWT_TYPE)
        assert message(exchanged) == (400, "subject_token: is no JWT, or too long")


def test_the_limit_of_a_person(server_folder: Path, tmp_path: Path) -> None:
    """The one that is unused for longest goes, and the event of the new one says so."""
    with stored_site(server_folder, tmp_path / "server", sections="refresh_tokens: {per_user: 2}") as site:
        first = _token(site)
        time.sleep(1.1)  # moments are whole seconds
        second, third = _token(site), _token(site)
        assert site.last["displaced"] == [first[5:17]]
        assert "displaced" not in site.audit.events[-2]
        assert [site.refresh(text).status_code for text in (first, second, third)] == [401, 200, 200]
        assert message(site.refresh(first)) == (401, f"the stored login has been ended; fix: {FIX}")
        ended = f"stored login {first[5:17]} of ann has ended: displaced by a newer login: the limit is 2"
        assert site.last["reason"] == ended


def test_a_password_that_is_changed(site: StoredSite) -> None:
    """Ends it for good: the old password back does not bring the old token back."""
    token = _token(site)
    assert site.refresh(token).status_code == 200
    known: list[str] = []

    def changed(text: str) -> str:
        known.append(text)
        return text.replace("ann:$2b$04$", "ann:$2b$05$", 1)

    site.rewrite_users(changed)
    assert message(site.refresh(token)) == (401, f"the stored login has ended; fix: {FIX}")
    assert site.last["reason"] == f"stored login {token[5:17]} of ann: the password was changed"
    site.rewrite_users(lambda _: known[0])
    assert site.refresh(token).status_code == 401
    assert "has ended: the password was changed" in site.last["reason"]


def test_a_login_proves_the_password_that_it_was_made_with(server_folder: Path, tmp_path: Path) -> None:
    """A remembered login may be older than the password: its refresh token ends with it.

    See docs/design/threats.md#threat-160.
    """
    with stored_site(server_folder, tmp_path / "server", cache="60s") as site:
        snapshot = site.parts.live.snapshot()
        assert site.login(query="").status_code == 200
        site.rewrite_users(lambda text: text.replace("ann:$2b$04$", "ann:$2b$05$", 1))
        service = site.parts.exchange.service
        service._snapshot = lambda: snapshot  # a request that began before the reload
        token = _token(site)
        service._snapshot = site.parts.live.snapshot
        assert site.refresh(token).status_code == 401
        assert site.last["reason"].endswith("the password was changed")


def test_a_storage_that_is_down(site: StoredSite) -> None:
    """A login that asks gets 503, not an answer without a token: docker would keep the password instead."""
    assert site.parts.stored is not None
    (site.folder / "state").chmod(0o500)
    for file in (site.folder / "state").iterdir():
        file.rename(file.with_suffix(".away"))
    answer = site.login()
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert site.login(query="").status_code == 200


def test_a_session(site: StoredSite) -> None:
    """A workload that asks gets one that ends after an hour, for the registry of the login."""
    answer = site.get("github", site.jwt(), "&offline_token=true").get_json()
    text = answer["refresh_token"]
    assert text.startswith("tkns_")
    assert claims_of(site.refresh(text))["sub"] == "workload:ci:repo:o/web"
    assert (site.last["via"], site.last["kind"], site.last["workloads"]) == ("session", "workload", ["job"])
    assert site.refresh(text, service="other").status_code == 401


def test_token_exchange_for_a_session(site: StoredSite) -> None:
    """RFC 8693, section 2.2.1: what is issued is in access_token, whatever it is."""
    answer = site.post(
        grant_type=TOKEN_EXCHANGE, subject_token=site.jwt(), subject_token_type=JWT_TYPE, scope=None,
        requested_token_type=REFRESH_TOKEN,
    )  # fmt: skip
    content = answer.get_json()
    text = content.pop("access_token")
    assert content == {"issued_token_type": REFRESH_TOKEN, "token_type": "N_A", "expires_in": 3600}
    assert site.last["issued"] == text[5:17]
    assert claims_of(site.refresh(text))["sub"] == "workload:ci:repo:o/web"


def test_token_exchange_for_a_token(site: StoredSite) -> None:
    """An ordinary exchange, with the members of RFC 8693."""
    answer = site.post(grant_type=TOKEN_EXCHANGE, subject_token=site.jwt(), subject_token_type=JWT_TYPE)
    content = answer.get_json()
    assert (content["issued_token_type"], content["token_type"]) == (ACCESS_TOKEN, "Bearer")
    assert content["scope"] == "repository:team/x:pull,push"
    assert claims_of(answer)["sub"] == "workload:ci:repo:o/web"
    assert "refresh_token" not in content


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no subject": ({"subject_token": None}, "subject_token: is missing"),
    "no type": ({"subject_token_type": None}, "subject_token_type: is missing"),
    "another type": (
        {"subject_token_type": ACCESS_TOKEN},
        "subject_token_type: must be urn:ietf:params:oauth:token-type:jwt or urn:ietf:params:oauth:token-type:id_token",
    ),
    "an actor": ({"actor_token": "x"}, "actor_token: nobody acts for somebody else here; fix: leave it out"),
    "a password": ({"subject_token": PASSWORDS["ann"]}, "subject_token: is no JWT, or too long"),
    "another wish": (
        {"requested_token_type": JWT_TYPE},
        f"requested_token_type: must be {ACCESS_TOKEN} or {REFRESH_TOKEN}",
    ),
    "a client secret": ({"client_secret": "x"}, "client_secret: clients have no secrets here; fix: leave it out"),
    "two subjects": ({"subject_token": ["eyJx", "eyJy"]}, "subject_token: is given twice"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_exchanges(site: StoredSite, case: str) -> None:
    """RFC 6749, section 5.2: 400 with what is wrong."""
    change, text = WRONG[case]
    form: dict[str, Any] = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": site.jwt(),
        "subject_token_type": JWT_TYPE,
        **change,
    }
    answer = site.post(**form)
    assert message(answer) == (400, text)
    assert answer.get_json()["error"] == "invalid_request"


@pytest.mark.parametrize("change", [{"aud": "elsewhere"}, {"exp": 1}, {"repository_id": "75"}, {"iss": "https://x"}])
def test_subjects_that_are_no_good(site: StoredSite, change: dict[str, object]) -> None:
    """RFC 8693, section 2.2.2: an invalid request, without a challenge for a password."""
    answer = site.post(grant_type=TOKEN_EXCHANGE, subject_token=site.jwt(**change), subject_token_type=JWT_TYPE)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert "WWW-Authenticate" not in answer.headers


def test_a_login_that_cannot_be_recorded(site: StoredSite) -> None:
    """Neither a refresh token nor a session stays behind that nobody has."""
    assert site.parts.storage is not None
    store, jwt = site.parts.storage.store, site.jwt()
    site.audit.broken = True
    assert [site.login().status_code, site.get("ci", jwt, "&offline_token=true").status_code] == [503, 503]
    site.audit.broken = False
    assert {(one.ended is None, one.reason) for one in store.listed(Selection())} == {(False, UNRECORDED)}
    assert len(store.listed(Selection())) == 2


@pytest.mark.parametrize(
    ("jump", "status"),
    [
        pytest.param(-61, 503, id="back"),
        pytest.param(-86_400, 503, id="a day back"),
        pytest.param(61, 503, id="ahead"),
        pytest.param(-59, 200, id="within the leeway"),
    ],
)
def test_a_clock_that_jumps(site: StoredSite, monkeypatch: pytest.MonkeyPatch, jump: int, status: int) -> None:
    """Nothing that lasts is made, since its end may be wrong; all else works, and so does this once the clock is right.

    See docs/design/threats.md#threat-111.
    """
    assert site.parts.storage is not None
    store, token, jwt = site.parts.storage.store, _token(site), site.jwt()
    exchange = {"grant_type": TOKEN_EXCHANGE, "subject_token": jwt, "subject_token_type": JWT_TYPE}
    monkeypatch.setattr(site.parts.clock, "_now", lambda: time.time() + jump)
    before = len(store.listed(Selection()))
    answers = [
        site.login(),
        site.post(grant_type="password", username="ann", password=PASSWORDS["ann"], access_type="offline"),
        site.get("ci", jwt, "&offline_token=true"),
        site.post(**exchange, scope=None, requested_token_type=REFRESH_TOKEN),
    ]
    assert [answer.status_code for answer in answers] == [status] * 4
    made = len(store.listed(Selection())) - before
    if status == 503:
        assert made == 0
        assert {answer.headers["Retry-After"] for answer in answers} == {str(RETRY_AFTER)}
        assert site.last["reason"] == "the clock has jumped; no refresh token or session is made until it is right"
    else:
        assert made == 4
    for other in (site.login(query=""), site.get("ci", jwt), site.refresh(token), site.post(**exchange)):
        assert claims_of(other)
    monkeypatch.setattr(site.parts.clock, "_now", time.time)
    assert "refresh_token" in site.login().get_json()


def test_a_narrowed_key(site: StoredSite) -> None:
    """The ceiling comes last, at every use, and explanations and events name it."""
    limit = ceiling(("team/**", "pull"))
    text = site.stored(AccessKeyForm.PERSONAL, ceiling=limit)
    for answer in (site.get("ann", text), site.refresh(text)):
        assert claims_of(answer)["access"] == [{"type": "repository", "name": "team/x", "actions": ["pull"]}]
    event = site.last
    assert (event["kind"], event["via"], event["owner"]) == ("key", "key", "ann")
    assert (
        event["ceiling"]
        == '{"bounds":[{"actions":["pull"],"patterns":["team/**"],"type":"repository"}],"services":null}'
    )
    explained = site.get("ann", text, "&explain=1").get_json()
    (nearest,) = explained["scopes"][0]["nearest"]
    assert nearest["missing"] == ["your key is narrowed to pull on team/**"]


def test_a_stored_robot(site: StoredSite) -> None:
    """Beside declared secrets; its rights are those of the robot in the policies."""
    text = site.stored(AccessKeyForm.ROBOT, "robot:ci")
    assert claims_of(site.get("robot/ci", text))["sub"] == "robot:ci"
    other = site.stored(AccessKeyForm.ROBOT, "robot:nobody")
    assert message(site.get("", other)) == (401, "the owner of the access key cannot log in now")


def test_keys_that_end(site: StoredSite) -> None:
    """Who has the key learns when it ended; who has not, nothing."""
    now = int(time.time())
    text = site.stored(AccessKeyForm.PERSONAL, ends=now - 1)
    status, said = message(site.get("ann", text))
    assert (status, said.startswith("the access key expired on ")) == (401, True)
    wrong = site.stored(AccessKeyForm.PERSONAL)
    assert site.get("ann", wrong[:-10] + "x" * 10).status_code == 401
    assert message(site.refresh("tknf_rubbish"))[0] == 401


def test_a_use_from_another_network(site: StoredSite) -> None:
    """An event of its own, before the answer."""
    token = _token(site)
    site.refresh(token)
    site.refresh(token, address="198.51.100.7")
    event = site.audit.events[-2]
    assert (event["event"], event["credential"], event["owner"], event["network"]) == (
        "credential_new_network", token[5:17], "ann", "198.51.100.0/24",
    )  # fmt: skip
    assert site.parts.storage is not None
    assert site.parts.storage.gauges.new_networks == 1
    site.audit.broken = True
    assert site.refresh(token, address="203.0.113.7").status_code == 503
