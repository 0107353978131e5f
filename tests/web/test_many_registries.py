"""Registries that differ: names, issuers, lifetimes, keys of their own, and zot."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from tests_web_server import PASSWORDS, Lines, Server

from tokenserver.cli import main
from tokenserver.config.load import load_settings
from tokenserver.errors import LoadError
from tokenserver.server.compose import build, load_snapshot, warnings
from tokenserver.web.application import application

CONFIG = """\
issuer: auth.example.com
server: {url: http://localhost:5001}
authentication: [{htpasswd: {file: users.htpasswd}}]
policies: many
keys: keys
registries:
  - {service: first, also: [bridged], token_lifetime: {push: 1h, delete: 60s}}
  - {service: team, issuer: team.example.com, algorithm: RS256, keys: team-keys}
  - {service: zot, compat: zot, keys: zot-keys}
"""

POLICY = """\
version: 1
registries: [first, team, zot]
allow:
  - {id: team, to: ["user:ann"], repositories: ["team/**"], actions: [pull, push, delete, "*"]}
  - {id: catalog, to: ["user:root-ann"], registry: [catalog], actions: ["*"]}
deny:
  - {id: kept, to: [everyone], repositories: ["team/prod/**"], actions: [delete]}
"""


@pytest.fixture(scope="module")
def many_folder(server_folder: Path) -> Path:
    """Keys of its own for each registry that wants some, as `keys init` makes them."""
    (server_folder / "many").mkdir()
    (server_folder / "many" / "policy.yaml").write_text(POLICY)
    config = server_folder / "many.yaml"
    config.write_text(CONFIG)
    result = CliRunner().invoke(main, ["keys", "init", "--config", str(config)])
    assert result.exit_code == 0, result.output
    assert "already has keys" in result.output
    assert "(RS256)" in result.output
    return server_folder


@pytest.fixture
def many(many_folder: Path) -> Server:
    """The server over all of them."""
    audit = Lines()
    parts = build(load_settings(many_folder / "many.yaml", {}), sink=audit)
    return Server(parts, application(parts).test_client(), audit, many_folder)


Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(many: Server) -> Ask:
    """Ask for a token; gives the answer with the token's header and claims."""

    def ask(service: str, *scopes: str, user: str = "ann") -> dict[str, Any]:
        response = many.client.get(
            "/token", query_string={"service": service, "scope": list(scopes)}, auth=(user, PASSWORDS[user])
        )
        assert response.status_code == 200, response.data
        answer: dict[str, Any] = response.get_json()
        header, claims, _ = answer["token"].split(".")
        return {**answer, "header": _decoded(header), "claims": _decoded(claims)}

    return ask


def _decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_the_audience_is_the_service_that_was_asked(ask: Ask, many: Server) -> None:
    """Both names lead to one registry: the same rules, each its own audience, one name in the audit."""
    for name in ("first", "bridged"):
        claims = ask(name, "repository:team/x:pull")["claims"]
        assert (claims["aud"], claims["iss"]) == (name, "auth.example.com")
        assert claims["access"] == [{"type": "repository", "name": "team/x", "actions": ["pull"]}]
    assert [(event["registry"], event.get("asked_as")) for event in many.audit.events] == [
        ("first", None),
        ("first", "bridged"),
    ]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        pytest.param("repository:team/x:pull", 900, id="pull"),
        pytest.param("repository:team/x:pull,push", 3600, id="push"),
        pytest.param("repository:team/x:push,delete", 60, id="delete"),
        pytest.param("repository:team/prod/x:push,delete", 3600, id="delete-not-granted"),
        pytest.param("repository:other/x:push", 900, id="nothing-granted"),
    ],
)
def test_lifetimes_follow_what_is_granted(ask: Ask, scope: str, expected: int) -> None:
    """Not what was asked."""
    answer = ask("first", scope)
    assert answer["expires_in"] == expected
    assert answer["claims"]["exp"] - answer["claims"]["nbf"] == expected + 10


def test_keys_and_issuer_of_their_own(ask: Ask, many: Server) -> None:
    """Another algorithm, another issuer, another certificate authority; the other registries keep theirs."""
    team, first = ask("team"), ask("first")
    assert (team["header"]["alg"], first["header"]["alg"]) == ("RS256", "ES256")
    assert (team["claims"]["iss"], first["claims"]["iss"]) == ("team.example.com", "auth.example.com")
    for service, answer in (("team", team), ("first", first), ("bridged", ask("bridged"))):
        pem = many.client.get("/ca.pem", query_string={"service": service}).data
        leaf = x509.load_der_x509_certificate(base64.b64decode(answer["header"]["x5c"][0]))
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(pem))


def test_every_ring_is_published(ask: Ask, many: Server) -> None:
    """One set of all keys and one bundle of all authorities; with `service`, those of one."""
    bundle = x509.load_pem_x509_certificates(many.client.get("/ca.pem").data)
    keys = many.client.get("/.well-known/jwks.json").get_json()["keys"]
    assert (len(bundle), len({key["kid"] for key in keys})) == (3, 3)
    (own,) = many.client.get("/.well-known/jwks.json?service=zot").get_json()["keys"]
    assert own["kid"] == ask("zot")["header"]["kid"]
    assert own in keys
    for page in ("/ca.pem", "/.well-known/jwks.json"):
        response = many.client.get(f"{page}?service=nobody")
        assert response.status_code == 404
        assert response.get_json()["errors"][0]["code"] == "UNSUPPORTED"


def test_a_missing_service_is_ambiguous(many: Server) -> None:
    """Names of one registry are one registry, two registries are not."""
    assert many.client.get("/token", auth=("ann", PASSWORDS["ann"])).status_code == 400


def test_a_missing_service_means_the_only_registry_by_its_own_name(many_folder: Path) -> None:
    """However many names it has."""
    config = many_folder / "one.yaml"
    config.write_text(CONFIG.partition("  - {service: team")[0])
    (many_folder / "many" / "policy.yaml").write_text(POLICY.replace("[first, team, zot]", "[first]"))
    try:
        client = application(build(load_settings(config, {}), sink=Lines())).test_client()
    finally:
        (many_folder / "many" / "policy.yaml").write_text(POLICY)
    answer = client.get("/token", auth=("ann", PASSWORDS["ann"])).get_json()
    assert _decoded(answer["token"].split(".")[1])["aud"] == "first"


@pytest.mark.parametrize(
    ("scope", "user", "expected"),
    [
        pytest.param("repository:team/x:*", "ann", [("team/x", ["pull", "push", "delete"])], id="star"),
        pytest.param("repository:team/prod/x:*", "ann", [("team/prod/x", ["pull", "push"])], id="star-with-a-deny"),
        pytest.param("repository:team/x:pull", "ann", [("team/x", ["pull"])], id="pull"),
        pytest.param("repository::pull", "root-ann", [("catalog", ["*"]), ("", ["pull"])], id="catalog-as-zot-asks"),
        pytest.param(
            "registry:catalog:*", "root-ann", [("catalog", ["*"]), ("", ["pull"])], id="catalog-as-clients-ask"
        ),
        pytest.param("repository::pull", "ann", [], id="no-catalog"),
    ],
)
def test_zot_reads_actions_letter_by_letter(ask: Ask, scope: str, user: str, expected: list[Any]) -> None:
    """`*` is spelt out, and the catalog goes by zot's name; nothing is granted that rules do not grant."""
    answer = ask("zot", scope, user=user)
    assert [(entry["name"], entry["actions"]) for entry in answer["claims"]["access"]] == expected
    assert set(answer["header"]) == {"typ", "alg", "kid"}


def test_only_zot_has_that_name_for_the_catalog(ask: Ask) -> None:
    """Elsewhere it is a malformed scope, and a star stays one."""
    assert ask("first", "repository::pull", user="root-ann")["claims"]["access"] == []
    (entry,) = ask("first", "repository:team/x:*")["claims"]["access"]
    assert entry["actions"] == ["pull", "push", "delete", "*"]


def test_warnings_about_registries(many_folder: Path) -> None:
    """What an old zot cannot verify, and a zot that would take the tokens of others."""
    config = many_folder / "shared.yaml"
    config.write_text(CONFIG.replace("compat: zot, keys: zot-keys", "compat: zot"))
    settings = load_settings(config, {})
    found = "\n".join(warnings(settings, load_snapshot(settings)))
    assert "registry zot: zot verifies ES256 since 2.1.3; an older one needs RS256" in found
    assert "registry zot: zot checks neither issuer nor audience, so it also accepts the tokens for first" in found
    settings = load_settings(many_folder / "many.yaml", {})
    assert "neither issuer" not in "\n".join(warnings(settings, load_snapshot(settings)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            ("algorithm: RS256", "algorithm: ES256"),
            "registry team: the keys here sign with RS256, not with its algorithm: ES256; give it a separate folder",
            id="another-algorithm",
        ),
        pytest.param(("keys: team-keys", "keys: nowhere"), "nowhere: does not exist", id="no-keys"),
    ],
)
def test_keys_that_do_not_suit_their_registry(many_folder: Path, change: tuple[str, str], expected: str) -> None:
    """The start is refused, by the same code that loads the keys of all."""
    config = many_folder / "unfit.yaml"
    config.write_text(CONFIG.replace(*change))
    with pytest.raises(LoadError) as caught:
        load_snapshot(load_settings(config, {}))
    (fault,) = map(str, caught.value.faults)
    assert expected in fault


def test_keys_of_one_registry_are_watched_and_reported(many: Server, many_folder: Path) -> None:
    """What happens to a folder of one registry shows in readiness, and the last good keys go on."""
    assert many.client.get("/readyz").status_code == 200
    ring = many_folder / "team-keys" / "ring.json"
    good = ring.read_text()
    try:
        ring.write_text("{}")
        for _ in range(2):
            many.parts.live.look()
        assert many.client.get("/readyz").status_code == 503
        assert many.client.get("/token?service=team", auth=("ann", PASSWORDS["ann"])).status_code == 200
    finally:
        ring.write_text(good)
    for _ in range(2):
        many.parts.live.look()
    assert many.client.get("/readyz").status_code == 200
