"""Damaged files of certificates: real registries do not start with exactly those in which the doctor sees a fault."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from damaged_pem import DAMAGE, HARMLESS
from harness.misfits import ARGUMENTS, written
from harness.processes import answers, free_port, plain_environment
from harness.programs import need
from harness.registries import PROGRAMS
from harness.server import Setup, TokenServer, serving

from tokenserver.cli import main

SECONDS = 20
CASES = {**{name: (make, None) for name, make in HARMLESS.items()}, **DAMAGE}
GENERATIONS = [
    pytest.param("distribution2", id="2.8", marks=pytest.mark.nightly),
    pytest.param("distribution3", id="3.1"),
]


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """One server for all of them."""
    small = replace(
        setup,
        people={"ann": setup.people["ann"]},
        services={"universal.test": "universal", "jwks.test": "jwks", "zot.test": "zot"},
    )
    with serving(tmp_path_factory.mktemp("bundles"), small) as server:
        yield server


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("case", CASES)
def test_the_doctor_reads_a_bundle_as_the_registry_does(
    case: str, generation: str, server: TokenServer, tmp_path: Path
) -> None:
    """The registry starts, and the doctor finds nothing; or it does not, and the doctor names the reason."""
    make, reason = CASES[case]
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(make((server.folder / "keys" / "token-ca.pem").read_bytes()))
    port = free_port()

    def change(whole: dict[str, dict[str, dict[str, str]]]) -> None:
        whole["auth"]["token"]["rootcertbundle"] = str(bundle)

    config = written(tmp_path / "registry", server, "universal.test", generation, change, port)
    arguments = ["doctor", "--registry-config", str(config), "--json", "--config", str(server.config)]
    found = json.loads(CliRunner().invoke(main, arguments).stdout)
    assert starts(generation, config, port, tmp_path) is (reason is None)
    assert [one["check"] for one in found if one["mend"] is not None] == ([] if reason is None else ["rootcertbundle"])


@pytest.mark.parametrize(
    ("service", "generation", "section", "key"),
    [
        pytest.param("jwks.test", "distribution3", ("auth", "token"), "jwks", id="jwks"),
        pytest.param("universal.test", "distribution3", ("auth", "token"), "rootcertbundle", id="bundle"),
        pytest.param("zot.test", "zot2.1", ("http", "auth", "bearer"), "cert", id="zot"),
    ],
)
def test_keys_by_url(
    service: str, generation: str, section: tuple[str, ...], key: str, server: TokenServer, tmp_path: Path
) -> None:
    """No registry fetches them: it does not start, though the right keys are at that URL, and the doctor says why."""
    path = "ca.pem" if key == "rootcertbundle" else ".well-known/jwks.json"
    port = free_port()

    def change(whole: dict[str, Any]) -> None:
        for name in section:
            whole = whole[name]
        whole[key] = f"{server.url}/{path}"

    config = written(tmp_path / "registry", server, service, generation, change, port)
    arguments = ["doctor", "--registry-config", str(config), "--json", "--config", str(server.config)]
    result = CliRunner().invoke(main, arguments[:3] + arguments[4:])
    (found,) = [one for one in json.loads(CliRunner().invoke(main, arguments).stdout) if one["mend"] is not None]
    assert not starts(generation, config, port, tmp_path)
    assert (found["check"], found["theirs"]) == (key, f"{server.url}/{path}")
    assert f"{key} is a URL, and {'zot' if key == 'cert' else 'Distribution'}" in result.output


def starts(generation: str, config: Path, port: int, folder: Path) -> bool:
    """Whether the registry answers before it ends."""
    (folder / "tmp").mkdir()
    variables = {**plain_environment(folder), "OTEL_TRACES_EXPORTER": "none"}
    command: list[str | Path] = [need(PROGRAMS[generation]), *ARGUMENTS.get(generation, ["serve"]), config]
    with subprocess.Popen(
        command, env=variables, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as it:
        try:
            end = time.monotonic() + SECONDS
            while it.poll() is None and time.monotonic() < end:
                if answers(port):
                    return True
                time.sleep(0.02)
            assert it.returncode is not None, "it neither answers nor ends"
            return False
        finally:
            it.kill()
