"""docs/move-from-a-users-file.md with real registries: pushes before, during and after the move, none refused."""

from __future__ import annotations

import secrets
from pathlib import Path

import bcrypt
import canaries
import pytest
import yaml
from harness import web
from harness.images import Image
from harness.machine import Machine
from harness.moves import PUSHES, Pusher, registry_configuration, running_registry, stored_images, tokenserver
from harness.processes import Daemon, answers, free_port, plain_environment, run, running
from harness.switch import switch

pytestmark = pytest.mark.waits

PASSWORD = secrets.token_urlsafe(18)
canaries.know(PASSWORD, user="ann")


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
def test_no_push_is_refused(generation: str, tmp_path: Path, image: Image) -> None:
    """The registry's users go on with the passwords that their clients have, and see nothing of the move."""
    ports = [free_port() for _ in range(3)]
    folder, site = tmp_path / "registry", tmp_path / "site"
    (folder / "tmp").mkdir(parents=True)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
    (folder / "htpasswd").write_text(f"ann:{hashed}\n")
    old = registry_configuration(folder, ports[0], {"htpasswd": {"realm": "basic", "path": str(folder / "htpasswd")}})
    environment = plain_environment(folder)
    with running_registry(folder, generation, ports[0], old) as old_registry, switch(ports[0]) as proxy:
        pusher = Pusher(Machine(tmp_path / "machine"), proxy.port, image, "ann", PASSWORD)
        try:
            pusher.wait()
            options = ["--url", f"http://localhost:{ports[2]}", "--listen", f"127.0.0.1:{ports[2]}"]
            trust = site / "registry" / "token-ca.pem"
            imported = run(
                tokenserver("import", "htpasswd-registry", old, site, *options, "--trust", trust),
                environment=environment,
                folder=folder,
            )
            assert imported.ok, str(imported)
            serve = tokenserver("serve", "--config", site / "tokenserver.yaml")
            server = Daemon("tokenserver", serve, environment=environment, folder=folder)
            new = registry_configuration(
                folder, ports[1], yaml.safe_load((site / "registry" / "auth.yml").read_text())["auth"]
            )
            with running(server, lambda: answers(ports[2])), running_registry(folder, generation, ports[1], new):
                pusher.wait()
                before = len(pusher.outputs)
                proxy.lead_to(ports[1])
                old_registry.stop()
                pusher.wait()
                pusher.stop()
                assert pusher.refused() == []
                assert len(pusher.outputs) >= before + PUSHES
                refused = web.request(proxy.port, "GET", "/v2/_catalog", headers=web.basic("ann", PASSWORD))
                assert (refused.status, "Bearer" in (refused.header("www-authenticate") or "")) == (401, True)
                assert server.log.count('"subject":"ann"') >= PUSHES
        finally:
            pusher.stop()
    assert stored_images(folder, "ann") == {f"image-{number}" for number in range(len(pusher.outputs))}
