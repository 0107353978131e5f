"""docs/move-from-harbor.md with real registries: after the import, roles and robots do what they did in Harbor."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import canaries
import pytest
import yaml
from harbor_exports import access, harbor_export, member, permission, project, robot
from harness.docker_auth import make_token_key, old_server
from harness.images import Image
from harness.machine import Machine
from harness.moves import PUSHES, Pusher, registry_configuration, running_registry, stored_images, tokenserver
from harness.processes import Daemon, Output, answers, free_port, plain_environment, run, running
from harness.programs import need
from harness.switch import switch

pytestmark = pytest.mark.waits

PASSWORD = secrets.token_urlsafe(18)
canaries.know(PASSWORD, user="ann")
SERVICE = "harbor-registry"

EXPORT = harbor_export(
    projects=[project(1, "web"), project(2, "public", public=True), project(3, "ann")],
    members={1: [member("ann", 2), member("gus", 3)], 3: [member("ann", 4)]},
    robots=[robot("robot$web+ci", permission("web", access("repository:pull", "repository:push")))],
)

_TOKEN_SERVICE = """\
server: {{addr: "127.0.0.1:5001"}}
token: {{issuer: harbor-token-issuer, expiration: 1800, certificate: token.crt, key: token.key, {ids}}}
users: {{ann: {{password: "{hashed}"}}}}
acl: [{{match: {{account: ann, name: "/^(ann|web)\\\\/.*$/"}}, actions: ["*"]}}]
"""
"""Stands in for Harbor's token service, as far as a registry and a client of these two projects see it."""


@dataclass(frozen=True)
class Imported:
    """The site of an imported Harbor, with passwords for its people. `port` is the server's."""

    folder: Path
    site: Path
    port: int

    def command(self, *arguments: str | Path, text: str = "") -> Output:
        """Run a command of the page."""
        environment = plain_environment(self.folder)
        output = run(tokenserver(*arguments), environment=environment, folder=self.folder, stdin=text)
        assert output.ok, str(output)
        return output

    @property
    def server(self) -> Daemon:
        """The server, not yet started."""
        serve = tokenserver("serve", "--config", self.site / "tokenserver.yaml")
        return Daemon("tokenserver", serve, environment=plain_environment(self.folder), folder=self.folder)

    @property
    def auth(self) -> dict[str, Any]:
        """The section of the registry, which finds its trusted certificate here."""
        section: dict[str, Any] = yaml.safe_load((self.site / "registry" / "auth.yml").read_text())["auth"]
        section["token"]["rootcertbundle"] = str(self.site / "registry" / "token-ca.pem")
        return section


@pytest.fixture
def imported(tmp_path: Path) -> Imported:
    """The first three sections of the page."""
    (tmp_path / "harbor.json").write_text(json.dumps(EXPORT))
    made = Imported(tmp_path, tmp_path / "site", free_port())
    address = ["--url", f"http://localhost:{made.port}", "--listen", f"127.0.0.1:{made.port}"]
    made.command("import", "harbor", "harbor.json", made.site, "--service", SERVICE, *address)
    for user in ("ann", "gus"):
        made.command("users", "set", user, "--file", made.site / "users.htpasswd", text=f"{PASSWORD}\n")
    (tmp_path / "registry" / "tmp").mkdir(parents=True)
    return made


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
def test_roles_and_robots(generation: str, imported: Imported, image: Image) -> None:
    """A developer and a robot push, a guest pulls, and strangers see nothing of a private project."""
    made = imported.command("robots", "secret", "new", "web.ci", "--for-file", "--expires", "90d")
    key, line = made.stdout.strip(), next(one for one in made.text.splitlines() if "hash:" in one)
    policy = imported.site / "policies" / "harbor.yaml"
    declared = f"  web.ci:\n    secrets:\n      - {line.strip().removeprefix('- ')}\n"
    policy.write_text(policy.read_text().replace("  web.ci:\n", declared, 1))
    folder, port = imported.folder / "registry", free_port()
    config = registry_configuration(folder, port, imported.auth)
    with running(imported.server, lambda: answers(imported.port)), running_registry(folder, generation, port, config):

        def crane(user: str, password: str, *words: str) -> bool:
            machine = Machine(imported.folder / f"machine-{user}")
            if user:
                machine.sign_in(f"localhost:{port}", user, password)
            return machine.run(need("crane"), *words).ok

        def push(user: str, password: str, name: str) -> bool:
            target = f"localhost:{port}/{name}:1"
            return crane(
                user, password, "append", "--oci-empty-base", "--new_layer", str(image.layer), "--new_tag", target
            )

        assert push("ann", PASSWORD, "web/shop")
        assert push("web.ci", key, "web/built")
        assert not push("ann", PASSWORD, "public/x")
        assert not push("gus", PASSWORD, "web/other")
        assert crane("gus", PASSWORD, "digest", f"localhost:{port}/web/built:1")
        assert not crane("", "", "digest", f"localhost:{port}/web/shop:1")


@pytest.mark.parametrize(("generation", "ids"), [("distribution2", "false"), ("distribution3", "true")])
def test_no_push_is_refused(generation: str, ids: str, imported: Imported, image: Image) -> None:
    """Before, during and after the move, for somebody who keeps the password."""
    folder, ports = imported.folder / "registry", [free_port(), free_port()]
    old = _token_service(imported.folder / "harbor", ids)
    with old_server(old) as service:
        auth = {
            "realm": f"http://localhost:{service.port}/service/token",
            "service": SERVICE,
            "issuer": "harbor-token-issuer",
            "rootcertbundle": str(old.parent / "token.crt"),
        }
        before = registry_configuration(folder, ports[0], {"token": auth})
        after = registry_configuration(folder, ports[1], imported.auth)
        server = imported.server
        with running_registry(folder, generation, ports[0], before) as first, switch(ports[0]) as proxy:
            pusher = Pusher(Machine(imported.folder / "machine"), proxy.port, image, "ann", PASSWORD)
            try:
                pusher.wait()
                with (
                    running(server, lambda: answers(imported.port)),
                    running_registry(folder, generation, ports[1], after),
                ):
                    pusher.wait()
                    pushed = len(pusher.outputs)
                    proxy.lead_to(ports[1])
                    first.stop()
                    pusher.wait()
                    pusher.stop()
                    assert pusher.refused() == []
                    assert len(pusher.outputs) >= pushed + PUSHES
                    assert set(service.answered) == {200}
                    assert server.log.count('"subject":"ann"') >= PUSHES
            finally:
                pusher.stop()
    assert stored_images(folder, "ann") == {f"image-{number}" for number in range(len(pusher.outputs))}


def _token_service(folder: Path, ids: str) -> Path:
    """The configuration of the stand-in, with a key and certificate of its own."""
    folder.mkdir()
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
    (folder / "auth.yml").write_text(_TOKEN_SERVICE.format(hashed=hashed, ids=f"disable_legacy_key_id: {ids}"))
    make_token_key(folder)
    return folder / "auth.yml"
