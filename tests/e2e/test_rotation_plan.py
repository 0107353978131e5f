"""Registries that pin keys: who follows the plan of `keys rotate` loses nothing, and the switch waits for its time."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from harness import registries, web
from harness.processes import run
from harness.registries import KEEPER, Registry
from harness.server import Setup, TokenServer, serving

AHEAD = 3
SWITCH_SECONDS = 5.0


def signed_by_another(server: TokenServer, service: str, old: str) -> str:
    """A token of another key than `old`, as soon as there is one."""
    deadline = time.monotonic() + SWITCH_SECONDS
    while True:
        token = server.token(service)
        if web.header(token)["kid"] != web.header(old)["kid"]:
            return token
        assert time.monotonic() < deadline, server.daemon.log[-3000:]
        time.sleep(0.1)


def takes(registry: Registry, token: str) -> bool:
    status = registry.request("GET", "/v2/", token).status
    assert status in (200, 401)
    return status == 200


@pytest.mark.parametrize(
    ("service", "compat", "generation"),
    [
        pytest.param("kid2.test", "distribution2", "distribution2", id="2.8 distribution2"),
        pytest.param("kid3.test", "distribution3", "distribution3", id="3.1 distribution3"),
        pytest.param("jwks3.test", "jwks", "distribution3", id="3.1 jwks"),
    ],
)
def test_the_plan(service: str, compat: str, generation: str, setup: Setup, tmp_path: Path) -> None:
    """Distribute, restart, switch: the restarted registry takes tokens of both keys, before and after the switch.

    The one that was left alone takes the old key's alone, so the plan is needed; and the server did not switch early.
    """
    keys = {"folder": "keys", "publish_ahead": f"{AHEAD}s"}
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, services={service: compat}, settings={"keys": keys})
    (tmp_path / "server").mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(serving(tmp_path / "server", small))
        alone = stack.enter_context(registries.registry(tmp_path / "alone", server, service, generation))
        old = server.token(service)
        plan = server.run("keys", "rotate", "--config", server.config).stdout
        made = time.monotonic()
        assert f"registry-config {service} --for {generation} --write DIR" in plan
        assert f"Restart {service}" in plan
        early = run(
            server.command("keys", "rotate", "--config", server.config),
            environment=server.environment,
            folder=server.folder,
        )
        restarted = stack.enter_context(registries.registry(tmp_path / "restarted", server, service, generation))
        before = server.token(service)
        time.sleep(max(0.0, made + AHEAD - time.monotonic()))
        still = server.token(service)
        server.run("keys", "rotate", "--config", server.config)
        new = signed_by_another(server, service, old)
        assert (early.code, "may sign from" in early.stderr) == (1, True)
        assert {web.header(token)["kid"] for token in (old, before, still)} == {web.header(old)["kid"]}
        assert [takes(restarted, token) for token in (old, before, still, new)] == [True] * 4
        assert [takes(alone, token) for token in (old, before, still, new)] == [True, True, True, False]
