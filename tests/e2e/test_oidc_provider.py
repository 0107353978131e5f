"""People who log in at oidc-provider, a certified OpenID provider and the strictest one here, and what it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from harness.faultproxy import Mode
from harness.oidc_provider import ProviderSite, provider_site
from harness.openid_browser import OpenIdBrowser

pytestmark = pytest.mark.real("oidc-provider")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderSite]:
    """A server, and a provider that demands PKCE, names itself in its answers, and replaces refresh tokens."""
    folders = [tmp_path_factory.mktemp(name) for name in ("server", "provider")]
    with provider_site(folders) as running:
        yield running


@pytest.fixture(autouse=True)
def _works_again(site: ProviderSite) -> Iterator[None]:
    """Whatever a test did to the provider has no effect on the next one."""
    yield
    site.provider.proxy.mode = Mode.PASS


def test_the_doctor(site: ProviderSite) -> None:
    """It finds nothing to fix at this provider, and that it is down."""
    good = {"provider": True, "provider client": True, "provider login": True}
    assert site.examined() == {**good, "provider scopes": None, "provider logout": None}
    site.provider.proxy.mode = Mode.REFUSE
    assert site.examined() == {"provider": False}


def test_the_login_page(site: ProviderSite) -> None:
    """Nobody here has a password, so it has no form but one button, which has to be clicked."""
    page = site.server.request("GET", "/login")
    text = page.body.decode()
    assert (page.status, text.count("/login/with/op")) == (200, 1)
    assert "<form" not in text
    assert "password" not in text


def test_a_login(site: ProviderSite) -> None:
    """The request has what the provider demands, its answer names the issuer, and the groups are those of the token."""
    site.provider.add("ann", "web")
    browser, _ = site.log_in("ann")
    asked, came_back = (dict(parse_qsl(urlsplit(url).query)) for url in map(str, _ends(site, browser)))
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    assert came_back["iss"] == site.provider.url
    assert site.granted("ann", site.key("ann"), "web/x", "ops/x") == {"web/x"}


def _ends(site: ProviderSite, browser: OpenIdBrowser) -> tuple[str, str]:
    """Where the browser left for the provider, and where it came back."""
    left = next(url for url in browser.visited if url.startswith(f"{site.provider.url}/auth?"))
    back = next(url for url in browser.visited if "/login/callback/op" in url)
    return left, back


def come_back(site: ProviderSite, name: str) -> tuple[OpenIdBrowser, str]:
    """A browser at the end of a login whose answer it has not brought yet, and the address to which it would."""
    browser = OpenIdBrowser()
    page = site.identify(browser, name)
    text = page.body.decode()
    action = re.search(r'<form[^>]*action="([^"]*)"', text)
    assert action is not None, text
    browser.go(f"{site.provider.url}{urlsplit(action[1]).path}", {"prompt": "consent"}, until="/login/callback/op")
    return browser, browser.shown


def test_a_code_alone(site: ProviderSite) -> None:
    """A code without the verifier of the browser's login is worth nothing, even with the client's secret (RFC 7636).

    See docs/design/threats.md#threat-196.
    """
    site.provider.add("ann", "web")
    browser, back = come_back(site, "ann")
    stolen = site.redeem(browser.parameter("code"), "v" * 43)
    assert (stolen.status, stolen.json()["error"]) == (400, "invalid_grant")
    page = browser.go(back)
    assert (page.status, browser.shown) == (200, f"{site.server.url}/account")


@pytest.mark.parametrize(
    "issuer",
    [pytest.param("https://evil.example.com", id="another one"), pytest.param(None, id="none")],
)
def test_whose_answer_it_is(issuer: str | None, site: ProviderSite) -> None:
    """The provider says that its answers name it, so one that does not is refused (RFC 9207, section 2.4).

    See docs/design/threats.md#threat-196.
    """
    site.provider.add("ann", "web")
    browser, back = come_back(site, "ann")
    parts = urlsplit(back)
    answer = {**dict(parse_qsl(parts.query)), "iss": issuer}
    forged = urlencode({name: value for name, value in answer.items() if value is not None})
    page = browser.go(parts._replace(query=forged).geturl())
    assert page.status == 403
    assert b"The answer of the provider was not accepted." in page.body
    assert site.events("browser_login")[-1]["reason"] == "the answer is that of another issuer"


@pytest.mark.parametrize("error", ["access_denied", "login_required", "consent_required", "temporarily_unavailable"])
def test_errors(error: str, site: ProviderSite) -> None:
    """The page has the error, at an address without it; the person can begin again at the same browser."""
    site.provider.add("ann", "web")
    browser = OpenIdBrowser()
    site.provider.fail_next(error)
    page = site.begin(browser)
    assert (page.status, browser.shown) == (403, f"{site.server.url}/login/failed")
    assert f"The provider ended the login with the error {error}.".encode() in page.body
    event = site.events("browser_login")[-1]
    assert (event["outcome"], event["source"]) == ("invalid_credentials", "op")
    assert event["reason"] == f"the provider answers {error}"
    browser.submit(browser.submit(site.begin(browser), login="ann", password="any"))
    assert browser.shown == f"{site.server.url}/account"


def test_a_person_who_cancels(site: ProviderSite) -> None:
    """The provider's own way to say no."""
    browser = OpenIdBrowser()
    page = site.follow(browser, site.begin(browser), "[ Cancel ]")
    assert b"The provider ended the login with the error access_denied." in page.body


def test_rechecks(site: ProviderSite) -> None:
    """Each one brings the groups of now and a new refresh token; somebody who is gone loses everything.

    The provider ends the session of anybody who uses a replaced refresh token, so the second one shows that the first
    was kept.
    """
    site.provider.add("ben", "web")
    browser, _ = site.log_in("ben")
    key = site.key("ben")
    site.provider.add("ben", "ops")
    assert site.granted("ben", key, "web/x", "ops/x") == {"web/x"}
    for groups, granted in ((("ops",), {"ops/x"}), ((), set()), (("web", "ops"), {"web/x", "ops/x"})):
        site.provider.add("ben", *groups)
        site.age("ben", 600)
        assert site.granted("ben", key, "web/x", "ops/x") == granted
    site.provider.remove("ben")
    site.age("ben", 600)
    assert site.pull("ben", key, "web/x").status == 401
    assert not site.is_logged_in(browser)
    site.provider.add("ben", "web")
    assert site.pull("ben", key, "web/x").status == 401


def test_many_rechecks_together(site: ProviderSite) -> None:
    """Of all workers, one asks: two would use the same refresh token, and the provider would end the session."""
    site.provider.add("dora", "web")
    site.log_in("dora")
    key = site.key("dora")
    for _ in range(3):
        site.age("dora", 600)
        with ThreadPoolExecutor(8) as pool:
            granted = list(pool.map(lambda _: site.granted("dora", key, "web/x"), range(16)))
        assert granted == [{"web/x"}] * 16


def test_a_logout_here(site: ProviderSite) -> None:
    """Leads to the provider (RP-initiated logout), whose session ends, and which leads back to the login page."""
    site.provider.add("eve", "web")
    browser, account = site.log_in("eve")
    offered = site.submit(browser, account, "/logout")
    assert b"You are still logged in at op" in offered.body
    confirm = site.follow(browser, offered, "Log out at op")
    assert browser.shown.startswith(f"{site.provider.url}/session/end?")
    site.log_out_there(browser, confirm)
    assert browser.shown == f"{site.server.url}/login"
    assert b'name="login"' in site.begin(browser).body


def test_a_logout_there(site: ProviderSite) -> None:
    """The provider's own logout token ends the browser's session here, and the refresh tokens of the person.

    See docs/design/threats.md#threat-200.
    """
    for name in ("fred", "gina"):
        site.provider.add(name, "web")
    (browser, _), (other, _) = site.log_in("fred"), site.log_in("gina")
    site.log_out_there(browser)
    assert not site.is_logged_in(browser)
    assert site.is_logged_in(other)
    event = site.events("provider_logout")[-1]
    assert (event["outcome"], event["source"], event["subject"]) == ("logged_out", "op", "fred")


def test_the_provider_is_down(site: ProviderSite) -> None:
    """Nobody can log in, with a page that says so; those who have, work on, and so do logins once it is back."""
    site.provider.add("hugo", "web")
    site.log_in("hugo")
    key = site.key("hugo")
    browser, back = come_back(site, "hugo")
    site.provider.proxy.mode = Mode.REFUSE
    site.age("hugo", 600)
    assert site.granted("hugo", key, "web/x") == {"web/x"}
    page = browser.go(back)
    assert (page.status, browser.shown) == (503, f"{site.server.url}/login/failed")
    assert site.server.request("GET", "/login").status == 200
    site.provider.proxy.mode = Mode.PASS
    site.log_in("hugo")


def test_the_provider_is_silent(site: ProviderSite) -> None:
    """A login gives up by its deadline; meanwhile token requests and other pages are answered."""
    site.provider.add("ida", "web")
    site.log_in("ida")
    key = site.key("ida")
    waiting = [come_back(site, "ida") for _ in range(2)]
    site.provider.proxy.mode = Mode.SILENT
    with ThreadPoolExecutor(2) as pool:
        logins = [pool.submit(browser.go, back) for browser, back in waiting]
        assert site.granted("ida", key, "web/x") == {"web/x"}
        assert site.server.request("GET", "/login").status == 200
        assert not any(login.done() for login in logins)
        assert {login.result().status for login in logins} == {503}
