"""A real ACME server, pebble, which validates and signs as a public CA does, and the DNS server that it asks."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.authority import Authority
from harness.processes import Daemon, answers, free_port, plain_environment
from harness.programs import need

DOMAIN = "auth.example.test"
"""A name of this machine, for pebble alone."""


@dataclass(frozen=True)
class Acme:
    """A running pebble. It validates at the ports `http` and `tls` of this machine; clients verify it by `ca`."""

    directory: str
    ca: Path
    http: int
    tls: int
    root: Path
    """What its certificates are verified by."""

    def context(self) -> ssl.SSLContext:
        """A client's settings that trust its certificates and no other."""
        return ssl.create_default_context(cafile=str(self.root))


@contextmanager
def pebble(folder: Path, *, validity: int = 90 * 86400) -> Iterator[Acme]:
    """pebble, whose certificates are valid for so many seconds. It rejects some nonces, as clients must expect."""
    authority = Authority(folder, "of pebble itself")
    certificate, key = authority.issue(folder)
    port, management, dns, http, tls = (free_port() for _ in range(5))
    config = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": http,
        "tlsPort": tls,
        "ocspResponderURL": "",
        "retryAfter": {"authz": 1, "order": 1},
        "profiles": {"default": {"description": "as asked", "validityPeriod": validity}},
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
    names = [
        need("pebble-challtestsrv"),
        "-management",
        "",
        "-http01",
        "",
        "-https01",
        "",
        "-tlsalpn01",
        "",
        "-doh",
        "",
    ]
    names += ["-dnsserver", f"127.0.0.1:{dns}", "-defaultIPv6", ""]
    signer = [need("pebble"), "-config", folder / "pebble.json", "-dnsserver", f"127.0.0.1:{dns}"]
    environment = plain_environment(folder) | {"PEBBLE_VA_NOSLEEP": "1"}
    daemons = [
        Daemon(name, [str(word) for word in command], environment=environment, folder=folder)
        for name, command in (("pebble-challtestsrv", names), ("pebble", signer))
    ]
    try:
        daemons[0].start(lambda: answers(dns))
        daemons[1].start(lambda: answers(port) and answers(management))
        with urllib.request.urlopen(
            f"https://localhost:{management}/roots/0", context=authority.context(), timeout=10
        ) as answer:
            (folder / "root.pem").write_bytes(answer.read())
        yield Acme(f"https://localhost:{port}/dir", authority.file, http, tls, folder / "root.pem")
    finally:
        for daemon in reversed(daemons):
            daemon.stop()
