"""Which registry takes which token: every verifier, every `compat`, every algorithm, and the reason of each refusal.

The table is data. A test holds each cell against the real program, and docs/compatibility.md is printed from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.processes import Daemon, DidNotStart, answers, free_port, plain_environment, running
from harness.programs import need

COMPATS = ("universal", "distribution2", "distribution3", "jwks", "zot")
ALGORITHMS = ("ES256", "ES384", "RS256", "EdDSA")


@dataclass(frozen=True)
class Verifier:
    """A registry. `kind` is `distribution2`, `distribution3` or `zot`; `label` is what the documentation calls it."""

    label: str
    program: str
    kind: str
    arguments: tuple[str, ...] = ()


VERIFIERS = (
    Verifier("Distribution 2.8.2", "docker-registry", "distribution2", ("serve",)),
    Verifier("Distribution 3.0.0", "registry-3.0.0", "distribution3", ("serve",)),
    Verifier("Distribution 3.1.1", "distribution3", "distribution3", ("serve",)),
    Verifier("zot 1.4.3", "zot", "zot", ("serve",)),
    Verifier("zot 2.1", "zot-verifier", "zot"),
)


@dataclass(frozen=True)
class Reason:
    """Why a token is refused: what the documentation says, and what the registry's log must say."""

    text: str
    log: str


NOT_OFFERED = Reason("Distribution 2 cannot verify EdDSA; the server refuses such a configuration", "")
NO_EDDSA = Reason(
    "Distribution 2 has no EdDSA", r"unable to make libtrust public key from leaf certificate: public key type ed25519"
)
PANICS = Reason(
    "Distribution 2 does not even start with an Ed25519 certificate in its bundle",
    r"panic: .*root certificate: public key type ed25519\.PublicKey is not supported",
)
OTHER_NAME = Reason(
    "the registry computes another name for the key than the one in `kid`, or none",
    r"token signed by untrusted key with ID",
)
RSA_ALONE = Reason(
    "zot before 2.1.3 reads RSA keys alone, and does not start with another", r"Key is not a valid RSA public key"
)


def expected(verifier: Verifier, compat: str, algorithm: str) -> Reason | None:
    """Why this registry refuses these tokens; None where it takes them."""
    if compat == "distribution2" and algorithm == "EdDSA":
        return NOT_OFFERED
    if verifier.kind == "zot":  # looks at the signature and at nothing that tells one compat from another
        return RSA_ALONE if verifier.program == "zot" and algorithm != "RS256" else None
    if verifier.kind == "distribution2":
        if algorithm == "EdDSA":
            return NO_EDDSA if compat == "universal" else PANICS
        return None if compat in ("universal", "distribution2") else OTHER_NAME
    if compat in ("universal", "jwks"):
        return None
    if compat == "distribution2":
        return OTHER_NAME
    return OTHER_NAME if verifier.program == "registry-3.0.0" and algorithm != "RS256" else None


@dataclass(frozen=True)
class Running:
    """A registry that runs, or the log of one that did not start (`port` is None)."""

    port: int | None
    log: Path


@contextmanager
def verifying(verifier: Verifier, folder: Path, values: dict[str, str], trusted: dict[str, str]) -> Iterator[Running]:
    """The registry with realm, service and issuer as in `values`, and the files of keys that it trusts, by setting."""
    port = free_port()
    (folder / "tmp").mkdir()
    settings = dict(values)
    for option, content in trusted.items():
        (folder / option).write_text(content)
        settings[option] = str(folder / option)
    config = folder / "registry.conf.json"  # JSON is YAML
    config.write_text(_config(verifier, folder, port, settings))
    command: list[str | Path] = [need(verifier.program), *verifier.arguments, config]
    environment = {**plain_environment(folder), "OTEL_TRACES_EXPORTER": "none"}
    daemon = Daemon("registry", command, environment=environment, folder=folder)
    log = folder / "log"
    try:
        with running(daemon, lambda: answers(port)):
            yield Running(port, daemon.stderr)
    except DidNotStart as error:
        log.write_text(str(error))
        yield Running(None, log)


def _config(verifier: Verifier, folder: Path, port: int, settings: dict[str, str]) -> str:
    content: dict[str, Any]
    if verifier.kind == "zot":
        bearer = {name: value for name, value in settings.items() if name != "issuer"}
        http = {"address": "127.0.0.1", "port": str(port), "auth": {"bearer": bearer}}
        content = {"storage": {"rootDirectory": str(folder / "storage")}, "http": http, "log": {"level": "debug"}}
        return json.dumps(content)
    content = {"version": 0.1, "log": {"level": "info"}, "storage": {"inmemory": {}}}
    content |= {"http": {"addr": f"127.0.0.1:{port}"}, "auth": {"token": settings}}
    return yaml.safe_dump(content)
