"""Hooks that are asked by HTTP, at real servers: good ones, and each with one fault."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator

import pytest
from authenticator_contract import GOOD, NAME, AuthenticatorContract
from harness.authority import Authority
from harness.own_time import OwnTime
from hook_servers import SECRET, Respond, body, check, drip, endless, hang_up, hook_server, redirect, slow, url_of

from tokenserver.authn.authenticator import Authenticator
from tokenserver.authn.hooks.exchange import HookAnswer, HookQuestion, HookResult, HookUser
from tokenserver.authn.hooks.http_hook import HttpHook
from tokenserver.authn.hooks.identities import HookTerms
from tokenserver.authn.hooks.source import HookSource
from tokenserver.credentials import Secret
from tokenserver.documents.tls_files import client_context
from tokenserver.errors import BackendUnavailable

ALICE = HookQuestion("alice", Secret(GOOD), "10.0.0.1")
DEADLINE = 0.3


def hook(url: str, context: ssl.SSLContext | None = None, *, deadline: float = 5.0, secret: str = SECRET) -> HttpHook:
    """The hook at this URL."""
    return HttpHook(NAME, url, Secret(secret), context or ssl.create_default_context(), deadline)


class TestHttpHook(AuthenticatorContract):
    """A good hook."""

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Iterator[Authenticator]:
        """A server that knows alice."""
        with hook_server() as server:
            yield HookSource(HookTerms(NAME), hook(url_of(server)))


def test_the_whole_question() -> None:
    """One POST with the members that the page lists, and the user that the answer is about."""
    with hook_server() as server:
        found = hook(url_of(server)).ask(ALICE)
    assert found == HookAnswer(HookResult.OK, HookUser("alice", ("web", "reg-ops"), "1"))
    (request,) = server.requests
    assert (request.path, request.headers["Content-Type"]) == ("/check", "application/json")
    assert request.question == {"version": 1, "user": "alice", "password": GOOD, "client": "10.0.0.1"}
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    ("respond", "problem"),
    [
        pytest.param(redirect, "status 307, and redirects are not followed", id="redirect"),
        pytest.param(body("", 500), "status 500", id="500"),
        pytest.param(body("", 403), "status 403", id="403"),
        pytest.param(body("", 204), "status 204", id="204"),
        pytest.param(body("", 501), "status 501", id="supports no logins"),
        pytest.param(body(""), "not JSON", id="empty"),
        pytest.param(body('{"subject":"alice"}'), "no groups", id="no groups"),
        pytest.param(body('{"subject":"alice","groups":[],"groups":["ops"]}'), "duplicate member", id="duplicate"),
        pytest.param(body(b'{"subject":"\xff","groups":[]}'), "not UTF-8", id="not UTF-8"),
        pytest.param(body(b" " * 70000 + b"{}"), "longer than 64 KiB", id="long"),
        pytest.param(endless, "longer than 64 KiB", id="a gigabyte"),
        pytest.param(hang_up, "not JSON", id="hangs up"),
    ],
)
def test_bad_answers(respond: Respond, problem: str) -> None:
    """Everything but the answers of the contract is "cannot tell" (docs/design/threats.md#threat-207)."""
    with hook_server(respond) as server, pytest.raises(BackendUnavailable, match=problem):
        hook(url_of(server)).ask(ALICE)
    assert len(server.requests) == 1


@pytest.mark.parametrize("respond", [slow, drip])
def test_the_deadline_is_for_everything(respond: Respond) -> None:
    """A hook that answers a byte now and then is as late as one that does not."""
    with hook_server(respond) as server:
        own = OwnTime(os.getpid())
        with pytest.raises(BackendUnavailable, match="timeout"):
            hook(url_of(server), deadline=DEADLINE).ask(ALICE)
        assert own.seconds < DEADLINE + 1


def test_nobody_listens() -> None:
    """A hook that is down."""
    with hook_server() as server:
        url = url_of(server)
    with pytest.raises(BackendUnavailable, match="refused"):
        hook(url).ask(ALICE)


def test_another_secret() -> None:
    """The hook rejects requests that are not signed with its secret."""
    with hook_server() as server, pytest.raises(BackendUnavailable, match="status 403"):
        hook(url_of(server), secret=SECRET[::-1]).ask(ALICE)


def test_find_that_is_not_supported() -> None:
    """501 is an answer to a question without a password alone."""
    with hook_server(body("", 501)) as server:
        assert hook(url_of(server)).ask(HookQuestion("alice", None)) == HookAnswer(HookResult.UNSUPPORTED)


def test_tls(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Over TLS, with an authority of its own; a server of another authority gets no password."""
    ours, other = (Authority(tmp_path_factory.mktemp(name), name) for name in ("ours", "others"))
    certificate, key = ours.issue(tmp_path_factory.mktemp("server"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with hook_server(check, context) as server:
        url = url_of(server, "https")
        assert hook(url, client_context(ours.file)).ask(ALICE).result is HookResult.OK
        with pytest.raises(BackendUnavailable, match="certificate"):
            hook(url, client_context(other.file)).ask(ALICE)
    assert len(server.requests) == 1
