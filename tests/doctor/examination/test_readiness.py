"""The readiness of the server that runs with these settings: over both schemes, and what is no tokenserver."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest
from harness.authority import Authority
from harness.misfits import Reply, impostor
from harness.processes import free_port

from tokenserver.config.settings import Settings
from tokenserver.doctor.examination.readiness import running_parts

PARTS = {"keys": "ok", "policies": "ok", "files": "the current files were rejected (policies/a.yaml:1); see the log"}
READY = Reply(503, (), json.dumps({"ready": False, "parts": PARTS}).encode())


def _settings(address: str, tls: tuple[Path, Path] | None = None) -> Settings:
    server: dict[str, object] = {"listen": address, "url": "http://localhost"}
    if tls is not None:
        server["url"] = "https://localhost"
        server["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
    given = {"issuer": "i", "server": server, "registries": [{"service": "r"}], "policies": "p", "keys": "k"}
    return Settings.model_validate(given | {"anonymous": True}, context={"base": Path("/nonexistent")})


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - only asked
def test_what_the_server_says_of_each_part(host: str) -> None:
    """Also where it is not ready, and where it listens on all addresses."""
    with impostor(READY) as server:
        assert running_parts(_settings(f"{host}:{server.port}")) == PARTS


def test_over_tls(tmp_path: Path) -> None:
    """The certificate is for the name in `server.url`, and its authority is unknown here."""
    pair = Authority(tmp_path, "the company").issue(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    with impostor(READY, context=context) as server:
        assert running_parts(_settings(f"127.0.0.1:{server.port}", pair)) == PARTS
        assert running_parts(_settings(f"127.0.0.1:{server.port}")) is None
        (tmp_path / "other").mkdir()
        other = Authority(tmp_path / "other", "another company").issue(tmp_path / "other")
        assert running_parts(_settings(f"127.0.0.1:{server.port}", other)) is None


def test_nothing_there() -> None:
    """No server runs."""
    assert running_parts(_settings(f"127.0.0.1:{free_port()}")) is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="html"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{}", id="no-parts"),
        pytest.param(b'{"parts": ["policies"]}', id="parts-as-a-list"),
        pytest.param(b'{"parts": {"database": "ok"}}', id="other-parts"),
    ],
)
def test_another_program(body: bytes) -> None:
    """Something else listens at the address."""
    with impostor(Reply(200, (), body)) as server:
        assert running_parts(_settings(f"127.0.0.1:{server.port}")) is None


def test_a_server_of_another_installation() -> None:
    """It is recognised by its token CA; here every path has the same answer."""
    with impostor(READY) as server:
        settings = _settings(f"127.0.0.1:{server.port}")
        assert running_parts(settings, ["another CA"]) is None
        assert running_parts(settings, ["another CA", READY.body.decode()]) == PARTS


def test_a_certificate_that_cannot_be_read(tmp_path: Path) -> None:
    """No server can run with it."""
    (tmp_path / "empty").touch()
    for certificate in (tmp_path / "none", tmp_path / "empty"):
        assert running_parts(_settings("127.0.0.1:9", (certificate, certificate))) is None
