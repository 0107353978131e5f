"""The doctor against zot and Distribution 3.0, which look for a token's key in ways of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from harness.foreign import self_signed
from harness.misfits import Change, misfit
from harness.proxy import nginx
from harness.server import Setup, TokenServer, serving

from tokenserver.cli import main

ZOTS = ["zot", "zot2.1.17", "zot2.1"]


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """One registry of each kind, and keys of their own for those that want other ones."""
    entries: list[dict[str, Any]] = [
        {"service": f"{kind}.test", "compat": "zot", "keys": f"keys-{kind}", "algorithm": algorithm}
        for kind, algorithm in zip(ZOTS, ["RS256", "ES256", "EdDSA"], strict=True)
    ]
    entries.append({"service": "curve.test", "compat": "distribution3"})
    entries.append({"service": "rsa.test", "compat": "distribution3", "keys": "keys-rsa", "algorithm": "RS256"})
    entries.append({"service": "universal.test", "also": ["alias.test"], "issuer": "another", "keys": "keys-own"})
    people = {name: setup.people[name] for name in ("ann", "olga")}
    made = replace(setup, people=people, settings={"registries": entries})
    with serving(tmp_path_factory.mktemp("server"), made) as server:
        yield server


def wrong(server: TokenServer, *arguments: str | Path, stdin: str = "") -> dict[str, bool | None]:
    command = ["doctor", *map(str, arguments), "--json", "--config", str(server.config)]
    result = CliRunner().invoke(main, command, input=stdin)
    assert result.exit_code in (0, 1), result.output
    found = {one["check"]: one["ok"] for one in json.loads(result.stdout) if one["mend"] is not None}
    assert result.exit_code == (1 if found else 0)
    return found


def bearer(**changes: Any) -> Change:
    """Changes zot's section."""
    return lambda whole: whole["http"]["auth"]["bearer"].update(changes)


def section(**changes: Any) -> Change:
    """Changes Distribution's section."""
    return lambda whole: whole["auth"]["token"].update(changes)


def as_olga(server: TokenServer, url: str, service: str) -> dict[str, bool | None]:
    """As somebody who may see the catalog, which zot 1.4 wants for a login."""
    command = ["--registry", url, "--service", service, "--user", "olga"]
    return wrong(server, *command, stdin=server.people["olga"] + "\n")


@pytest.mark.parametrize("kind", ZOTS)
def test_a_well_configured_zot(kind: str, server: TokenServer, tmp_path: Path) -> None:
    """Every algorithm, keys of its own, from its configuration and from outside."""
    with misfit(tmp_path, server, f"{kind}.test", kind, bearer()) as zot:
        assert wrong(server, "--registry-config", zot.config) == {}
        assert as_olga(server, zot.url, f"{kind}.test") == {}


def test_an_old_zot_wants_its_catalog_for_a_login(server: TokenServer, tmp_path: Path) -> None:
    """It trusts the key; who may not see the catalog cannot log in there, and that is what is said."""
    with misfit(tmp_path, server, "zot.test", "zot", bearer()) as zot:
        assert wrong(server, "--registry", zot.url, "--service", "zot.test") == {"access": False}


@pytest.mark.parametrize("user", ["nobody", "olga"])
def test_an_old_zot_with_the_key_of_somebody_else(user: str, server: TokenServer, tmp_path: Path) -> None:
    """It answers junk and our tokens alike; a token for a repository that it does not have tells the two apart."""
    other = tmp_path / "other.pem"
    other.write_bytes(self_signed("somebody else", "RS256"))
    with misfit(tmp_path / "zot", server, "zot.test", "zot", bearer(cert=str(other))) as zot:
        found = (
            as_olga(server, zot.url, "zot.test")
            if user == "olga"
            else wrong(server, "--registry", zot.url, "--service", "zot.test")
        )
    assert found == {"cert": False}


DROPPED = {
    "drops Authorization": 'location / {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Authorization ""; }}',
    "puts its own in": (
        "location / {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Authorization 'Basic eDp5'; }}"
    ),
    "keeps the challenge": (
        "location / {{ proxy_pass http://127.0.0.1:{port}; proxy_cache tokens; proxy_cache_key $request_uri;"
        " proxy_cache_valid any 1h; proxy_ignore_headers Cache-Control Vary; }}"
    ),
}


@pytest.mark.real("nginx")
@pytest.mark.parametrize(
    ("case", "kind"),
    [(case, kind) for case in DROPPED for kind in ZOTS if (case, kind) != ("keeps the challenge", "zot")],
)
def test_a_proxy_that_keeps_the_token(case: str, kind: str, server: TokenServer, tmp_path: Path) -> None:
    """Since 2.1.3, zot's challenge shows that it saw no token, or one that was not sent; no key is suspected."""
    (tmp_path / "nginx").mkdir()
    with (
        misfit(tmp_path / "zot", server, f"{kind}.test", kind, bearer()) as zot,
        nginx(tmp_path / "nginx", DROPPED[case].format(port=zot.port)) as proxy,
    ):
        found = as_olga(server, f"http://localhost:{proxy.port}", f"{kind}.test")
    assert found == ({"proxy": False} if kind != "zot" else {"cert": False})  # zot 1 shows no difference


def test_access_control_next_to_bearer(server: TokenServer, tmp_path: Path) -> None:
    """zot does not start with it, and the doctor says so."""

    def change(whole: dict[str, Any]) -> None:
        whole["http"]["accessControl"] = {"**": {"defaultPolicy": []}}

    with pytest.raises(AssertionError), misfit(tmp_path, server, "zot.test", "zot", change):
        pass
    assert wrong(server, "--registry-config", tmp_path / "registry.json") == {"accessControl": False}


@pytest.mark.parametrize("kind", ZOTS)
def test_the_ca_instead_of_the_signing_certificate(kind: str, server: TokenServer, tmp_path: Path) -> None:
    """zot 1.4 wants an RSA key and does not start with the CA's; later ones start and refuse every token."""
    change = bearer(cert=str(server.folder / f"keys-{kind}" / "token-ca.pem"))
    if kind == "zot":
        server_side = misfit(tmp_path, server, f"{kind}.test", kind, change)
        with pytest.raises(AssertionError), server_side:
            pass
        assert wrong(server, "--registry-config", tmp_path / "registry.json") == {"cert": False}
        return
    with misfit(tmp_path, server, f"{kind}.test", kind, change) as zot:
        assert wrong(server, "--registry-config", zot.config) == {"cert": False}
        assert as_olga(server, zot.url, f"{kind}.test") == {"cert": False}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"realm": "http://127.0.0.1:1/token"}, {"realm": False}, id="realm"),
        pytest.param({"service": "other.test"}, {"service": False}, id="service"),
    ],
)
def test_what_zots_challenge_shows(
    changes: dict[str, str], expected: dict[str, bool | None], server: TokenServer, tmp_path: Path
) -> None:
    """As with Distribution."""
    with misfit(tmp_path, server, "zot2.1.test", "zot2.1", bearer(**changes)) as zot:
        assert wrong(server, "--registry-config", zot.config, "--service", "zot2.1.test") == expected
        assert wrong(server, "--registry", zot.url, "--service", "zot2.1.test") == expected


def test_3_0_computes_one_kid_for_all_keys_of_a_curve(server: TokenServer, tmp_path: Path) -> None:
    """So it takes RSA keys by their kid, and refuses every EC key; 3.1 takes both."""
    for service, expected in (("rsa.test", {}), ("curve.test", {"kid": False})):
        with misfit(tmp_path / service, server, service, "distribution3.0", section()) as registry:
            assert wrong(server, "--registry-config", registry.config, "--for", "distribution3.0") == expected
            assert wrong(server, "--registry-config", registry.config) == {}
            live = wrong(server, "--registry", registry.url, "--service", service)
            assert (live == {}) == (expected == {})


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
def test_names_issuer_and_keys_of_its_own(generation: str, server: TokenServer, tmp_path: Path) -> None:
    """A registry is compared with what is configured for it, by each of its names; another one's CA is not its CA."""
    with misfit(tmp_path / "a", server, "alias.test", generation, section()) as registry:
        assert wrong(server, "--registry-config", registry.config) == {}
        assert wrong(server, "--registry", registry.url, "--service", "alias.test") == {}
    general = section(rootcertbundle=str(server.folder / "keys" / "token-ca.pem"))
    with misfit(tmp_path / "b", server, "alias.test", generation, general) as registry:
        found = wrong(server, "--registry-config", registry.config)
        assert found == {"rootcertbundle": False, "foreign certificate": None}
