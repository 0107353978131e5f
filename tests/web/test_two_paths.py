"""The fast path and the full path: whatever was asked before, and however often, the answer is the same.

The cases of tests/corpus/policy are asked over HTTP's own types. On the fast path everything is remembered that the
server ever remembers (parsed queries, rulings, encoded events, signed tokens) and it reuses tokens from the first
request on. On the full path nothing is: each question meets a new server.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from tokenserver.authn.chain import Chain
from tokenserver.credentials import Password
from tokenserver.errors import InvalidCredentials
from tokenserver.exchange.admission import AdmissionControl
from tokenserver.exchange.audit import AuditTrail
from tokenserver.exchange.observers import ObservedExchange
from tokenserver.exchange.service import TokenService
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.identity import Identity, Kind
from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.keys.store import init_keys, load_keys
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import PolicySet
from tokenserver.policy.terms import parse_moment, parse_request
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import TokenIssuer
from tokenserver.tokens.reuse import Reuse
from tokenserver.web import parameters, request_reader
from tokenserver.web.client_address import finder
from tokenserver.web.token_endpoint import TokenAnswer, TokenEndpoint

CASES: dict[str, Any] = {
    path.stem: yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - it makes text alone
    for path in sorted((Path(__file__).parent.parent / "corpus" / "policy" / "cases").glob("*.yaml"))
}
ASKING = [name for name, case in CASES.items() if "questions" in case]
NOW = "2026-06-01"
TIMES = 3


class Directory:
    """Authenticates the users in it, with the password `right`."""

    name = "corpus"

    def __init__(self) -> None:
        self.identities: dict[str, Identity] = {}

    def authenticate(self, credentials: Password) -> Identity | None:
        """See `Authenticator.authenticate`."""
        if credentials.password.reveal() != "right":
            raise InvalidCredentials("wrong password")
        return self.identities.get(credentials.username)


class Lines(list[bytes]):
    """A sink."""

    def write(self, line: bytes) -> None:
        """Keep a line."""
        self.append(line)


class Way:
    """A server built from the same parts as the real one, with a clock that each question sets."""

    def __init__(self, policies: PolicySet, ring: KeyRing, people: Directory, *, reuse: bool) -> None:
        self.lines = Lines()
        self.moment = 0.0
        ids = iter(range(10**9))
        now: Callable[[], float] = lambda: self.moment  # noqa: E731 - handed in three times
        issuer = TokenIssuer(ring, now=now, new_id=lambda: f"jti-{next(ids)}")
        registries = {
            name: Registry(name, "auth.example.com", Compat.UNIVERSAL, 900)
            for name in ("registry.example.com", *sorted(_services()))
        }
        snapshot = Snapshot(registries, Chain([people], anonymous=True, decoy=None), policies, issuer)
        service = TokenService(lambda: snapshot, now=now, reuse=Reuse(10, now=now, rush=0) if reuse else None)
        trail = AuditTrail(self.lines, now=now, policy=lambda: policies.digest)
        self.endpoint = TokenEndpoint(
            exchange=ObservedExchange(service, [trail], monotonic=lambda: 0.0),
            challenge="Basic",
            client_of=finder(()),
            new_id=lambda: f"request-{next(ids)}",
            monotonic=lambda: 0.0,
            admission=AdmissionControl(logins=8, monotonic=lambda: 0.0),
        )

    def ask(self, environ: dict[str, str], moment: float) -> tuple[Any, ...]:
        """The answer and its event, without what is another one each time: ids, and the signature over them."""
        self.moment = moment
        answer = self.endpoint.answer(environ)
        event = json.loads(self.lines.pop())
        assert self.lines == []
        event.pop("jti", None)
        event.pop("request_id")
        return answer.status, _without_ids(answer), _said(answer), event


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    """Keys that are old enough for every question."""
    folder = tmp_path_factory.mktemp("keys")
    now = datetime.now(UTC)
    init_keys(folder, issuer="auth.example.com", algorithm=Algorithm.ES256, now=now)
    return load_keys(folder, now=now)


@pytest.mark.parametrize("name", ASKING)
def test_the_corpus_through_both(tmp_path: Path, ring: KeyRing, name: str) -> None:
    """Every question three times in any order, each compared with a server that has never been asked anything."""
    policies = _policies(tmp_path, name)
    people = Directory()
    asked = [_request(question, people, number) for number, question in enumerate(CASES[name]["questions"])]
    asked += [({**environ, "HTTP_AUTHORIZATION": _basic("nobody", "wrong")}, moment) for environ, moment in asked[:2]]
    fast = Way(policies, ring, people, reuse=True)
    order = [*asked] * TIMES
    random.Random(name).shuffle(order)  # noqa: S311 - an order, not a secret
    for environ, moment in order:
        found = fast.ask(environ, moment)
        _forget_what_was_parsed()
        full = Way(policies, ring, people, reuse=False)
        assert found == full.ask(environ, moment)


def test_the_fast_path_is_one(tmp_path: Path, ring: KeyRing) -> None:
    """Otherwise the test above would compare the full path with itself: the second token is the first."""
    name = ASKING[0]
    people = Directory()
    environ, moment = _request(CASES[name]["questions"][0], people, 0)
    paths = [Way(_policies(tmp_path, name), ring, people, reuse=reuse) for reuse in (True, False)]
    tokens = [[json.loads(_answered(path, environ, moment))["token"] for _ in range(2)] for path in paths]
    assert [len(set(pair)) for pair in tokens] == [1, 2]


def _answered(path: Way, environ: dict[str, str], moment: float) -> bytes:
    path.moment = moment
    return path.endpoint.answer(environ).body


def _services() -> set[str]:
    return {
        question["service"]
        for case in CASES.values()
        for question in case.get("questions", [])
        if "service" in question
    }


def _policies(folder: Path, name: str) -> PolicySet:
    for file, text in CASES[name]["policies"].items():
        (folder / file).parent.mkdir(mode=0o755, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
        (folder / file).chmod(0o644)
    return load_policies(folder, now=parse_moment(NOW))


def _request(question: dict[str, Any], people: Directory, number: int) -> tuple[dict[str, str], float]:
    """A question as a request, and its time; its user is added to the directory."""
    scope = parse_request(question["ask"])
    client = str(ip_address(question["from"])) if "from" in question else ""
    query = f"service={question.get('service', 'registry.example.com')}&scope={scope}"
    environ = {"REQUEST_METHOD": "GET", "QUERY_STRING": query, "REMOTE_ADDR": client}
    if question["as"] != "anonymous":
        who, typed = question["as"], f"login-{number}"
        people.identities[typed] = Identity(
            who["user"], Kind.PASSWORD, people.name, groups=frozenset(who.get("groups", []))
        )
        environ["HTTP_AUTHORIZATION"] = _basic(typed, "right")
    return environ, parse_moment(question.get("at", NOW)).timestamp()


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _without_ids(answer: TokenAnswer) -> list[tuple[str, str]]:
    return [(name, value) for name, value in answer.headers if name not in ("X-Request-Id", "Content-Length")]


def _said(answer: TokenAnswer) -> Any:
    """The body, with the token opened and its id taken out."""
    body = json.loads(answer.body)
    if "token" in body:
        assert body.pop("access_token") == body["token"]
        header, claims, _ = body.pop("token").split(".")
        said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        said.pop("jti")
        body["opened"] = (header, said)
    return body


def _forget_what_was_parsed() -> None:
    parameters._cached_queries.clear()
    request_reader._cached_scopes.clear()
