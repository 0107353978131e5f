"""A public URL with a path, behind a real nginx that keeps the path and one that strips it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import canaries
import pytest
from harness import registries, web
from harness.clients import Client, Docker, Skopeo
from harness.helm import Helm
from harness.images import Image
from harness.page_browser import PageBrowser
from harness.processes import free_port, run
from harness.proxy import nginx
from harness.registries import Registry
from harness.server import Setup, TokenServer, serving

pytestmark = pytest.mark.real("nginx")

PREFIX = "/registry-auth"
SERVICE = "registry3.test"

LOCATIONS = """\
    location {prefix}/ {{
      proxy_pass http://127.0.0.1:{server}{stripped};
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
"""


@dataclass(frozen=True)
class Front:
    """A server, the port of the proxy in front of it, and a registry that sends clients to the proxy."""

    server: TokenServer
    port: int
    registry: Registry


@pytest.fixture(scope="module", params=["", "/"], ids=["kept", "stripped"])
def front(request: pytest.FixtureRequest, setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The same server behind each of the two."""
    port = free_port()
    settings = {
        "server": {"url": f"http://localhost:{port}{PREFIX}", "trusted_proxies": ["127.0.0.1/32"]},
        "storage": "state/tokenserver.db",
        "access_keys": {},
        "refresh_tokens": {},
    }
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("prefix")
        server = stack.enter_context(serving(folder, replace(setup, settings=settings)))
        locations = LOCATIONS.format(prefix=PREFIX, server=server.port, stripped=request.param)
        stack.enter_context(nginx(tmp_path_factory.mktemp("nginx"), locations, port))
        registry = registries.registry(tmp_path_factory.mktemp("registry"), server, SERVICE, "distribution3")
        yield Front(server, port, stack.enter_context(registry))


PATHS = ["/token", "/auth/token", "/auth", "/", "/healthz", "/readyz", "/ca.pem", "/.well-known/jwks.json"]


@pytest.mark.parametrize("path", PATHS)
def test_every_path_through_the_proxy(front: Front, path: str) -> None:
    """200 below the public URL, with the same answer as straight from the server."""
    through = web.request(front.port, "GET", f"{PREFIX}{path}?service={SERVICE}")
    straight = front.server.request("GET", f"{path}?service={SERVICE}")
    assert (through.status, straight.status) == (200, 200)
    assert through.header("content-type") == straight.header("content-type")


ODD = ["//token", "/token/", "/token%2f", "/%2e%2e/token", "/../token", "/./token", "/Token", "/x/../token"]


@pytest.mark.parametrize("path", ODD)
@pytest.mark.parametrize("prefix", ["", PREFIX, f"/{PREFIX}", PREFIX.upper(), PREFIX * 2])
def test_odd_spellings_are_no_token_paths(front: Front, prefix: str, path: str) -> None:
    """As they come from a client straight: 404, never a token and never a redirect."""
    lines = [f"GET {prefix}{path}?service={SERVICE} HTTP/1.1", "Host: localhost", "Connection: close", "", ""]
    assert web.raw(front.server.port, "\r\n".join(lines)).statuses == [404]


@pytest.mark.parametrize("path", ["/%74oken", f"{PREFIX}/%74oken", "/registry%2dauth/token", f"{PREFIX}%2ftoken"])
def test_escapes_are_decoded_once(front: Front, path: str) -> None:
    """Before paths are compared, at the root and below the prefix alike; what is escaped twice is another path."""
    assert front.server.request("GET", f"{path}?service={SERVICE}").status == 200
    assert front.server.request("GET", f"{path.replace('%', '%25')}?service={SERVICE}").status == 404


def test_a_form_through_the_proxy(front: Front) -> None:
    """POST, as containerd does it."""
    form = web.form(
        grant_type="password", client_id="t", service=SERVICE, username="ann", password=front.server.people["ann"]
    )
    answer = web.request(front.port, "POST", f"{PREFIX}/token", headers=web.FORM, body=form)
    assert web.claims(answer.json()["access_token"])["sub"] == "ann"


PAGE_LINK = re.compile(r'(?:href|src|action)="(/[^"]*)"')


def browser_of(front: Front) -> PageBrowser:
    """A browser that only knows the proxy."""
    return PageBrowser(front.server, port=front.port, prefix=PREFIX)


def test_pages_through_the_proxy(front: Front) -> None:
    """Every link, form and redirection has the path; a key is made, used and ended."""
    browser = browser_of(front)
    account = browser.log_in("ann", f"{PREFIX}/account")
    found = {html.unescape(link) for link in PAGE_LINK.findall(account.body.decode())}
    assert {link for link in found if not link.startswith(f"{PREFIX}/")} == set()
    pages = {link: browser.get(link).status for link in found if not link.endswith(("/logout", "/end-others", "/end"))}
    assert set(pages.values()) == {200}, pages
    target = f"{PREFIX}/account/keys/new"
    made = browser.submit(browser.get(target), target, name="behind nginx", lifetime="43200", use="all")
    key = re.search(r"tknp_[0-9A-Za-z]{61}", made.body.decode())
    assert key is not None, made
    canaries.know(key[0])
    address = f"{PREFIX}/account/keys/{key[0][5:17]}"
    question = browser.submit(browser.get(address), f"{address}/end")
    ended = browser.submit(question, f"{address}/end", sure="yes")
    assert (ended.status, ended.header("location")) == (303, f"{PREFIX}/account?note=key-ended")
    left = browser.submit(browser.get(f"{PREFIX}/account"), f"{PREFIX}/logout")
    assert left.header("location") == f"{PREFIX}/login?note=logged-out"


def test_cookies_are_for_the_host(front: Front) -> None:
    """Their path is `/`, which the name `__Host-` demands where there is TLS; nothing else may set them."""
    answer = web.request(front.port, "GET", f"{PREFIX}/login")
    (cookie,) = answer.headers["set-cookie"]
    canaries.know(cookie.partition("=")[2].partition(";")[0])
    assert "; Path=/;" in cookie
    assert "Domain" not in cookie


def test_errors_through_the_proxy(front: Front) -> None:
    """Also the page about an address that does not exist leads on below the path."""
    answer = web.request(front.port, "GET", f"{PREFIX}/account/x/y", headers={"Accept": "text/html"})
    assert answer.status == 404
    assert {one for one in PAGE_LINK.findall(answer.body.decode()) if not one.startswith(f"{PREFIX}/")} == set()


def test_the_api_through_the_proxy(front: Front) -> None:
    """What was made is where the answer says, and the description names the path."""
    base = f"{PREFIX}/api/v1"
    ann = web.basic("ann", front.server.people["ann"])
    json_type = {"Content-Type": "application/json"}
    made = web.request(front.port, "POST", f"{base}/access-keys", headers=ann | json_type, body=b'{"name": "x"}')
    assert made.status == 201, made
    location = str(made.header("location"))
    assert location.startswith(f"http://localhost:{front.port}{base}/access-keys/")
    target = location.removeprefix(f"http://localhost:{front.port}")
    assert web.request(front.port, "GET", target, headers=ann).status == 200
    document = web.request(front.port, "GET", f"{base}/openapi.json").json()
    assert [one["url"] for one in document["servers"]] == [base]


def test_a_login_at_a_terminal_through_the_proxy(front: Front) -> None:
    """The addresses that the program shows are those of the proxy, and lead to the token."""
    program = {"client_id": "tokenserver-helper"}
    asked = web.request(front.port, "POST", f"{PREFIX}/device/code", headers=web.FORM, body=web.form(**program))
    codes = asked.json()
    canaries.know(codes["device_code"])
    canaries.know(codes["user_code"])
    page = f"http://localhost:{front.port}{PREFIX}/device"
    assert codes["verification_uri"] == page
    assert codes["verification_uri_complete"] == f"{page}?user_code={codes['user_code']}"
    browser = browser_of(front)
    link = f"{PREFIX}/device?user_code={codes['user_code']}"
    done = browser.submit(browser.log_in("ann", link), f"{PREFIX}/device", decision="confirm")
    assert done.status == 200, done
    form = web.form(
        grant_type="urn:ietf:params:oauth:grant-type:device_code", device_code=codes["device_code"], **program
    )
    given = web.request(front.port, "POST", f"{PREFIX}/token", headers=web.FORM, body=form)
    canaries.know(given.json()["refresh_token"])
    assert given.status == 200


@pytest.mark.parametrize("kind", [Docker, Skopeo, Helm])
def test_login_with_real_clients(front: Front, kind: type[Client], client_of: Callable[[type[Client]], Client]) -> None:
    """They follow the registry's realm, by GET or POST."""
    client = client_of(kind)
    output = client.login(front.registry, "ann", front.server.people["ann"])
    assert output.ok, str(output)
    assert not client.login(front.registry, "ann", "wrong").ok


def test_push_and_pull(
    front: Front, client_of: Callable[[type[Client]], Client], image: Image, new_name: Callable[[str], str]
) -> None:
    """A whole round."""
    client, name = client_of(Skopeo), new_name("web")
    client.machine.sign_in(front.registry.host, "ann", front.server.people["ann"])
    for output in (client.push(front.registry, image, name), client.pull(front.registry, name)):
        assert output.ok, str(output)


def test_check_and_doctor_are_content(front: Front) -> None:
    """The doctor visits the registry and follows its realm to the server."""
    front.server.run("check", "--config", front.server.config)
    command = front.server.command(
        *("doctor", "--registry", f"http://{front.registry.host}", "--service", SERVICE),
        *("--user", "ann", "--config", front.server.config),
    )
    output = run(
        command,
        environment=front.server.environment,
        folder=front.server.folder,
        stdin=front.server.people["ann"],
    )
    assert output.ok, str(output)
    assert "No findings." in output.text
