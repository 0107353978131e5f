"""A login at a terminal by a person of a real OpenID provider, and what its refresh token is worth until they leave."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import canaries
import pytest
from harness import registries, web
from harness.clients import Crane
from harness.credential_helper import HelperOnMachine
from harness.faultproxy import Mode
from harness.images import Image
from harness.machine import Machine
from harness.oidc_provider import ProviderSite, provider_site
from harness.people_site import SERVICE
from harness.registries import Registry
from harness.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.real("oidc-provider")

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderSite]:
    """A server that gives refresh tokens to people of a provider, and asks it about them every five minutes."""
    folders = [tmp_path_factory.mktemp(name) for name in ("server", "provider")]
    with provider_site(folders) as running:
        yield running


@pytest.fixture(scope="module")
def registry(site: ProviderSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Distribution 3.1."""
    with registries.registry(tmp_path_factory.mktemp("registry"), site.server, SERVICE, "distribution3") as running:
        yield running


def post(site: ProviderSite, target: str, **fields: str) -> web.Answer:
    """A form of the program at the terminal."""
    body = web.form(client_id="tokenserver-helper", **fields)
    return site.server.request("POST", target, headers=web.FORM, body=body)


def approved(site: ProviderSite, name: str, **asked: str) -> dict[str, Any]:
    """What the program gets for a code that this person confirms in a browser, where they have to log in first."""
    codes = post(site, "/device/code", **asked).json()
    for secret in ("device_code", "user_code"):
        canaries.know(codes[secret])
    form = {"grant_type": GRANT, "device_code": codes["device_code"]}
    assert post(site, "/token", **form).json()["error"] == "authorization_pending"
    browser, question = site.log_in(name, codes["verification_uri_complete"].removeprefix(site.server.url))
    done = site.submit(browser, question, "/device", decision="confirm")
    assert b"You confirmed the login" in done.body
    given: dict[str, Any] = post(site, "/token", **form).json()
    canaries.know(given["refresh_token"])
    return given


def refreshed(site: ProviderSite, token: str, *repositories: str) -> web.Answer:
    """A token of the registry for a refresh token."""
    scope = " ".join(f"repository:{one}:pull" for one in repositories)
    return post(site, "/token", grant_type="refresh_token", refresh_token=token, service=SERVICE, scope=scope)


def test_until_the_person_leaves(site: ProviderSite) -> None:
    """The groups of the provider's last answer count; it is asked again each `recheck`; then the person is gone.

    See docs/design/threats.md#threat-200.
    """
    site.provider.add("ann", "web")
    token = approved(site, "ann")["refresh_token"]
    both = ("web/x", "ops/x")
    assert refreshed(site, token, *both).json()["scope"] == "repository:web/x:pull"
    site.provider.add("ann", "ops")
    assert refreshed(site, token, *both).json()["scope"] == "repository:web/x:pull"
    site.age("ann", 600)
    assert refreshed(site, token, *both).json()["scope"] == "repository:ops/x:pull"
    site.provider.proxy.mode = Mode.REFUSE
    site.age("ann", 600)
    assert refreshed(site, token, *both).json()["scope"] == "repository:ops/x:pull"
    site.provider.proxy.mode = Mode.PASS
    site.provider.remove("ann")
    site.age("ann", 600)
    assert refreshed(site, token, *both).status == 401
    site.provider.add("ann", "ops")
    assert refreshed(site, token, *both).status == 401
    again = approved(site, "ann")["refresh_token"]
    assert refreshed(site, again, *both).status == 200
    assert refreshed(site, token, *both).status == 401


def test_a_logout_at_the_provider(site: ProviderSite) -> None:
    """Ends the refresh token, too: the program was logged in by the person's session there."""
    site.provider.add("ben", "web")
    token = approved(site, "ben")["refresh_token"]
    assert refreshed(site, token, "web/x").status == 200
    browser, _ = site.log_in("ben")
    site.log_out_there(browser)
    end = time.monotonic() + PATIENCE_SECONDS
    while refreshed(site, token, "web/x").status != 401:  # each worker reads of it within two seconds
        assert time.monotonic() < end
        time.sleep(0.1)


def test_denied(site: ProviderSite) -> None:
    """A person of the provider who did not start the login."""
    site.provider.add("carla", "web")
    codes = post(site, "/device/code").json()
    browser, question = site.log_in("carla", codes["verification_uri_complete"].removeprefix(site.server.url))
    site.submit(browser, question, "/device", decision="deny")
    answer = post(site, "/token", grant_type=GRANT, device_code=codes["device_code"])
    assert answer.json()["error"] == "access_denied"


def test_a_registry(site: ProviderSite, registry: Registry, machine: Machine, image: Image) -> None:
    """Crane pushes with the refresh token as docker keeps it, what the groups of the person give."""
    site.provider.add("dora", "web")
    token = approved(site, "dora", service=SERVICE)["refresh_token"]
    machine.keep_token(registry.host, "<token>", token)
    client = Crane(machine, lambda daemon, ready: daemon.start(ready))
    assert (pushed := client.push(registry, image, "web/site")).ok, str(pushed)
    assert not client.push(registry, image, "ops/site").ok
    site.provider.add("dora")
    site.age("dora", 600)
    assert not client.push(registry, image, "web/other").ok


def test_the_credential_helper(site: ProviderSite, registry: Registry, machine: Machine, image: Image) -> None:
    """`docker-credential-tokenserver login` at a terminal, and the provider in the browser; then crane pushes."""
    site.provider.add("emil", "web")
    helper = HelperOnMachine(machine, registry.host)
    shown = helper.at_a_terminal("login", registry.host)
    canaries.know(shown.wait_for(r"confirm the code ([A-Z-]+) there"))
    browser, question = site.log_in("emil", shown.wait_for(r"(/device\?\S+)"))
    site.submit(browser, question, "/device", decision="confirm")
    status, output = shown.end()
    assert status == 0, (shown.shown, output)
    kept = helper.get()
    assert kept is not None
    canaries.know(kept[1])
    client = Crane(machine, lambda daemon, ready: daemon.start(ready))
    assert (pushed := client.push(registry, image, "web/emil")).ok, str(pushed)
