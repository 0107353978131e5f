"""Which proxy a client in Go uses: against the answers of golang.org/x/net/http/httpproxy, and properties."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenserver.doctor.client.proxies import (
    ProxyVariable,
    ProxyVariables,
    proxy_address,
    proxy_variables,
    raw_host,
    uses_proxy,
)

CASES = json.loads((Path(__file__).parents[2] / "corpus" / "proxies" / "cases.json").read_text("utf-8"))
TEXTS = st.text(st.sampled_from("abA10.:/[]@%#?*, é\t\\{-"), max_size=20) | st.text(max_size=10)


def variables(http: str = "", https: str = "", no_proxy: str = "", *, is_cgi: bool = False) -> ProxyVariables:
    """The variables with these values; empty ones are not set."""
    pairs = (("HTTP_PROXY", http), ("HTTPS_PROXY", https), ("NO_PROXY", no_proxy))
    found = [ProxyVariable(name, value) if value else None for name, value in pairs]
    return ProxyVariables(found[0], found[1], found[2], is_cgi)


def test_all_answers_of_go() -> None:
    """Each case of the corpus: proxies in every form, entries of NO_PROXY, and both with names and addresses."""
    found = []
    for http, https, no_proxy, url, expected in CASES:
        used = variables(http, https, no_proxy).proxy_for(url)
        answer = "direct" if used is None else proxy_address(used.value)
        if answer != expected:
            found.append((http, https, no_proxy, url, expected, answer))
    assert found == []
    assert len(CASES) > 1000


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({}, [("", "", "")], id="none"),
        pytest.param({"HTTP_PROXY": "a"}, [("a", "", "")], id="upper"),
        pytest.param({"http_proxy": "a", "https_proxy": "b", "no_proxy": "c"}, [("a", "b", "c")], id="lower"),
        pytest.param({"HTTP_PROXY": "", "http_proxy": "a"}, [("a", "", "")], id="an empty one is absent"),
        pytest.param({"HTTP_PROXY": "a", "http_proxy": "a"}, [("a", "", "")], id="both alike"),
        pytest.param({"HTTP_PROXY": "a", "http_proxy": "b"}, [("a", "", ""), ("b", "", "")], id="both, differing"),
        pytest.param({"NO_PROXY": "a", "no_proxy": "b"}, [("", "", "a"), ("", "", "b")], id="exceptions that differ"),
        pytest.param({"ALL_PROXY": "a", "Http_Proxy": "b"}, [("", "", "")], id="variables that Go does not read"),
    ],
)
def test_precedence(environment: dict[str, str], expected: list[tuple[str, str, str]]) -> None:
    """Clients in Go prefer upper case, or, built with a later library, lower case."""
    assert [one.values for one in proxy_variables(environment)] == expected


def test_the_variable_that_counts_is_named() -> None:
    """For the message."""
    (view,) = proxy_variables({"https_proxy": "http://proxy:1"})
    used = view.proxy_for("https://registry.example.com/v2/")
    assert used == ProxyVariable("https_proxy", "http://proxy:1")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("http://registry.example.com/", True, id="http"),
        pytest.param("https://registry.example.com/", False, id="https"),
    ],
)
def test_a_cgi_program(url: str, expected: bool) -> None:
    """With REQUEST_METHOD, HTTP_PROXY may be a header of a request, and is refused."""
    (view,) = proxy_variables({"REQUEST_METHOD": "GET", "HTTP_PROXY": "proxy:1"})
    assert view.is_refused(url) == expected


@pytest.mark.parametrize("view", [variables(is_cgi=True), variables(http="a\tb", is_cgi=True), variables(http="a")])
def test_no_cgi_program(view: ProxyVariables) -> None:
    """Without a proxy that would be used, or without the variable, nothing is refused."""
    assert not view.is_refused("http://registry.example.com/")


def test_other_schemes_have_no_proxy() -> None:
    """Only http and https."""
    assert variables("a", "b").proxy_for("ftp://registry.example.com/") is None


@pytest.mark.parametrize(
    ("netloc", "host"),
    [("A.b:1", "A.b"), ("ann:x@a", "a"), ("[::1]:5", "::1"), ("[::1", "["), ("a", "a")],
)
def test_raw_hosts(netloc: str, host: str) -> None:
    """In their own case, without brackets."""
    assert raw_host(netloc) == host


def test_shown_values_have_no_password() -> None:
    """Proxies are shown by scheme, host and port."""
    assert variables("http://ann:pass@proxy:1/x", "a\tb", "a,b").shown == "http://proxy:1, -, a,b"
    assert variables().shown == "-, -, -"


@given(host=TEXTS, port=TEXTS, no_proxy=TEXTS)
@example(host="fe80::1%eth0", port="443", no_proxy="fe80::1")
@example(host="münchen.example", port="443", no_proxy="münchen.example")
@example(host="münchen.example", port="443", no_proxy="x\u0378y.é" + "é" * 70)
def test_no_host_stops_it(host: str, port: str, no_proxy: str) -> None:
    """Whatever the variables hold. A `*` exempts everything, wherever in the list."""
    assert uses_proxy(host, port, no_proxy) in (True, False)
    assert not uses_proxy(host, port, f"{no_proxy},*,")


@given(TEXTS)
@example("http://[fe80::1%25eth0]:1")
def test_no_address_stops_it(text: str) -> None:
    """And what is shown of one has no user and password."""
    shown = proxy_address(text)
    assert shown is None or "@" not in shown


@given(st.text("abcXYZ019-_.~", min_size=1), st.text("abcXYZ019-_.~", min_size=12))
def test_passwords_of_proxies_are_never_shown(user: str, password: str) -> None:
    """In any form in which Go accepts them."""
    for text in (f"http://{user}:{password}@proxy:1", f"{user}:{password}@proxy:1", f"//{user}:{password}@proxy:1"):
        assert password not in (proxy_address(text) or "")
