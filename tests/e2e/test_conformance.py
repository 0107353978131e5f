"""Every registry against every form of token: taken or refused as the documentation says, and for the stated reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness import web
from harness.conformance import ALGORITHMS, COMPATS, NOT_OFFERED, VERIFIERS, Verifier, expected, verifying
from harness.processes import run
from harness.registries import KEEPER
from harness.server import ISSUER, Setup, TokenServer, serving

CELLS = [
    pytest.param(verifier, compat, algorithm, id=f"{verifier.label} {compat} {algorithm}")
    for verifier in VERIFIERS
    for compat in COMPATS
    for algorithm in ALGORITHMS
    if expected(verifier, compat, algorithm) is not NOT_OFFERED
]


def service(compat: str, algorithm: str) -> str:
    """The service of a column."""
    return f"{compat}-{algorithm.lower()}.test"


@pytest.fixture(scope="module")
def signer(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """One server with a registry for each compat and algorithm that go together."""
    entries = [
        {"service": service(compat, algorithm), "compat": compat, "algorithm": algorithm, "keys": f"keys-{algorithm}"}
        for compat in COMPATS
        for algorithm in ALGORITHMS
        if (compat, algorithm) != ("distribution2", "EdDSA")
    ]
    with serving(tmp_path_factory.mktemp("server"), replace(setup, settings={"registries": entries})) as server:
        yield server


@pytest.fixture(scope="module")
def files(signer: TokenServer) -> dict[str, str]:
    """What each service's registry is given to trust."""
    facts: list[dict[str, Any]] = json.loads(
        signer.run("registries", "config", "--json", "--config", signer.config).stdout
    )
    return {one["service"]: one["trusted"]["content"] for one in facts}


def trusted(verifier: Verifier, compat: str, algorithm: str, files: dict[str, str]) -> dict[str, str]:
    """What the registry is given: what the compat wants, or as near to it as the registry has a setting for."""
    own, certificate = files[service(compat, algorithm)], files[service("zot", algorithm)]
    if verifier.kind == "zot":
        return {"cert": certificate}
    if compat == "jwks":
        return {"jwks": own} if verifier.kind == "distribution3" else {"rootcertbundle": certificate}
    return {"rootcertbundle": own}


@pytest.mark.parametrize(("verifier", "compat", "algorithm"), CELLS)
def test_cell(
    verifier: Verifier, compat: str, algorithm: str, signer: TokenServer, files: dict[str, str], tmp_path: Path
) -> None:
    """The registry takes the token for a pull, or refuses it (or its own start) with the reason in its log."""
    name = service(compat, algorithm)
    token = signer.token(name, ["repository:web/x:pull"], person=KEEPER)
    values = {"realm": signer.realm, "service": name, "issuer": ISSUER}
    reason = expected(verifier, compat, algorithm)
    with verifying(verifier, tmp_path, values, trusted(verifier, compat, algorithm, files)) as registry:
        status = None
        if registry.port is not None:
            headers = {"Authorization": f"Bearer {token}"}
            status = web.request(registry.port, "GET", "/v2/web/x/manifests/none", headers=headers).status
        log = registry.log.read_text(errors="replace")
    assert status in (None, 200, 404, 401, 500), status
    assert (status in (200, 404)) == (reason is None), f"{status}\n{log[-3000:]}"
    if reason is not None:
        assert re.search(reason.log, log), log[-3000:]


def test_what_is_not_offered(setup: Setup, tmp_path: Path, signer: TokenServer) -> None:
    """EdDSA for Distribution 2 is refused here, with the line, before any registry could refuse it."""
    config = tmp_path / "tokenserver.yaml"
    text = signer.config.read_text()
    entry = "- {service: x.test, compat: distribution2, algorithm: EdDSA}\n"
    config.write_text(text.replace("registries:\n", f"registries:\n{entry}"))
    output = run(signer.command("check", "--config", config), environment=signer.environment, folder=signer.folder)
    assert output.code == 2
    assert "registries[0].algorithm: cannot be combined with compat: distribution2" in output.stderr


def test_a_registry_with_a_set_alone_refuses_universal(
    signer: TokenServer, files: dict[str, str], tmp_path: Path
) -> None:
    """Distribution 3 with `jwks` and no bundle looks at `x5c` first, and knows no authority: why there is a `jwks`."""
    verifier = next(one for one in VERIFIERS if one.label == "Distribution 3.1.1")
    values = {"realm": signer.realm, "service": service("universal", "ES256"), "issuer": ISSUER}
    token = signer.token(values["service"], ["repository:web/x:pull"], person=KEEPER)
    with verifying(verifier, tmp_path, values, {"jwks": files[service("jwks", "ES256")]}) as registry:
        assert registry.port is not None
        headers = {"Authorization": f"Bearer {token}"}
        assert web.request(registry.port, "GET", "/v2/web/x/manifests/none", headers=headers).status == 401
        assert "failed to verify token" in registry.log.read_text()
