"""A real nginx in front of the server, in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.authority import Authority
from harness.processes import Daemon, answers, free_port, plain_environment, running
from harness.programs import need

_CONFIG = """\
{user}daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache keys_zone=tokens:1m;
{upstream}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
{locations}
  }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running proxy."""

    port: int
    daemon: Daemon


SHIPPED = Path(__file__).parents[3] / "deploy" / "nginx.conf"
"""The configuration that people are given."""

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

# As root its worker would change to a user who may not write here.
_USER = "user root;\n" if os.geteuid() == 0 else ""


@contextmanager
def nginx(folder: Path, locations: str, port: int | None = None, upstream: str = "") -> Iterator[Nginx]:
    """nginx with these `location` blocks, on this port, or a free one; `upstream` stands beside its server."""
    port = free_port() if port is None else port
    text = _CONFIG.format(folder=folder, port=port, locations=locations, upstream=upstream, user=_USER)
    with _nginx(folder, text, port) as running_nginx:
        yield running_nginx


@contextmanager
def shipped_nginx(folder: Path, servers: Sequence[int], authority: Authority | None = None) -> Iterator[Nginx]:
    """nginx as deploy/nginx.conf has it, in front of the servers on these ports.

    Only what the file marks for change is changed, and where nginx may write. Without an `authority` it speaks no TLS.
    """
    port = free_port()
    files = (
        dict(zip(("ssl_certificate", "ssl_certificate_key"), authority.issue(folder), strict=True)) if authority else {}
    )
    lines = []
    for line in SHIPPED.read_text().splitlines():
        match line.split():
            case ["server", "127.0.0.1:5001", *options]:
                lines += [f"server 127.0.0.1:{server} {' '.join(options)}" for server in servers]
            case ["listen", "443", "ssl;", *_]:
                lines.append(f"listen 127.0.0.1:{port}{' ssl' if authority else ''};")
            case ["ssl_certificate" | "ssl_certificate_key" as key, *_]:
                if key in files:
                    lines.append(f"{key} {files[key]};")
            case ["http", "{"]:
                paths = [f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY]
                lines += [line, *paths]
            case _:
                lines.append(line)
    own = f"{_USER}daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log notice;\n"
    with _nginx(folder, own + "\n".join(lines) + "\n", port) as running_nginx:
        yield running_nginx


@contextmanager
def _nginx(folder: Path, text: str, port: int) -> Iterator[Nginx]:
    program = need("nginx")
    config = folder / "nginx.conf"
    (folder / "tmp").mkdir()
    config.write_text(text)
    command: list[str | Path] = [program, "-p", folder, "-e", folder / "error.log", "-c", config]
    daemon = Daemon("nginx", command, environment=plain_environment(folder), folder=folder)
    with running(daemon, lambda: answers(port)):
        yield Nginx(port, daemon)
