"""The API of a real server with several workers: keys and robots' secrets are made, used, replaced and ended by it.

What is ended by one worker is refused by all of them within two seconds. schemathesis, which knows the document alone,
finds no answer that the document does not have.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import canaries
import pytest
from harness import web
from harness.processes import run
from harness.programs import need
from harness.server import Setup, TokenServer, serving
from harness.waiting import PATIENCE_SECONDS

SERVICE = "registry3.test"
ENDED_WITHIN = 2.0

POLICIES = {
    "root.yaml": """\
version: 1
administrators: ["user:olga"]
robots:
  ci-web: {description: builds of the web team, owners: ["user:ann"]}
allow:
  - {id: ann, to: ["user:ann", "robot:ci-web"], repositories: ["web/**"], role: writer}
  - {id: ben, to: ["user:ben"], repositories: ["web/**"], role: reader}
"""
}
SETTINGS = {"storage": "state/tokenserver.db", "access_keys": {}, "refresh_tokens": {}}


class Api:
    """The API of a server, as one person calls it."""

    def __init__(self, server: TokenServer, person: str) -> None:
        self.server = server
        self.person = person

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> web.Answer:
        sent = {**web.basic(self.person, self.server.people[self.person]), **headers}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            sent["Content-Type"] = "application/json"
        answer = self.server.request(method, f"/api/v1{path}", headers=sent, body=content)
        if answer.status == 201:
            canaries.know(answer.json()["secret"])
        return answer

    def made(self, path: str, **body: Any) -> dict[str, Any]:
        """A new secret."""
        answer = self("POST", path, body)
        assert answer.status == 201, answer
        return answer.json()


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """Three workers, so that nearly every change is made by another one than the one that is asked next."""
    settings = {**SETTINGS, "server": {"workers": 3}}
    made = replace(setup, policies=POLICIES, services={SERVICE: "universal"}, settings=settings)
    with serving(tmp_path_factory.mktemp("server"), made) as running:
        yield running


@pytest.fixture
def ann(server: TokenServer) -> Api:
    """A person who owns a robot."""
    return Api(server, "ann")


def asked(server: TokenServer, user: str, secret: str) -> int:
    """The status of a request for a token."""
    target = web.token_target(SERVICE, ["repository:web/site:pull,push"])
    return server.request("GET", target, headers=web.basic(user, secret)).status


def is_refused_everywhere(server: TokenServer, user: str, secret: str) -> bool:
    """Whether no worker accepts it any more, as far as many connections show."""
    return all(asked(server, user, secret) == 401 for _ in range(30))


def ended_within(server: TokenServer, user: str, secret: str) -> float:
    """The moment of the last use that was accepted, in seconds from now."""
    begin, last = time.monotonic(), 0.0
    while time.monotonic() - begin < 2 * ENDED_WITHIN:
        if asked(server, user, secret) == 200:
            last = time.monotonic() - begin
    return last


def test_a_key_from_its_first_to_its_last_use(server: TokenServer, ann: Api) -> None:
    """It works at every worker as soon as it is made; ended, at none two seconds later."""
    made = ann.made("/access-keys", name="laptop", actions=["pull"], repositories=["web/**"])
    assert [asked(server, "ann", made["secret"]) for _ in range(20)] == [200] * 20
    answer = server.request(
        "GET",
        web.token_target(SERVICE, ["repository:web/site:pull,push"]),
        headers=web.basic("token", made["secret"]),
    )
    (access,) = web.claims(answer.json()["token"])["access"]
    assert access["actions"] == ["pull"]
    listed = ann("GET", "/access-keys").json()["items"]
    assert made["id"] in [one["id"] for one in listed]
    new = ann.made(f"/access-keys/{made['id']}/rotate")
    assert (asked(server, "ann", new["secret"]), asked(server, "ann", made["secret"])) == (200, 200)
    for one in (made, new):
        assert ann("DELETE", f"/access-keys/{one['id']}").status == 204
        assert ended_within(server, "ann", one["secret"]) <= ENDED_WITHIN
        assert is_refused_everywhere(server, "ann", one["secret"])


def test_a_robot_s_secrets(server: TokenServer, ann: Api) -> None:
    """Two, and no third, whichever worker is asked."""
    first, second = (ann.made("/robots/ci-web/secrets", name=f"runner {number}") for number in (1, 2))
    for _ in range(6):
        assert ann("POST", "/robots/ci-web/secrets", {}).status == 409
    assert [asked(server, "ci-web", one["secret"]) for one in (first, second)] == [200, 200]
    assert Api(server, "ben")("GET", "/robots/ci-web").status == 404
    for one in (first, second):
        assert ann("DELETE", f"/robots/ci-web/secrets/{one['id']}").status == 204
    assert ended_within(server, "ci-web", first["secret"]) <= ENDED_WITHIN


def test_an_administrator_for_somebody_else(server: TokenServer) -> None:
    """With a reason; the key is the other's, and ben cannot do the same."""
    olga = Api(server, "olga")
    made = olga.made("/access-keys?user=ben", reason="first day")
    assert (made["owner"], made["created_by"]) == ("ben", "olga")
    assert asked(server, "ben", made["secret"]) == 200
    assert Api(server, "ben")("POST", "/access-keys?user=ann", {"reason": "x"}).status == 403
    assert olga("DELETE", f"/access-keys/{made['id']}?reason=left").status == 204
    assert ended_within(server, "ben", made["secret"]) <= ENDED_WITHIN


def test_a_lost_answer(ann: Api) -> None:
    """The same request with the same key, at any worker: one access key."""
    key = {"Idempotency-Key": "a-request-of-ann"}
    answers = [ann("POST", "/access-keys", {"name": "once"}, **key) for _ in range(9)]
    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    made = answers[0].json()["id"]
    names = [one["id"] for one in ann("GET", "/access-keys").json()["items"] if one["name"] == "once"]
    assert names == [made]
    assert ann("DELETE", f"/access-keys/{made}").status == 204


def test_a_body_is_read_as_a_form_is(ann: Api) -> None:
    """As long as 64 KiB and no longer, by length or in chunks."""
    assert ann("POST", "/access-keys", {"name": "a" * 66_000}).status == 413
    chunked = ann("POST", "/access-keys", {"networks": ["x"]}, **{"Transfer-Encoding": "chunked, chunked"})
    assert chunked.status == 400


def test_an_audit_trail_that_nobody_reads(
    setup: Setup, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No event, no change: 503, and nothing is stored or ended. It goes on with the next reader."""
    settings = {**SETTINGS, "server": {"workers": 1}}
    made = replace(setup, policies=POLICIES, services={SERVICE: "universal"}, settings=settings)
    pipe = tmp_path / "audit"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    into_pipe = ["sh", "-c", f'exec "$@" > {pipe}', "sh"]
    with serving(tmp_path_factory.mktemp("unread"), made, prefix=into_pipe) as server:
        ann = Api(server, "ann")
        key = ann.made("/access-keys")
        assert b'"event":"management"' in os.read(reading, 1 << 16)
        os.close(reading)
        assert ann("POST", "/access-keys", {}).status == 503
        assert ann("DELETE", f"/access-keys/{key['id']}").status == 503
        assert [one["id"] for one in ann("GET", "/access-keys?state=all").json()["items"]] == [key["id"]]
        assert asked(server, "ann", key["secret"]) == 503  # a token has an event, too
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while ann("DELETE", f"/access-keys/{key['id']}").status != 204:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    os.close(reading)


PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = "".join(BLOCKS).splitlines()


@pytest.mark.real("curl")
def test_the_commands_of_the_page(server: TokenServer) -> None:
    """docs/api.md, one after the other; an id in it is that of what was made before."""
    need("curl")
    ids: dict[str, str] = {}
    for command in COMMANDS:
        words = shlex.split(command)
        assert words[:2] == ["curl", "--user"]
        person = words[2]
        words[2] = f"{person}:{server.people[person]}"
        words = [reworded(word, server, ids) for word in words]
        output = run([*words, "--silent", "--fail-with-body"], environment=server.environment, folder=server.folder)
        assert output.ok, (command, output.stdout)
        made = json.loads(output.stdout) if output.stdout.strip() else {}
        if "secret" in made:
            canaries.know(made["secret"])
            placeholder = ROBOT_PLACEHOLDER if made["owner"].startswith("robot:") else KEY_PLACEHOLDER
            ids.setdefault(placeholder, made["id"])
    assert set(ids) == {KEY_PLACEHOLDER, ROBOT_PLACEHOLDER}
    assert {name for name in ids if name in PAGE} == set(ids)


KEY_PLACEHOLDER, ROBOT_PLACEHOLDER = "k7Qm2xZt9LbA", "3f9K2mQx7LbT"


def reworded(word: str, server: TokenServer, ids: dict[str, str]) -> str:
    """A word of a command, for this server and its credentials."""
    for old, new in {"https://auth.example.com": server.url, "registry.example.com": SERVICE, **ids}.items():
        word = word.replace(old, new)
    return word


SCHEMATHESIS_SECONDS = 25


@pytest.mark.real("schemathesis")
def test_whatever_the_document_allows(server: TokenServer, tmp_path: Path) -> None:
    """No server error, and no answer that the document does not have, for what is right and for what is wrong."""
    document = tmp_path / "openapi.json"
    document.write_bytes(server.request("GET", "/api/v1/openapi.json").body)
    command = [
        str(need("schemathesis")),
        "run",
        str(document),
        *("--url", f"{server.url}/api/v1"),
        *("--auth", f"ann:{server.people['ann']}"),
        *("--max-time", str(SCHEMATHESIS_SECONDS)),
        # What a schema cannot say, such as which patterns and cursors there are, is refused with 400; and a key that
        # was ended is still shown, as ended, which the tests of the life of a key hold.
        *("--exclude-checks", "positive_data_acceptance,use_after_free"),
        *("--seed", "1"),
        *("--warnings", "off"),
        "--no-color",
    ]
    output = run(command, environment=server.environment, folder=tmp_path, seconds=SCHEMATHESIS_SECONDS + 40)
    assert output.ok, output.text
