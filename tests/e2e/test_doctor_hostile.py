"""The doctor at a registry that lies: what it says about itself moves no credential and no token.

The registry is a small server of the tests, since no real one says such things. The token server is real, and its
audit trail says whom the doctor logged in as, and for what.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from harness.authority import Authority
from harness.misfits import Change, Impostor, Reply, impostor, misfit
from harness.server import Event, Setup, TokenServer, serving

from tokenserver.cli import main

PROD, LAB = "prod.test", "lab.test"


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A registry that a liar pretends to be, one that it may be, and two for the open ones."""
    people = {name: setup.people[name] for name in ("ann", "olga")}
    services = {PROD: "universal", LAB: "universal", "zot.test": "zot"}
    with serving(tmp_path_factory.mktemp("hostile"), replace(setup, people=people, services=services)) as server:
        yield server


def doctor(server: TokenServer, *arguments: str | Path, config: Path | None = None, user: str = "ann") -> Result:
    command = ["doctor", *map(str, arguments), "--json", "--config", str(config or server.config)]
    result = CliRunner().invoke(main, command, input=server.people[user] + "\n")
    assert result.exit_code in (0, 1), result.output
    return result


def wrong(result: Result) -> dict[str, bool | None]:
    return {one["check"]: one["ok"] for one in json.loads(result.stdout) if one["mend"] is not None}


def refuses(server: TokenServer, *, realm: str = "", service: str = PROD, scope: str = "") -> Reply:
    """A challenge for a token, with whatever the liar wants in it."""
    challenge = f'Bearer realm="{realm or server.realm}",service="{service}"'
    return Reply(401, (("WWW-Authenticate", challenge + (f',scope="{scope}"' if scope else "")),))


def opened(sent: str) -> tuple[dict[str, Any], str]:
    """The claims of a token in an Authorization header, and its signature."""
    _, claims, signature = sent.removeprefix("Bearer ").split(".")
    return json.loads(base64.urlsafe_b64decode(claims + "===")), signature


def signed(registry: Impostor) -> list[dict[str, Any]]:
    """The claims of every token with a signature that the registry was sent."""
    tokens = [one for one in registry.authorizations if one.count(".") == 2]
    assert all(one.startswith("Bearer ") for one in registry.authorizations)
    return [claims for claims, signature in map(opened, tokens) if set(signature) != {"A"}]


def logins(server: TokenServer, since: int) -> list[Event]:
    """Exchanges since then, once one more that is known has come through."""
    server.ask(LAB, ["repository:web/last:pull"], person="olga")
    found = server.audit.events(since, until=lambda events: any(one.subject == "olga" for one in events))
    assert found[-1].subject == "olga"
    return found[:-1]


LIES = {
    "the service of another registry": {"service": PROD},
    "a service that is none of ours": {"service": "elsewhere.test"},
    "no service": {"service": ""},
    "a foreign realm": {"service": LAB, "realm": "https://login.example.invalid/token"},
    "a realm with our name in it": {"service": LAB, "realm": "http://localhost.example.invalid/token"},
    "its own host as the realm": {"service": LAB, "realm": "http://127.0.0.1:9/auth/token"},
}


@pytest.mark.parametrize("login", [[], ["--user", "ann"]], ids=["anonymous", "ann"])
@pytest.mark.parametrize("lie", list(LIES))
def test_a_lie_gets_nothing(lie: str, login: list[str], server: TokenServer) -> None:
    """Whatever does not fit is a finding; nobody is logged in, and the registry sees no Authorization at all."""
    mark = server.audit.mark()
    with impostor(refuses(server, **LIES[lie], scope="repository:secret/site:push")) as registry:
        url = f"http://localhost:{registry.port}"
        result = doctor(server, "--registry", url, "--service", LAB, "--scope", "repository:web/site:pull", *login)
    assert False in wrong(result).values()
    assert registry.authorizations == []
    assert logins(server, mark) == []


@pytest.mark.parametrize("login", [[], ["--user", "ann"]], ids=["anonymous", "ann"])
def test_who_a_registry_is_it_does_not_say_itself(login: list[str], server: TokenServer) -> None:
    """Without --service, and with no url of it in the configuration, even a right challenge gets nothing."""
    mark = server.audit.mark()
    with impostor(refuses(server, service=PROD)) as registry:
        result = doctor(server, "--registry", f"http://localhost:{registry.port}", *login)
    assert wrong(result) == {"service": None}
    assert f"--service {PROD}" in result.stdout
    assert registry.authorizations == []
    assert logins(server, mark) == []


def test_a_configured_url_says_which_registry_it_is(server: TokenServer) -> None:
    """However it is spelt; and --service that contradicts it is a finding and no request."""
    whole = yaml.safe_load(server.config.read_text())
    with impostor(refuses(server, service=LAB)) as registry:
        whole["registries"][1]["url"] = f"http://localhost:{registry.port}"
        config = server.folder / "with-url.yaml"
        config.write_text(yaml.safe_dump(whole))
        for spelling in ("http://LOCALHOST", "http://localhost"):
            doctor(server, "--registry", f"{spelling}:{registry.port}/v2/", config=config)
        assert {one["aud"] for one in signed(registry)} == {LAB}
        registry.authorizations.clear()
        result = doctor(server, "--registry", f"http://localhost:{registry.port}", "--service", PROD, config=config)
        assert wrong(result) == {"service": False}
        assert registry.authorizations == []


def test_least_access_for_a_minute(server: TokenServer) -> None:
    """The scopes of the challenge are not asked for, and of those of --scope only reading is sent on."""
    mark = server.audit.mark()
    scopes = ["--scope", "repository:web/site:pull,push", "--scope", "repository:users/ann/x:push"]
    challenge = refuses(server, service=LAB, scope="repository:web/prod/site:pull registry:catalog:*")
    with impostor(challenge) as registry:
        url = f"http://localhost:{registry.port}"
        doctor(server, "--registry", url, "--service", LAB, "--user", "ann", *scopes)
    (login,) = logins(server, mark)
    assert login.asked == {"repository:web/site:pull,push", "repository:users/ann/x:push"}
    assert signed(registry)
    for claims in signed(registry):
        assert (claims["sub"], claims["aud"]) == ("ann", LAB)
        assert claims["access"] == [{"type": "repository", "name": "web/site", "actions": ["pull"]}]
        assert claims["exp"] - claims["iat"] <= 70  # it is set back by ten seconds
        assert claims["jti"] == login.fields["jti"]


def test_without_scopes_a_token_allows_nothing(server: TokenServer) -> None:
    """What a challenge names is not asked for."""
    with impostor(refuses(server, service=LAB, scope="repository:web/site:pull,push")) as registry:
        doctor(server, "--registry", f"http://localhost:{registry.port}", "--service", LAB, "--user", "ann")
    allowed = [claims["access"] for claims in signed(registry)]
    assert allowed == [[]] * len(allowed) != []


def test_a_clock_far_ahead_is_not_believed(server: TokenServer) -> None:
    """A date in a year's time would get a token that is good in a year's time."""
    reply = refuses(server, service=LAB)
    reply = replace(reply, headers=(*reply.headers, ("Date", "Sun, 31 Jan 2100 12:00:00 GMT")))
    with impostor(reply) as registry:
        result = doctor(server, "--registry", f"http://localhost:{registry.port}", "--service", LAB, "--user", "ann")
    assert wrong(result)["clock"] is False
    assert signed(registry) == []


@pytest.mark.parametrize(("service", "is_sent"), [(LAB, True), (PROD, False)])
def test_a_token_that_is_brought(service: str, is_sent: bool, server: TokenServer) -> None:
    """It goes to the registry that it is for, and nowhere else."""
    token = server.token(service, person="ann")
    (server.folder / "token").write_text(token)
    with impostor(refuses(server, service=LAB)) as registry:
        url = f"http://localhost:{registry.port}"
        result = doctor(server, "--registry", url, "--service", LAB, "--token", server.folder / "token")
        unknown = doctor(server, "--registry", url, "--token", server.folder / "token")
    assert (f"Bearer {token}" in registry.authorizations) is is_sent
    assert registry.authorizations.count(f"Bearer {token}") == is_sent
    assert (wrong(result).get("audience") is False) is not is_sent
    assert wrong(unknown) == {"service": None}


def test_a_redirect_gets_nothing(server: TokenServer, tmp_path: Path) -> None:
    """Neither from a registry that sends a token elsewhere, nor over TLS to a name that it is not."""
    with impostor(Reply()) as thief:
        elsewhere = Reply(307, (("Location", f"http://localhost:{thief.port}/v2/"),))
        with impostor(elsewhere) as registry:
            result = doctor(
                server, "--registry", f"http://localhost:{registry.port}", "--service", LAB, "--user", "ann"
            )
        assert wrong(result) == {"redirect": False}
        assert (thief.authorizations, registry.authorizations) == ([], [])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority(tmp_path, "Nobody's CA").issue(tmp_path))
    with impostor(refuses(server, service=LAB), context=context) as registry:
        url = f"https://localhost:{registry.port}"
        result = doctor(server, "--registry", url, "--service", LAB, "--user", "ann")
        assert wrong(result) == {"tls": False}
        assert registry.authorizations == []


# --- registries that let in everybody --------------------------------------------------------------------------------


def bearer(**changes: Any) -> Change:
    return lambda whole: whole["http"]["auth"]["bearer"].update(changes)


@pytest.mark.parametrize("live", [False, True], ids=["its configuration", "its answers"])
@pytest.mark.parametrize("empty", ["realm", "service", "cert"])
def test_a_zot_with_an_incomplete_section(empty: str, live: bool, server: TokenServer, tmp_path: Path) -> None:
    """zot lets everybody in then. That is the first finding, whatever else is wrong, and the fix is in zot's words."""

    def change(whole: dict[str, Any]) -> None:
        bearer(realm="http://elsewhere.test/token", service="elsewhere", cert="/nowhere.pem")(whole)
        bearer(**{empty: ""})(whole)

    with misfit(tmp_path, server, "zot.test", "zot", change) as zot:
        seen = ["--registry", zot.url] if live else ["--registry-config", zot.config]
        result = doctor(server, *seen, "--service", "zot.test")
        first = json.loads(result.stdout)[0]
    assert (first["check"], first["ok"], first["theirs"]) == ("auth", False, "none")
    assert "--for zot" in first["mend"]
    assert "rootcertbundle" not in first["mend"]
    assert live or first["mend"].startswith(f"set {empty} to ")


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
@pytest.mark.parametrize(
    "auth",
    [
        pytest.param({}, id="an empty section"),
        pytest.param("none", id="none"),
        pytest.param({"None": {"realm": "x"}}, id="none with options"),
        pytest.param({"silly": {"realm": "REALM", "service": PROD}}, id="silly"),
    ],
)
def test_a_distribution_that_lets_in_everybody(auth: Any, generation: str, server: TokenServer, tmp_path: Path) -> None:
    """`silly` asks for a token and takes any; the others do not ask."""
    if isinstance(auth, dict) and "silly" in auth:
        auth = {"silly": {"realm": server.realm, "service": PROD}}

    def change(whole: dict[str, Any]) -> None:
        whole["auth"] = auth

    with misfit(tmp_path, server, PROD, generation, change) as registry:
        for seen in (["--registry", registry.url], ["--registry-config", registry.config]):
            first = json.loads(doctor(server, *seen, "--service", PROD).stdout)[0]
            assert (first["check"], first["ok"]) == ("auth", False)
            assert f"registry-config {PROD} --for distribution3" in first["mend"]


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
def test_variables_that_switch_protection_off(generation: str, server: TokenServer, tmp_path: Path) -> None:
    """`REGISTRY_AUTH=` in an env-file takes all of `auth` away, whatever the configuration says; the oracle is real."""
    environment = tmp_path / "registry.env"
    environment.write_text("REGISTRY_AUTH=\n")
    with misfit(
        tmp_path / "r", server, PROD, generation, lambda _: None, environment={"REGISTRY_AUTH": ""}
    ) as registry:
        files = ["--registry-config", registry.config, "--registry-env", environment]
        for seen in (["--registry", registry.url], files):
            first = json.loads(doctor(server, *seen, "--service", PROD).stdout)[0]
            assert (first["check"], first["ok"], first["theirs"]) == ("auth", False, "none")
