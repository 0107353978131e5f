"""The search for secrets in whatever tests make the server write: it finds them, and it is in place."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

import canaries
import pytest
from copied_conftest import copy_conftest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

SECRET = 'pä ss%w"ord&'
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLWl0"


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """One secret is known here, and what is found here fails no test."""
    monkeypatch.setattr(canaries, "_known", {})
    monkeypatch.setattr(canaries, "_found", [])
    canaries.know(SECRET, user="ann")


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(f"wrong password {SECRET}", id="plain"),
        pytest.param(SECRET.encode("latin-1"), id="Latin-1"),
        pytest.param('{"password":"p\\u00e4 ss%w\\"ord&"}', id="JSON"),
        pytest.param("GET /token?password=p%C3%A4%20ss%25w%22ord%26", id="a query"),
        pytest.param("password=p%C3%A4+ss%25w%22ord%26&x=y", id="a form"),
        pytest.param(base64.b64encode(f"ann:{SECRET}".encode()), id="base64"),
        pytest.param("Authorization: Basic bm9ib2R5OnVua25vd24=", id="anybody's header"),
        pytest.param(f"issued {TOKEN}", id="a token"),
        pytest.param("ann:$2b$10$" + "a" * 53, id="bcrypt"),
        pytest.param("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA", id="argon2id"),
        pytest.param("$6$rounds=5000$salt$" + "a" * 86, id="sha512-crypt"),
        pytest.param("-----BEGIN PRIVATE KEY-----", id="the beginning of a key"),
        pytest.param(f"key tknr_{'a' * 61}", id="an access key"),
        pytest.param("x=canary-4711", id="a canary"),
    ],
)
def test_secrets_are_found(output: str | bytes) -> None:
    """In every spelling in which one could be written."""
    canaries.watch(output, "here")
    assert [one.partition(":")[0] for one in canaries.taken()] != []
    assert canaries.taken() == []


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(ec.generate_private_key(ec.SECP256R1()), id="P-256"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), id="P-384"),
        pytest.param(rsa.generate_private_key(65537, 2048), id="RSA"),
        pytest.param(ed25519.Ed25519PrivateKey.generate(), id="Ed25519"),
    ],
)
def test_lines_of_keys_are_found(key: ec.EllipticCurvePrivateKey, tmp_path: Path) -> None:
    """Each line by itself, as a traceback or a wrapped log line would show it."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "signing").mkdir()
    (tmp_path / "signing" / "one.key").write_bytes(pem)
    canaries.know_keys(tmp_path)
    for line in pem.decode().splitlines()[1:-1]:
        canaries.watch(f"cannot read {line} here", "log")
        assert canaries.taken() != []


@pytest.mark.parametrize(
    "output",
    [
        pytest.param('{"subject":"ann","jti":"6a4dafb4948bbbb7587a0475ca9c9653","outcome":"login"}', id="an event"),
        pytest.param('WWW-Authenticate: Basic realm="tokenserver", charset="UTF-8"', id="a challenge"),
        pytest.param("users.htpasswd:3: ann: apr1 (MD5) is too weak", id="a fault"),
        pytest.param("bcrypt, cost 10", id="a kind of hash"),
    ],
)
def test_what_may_be_written(output: str) -> None:
    """What the server does write is not taken for a secret."""
    canaries.watch(output, "here")
    assert canaries.taken() == []


LEAKS = {
    "standard_output": f"print({TOKEN!r})",
    "standard_error": f"import sys; print({TOKEN!r}, file=sys.stderr)",
    "the_log_at_its_lowest_level": f"import logging; logging.getLogger('x').debug('%s', {TOKEN!r})",
    "another_process": f"import canaries; canaries.watch({TOKEN!r}, 'a daemon')",
}


def test_a_leak_fails_the_test_that_caused_it(tmp_path: Path) -> None:
    """A test with nothing wrong but a token in its output; those before and after it pass."""
    copy_conftest(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\nlog_level = DEBUG\n")
    tests = [f"def test_{name}():\n    {leak}\n\ndef test_after_{name}():\n    pass\n" for name, leak in LEAKS.items()]
    (tmp_path / "test_x.py").write_text("\n".join(tests))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", tmp_path], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert f"{len(LEAKS)} failed, {len(LEAKS)} passed" in done.stdout, done.stdout
    failures = done.stdout.partition("= FAILURES =")[2]
    failed = re.findall(r"^_+ test_(\w+) _+\nsecrets were written: .*: looks like a secret", failures, re.MULTILINE)
    assert failed == list(LEAKS), done.stdout
