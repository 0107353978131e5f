"""`get` where the store has no answer that is ready.

See docs/design/threats.md#threat-163 and docs/design/threats.md#threat-164.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helper_worlds import ISSUER, NOW, REALM, REGISTRY, HelperWorld, answer, challenge, jwt, refresh_token

from tokenserver.credential_helper.obtaining import Credential, obtain
from tokenserver.credential_helper.store.stored_login import CHECK_SECONDS, PROBE_SECONDS
from tokenserver.credential_helper.token_server.reply import ServerReply

URL = f"https://{REGISTRY}/v2/"
DEVICE = f"{ISSUER}/device/code"
EVIL = "https://auth.evil.example.com/token"
STORED = ("<token>", refresh_token())


@pytest.fixture
def world(tmp_path: Path) -> HelperWorld:
    """A registry that names our token server, and nothing stored."""
    return HelperWorld(tmp_path / "store")


def got(world: HelperWorld, registry: str = REGISTRY) -> Credential | None:
    """The outcome of `get`."""
    return obtain(registry, registry, world.logins.find(registry), world.outside)


def test_a_check(world: HelperWorld) -> None:
    """The registry still names the same server; that is noted, so that the next one asks nobody."""
    world.keep(checked=NOW - CHECK_SECONDS)
    assert got(world) == STORED
    assert world.urls() == [URL]
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert found.is_ready(NOW)


@pytest.mark.parametrize(
    "named",
    [
        pytest.param(challenge(EVIL), id="another server"),
        pytest.param(challenge(service="other.example.com"), id="another service"),
        pytest.param(challenge(REALM.replace("https", "http")), id="without https"),
        pytest.param(challenge(f"{REALM}\x1b[2J"), id="malformed"),
        pytest.param(ServerReply(401, b"", ()), id="no challenge"),
        pytest.param(ServerReply(200, b""), id="none"),
    ],
)
@pytest.mark.parametrize("secret", [refresh_token(), ""], ids=["a login", "a login that has ended"])
def test_a_registry_that_names_another_server(world: HelperWorld, named: ServerReply, secret: str) -> None:
    """Neither answers its credential, nor sends it anywhere, nor asks a person to log in there."""
    world.has_terminal = True
    world.keep(secret=secret, checked=0, probed=0)
    world.replies = {URL: named}
    assert got(world) is None
    assert world.urls() == [URL]
    assert len(world.said) == 1
    assert "now names another token server" in world.said[0]
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert found.secret == secret


def test_a_registry_that_does_not_answer(world: HelperWorld) -> None:
    """Its credential is answered, as before, and not taken for checked."""
    world.keep(checked=0)
    world.replies = {}
    assert (got(world), got(world)) == (STORED, STORED)
    assert world.urls() == [URL, URL]


def test_the_first_look(world: HelperWorld) -> None:
    """A login that was kept while its registry did not answer is bound then."""
    world.keep(realm=None, service="", checked=0)
    assert got(world) == STORED
    world.replies = {URL: challenge(EVIL)}
    world.now += CHECK_SECONDS
    assert got(world) is None


@pytest.mark.parametrize(
    ("reply", "expected", "is_kept"),
    [
        pytest.param(answer(200), STORED, True, id="yes"),
        pytest.param(None, STORED, True, id="no answer"),
        pytest.param(answer(500), STORED, True, id="down"),
        pytest.param(answer(401), None, False, id="revoked"),
        pytest.param(answer(400, error="invalid_grant"), None, False, id="revoked, in OAuth's words"),
    ],
)
def test_a_probe(world: HelperWorld, reply: ServerReply | None, expected: Any, is_kept: bool) -> None:
    """A login that the token server no longer takes is forgotten; the server is asked once an hour at most."""
    world.keep(probed=NOW - PROBE_SECONDS)
    world.replies[REALM] = reply
    assert got(world) == expected
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert (bool(found.secret), found.realm) == (is_kept, REALM)
    assert world.urls() == [URL, REALM]
    if is_kept:
        assert not found.needs_probe(NOW)
    else:
        assert "no longer accepts the login" in world.said[0]


def test_an_end_that_the_server_says(world: HelperWorld) -> None:
    """Is kept."""
    world.keep(probed=0)
    world.replies[REALM] = answer(200, refresh_token_expires_in=60)
    assert got(world) == STORED
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert found.ends == NOW + 60


def test_an_end(world: HelperWorld) -> None:
    """A login that has ended is forgotten without a question."""
    world.keep(ends=NOW)
    assert got(world) is None
    assert world.urls() == [URL]
    assert "has ended" in world.said[0]
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert not found.has_secret


def test_passwords_are_not_probed(world: HelperWorld) -> None:
    """What another server's login left is answered as it is."""
    world.keep(secret="a password", checked=0, probed=0)
    assert got(world) == ("<token>", "a password")
    assert world.urls() == [URL]


def test_an_entry_below_a_registry(world: HelperWorld) -> None:
    """Is what a client keeps for itself: it is answered, and nobody asked."""
    name = "index.docker.io/v1/access-token"
    assert got(world, name) is None
    world.keep(name, secret="kept", checked=0)
    assert got(world, name) == ("<token>", "kept")
    world.keep(name, secret="")
    assert got(world, name) is None
    assert world.urls() == []


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        pytest.param(None, "does not answer", id="no answer"),
        pytest.param(ServerReply(200, b""), None, id="open to everybody"),
        pytest.param(challenge("http://auth.example.com/token"), "without https", id="plain http"),
        pytest.param(challenge("https://auth.example.com/v2/service"), None, id="another kind of server"),
        pytest.param(challenge(service="other.example.com"), "names itself other.example.com", id="another service"),
        pytest.param(challenge(service=""), "names itself nothing", id="no service"),
        pytest.param(challenge(), f"login {REGISTRY}", id="no terminal"),
    ],
)
def test_no_credential(world: HelperWorld, reply: ServerReply | None, said: str | None) -> None:
    """One line says what to do, and nobody but the registry is asked."""
    world.replies = {URL: reply, DEVICE: answer(404)}
    world.job = replace(world.job, id_token=jwt()) if reply is not None and said != f"login {REGISTRY}" else world.job
    assert got(world) is None
    assert world.urls() == [URL]
    assert [said in line for line in world.said if said] == [True] * (said is not None)


def test_a_registry_that_speaks_for_another(world: HelperWorld) -> None:
    """A foreign registry that names our token server and our registry's name gets nothing for it.

    The client would fetch a token for our registry and send it to the foreign one.
    """
    foreign = "registry.evil.example.com"
    world.has_terminal = True
    world.job = replace(world.job, id_token=jwt())
    world.keep()
    world.replies = {f"https://{foreign}/v2/": challenge()}
    assert got(world, foreign) is None
    assert world.urls() == [f"https://{foreign}/v2/"]


def test_a_registry_of_another_name(world: HelperWorld) -> None:
    """Is trusted by the settings, or by a login of before."""
    other = challenge(service="other.example.com")
    world.job = replace(world.job, id_token=jwt())
    world.replies = {URL: other}
    assert got(world) is None
    world.settings.registries = [REGISTRY]
    assert got(world) == ("workload", jwt())
    world.settings.registries = []
    world.keep(secret="", service="other.example.com")
    assert got(world) == ("workload", jwt())


def test_a_workload(world: HelperWorld) -> None:
    """A JWT is answered each time, and never stored."""
    world.job = replace(world.job, id_token=jwt())
    assert got(world) == ("workload", jwt())
    assert world.logins.file.read() == {}


def test_a_workload_for_another_server(world: HelperWorld) -> None:
    """Its JWT is not for the server that the registry names."""
    world.has_terminal = True
    world.job = replace(world.job, id_token=jwt("https://other.example.com"))
    assert got(world) is None
    assert "for another audience" in world.said[0]


def test_trusted_token_servers(world: HelperWorld) -> None:
    """Where they are listed, no other is one."""
    world.job = replace(world.job, id_token=jwt())
    world.settings.token_servers = ["https://other.example.com"]
    assert got(world) is None
    assert "not in tokenServers" in world.said[0]
    world.settings.token_servers = [ISSUER]
    assert got(world) == ("workload", jwt())


def test_a_job_without_a_jwt(world: HelperWorld) -> None:
    """The line says what the job lacks."""
    world.job = replace(world.job, system="github")
    assert got(world) is None
    assert world.said == [f"no credential for {REGISTRY}; give the job `permissions: {{id-token: write}}`"]


OFFER = answer(device_code="code", user_code="WDJB", verification_uri=f"{ISSUER}/device", expires_in=600, interval=5)


def test_a_login(world: HelperWorld) -> None:
    """At a terminal, a person logs in; the next answer comes from the store."""
    world.has_terminal = True
    world.replies |= {
        DEVICE: OFFER,
        REALM: [answer(400, error="authorization_pending"), answer(refresh_token=STORED[1])],
    }
    assert got(world) == STORED
    assert world.told[1:] == [
        f"  {ISSUER}/device",
        "and confirm the code WDJB there. Waiting for 2 minutes; Ctrl-C stops.",
    ]
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert found.is_ready(world.now)
    assert world.said == []


def test_a_login_that_fails(world: HelperWorld) -> None:
    """One line says why, and how to try again."""
    world.has_terminal = True
    world.replies[DEVICE] = answer(404)
    assert got(world) is None
    (said,) = world.said
    assert said.startswith(f"no login at {REGISTRY}: {ISSUER} offers no login by the browser; try again: ")
    assert said.endswith(f"docker-credential-tokenserver login {REGISTRY}")


def test_no_login_where_none_is_wanted(world: HelperWorld) -> None:
    """`interactive: false` asks nobody."""
    world.has_terminal = True
    world.settings.interactive = False
    assert got(world) is None
    assert world.urls() == [URL]
