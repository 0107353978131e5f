"""A real nginx in front of the server, in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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


@contextmanager
def nginx(folder: Path, locations: str) -> Iterator[Nginx]:
    """nginx with these `location` blocks, on a free port."""
    program = need("nginx")
    port = free_port()
    config = folder / "nginx.conf"
    (folder / "tmp").mkdir()
    # As root its worker would change to a user who may not write here.
    user = "user root;\n" if os.geteuid() == 0 else ""
    config.write_text(_CONFIG.format(folder=folder, port=port, locations=locations, user=user))
    command: list[str | Path] = [program, "-p", folder, "-e", folder / "error.log", "-c", config]
    daemon = Daemon("nginx", command, environment=plain_environment(folder), folder=folder)
    with running(daemon, lambda: answers(port)):
        yield Nginx(port, daemon)
