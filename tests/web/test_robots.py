"""Robots, from the policy file to the token: logins by access keys as clients send them, and what ends them."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from tests_web_server import PASSWORDS, POLICY, Server, make_server
from werkzeug.test import TestResponse

from tokenserver.access_keys import RANDOM_BYTES, AccessKey, compose_key, declare, spell_declaration
from tokenserver.authn.htpasswd import verify
from tokenserver.credentials import AccessKeyForm

SOON = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)
PAST = datetime(2026, 1, 1, tzinfo=UTC)

GOOD, OFFICE, OLD, OTHER, UNKNOWN = (
    compose_key(AccessKeyForm.ROBOT, bytes([number]) * RANDOM_BYTES) for number in range(1, 6)
)

RULE = """\
  - {id: web-builds, to: ["robot:ci-web"], repositories: ["team/**"], role: writer}
"""


def policy(*keys: AccessKey) -> str:
    """The policy file with the declarations of these keys of ci-web."""
    lines = {
        GOOD.id: declare(GOOD, SOON),
        OFFICE.id: declare(OFFICE, SOON, (IPv4Network("10.0.0.0/8"),), note="office"),
        OLD.id: declare(OLD, PAST),
    }
    secrets = "\n".join(f"      {spell_declaration(lines[key.id])}" for key in keys)
    other = spell_declaration(declare(OTHER, SOON))
    robots = f"robots:\n  ci-web:\n    secrets:\n{secrets}\n  other:\n    secrets:\n      {other}\n"
    head, deny, tail = POLICY.partition("deny:")
    return f"{head}{RULE}{deny}{tail}{robots}"


@dataclass
class Site:
    """A server with robots."""

    server: Server

    def ask(self, name: str, text: str, *, address: str = "192.0.2.1", query: str = "") -> TestResponse:
        """One login by Basic, which asks for a push to team/x."""
        basic = base64.b64encode(f"{name}:{text}".encode()).decode()
        return self.server.client.get(
            f"/token?service=reg&scope=repository:team/x:pull,push{query}",
            headers={"Authorization": f"Basic {basic}"},
            environ_overrides={"REMOTE_ADDR": address, "wsgi.url_scheme": "https"},
        )

    def post(self, **form: str) -> TestResponse:
        """One login by form."""
        return self.server.client.post(
            "/token",
            data={"service": "reg", "scope": "repository:team/x:pull,push", **form},
            environ_overrides={"REMOTE_ADDR": "192.0.2.1", "wsgi.url_scheme": "https"},
        )

    def rewrite(self, text: str) -> None:
        """Replace the policy file, which the server loads after it has looked twice."""
        (self.server.folder / "policies" / "policy.yaml").write_text(text)
        live = self.server.parts.live
        assert [live.look(), live.look()] == [False, True]


@pytest.fixture
def site(server_folder: Path, tmp_path: Path) -> Site:
    """A robot with three secrets, and another one."""
    folder = tmp_path / "server"
    shutil.copytree(server_folder, folder)
    (folder / "policies" / "policy.yaml").write_text(policy(GOOD, OFFICE, OLD))
    return Site(make_server(folder))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were hashed."""
    found: list[str] = []

    def hashing(password: str, _: str) -> bool:
        found.append(password)
        return False

    monkeypatch.setattr(verify, "verify", hashing)
    return found


def claims_of(answer: TestResponse) -> dict[str, Any]:
    """The claims of the token."""
    assert answer.status_code == 200, answer.get_json()
    payload = answer.get_json()["access_token"].split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def message(answer: TestResponse) -> tuple[int, str]:
    """The status and what the client is told."""
    return answer.status_code, answer.get_json()["errors"][0]["message"]


@pytest.mark.parametrize("name", ["ci-web", "token", "<token>", "", "CI-Web", "robot/ci-web"])
def test_a_login(site: Site, hashed: list[str], name: str) -> None:
    """The token is for the robot and has what the policy gives it; nothing is hashed, and the event has no secret."""
    claims = claims_of(site.ask(name, GOOD.text.reveal()))
    access = [{"type": "repository", "name": "team/x", "actions": ["pull", "push"]}]
    assert (claims["sub"], claims["access"], hashed) == ("robot:ci-web", access, [])
    (event,) = site.server.audit.events
    assert (event["subject"], event["kind"], event["outcome"]) == ("robot:ci-web", "robot", "granted")
    assert (event["source"], event["credential"], "namespace" in event) == ("robots", GOOD.id, False)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param({"grant_type": "password", "username": "ci-web"}, id="password"),
        pytest.param({"grant_type": "password", "username": "<token>", "account": "<token>"}, id="password-of-token"),
        pytest.param({"grant_type": "refresh_token"}, id="refresh-token"),
    ],
)
def test_a_login_by_form(site: Site, form: dict[str, str]) -> None:
    """Every grant in which clients send a stored secret."""
    field = "refresh_token" if form["grant_type"] == "refresh_token" else "password"
    claims = claims_of(site.post(**form, **{field: GOOD.text.reveal()}))
    assert (claims["sub"], len(claims["access"])) == ("robot:ci-web", 1)


def test_another_robot_has_other_rights(site: Site) -> None:
    """A login is not a right: where no rule names the robot, the token carries nothing."""
    claims = claims_of(site.ask("other", OTHER.text.reveal()))
    assert (claims["sub"], claims["access"]) == ("robot:other", [])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        pytest.param("ci-web", UNKNOWN.text.reveal(), "wrong user name or password", id="unknown"),
        pytest.param(
            "ci-web",
            compose_key(AccessKeyForm.ROBOT, bytes([1] * 16 + [9] * 32)).text.reveal(),
            "wrong user name or password",
            id="wrong",
        ),
        pytest.param(
            "ann",
            GOOD.text.reveal(),
            "the access key has another user name; fix: use token as the user name",
            id="account",
        ),
        pytest.param(
            "ci-web",
            OLD.text.reveal(),
            "the access key expired on 2026-01-01 00:00 UTC; fix: use a newer one",
            id="expired",
        ),
        pytest.param(
            "ci-web",
            OFFICE.text.reveal(),
            "the access key is not valid from 192.0.2.1; fix: use it in its networks",
            id="elsewhere",
        ),
        pytest.param(
            "ann",
            GOOD.text.reveal()[:-1],
            "the access key is incomplete or mistyped; fix: copy it again as a whole",
            id="malformed",
        ),
        pytest.param(
            "ann",
            compose_key(AccessKeyForm.PERSONAL, bytes(RANDOM_BYTES)).text.reveal(),
            "wrong user name or password",
            id="personal",
        ),
    ],
)
def test_rejected_keys(site: Site, hashed: list[str], name: str, text: str, said: str) -> None:
    """401 without a hash and without a token; the reason with the key's id is in the event alone."""
    assert message(site.ask(name, text)) == (401, said)
    (event,) = site.server.audit.events
    assert (event["outcome"], event["username"], hashed) == ("invalid_credentials", name, [])
    assert text not in json.dumps(event)
    assert text[:5] + text[5:17] not in json.dumps(event)


def test_networks(site: Site) -> None:
    """The address is the one behind trusted proxies."""
    assert site.ask("ci-web", OFFICE.text.reveal(), address="10.1.2.3").status_code == 200
    assert site.ask("ci-web", OFFICE.text.reveal(), address="198.51.100.7").status_code == 401


def test_a_reload_ends_a_secret_immediately(site: Site) -> None:
    """A login that worked a moment ago works no more once its line has left the file; the other secret still does."""
    assert site.ask("ci-web", GOOD.text.reveal()).status_code == 200
    assert site.ask("ci-web", OFFICE.text.reveal(), address="10.1.2.3").status_code == 200
    site.rewrite(policy(OFFICE))
    assert message(site.ask("ci-web", GOOD.text.reveal())) == (401, "wrong user name or password")
    assert site.ask("ci-web", OFFICE.text.reveal(), address="10.1.2.3").status_code == 200
    site.rewrite(policy(GOOD))
    assert site.ask("ci-web", GOOD.text.reveal()).status_code == 200


@pytest.mark.parametrize("rest", ["    secrets:\n", "    secrets: []\n", ""])
def test_the_last_secret_is_ended_by_removing_its_line(site: Site, rest: str) -> None:
    """What is left of the list is no fault, which would keep the previous policies and so the secret."""
    line = next(line for line in policy(GOOD).splitlines() if GOOD.id in line)
    site.rewrite(policy(GOOD).replace(f"    secrets:\n{line}\n", f"    description: ended\n{rest}"))
    assert message(site.ask("ci-web", GOOD.text.reveal())) == (401, "wrong user name or password")


def test_a_reload_of_users_keeps_the_robots(site: Site) -> None:
    """The index of secrets is that of the policies, and is made once for each version of them."""
    before = site.server.parts.live.snapshot().chain
    users = site.server.folder / "users.htpasswd"
    users.write_text(users.read_text() + "# changed\n")
    live = site.server.parts.live
    assert [live.look(), live.look()] == [False, True]
    assert live.snapshot().chain is not before
    assert live.snapshot().chain._keys._robots is before._keys._robots
    assert site.ask("ci-web", GOOD.text.reveal()).status_code == 200


def test_wrong_keys_lock_nobody_out(site: Site) -> None:
    """After many wrong keys an address gets 429 for further ones; ann and the robot log in from there as before."""
    wrong = [compose_key(AccessKeyForm.ROBOT, bytes([number]) * RANDOM_BYTES) for number in range(100, 107)]
    statuses = [site.ask("ann", key.text.reveal()).status_code for key in wrong]
    assert (statuses[0], statuses[-1], set(statuses)) == (401, 429, {401, 429})
    assert site.ask("ci-web", GOOD.text.reveal()).status_code == 200
    assert site.ask("ann", PASSWORDS["ann"]).status_code == 200


def test_the_use_of_a_right_key_is_no_guess(site: Site) -> None:
    """A pipeline that goes on with its expired key learns each time what is wrong, and blocks nobody."""
    answers = {message(site.ask("ci-web", OLD.text.reveal())) for _ in range(12)}
    assert answers == {(401, "the access key expired on 2026-01-01 00:00 UTC; fix: use a newer one")}


@pytest.mark.parametrize("name", ["robot:ci-web", "Robot:ci-web", "workload:github:x"])
def test_no_user_has_the_subject_of_a_machine(site: Site, hashed: list[str], name: str) -> None:
    """A form can hold a colon; such a name is rejected before any password is hashed."""
    answer = site.post(grant_type="password", username=name, password="a password")
    assert (message(answer), hashed) == ((401, "wrong user name or password"), [])
