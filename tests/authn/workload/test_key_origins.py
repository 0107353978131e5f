"""Origins of keys: discovery, a URL, a file, and everything that an issuer can do instead of answering."""

from __future__ import annotations

import json
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from fake_issuer import FakeIssuer, fake_issuer
from harness.authority import Authority, served_by
from harness.misfits import Reply, silent, trickler
from harness.processes import free_port
from workload_jwts import jwk, key_set, private_key

from tokenserver.authn.workload import key_origins
from tokenserver.authn.workload.key_origins import (
    Discovery,
    FetchedKeys,
    KeyFile,
    KeyOrigin,
    KeysNotFetched,
    KeyUrl,
)
from tokenserver.runtime.http import fetch as bounded

CONTEXT = ssl.create_default_context()
KEYS = key_set(jwk(private_key("ES256"), "k"))
DISCOVERY = "/.well-known/openid-configuration"


def ids(fetched: FetchedKeys) -> list[str | None]:
    """The ids of the keys."""
    return [key.key_id for key in fetched.keys.keys]


def problem(origin: KeyOrigin) -> str:
    """Why there are no keys."""
    with pytest.raises(KeysNotFetched) as caught:
        origin()
    return str(caught.value)


def test_discovery() -> None:
    """The document below the issuer names the keys; nothing else is asked, and no credential sent."""
    with fake_issuer() as issuer:
        issuer.serve(KEYS)
        assert ids(Discovery(issuer.url, CONTEXT)()) == ["k"]
        assert (issuer.paths, issuer.authorizations) == ([DISCOVERY, "/keys"], [None, None])


def test_an_issuer_with_a_path() -> None:
    """Its document is below the path, with one slash."""
    with fake_issuer() as issuer:
        issuer.serve(KEYS)
        for path in ("/realms/corp", "/realms/corp/"):
            document = json.dumps({"issuer": f"{issuer.url}{path}", "jwks_uri": f"{issuer.url}/keys"})
            issuer.replies[f"/realms/corp{DISCOVERY}"] = Reply(200, (), document.encode())
            assert ids(Discovery(f"{issuer.url}{path}", CONTEXT)()) == ["k"]


@pytest.mark.parametrize(
    ("discovery", "wanted"),
    [
        pytest.param({"issuer": "https://evil.example.com"}, "is of another issuer", id="another issuer"),
        pytest.param({"issuer": None}, "is of another issuer", id="issuer null"),
        pytest.param({"jwks_uri": None}, "must be a URL such as", id="no keys"),
        pytest.param({"jwks_uri": ["x"]}, "must be a URL such as", id="keys a list"),
        pytest.param({"jwks_uri": "file:///etc/passwd"}, "must be a URL such as", id="a file"),
        pytest.param({"jwks_uri": "ftp://localhost/keys"}, "must be a URL such as", id="another scheme"),
        pytest.param({"jwks_uri": "http://192.0.2.1/keys"}, "must be https", id="plain http elsewhere"),
        pytest.param({"jwks_uri": "https://user@example.com/keys"}, "must be a URL without user", id="a user"),
        pytest.param({"jwks_uri": "https://example.com/keys#x"}, "must be a URL without user", id="a fragment"),
        pytest.param({"jwks_uri": "https://example.com/a b"}, "must be a URL without user", id="a blank"),
        pytest.param({"jwks_uri": "https://example.com/a?b\r\nc"}, "must be a URL such as", id="a line feed"),
    ],
)
def test_discovery_documents_that_are_refused(discovery: dict[str, Any], wanted: str) -> None:
    """Before anything else is asked."""
    with fake_issuer() as issuer:
        issuer.serve(KEYS, **discovery)
        assert wanted in problem(Discovery(issuer.url, CONTEXT))
        assert issuer.paths == [DISCOVERY]


def test_the_issuer_is_compared_byte_for_byte() -> None:
    """A slash makes another issuer."""
    with fake_issuer() as issuer:
        issuer.serve(KEYS, issuer=f"{issuer.url}/")
        assert problem(Discovery(issuer.url, CONTEXT)) == "the discovery document is of another issuer"


def test_a_remote_issuer_cannot_send_us_to_this_machine(tmp_path: Path) -> None:
    """Plain http is for issuers that are here themselves."""
    authority = Authority(tmp_path, "A company's CA")
    with fake_issuer() as spy, fake_issuer(served_by(*authority.issue(tmp_path))) as issuer:
        spy.serve(KEYS)
        issuer.serve(KEYS, jwks_uri=f"{spy.url}/keys")
        assert problem(Discovery(issuer.url, authority.context())) == (
            "the jwks_uri of the discovery document must be https; plain http is for issuers on this machine alone"
        )
        assert spy.paths == []


def test_keys_at_another_host(tmp_path: Path) -> None:
    """As Kubernetes has them, with a certificate that is verified by the configured CA."""
    authority = Authority(tmp_path, "A company's CA")
    other = authority.issue(tmp_path, address="127.0.0.1")
    with (
        fake_issuer(served_by(*other)) as keys,
        fake_issuer(served_by(*authority.issue(tmp_path))) as issuer,
    ):
        keys.serve(KEYS)
        issuer.serve(b"", jwks_uri=f"{keys.url.replace('localhost', '127.0.0.1')}/keys")
        assert ids(Discovery(issuer.url, authority.context())()) == ["k"]
        assert problem(Discovery(issuer.url, CONTEXT)).startswith(f"{issuer.url}{DISCOVERY}: certificate: ")


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        pytest.param(Reply(302, (("Location", "/elsewhere"),)), "answers with status 302", id="a redirect"),
        pytest.param(Reply(403), "answers with status 403", id="forbidden"),
        pytest.param(Reply(503), "answers with status 503", id="down"),
        pytest.param(Reply(204, (), b""), "answers with status 204", id="no content"),
        pytest.param(Reply(200, (), b"<html>"), "the key set is not JSON", id="a page"),
        pytest.param(Reply(200, (), b"{}"), "the key set has no list of keys", id="no set"),
        pytest.param(Reply(200, (), key_set()), "the key set has no usable key", id="an empty set"),
        pytest.param(Reply(200, (), b" " * (bounded.MAX_BODY + 1)), "answers with more than 256 KiB", id="too large"),
        pytest.param(Reply(200, (("X", "y" * 70_000),)), "closed: what came back is not HTTP", id="long headers"),
    ],
)
@pytest.mark.parametrize("path", ["/keys", DISCOVERY])
def test_answers_that_are_no_keys(reply: Reply, wanted: str, path: str) -> None:
    """Nothing is followed, and nothing is taken from them."""
    with fake_issuer() as issuer:
        issuer.serve(KEYS)
        issuer.replies[path] = reply
        issuer.replies["/elsewhere"] = Reply(200, (), KEYS)
        found = problem(Discovery(issuer.url, CONTEXT))
        if path == "/keys" or "answers" in wanted or "closed" in wanted:
            assert wanted in found
        else:
            assert found.startswith("the discovery document ")
        assert "/elsewhere" not in issuer.paths


def test_a_url() -> None:
    """It is asked alone."""
    with fake_issuer() as issuer:
        issuer.serve(KEYS)
        assert ids(KeyUrl(f"{issuer.url}/keys", CONTEXT)()) == ["k"]
        assert (issuer.paths, issuer.authorizations) == (["/keys"], [None])


def test_media_types() -> None:
    """Both that key sets have: the API server of Kubernetes answers 406 to a request that accepts only JSON."""
    with fake_issuer() as issuer:
        issuer.serve(KEYS)
        for origin in (KeyUrl(f"{issuer.url}/keys", CONTEXT), Discovery(issuer.url, CONTEXT)):
            assert ids(origin()) == ["k"]
    assert issuer.accepts == ["application/json, application/jwk-set+json"] * 3


def test_a_token_for_the_url(tmp_path: Path) -> None:
    """It is read for each request, since Kubernetes replaces it every hour."""
    file = tmp_path / "token"
    with fake_issuer() as issuer:
        issuer.serve(KEYS)
        origin = KeyUrl(f"{issuer.url}/keys", CONTEXT, token_file=file)
        for text in ("first\n", "second"):
            file.write_text(text)
            file.chmod(0o600)
            origin()
        assert issuer.authorizations == ["Bearer first", "Bearer second"]
        file.write_text("two\nlines")
        assert problem(origin) == f"{file} holds no bearer token"
        file.write_text("")
        assert problem(origin) == f"{file} holds no bearer token"
        file.chmod(0o644)
        assert "can be read by others" in problem(origin)
        file.unlink()
        assert "cannot be read" in problem(origin)
        assert len(issuer.paths) == 2


def test_a_token_does_not_leave_this_machine_in_plain_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nor does any request, whatever `localhost` resolves to."""
    monkeypatch.setattr(bounded, "_is_local_peer", lambda _: False)
    with fake_issuer() as issuer:
        issuer.serve(KEYS)
        assert problem(KeyUrl(f"{issuer.url}/keys", CONTEXT)).endswith("exposed: plain http to another machine")
        assert issuer.paths == []


@pytest.mark.parametrize(
    ("headers", "fresh_for"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"Cache-Control": "public, max-age=3600, must-revalidate"}, 3600, id="an hour"),
        pytest.param({"Cache-Control": 'MAX-AGE="60"'}, 60, id="quoted"),
        pytest.param({"Cache-Control": "no-store, max-age=3600"}, 0, id="not to be stored"),
        pytest.param({"Cache-Control": "no-cache"}, 0, id="not to be reused"),
        pytest.param({"Cache-Control": "max-age=-1"}, None, id="a negative number"),
        pytest.param({"Cache-Control": "max-age=" + "9" * 20}, None, id="a huge number"),
        pytest.param({"Cache-Control": "s-maxage=5, private"}, None, id="others"),
        pytest.param({"Cache-Control": "max-age"}, None, id="no number"),
    ],
)
def test_for_how_long_keys_are_fresh(headers: dict[str, str], fresh_for: int | None) -> None:
    """As the issuer says with them."""
    with fake_issuer() as issuer:
        issuer.serve(KEYS, headers=headers)
        assert Discovery(issuer.url, CONTEXT)().fresh_for == fresh_for


def test_a_file(tmp_path: Path) -> None:
    """It is read each time; a file that others can change is not trusted."""
    file = tmp_path / "keys.json"
    origin = KeyFile(file)
    assert problem(origin) == f"{file}: cannot be read: No such file or directory"
    file.write_bytes(KEYS)
    file.chmod(0o644)
    assert (ids(origin()), origin().fresh_for) == (["k"], None)
    file.write_bytes(b"{}")
    assert problem(origin) == f"{file} has no list of keys"
    file.write_bytes(b" " * (256 * 1024 + 1))
    assert "is larger than" in problem(origin)
    file.write_bytes(KEYS)
    file.chmod(0o666)
    assert "can be changed by others" in problem(origin)


def test_nothing_there() -> None:
    """Neither a listener nor a name, in words for the log."""
    port = free_port()
    assert problem(Discovery(f"http://localhost:{port}", CONTEXT)).startswith(
        f"http://localhost:{port}{DISCOVERY}: refused: "
    )
    assert "name: " in problem(Discovery("https://issuer.invalid", CONTEXT))


def test_slow_answers_end_with_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """One deadline for discovery and keys; a byte now and then is no progress."""
    monkeypatch.setattr(key_origins, "DEADLINE", 0.3)
    before = time.monotonic()
    with trickler(5) as port:
        assert problem(KeyUrl(f"http://localhost:{port}/", CONTEXT)).endswith("timeout: no answer in 0.3 s")
    with silent(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n{") as port, fake_issuer() as issuer:
        issuer.serve(b"", jwks_uri=f"http://localhost:{port}/")
        assert "timeout: no end of the answer" in problem(Discovery(issuer.url, CONTEXT))
    assert time.monotonic() - before < 3


def test_reasons_are_one_short_line() -> None:
    """Whatever the issuer's certificate or file names hold."""
    text = str(KeysNotFetched("a\nb\x1b" + "c" * 1000))
    assert (text[:10], len(text), text.isprintable()) == ("a\\nb\\x1bccc"[:10], 300, True)


def test_an_issuer_says_nothing_by_default() -> None:
    """A server without replies is no issuer."""
    with fake_issuer() as issuer:
        assert isinstance(issuer, FakeIssuer)
        assert problem(Discovery(issuer.url, CONTEXT)) == f"{issuer.url}{DISCOVERY} answers with status 404"
