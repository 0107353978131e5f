"""People of a real Keycloak: their groups, what is no login, and what ends one, as docs/single-sign-on.md says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from harness import web
from harness.keycloak import REALM, Keycloak, keycloak
from harness.keycloak_people import KeycloakSite
from harness.people_site import SERVICE
from harness.waiting import until

from tokenserver.authn.oidc.id_token import person_in
from tokenserver.authn.oidc.refusals import RefusedLogin
from tokenserver.authn.workload.jwt_reader import read_jwt
from tokenserver.authn.workload.verifier import require_signature
from tokenserver.config.load import load_settings
from tokenserver.server.sources.oidc_sources import provider_client

pytestmark = [pytest.mark.nightly, pytest.mark.real("keycloak")]

BOTH = ("web/x", "staff/x")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    """One for all tests: it takes minutes to start."""
    with keycloak(tmp_path_factory.mktemp("keycloak")) as running:
        yield running


@contextmanager
def served(folder: Path, running: Keycloak, client_id: str, **settings: Any) -> Iterator[KeycloakSite]:
    """A server whose people are those of the realm, in the groups whose names begin with `reg-`."""
    site = KeycloakSite(folder, running, client_id, groups={"allow": ["reg-*"]}, **settings)
    site.register()
    try:
        site.start()
        yield site
    finally:
        site.stop()


@pytest.fixture(scope="module")
def site(running: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeycloakSite]:
    """A server that asks Keycloak about people (`recheck`)."""
    with served(tmp_path_factory.mktemp("server"), running, "tokenserver", recheck="5m") as site:
        yield site


@pytest.fixture(scope="module")
def trusting(running: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeycloakSite]:
    """A server for which a login counts, without `recheck`."""
    with served(tmp_path_factory.mktemp("trusting"), running, "trusting") as site:
        yield site


def test_the_doctor(site: KeycloakSite) -> None:
    """It finds nothing to fix, and tells a redirect URI that is not registered from a wrong secret."""
    good = {"provider": True, "provider client": True, "provider login": True, "provider logout": None}
    assert site.examined() == good
    site.amend(redirectUris=["https://elsewhere.example.com/"])
    assert site.examined() == {**good, "provider login": False}
    site.amend(secret="another-secret")
    assert site.examined() == {**good, "provider client": False}
    site.amend()
    assert site.examined() == good


def test_a_login(site: KeycloakSite) -> None:
    """The person has the groups that count, without the slash of Keycloak's paths; the answer names its issuer."""
    site.add("ann", "reg-web", "staff")
    browser, page = site.log_in("ann")
    assert (page.status, browser.shown) == (200, f"{site.server.url}/account")
    back = next(url for url in browser.visited if "/login/callback/corp" in url)
    assert dict(parse_qsl(urlsplit(back).query))["iss"] == site.keycloak.url
    assert site.granted("ann", site.key("ann"), *BOTH) == {"web/x"}
    listed = site.server.run("people", "list", "--config", site.server.config).text
    assert [line.split()[-1] for line in listed.splitlines() if " ann " in line] == ["reg-web"]


def test_an_access_token_is_no_login(site: KeycloakSite) -> None:
    """It is not for this client, and says itself that it is no ID token.

    See docs/design/threats.md#threat-197.
    """
    site.add("bea", "reg-web")
    token = site.access_token("bea")
    claims = web.claims(token)
    assert (claims["typ"], claims["aud"], claims["azp"]) == ("Bearer", "account", "tokenserver")
    (source,) = load_settings(site.server.config, {}).oidc_sources
    client = provider_client(source, site.server.url)
    client.keys.tick()
    until(lambda: client.keys.age is not None, seconds=60)
    jwt = read_jwt(token)
    require_signature(jwt, client.keys)
    with pytest.raises(RefusedLogin) as caught:
        person_in(jwt.claims, client.provider, nonce=None, now=time.time())
    assert caught.value.reason == "the token is not for client_id alone"
    refused = site.server.request("GET", web.token_target(SERVICE), headers=web.basic("bea", token))
    assert refused.status == 401


def test_a_lost_group(site: KeycloakSite) -> None:
    """Is lost here at the next `recheck`."""
    site.add("cleo", "reg-web")
    site.log_in("cleo")
    key = site.key("cleo")
    site.leave("cleo", "reg-web")
    assert site.granted("cleo", key, *BOTH) == {"web/x"}
    site.age("cleo", 600)
    assert site.granted("cleo", key, *BOTH) == set()


def test_a_disabled_person(site: KeycloakSite) -> None:
    """Loses keys and session at the next `recheck`, and cannot log in."""
    site.add("dan", "reg-web")
    browser, _ = site.log_in("dan")
    key = site.key("dan")
    site.disable("dan")
    assert site.granted("dan", key, *BOTH) == {"web/x"}
    site.age("dan", 600)
    assert site.pull("dan", key, *BOTH).status == 401
    until(lambda: not site.is_logged_in(browser), seconds=60)
    browser, page = site.log_in("dan")
    assert browser.shown.startswith(site.keycloak.url)
    assert b"Account is disabled" in page.body


def test_a_password_that_is_reset(site: KeycloakSite) -> None:
    """Ends nothing here, as the page says: Keycloak does not tell."""
    site.add("emma", "reg-web")
    browser, _ = site.log_in("emma")
    key = site.key("emma")
    site.reset_password("emma")
    site.age("emma", 600)
    assert site.granted("emma", key, *BOTH) == {"web/x"}
    assert site.is_logged_in(browser)


def test_logouts_with_recheck(site: KeycloakSite) -> None:
    """Keycloak keeps an offline session of such a login, and no other: it has nothing of which to send a logout."""
    site.add("flo", "reg-web")
    site.log_in("flo")
    (client,) = site.keycloak.manage("GET", f"/admin/realms/{REALM}/clients?clientId={site.client_id}")
    assert site.change("GET", "flo", "/sessions") == []
    assert len(site.change("GET", "flo", f"/offline-sessions/{client['id']}")) == 1


def test_a_logout_by_an_administrator(trusting: KeycloakSite) -> None:
    """Keycloak sends a logout token, which ends the session here; the key stays, as the page says."""
    for name in ("finn", "gwen"):
        trusting.add(name, "reg-web")
    (browser, _), (other, _) = trusting.log_in("finn"), trusting.log_in("gwen")
    key = trusting.key("finn")
    assert trusting.is_logged_in(browser)
    trusting.change("POST", "finn", "/logout")
    until(lambda: not trusting.is_logged_in(browser), seconds=60)
    assert trusting.is_logged_in(other)
    event = trusting.events("provider_logout")[-1]
    assert (event["outcome"], event["source"], event["subject"]) == ("logged_out", "corp", "finn")
    assert trusting.granted("finn", key, *BOTH) == {"web/x"}


@pytest.mark.parametrize("kind", ["site", "trusting"])
def test_a_logout_here(kind: str, request: pytest.FixtureRequest) -> None:
    """Leads to Keycloak, which asks whether to log out there if it has a session, and leads back to the login page."""
    site: KeycloakSite = request.getfixturevalue(kind)
    site.add(f"hana-{kind}", "reg-web")
    browser, account = site.log_in(f"hana-{kind}")
    offered = site.submit(browser, account, "/logout")
    page = site.follow(browser, offered, "Log out at corp")
    assert any(url.startswith(f"{site.keycloak.url}/protocol/openid-connect/logout") for url in browser.visited)
    if kind == "trusting":
        browser.submit(page, confirmLogout="Logout")
    assert browser.shown.startswith(f"{site.server.url}/login")
    assert b"kc-form-login" in site.begin(browser).body


def test_rotated_keys(site: KeycloakSite) -> None:
    """Logins work with a new key as soon as the server may ask for keys again, and rechecks of old logins do, too."""
    site.add("ivo", "reg-web")
    site.log_in("ivo")
    key = site.key("ivo")
    site.add_keys()
    site.add("jan", "reg-web")
    until(lambda: site.is_logged_in(site.log_in("jan")[0]), seconds=180)
    site.age("ivo", 600)
    assert site.granted("ivo", key, *BOTH) == {"web/x"}
