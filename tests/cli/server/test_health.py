"""`tokenserver health`: the answers of a running server as an exit code and one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.authority import Authority, served_by
from harness.misfits import Reply, impostor
from harness.processes import free_port
from site_commands import Run

from tokenserver.cli.server import health as module

READY = b'{"ready": true, "parts": {"keys": "ok"}}'
BROKEN = b'{"ready": false, "parts": {"keys": "ok", "corp": "does not answer"}}'


def listen_on(config: Path, address: str, tls: str = "") -> None:
    """Change the configuration that `init` made."""
    text = re.sub(r"listen: .*(\n  tls: .*)?", f'listen: "{address}"{tls}', config.read_text())
    config.write_text(text.replace("url: http:", "url: https:") if tls else text)


@contextmanager
def answering(config: Path, reply: Reply) -> Iterator[int]:
    """Something that gives this reply where the configuration says that the server listens; gives the port."""
    with impostor(reply) as server:
        listen_on(config, f"127.0.0.1:{server.port}")
        yield server.port


@pytest.mark.parametrize(
    ("arguments", "reply", "code", "text"),
    [
        pytest.param([], Reply(200), 0, "/healthz: healthy", id="healthy"),
        pytest.param(["--ready"], Reply(200, body=READY), 0, "/readyz: healthy", id="ready"),
        pytest.param(
            ["--ready"], Reply(503, body=BROKEN), 1, "/readyz: status 503; corp: does not answer", id="not-ready"
        ),
        pytest.param(["--ready"], Reply(503, body=b"busy"), 1, "/readyz: status 503", id="no-json"),
        pytest.param(["--ready"], Reply(503, body=b'{"parts": []}'), 1, "/readyz: status 503", id="other-json"),
        pytest.param([], Reply(302), 1, "/healthz: status 302", id="redirected"),
    ],
)
def test_the_answer_is_an_exit_code(
    arguments: list[str], reply: Reply, code: int, text: str, run: Run, made: Path
) -> None:
    """Only 200 is healthy; a part that is not ready is named."""
    with answering(made / "tokenserver.yaml", reply) as port:
        result = run("health", *arguments, "--config", made / "tokenserver.yaml")
    assert (result.exit_code, result.output) == (code, f"http://127.0.0.1:{port}{text}\n")


def test_nobody_listens(run: Run, made: Path) -> None:
    """The system's reason, and exit code 1."""
    listen_on(made / "tokenserver.yaml", f"127.0.0.1:{free_port()}")
    result = run("health", "--config", made / "tokenserver.yaml")
    assert (result.exit_code, "refused" in result.stderr) == (1, True)


def test_faults_that_the_server_has_not_loaded_are_not_its_health(run: Run, made: Path) -> None:
    """A typo in the configuration must not get a running server killed; without an address nothing can be asked."""
    config = made / "tokenserver.yaml"
    with answering(config, Reply(200)):
        config.write_text(config.read_text() + "\nanonimous: true\n")
        assert run("health", "--config", config).exit_code == 0
        listen_on(config, "nowhere")
        refused = run("health", "--config", config)
    assert (refused.exit_code, "anonimous" in refused.stderr) == (2, True)


def test_over_tls_by_the_configured_certificate(run: Run, made: Path, tmp_path: Path) -> None:
    """The connection is https, and only a server with that certificate is the server."""
    config = made / "tokenserver.yaml"
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    certificate, key = Authority(tmp_path, "company").issue(ours, address="192.0.2.7")
    other = Authority(theirs, "company").issue(theirs)
    codes = []
    for presented in ((certificate, key), other):
        with impostor(Reply(200), context=served_by(*presented)) as server:
            listen_on(config, f"127.0.0.1:{server.port}", f"\n  tls: {{certificate: {certificate}, key: {key}}}")
            result = run("health", "--config", config)
            codes.append((result.exit_code, result.output.partition("127")[0]))
    assert codes == [(0, "https://"), (1, "https://")]


def test_an_address_of_ipv6_is_in_brackets() -> None:
    """As in a URL."""
    assert [module._spell(one) for one in (("::1", 5001), ("127.0.0.1", 5001))] == ["[::1]:5001", "127.0.0.1:5001"]
