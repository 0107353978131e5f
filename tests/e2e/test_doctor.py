"""The doctor against real registries, each with one fault: it reports that fault with its fix, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from harness import processes, web
from harness.authority import Authority
from harness.misfits import Change, Misfit, Reply, impostor, misfit, silent
from harness.own_time import OwnTime
from harness.processes import free_port
from harness.programs import need
from harness.server import ANONYMOUS, Setup, TokenServer, serving

from tokenserver.cli import main

SERVICES = {
    "universal.test": "universal",
    "kid2.test": "distribution2",
    "kid3.test": "distribution3",
    "jwks.test": "jwks",
}
GENERATIONS = [pytest.param("distribution2", id="2.8"), pytest.param("distribution3", id="3.1")]


@dataclass(frozen=True)
class Told:
    """What the doctor said: the exit code, and all of its findings."""

    code: int
    findings: tuple[dict[str, Any], ...]
    text: str

    @property
    def wrong(self) -> dict[str, bool | None]:
        """The findings to fix, by check name."""
        return {one["check"]: one["ok"] for one in self.findings if one["mend"] is not None}

    def mend(self, check: str) -> str:
        (found,) = [one["mend"] for one in self.findings if one["check"] == check and one["mend"] is not None]
        return str(found)


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """One server for all of them, with one registry for each `compat`."""
    small = replace(setup, people={"ann": setup.people["ann"]}, services=SERVICES)
    with serving(tmp_path_factory.mktemp("doctor"), small) as server:
        yield server


def doctor(server: TokenServer | Path, *arguments: str | Path, stdin: str = "") -> Told:
    """Run it in this process, since there are many runs; with a server's configuration, or this one."""
    config = server if isinstance(server, Path) else server.config
    command = ["doctor", *map(str, arguments), "--json", "--config", str(config)]
    result = CliRunner().invoke(main, command, input=stdin)
    assert result.exit_code in (0, 1), result.output
    told = Told(result.exit_code, tuple(json.loads(result.stdout)), result.output)
    assert told.code == (1 if told.wrong else 0)
    return told


def at(registry: Misfit, service: str = "universal.test") -> list[str]:
    """A live registry, and which one it is: what it says about itself is not taken for that."""
    return ["--registry", registry.url, "--service", service]


def token_section(**changes: Any) -> Change:
    """Changes `auth.token`; None takes a key away."""

    def change(whole: dict[str, Any]) -> None:
        section = whole["auth"]["token"]
        for key, value in changes.items():
            section[key] = value
            if value is None:
                del section[key]

    return change


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of a CA that is none of ours."""
    return Authority(tmp_path_factory.mktemp("stranger"), "Somebody else's CA").file


# --- configured well -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "generation"),
    [
        pytest.param("universal.test", "distribution2", id="universal 2.8"),
        pytest.param("universal.test", "distribution3", id="universal 3.1"),
        pytest.param("kid2.test", "distribution2", id="distribution2"),
        pytest.param("kid3.test", "distribution3", id="distribution3"),
        pytest.param("jwks.test", "distribution3", id="jwks"),
    ],
)
def test_well_configured_registries(service: str, generation: str, server: TokenServer, tmp_path: Path) -> None:
    """Exit code 0, from the configuration, as a visitor without a name, and as a user who wants to pull."""
    with misfit(tmp_path, server, service, generation, token_section()) as registry:
        assert doctor(server, "--registry-config", registry.config).wrong == {}
        assert doctor(server, *at(registry, service)).wrong == {}
        login = [*at(registry, service), "--user", "ann", "--scope", "repository:web/site:pull,push"]
        told = doctor(server, *login, stdin=server.people["ann"] + "\n")
        assert told.wrong == {}
        assert {"verdict", "pull", "access"} <= {one["check"] for one in told.findings if one["ok"]}
        both = doctor(server, *at(registry, service), "--registry-config", registry.config)
        assert both.wrong == {}


# --- one fault each --------------------------------------------------------------------------------------------------

SEEN = {
    "service": token_section(service="other.test"),
    "realm scheme": token_section(realm="https://localhost:1/token"),
    "realm host": token_section(realm="http://auth.example.invalid/token"),
    "realm port": token_section(realm="http://localhost:1/token"),
    "realm address": token_section(realm="http://127.0.0.1:1/token"),
    "realm path": None,
}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("case", list(SEEN))
def test_what_the_challenge_shows(case: str, generation: str, server: TokenServer, tmp_path: Path) -> None:
    """Service and realm are named from the configuration and from outside alike, with the right value."""
    change = SEEN[case] or token_section(realm=f"{server.url}/nowhere")
    check = case.partition(" ")[0]
    with misfit(tmp_path, server, "universal.test", generation, change) as registry:
        for arguments in (["--registry-config", registry.config], at(registry)):
            told = doctor(server, "--service", "universal.test", *arguments)
            assert told.wrong == {check: False}
            right = server.realm if check == "realm" else "universal.test"
            assert told.mend(check).startswith(f"set {check} to {right} in ")


@pytest.mark.parametrize("generation", GENERATIONS)
def test_another_issuer(generation: str, server: TokenServer, tmp_path: Path) -> None:
    """From outside, 2.8 does not give away whether it is the issuer or the key; with its configuration it is named."""
    with misfit(tmp_path, server, "universal.test", generation, token_section(issuer="other")) as registry:
        assert doctor(server, "--registry-config", registry.config).wrong == {"issuer": False}
        live = doctor(server, *at(registry))
        assert live.wrong == ({"issuer": False} if generation == "distribution3" else {"trust or issuer": False})
        assert "set issuer to tokenserver-under-test" in live.mend(next(iter(live.wrong)))
        both = doctor(server, *at(registry), "--registry-config", registry.config)
        assert both.wrong.pop("issuer") is False


@pytest.mark.parametrize(
    ("variables", "check", "words"),
    [
        ({"TOKEN_ISSUER": "old.example.com"}, "restart", "a variable REGISTRY_AUTH_… wins over this file"),
        (
            {"": "htpasswd", "HTPASSWD_REALM": "r", "HTPASSWD_PATH": "users"},
            "auth",
            "look for variables REGISTRY_AUTH…",
        ),
    ],
)
def test_variables_that_nobody_thought_of(
    variables: dict[str, str], check: str, words: str, server: TokenServer, tmp_path: Path
) -> None:
    """The file is right and the registry does otherwise; with its variables the cause is named."""
    (tmp_path / "users").write_text("ann:$2y$05$" + "x" * 53 + "\n")
    variables = {f"REGISTRY_AUTH_{name}".rstrip("_"): value for name, value in variables.items()}
    if "REGISTRY_AUTH_HTPASSWD_PATH" in variables:
        variables["REGISTRY_AUTH_HTPASSWD_PATH"] = str(tmp_path / "users")
    with misfit(
        tmp_path, server, "universal.test", "distribution3", token_section(), environment=variables
    ) as registry:
        told = doctor(server, *at(registry), "--registry-config", registry.config)
        assert told.wrong == {check: False}
        assert words in told.mend(check)
        env = tmp_path / "registry.env"
        env.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        known = doctor(server, "--registry-config", registry.config, "--registry-env", env)
    assert known.wrong == {"issuer" if check == "restart" else "auth": False}


@pytest.mark.parametrize("uses", ["delete", "readonly", "cache", "host"])
def test_what_the_configuration_forbids(uses: str, server: TokenServer, tmp_path: Path) -> None:
    """The registry answers 405 to what the token grants, or sends uploads elsewhere; its configuration shows it."""

    def change(whole: dict[str, Any]) -> None:
        match uses:
            case "readonly":
                whole["storage"]["maintenance"] = {"readonly": {"enabled": True}}
            case "cache":
                whole["proxy"] = {"remoteurl": f"http://localhost:{upstream.port}"}
            case "host":
                whole["http"]["host"] = "https://registry.corp.example"

    action = "delete" if uses == "delete" else "push"
    reply = Reply(headers=(("Docker-Distribution-Api-Version", "registry/2.0"),))
    with (
        impostor(reply) as upstream,
        misfit(tmp_path, server, "universal.test", "distribution2", change) as registry,
    ):
        files: list[str | Path] = ["--registry-config", registry.config]
        told = doctor(server, *files, "--scope", f"repository:users/ann/x:pull,{action}")
        status = upload_or_delete(server, registry.port, action)
    assert told.wrong == {"readonly": {"read-only": False}, "host": {"host": None}}.get(uses, {uses: False})
    assert status == (202 if uses == "host" else 405)
    assert doctor(server, *files, "--scope", "repository:users/ann/x:pull").wrong == (
        {"host": None} if uses == "host" else {}
    )


def upload_or_delete(server: TokenServer, port: int, action: str) -> int:
    """The registry's status for an attempt with a token that grants it."""
    token = server.token("universal.test", ["repository:users/ann/x:pull,push,delete"], person="ann")
    target, method = ("manifests/sha256:" + "0" * 64, "DELETE") if action == "delete" else ("blobs/uploads/", "POST")
    headers = {"Authorization": f"Bearer {token}"}
    return web.request(port, method, f"/v2/users/ann/x/{target}", headers=headers).status


def test_the_algorithm_is_left_out(server: TokenServer, tmp_path: Path) -> None:
    """Only 3.x has the option; from outside it gives away that it knows the key under others."""
    change = token_section(signingalgorithms=["RS256", "EdDSA"])
    with misfit(tmp_path, server, "universal.test", "distribution3", change) as registry:
        for arguments in (["--registry-config", registry.config], at(registry)):
            told = doctor(server, *arguments)
            assert told.wrong == {"algorithm": False}
            assert told.mend("algorithm").startswith("add ES256 to signingalgorithms in ")


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("case", ["foreign", "foreign beside ours", "leaf instead of CA"])
def test_bundles_under_universal(
    case: str, generation: str, server: TokenServer, stranger: Path, tmp_path: Path
) -> None:
    """Our CA is missing: refused. A stranger beside it, or the leaf in its place: warnings, and tokens work."""
    keys = server.folder / "keys"
    ours, leaf = keys / "token-ca.pem", next((keys / "signing").glob("*.pem"))
    content = {
        "foreign": stranger.read_text(),
        "foreign beside ours": ours.read_text() + stranger.read_text(),
        "leaf instead of CA": leaf.read_text(),
    }[case]
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(content)
    change = token_section(rootcertbundle=str(bundle))
    with misfit(tmp_path / "r", server, "universal.test", generation, change) as registry:
        config, live = (
            doctor(server, *arguments).wrong for arguments in (["--registry-config", registry.config], at(registry))
        )
        is_taken = server_takes(server, registry.url)
    assert is_taken is (case != "foreign")
    if case == "foreign":
        assert config == {"rootcertbundle": False, "foreign certificate": None}
        assert live == ({"rootcertbundle": False} if generation == "distribution3" else {"trust or issuer": False})
    else:
        assert config == ({"foreign certificate": None} if "beside" in case else {"rootcertbundle": None})
        assert live == {}


def server_takes(server: TokenServer, url: str) -> bool:
    """Whether the registry itself takes a token: the oracle of what the doctor says."""
    port = int(url.rpartition(":")[2])
    answer = web.request(port, "GET", "/v2/", headers={"Authorization": f"Bearer {server.token('universal.test')}"})
    return answer.status == 200


@pytest.mark.parametrize(
    ("service", "generation"),
    [pytest.param("kid2.test", "distribution2", id="2.8"), pytest.param("kid3.test", "distribution3", id="3.1")],
)
def test_the_ca_where_kid_wants_the_leaf(service: str, generation: str, server: TokenServer, tmp_path: Path) -> None:
    """Under `distribution2` and `distribution3` the bundle must hold the signing certificate itself."""
    change = token_section(rootcertbundle=str(server.folder / "keys" / "token-ca.pem"))
    with misfit(tmp_path, server, service, generation, change) as registry:
        told = doctor(server, "--registry-config", registry.config)
        assert told.wrong == {"kid": False}
        assert f"registry-config {service}" in told.mend("kid")
        live = doctor(server, *at(registry, service))
        check = "rootcertbundle" if generation == "distribution3" else "trust or issuer"
        assert live.wrong == {check: False}


@pytest.mark.parametrize(
    ("service", "generation", "other"),
    [
        pytest.param("kid2.test", "distribution2", "distribution3", id="2.8's kid at 3.1"),
        pytest.param("kid3.test", "distribution3", "distribution2", id="3.1's kid at 2.8"),
    ],
)
def test_the_kid_of_another_generation(
    service: str, generation: str, other: str, server: TokenServer, tmp_path: Path
) -> None:
    """The key is right, and the registry calls it by another name."""
    printed = server.registry_config(service, generation, tmp_path)

    def change(whole: dict[str, Any]) -> None:
        whole["auth"] = printed["auth"]

    with misfit(tmp_path / "r", server, "universal.test", other, change) as registry:
        told = doctor(server, "--registry-config", registry.config, "--for", other)
        assert told.wrong == {"kid": False}
        assert "compat: universal" in told.mend("kid")
        assert doctor(server, *at(registry, service)).code == 1


def test_a_jwks_of_other_keys(server: TokenServer, tmp_path: Path) -> None:
    """It knows a key, and not ours."""
    published = server.request("GET", "/.well-known/jwks.json").json()
    published["keys"][0]["kid"] = "renamed"
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(published))
    with misfit(tmp_path / "r", server, "jwks.test", "distribution3", token_section(jwks=str(jwks))) as registry:
        assert doctor(server, "--registry-config", registry.config).wrong == {"kid": False}
        assert doctor(server, *at(registry, "jwks.test")).wrong == {"jwks": False}


def test_universal_tokens_at_a_registry_with_only_a_jwks(server: TokenServer, tmp_path: Path) -> None:
    """It refuses whatever brings a certificate."""

    def change(whole: dict[str, Any]) -> None:
        whole["auth"] = server.registry_config("jwks.test", "distribution3", tmp_path)["auth"]
        whole["auth"]["token"]["service"] = "universal.test"

    with misfit(tmp_path / "r", server, "universal.test", "distribution3", change) as registry:
        told = doctor(server, "--registry-config", registry.config)
        assert told.wrong == {"rootcertbundle": False}
        assert "compat: jwks" in told.mend("rootcertbundle")
        assert doctor(server, *at(registry)).wrong == {"rootcertbundle": False}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_autoredirect(generation: str, server: TokenServer, tmp_path: Path) -> None:
    """The registry announces itself."""
    with misfit(tmp_path, server, "universal.test", generation, token_section(autoredirect=True)) as registry:
        assert doctor(server, "--registry-config", registry.config).wrong == {"autoredirect": None}
        told = doctor(server, *at(registry))
        assert told.wrong == {"autoredirect": False}
        assert told.mend("autoredirect").startswith("remove autoredirect")


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("case", ["none", "htpasswd"])
def test_registries_without_token_auth(case: str, generation: str, server: TokenServer, tmp_path: Path) -> None:
    """Open to everybody, or with users of its own."""
    users = tmp_path / "users"
    users.write_text("ann:$2b$04$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dbK\n")

    def change(whole: dict[str, Any]) -> None:
        del whole["auth"]
        if case == "htpasswd":
            whole["auth"] = {"htpasswd": {"realm": "here", "path": str(users)}}

    with misfit(tmp_path / "r", server, "universal.test", generation, change) as registry:
        for arguments in (["--registry-config", registry.config], at(registry)):
            told = doctor(server, *arguments)
            assert told.wrong == {"auth": False}
            assert "registry-config" in told.mend("auth")


@pytest.mark.parametrize("case", ["missing", "empty", "garbage"])
def test_bundles_with_which_no_registry_starts(case: str, server: TokenServer, tmp_path: Path) -> None:
    """There is nothing to visit; the configuration says why. The registry itself agrees: it does not start."""
    bundle = tmp_path / "bundle.pem"
    if case != "missing":
        bundle.write_text("" if case == "empty" else "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    change = token_section(rootcertbundle=str(bundle))
    for generation in ("distribution2", "distribution3"):
        folder = tmp_path / generation
        with (
            pytest.raises(processes.DidNotStart),
            misfit(folder, server, "universal.test", generation, change),
        ):
            pass
        assert doctor(server, "--registry-config", folder / "registry.yml").wrong == {"rootcertbundle": False}


# --- a right configuration that is not the running one ---------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_registry_that_was_not_restarted(generation: str, server: TokenServer, tmp_path: Path) -> None:
    """Its file is mended, and it still refuses: it reads that file at its start alone."""
    with misfit(tmp_path, server, "universal.test", generation, token_section(issuer="other")) as registry:
        whole = yaml.safe_load(registry.config.read_text())
        whole["auth"]["token"]["issuer"] = "tokenserver-under-test"
        registry.config.write_text(yaml.safe_dump(whole))
        told = doctor(server, *at(registry), "--registry-config", registry.config)
        assert told.wrong == {"restart": False}
        assert told.mend("restart").startswith("restart the registry")


def test_a_registry_that_accepts_the_token_is_right(server: TokenServer, tmp_path: Path) -> None:
    """Its verdict counts more than files that are elsewhere, that it has not read yet, or a wrong --for."""
    with misfit(tmp_path / "a", server, "universal.test", "distribution3", token_section()) as registry:
        whole = yaml.safe_load(registry.config.read_text())
        files: list[str | Path] = [*at(registry), "--registry-config", registry.config]
        whole["auth"]["token"]["rootcertbundle"] = "/in/the/container/ca.pem"
        registry.config.write_text(yaml.safe_dump(whole))
        assert doctor(server, "--registry-config", registry.config).wrong == {"rootcertbundle": False}
        assert doctor(server, *files).wrong == {}
        whole["auth"]["token"]["issuer"] = "another"
        registry.config.write_text(yaml.safe_dump(whole))
        assert doctor(server, *files).wrong == {"issuer": None}
    with misfit(tmp_path / "b", server, "kid2.test", "distribution2", token_section()) as registry:
        both: list[str | Path] = [*at(registry, "kid2.test"), "--registry-config", registry.config]
        assert doctor(server, *both).wrong == {}
        assert doctor(server, *both, "--for", "distribution3").wrong == {"kid": None}


# --- clocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        pytest.param("+300s", {"clock": False, "time": False}, id="five minutes ahead"),
        pytest.param("+30s", {"clock": None}, id="half a minute ahead"),
        pytest.param("-1200s", {"clock": False, "time": False}, id="twenty minutes behind"),
        pytest.param("-300s", {"clock": None}, id="five minutes behind"),
    ],
)
def test_a_token_server_with_a_wrong_clock(
    offset: str, expected: dict[str, bool | None], generation: str, setup: Setup, tmp_path: Path
) -> None:
    """The difference between the two machines is measured from here, whatever the clock here says."""
    prefix = [str(need("faketime")), "-f", offset]
    small = replace(setup, people={"ann": setup.people["ann"]}, services={"universal.test": "universal"})
    (tmp_path / "s").mkdir()
    with (
        serving(tmp_path / "s", small, prefix=prefix) as server,
        misfit(tmp_path / "r", server, "universal.test", generation, token_section()) as registry,
    ):
        told = doctor(server, *at(registry))
        assert told.wrong == expected
        assert "NTP" in told.mend("clock")
        assert server_takes(server, registry.url) is ("time" not in expected)


# --- transport -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
def test_tls(generation: str, server: TokenServer, tmp_path: Path) -> None:
    """A CA of one's own is trusted by --ca-file; without it, and with the wrong scheme, that is the finding."""
    authority = Authority(tmp_path, "A company's CA")
    with misfit(tmp_path / "r", server, "universal.test", generation, token_section(), tls=authority) as registry:
        told = doctor(server, *at(registry))
        assert told.wrong == {"tls": False}
        assert "--ca-file" in told.mend("tls")
        # An http realm of an https registry is right for docker, and refused by crane and oras.
        assert doctor(server, *at(registry), "--ca-file", authority.file).wrong == {"transport": None}
        plain = registry.url.replace("https", "http")
        assert doctor(server, "--registry", plain).wrong == {"scheme": False}
        named = registry.url.replace("localhost", "127.0.0.1")
        told = doctor(server, "--registry", named, "--ca-file", authority.file)
        assert told.wrong == {"tls": False}
        assert told.mend("tls").startswith("use the name that its certificate has")


def test_https_asked_of_a_plain_registry(server: TokenServer, tmp_path: Path) -> None:
    """The scheme is named, and the right one."""
    with misfit(tmp_path, server, "universal.test", "distribution2", token_section()) as registry:
        told = doctor(server, "--registry", registry.url.replace("http", "https"))
        assert told.wrong == {"scheme": False}
        assert told.mend("scheme").startswith(f"write {registry.url}")


@pytest.mark.parametrize(
    ("reply", "check"),
    [
        pytest.param(Reply(301, (("Location", "https://elsewhere.example/v2/"),)), "redirect", id="redirect"),
        pytest.param(Reply(404), "registry", id="no registry"),
        pytest.param(Reply(502), "registry", id="a proxy without one"),
        pytest.param(Reply(401), "auth", id="a proxy that drops the challenge"),
        pytest.param(Reply(401, (("WWW-Authenticate", "Bearer x"),)), "challenge", id="a broken challenge"),
        pytest.param(Reply(401, (("WWW-Authenticate", 'Bearer service="x"'),)), "challenge", id="no realm"),
    ],
)
def test_what_is_no_registry(reply: Reply, check: str, server: TokenServer) -> None:
    """Each by its own name."""
    with impostor(reply) as other:
        assert doctor(server, "--registry", f"http://localhost:{other.port}").wrong == {check: False}


def test_nothing_is_there(server: TokenServer) -> None:
    """Neither a listener nor a name."""
    for url in (f"http://localhost:{free_port()}", "http://registry.invalid"):
        assert doctor(server, "--registry", url).wrong == {"registry": False}


def test_silence_ends_in_time(server: TokenServer, tmp_path: Path) -> None:
    """`--timeout` is for all five registries together; without one they are reported as usual."""
    whole = yaml.safe_load(server.config.read_text())
    with silent() as port, silent(b"HTTP/1.1 401 x\r\nX: ") as other:
        whole["registries"] = [
            {"service": f"r{number}.test", "url": f"http://localhost:{port if number % 2 else other}"}
            for number in range(5)
        ]
        config = server.folder / "silent.yaml"
        config.write_text(yaml.safe_dump(whole))
        own = OwnTime(os.getpid())
        told = doctor(config, "--timeout", "2")
        assert own.seconds < 6  # with the load of the files
    assert [one["check"] for one in told.findings if one["ok"] is False] == ["registry"] * 5
    assert all("GET /v2/: no answer in" in one["theirs"] for one in told.findings if one["ok"] is False)


# --- what must not happen --------------------------------------------------------------------------------------------


def test_a_password_never_goes_to_another_realm(server: TokenServer) -> None:
    """A registry that announces a realm of its own is told about, and gets no credentials of ours."""
    with impostor(Reply()) as thief:
        challenge = f'Bearer realm="http://localhost:{thief.port}/token",service="universal.test"'
        with impostor(Reply(401, (("WWW-Authenticate", challenge),))) as registry:
            url = f"http://localhost:{registry.port}"
            told = doctor(server, "--registry", url, "--user", "ann", stdin=server.people["ann"] + "\n")
            assert told.wrong["realm"] is False
            assert thief.authorizations == []
            assert not any(one.lower().startswith("basic") for one in registry.authorizations)


def test_a_wrong_password(server: TokenServer, tmp_path: Path) -> None:
    """The login is the finding; what was typed stands nowhere."""
    with misfit(tmp_path, server, "universal.test", "distribution2", token_section()) as registry:
        told = doctor(server, *at(registry), "--user", "ann", stdin="a-wrong-password\n")
        assert told.wrong == {"login": False}
        assert "a-wrong-password" not in told.text


def test_less_than_was_asked(server: TokenServer, tmp_path: Path) -> None:
    """The token is right and lacks something: the policies say why."""
    with misfit(tmp_path, server, "universal.test", "distribution3", token_section()) as registry:
        told = doctor(server, *at(registry), "--scope", "repository:web/site:pull")
        assert told.wrong == {"access": False, "pull": False}
        assert "policy why pull web/site --anonymous" in told.mend("access")


def test_the_token_is_shown_only_when_asked_for(server: TokenServer, tmp_path: Path) -> None:
    """Not in what people read and not in the JSON; with --show-token, once."""
    with misfit(tmp_path, server, "universal.test", "distribution2", token_section()) as registry:
        text = server.token("universal.test", person=ANONYMOUS)
        command: Sequence[str] = [*at(registry), "--token", "-"]
        told = doctor(server, *command, stdin=text)
        assert told.wrong == {}
        assert text.rpartition(".")[2] not in told.text
        people = CliRunner().invoke(main, ["doctor", *command, "--show-token", "--config", str(server.config)], text)
        assert people.stdout.count(text) == 1


# --- our own installation --------------------------------------------------------------------------------------------


def test_our_own_installation(server: TokenServer, tmp_path: Path) -> None:
    """Configuration, keys, clock, the server as clients reach it, and each registry with a url."""
    with misfit(tmp_path, server, "universal.test", "distribution3", token_section(issuer="other")) as registry:
        whole = yaml.safe_load(server.config.read_text())
        own = server.folder / "with-url.yaml"
        own.write_text(yaml.safe_dump(whole))
        assert doctor(own).wrong == {}
        whole["registries"][0]["url"] = registry.url
        own.write_text(yaml.safe_dump(whole))
        assert doctor(own).wrong == {"issuer": False}


def test_a_server_that_does_not_run_or_runs_with_other_keys(server: TokenServer, tmp_path: Path) -> None:
    """The server behind server.url is not the one of these files."""
    whole = yaml.safe_load(server.config.read_text())
    shutil.copytree(server.folder / "policies", tmp_path / "policies")
    shutil.copy(server.folder / "users.htpasswd", tmp_path / "users.htpasswd")
    config = tmp_path / "tokenserver.yaml"
    config.write_text(yaml.safe_dump(whole))
    server.run("keys", "init", "--config", config)
    told = doctor(config)
    assert told.wrong == {"server": False}
    assert "it runs with" in told.mend("server")
    whole["server"]["url"] = f"http://localhost:{free_port()}"
    config.write_text(yaml.safe_dump(whole))
    assert doctor(config).wrong == {"server": False}
