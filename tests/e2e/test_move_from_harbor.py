"""docs/move-from-harbor.md with a real registry: after the import, roles and robots do what they did in Harbor."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import canaries
import pytest
import yaml
from harbor_exports import access, harbor_export, member, permission, project, robot
from harness.images import Image
from harness.machine import Machine
from harness.moves import registry_configuration, running_registry, tokenserver
from harness.processes import Daemon, Output, answers, free_port, plain_environment, run, running
from harness.programs import need

PASSWORD = secrets.token_urlsafe(18)
canaries.know(PASSWORD, user="ann")

EXPORT = harbor_export(
    projects=[project(1, "web"), project(2, "public", public=True)],
    members={1: [member("ann", 2), member("gus", 3), member("max", 4)]},
    robots=[robot("robot$web+ci", permission("web", access("repository:pull", "repository:push")))],
)


@pytest.mark.parametrize("generation", ["distribution2", "distribution3"])
def test_roles_and_robots(generation: str, tmp_path: Path, image: Image) -> None:
    """A developer and a robot push, a guest pulls, and strangers see the public project alone."""
    environment = plain_environment(tmp_path)

    def command(*arguments: str | Path, text: str = "") -> Output:
        output = run(tokenserver(*arguments), environment=environment, folder=tmp_path, stdin=text)
        assert output.ok, str(output)
        return output

    ports, site, folder = [free_port(), free_port()], tmp_path / "site", tmp_path / "registry"
    (folder / "tmp").mkdir(parents=True)
    (tmp_path / "harbor.json").write_text(json.dumps(EXPORT))
    url, listen = f"http://localhost:{ports[1]}", f"127.0.0.1:{ports[1]}"
    command(
        "import", "harbor", "harbor.json", site, "--service", "registry.example.com", "--url", url, "--listen", listen
    )
    for user in ("ann", "gus"):
        command("users", "set", user, "--file", site / "users.htpasswd", text=f"{PASSWORD}\n")
    made = command("robots", "secret", "new", "web.ci", "--for-file", "--expires", "90d")
    key, line = made.stdout.strip(), next(one for one in made.text.splitlines() if "hash:" in one)
    policy = site / "policies" / "harbor.yaml"
    declared = policy.read_text().replace(
        "  web.ci:\n", f"  web.ci:\n    secrets:\n      - {line.strip().removeprefix('- ')}\n", 1
    )
    policy.write_text(declared)
    server = Daemon(
        "tokenserver",
        tokenserver("serve", "--config", site / "tokenserver.yaml"),
        environment=environment,
        folder=tmp_path,
    )
    section = yaml.safe_load((site / "registry" / "auth.yml").read_text())["auth"]
    section["token"]["rootcertbundle"] = str(site / "registry" / "token-ca.pem")
    config = registry_configuration(folder, ports[0], section)
    with running(server, lambda: answers(ports[1])), running_registry(folder, generation, ports[0], config):
        host = f"localhost:{ports[0]}"

        def push(user: str, password: str, name: str) -> bool:
            machine = Machine(tmp_path / f"machine-{user}")
            machine.sign_in(host, user, password)
            words = ("append", "--oci-empty-base", "--new_layer", image.layer, "--new_tag", f"{host}/{name}:1")
            return machine.run(need("crane"), *words).ok

        def pull(user: str, password: str, name: str) -> bool:
            machine = Machine(tmp_path / f"reader-{user}")
            if user:
                machine.sign_in(host, user, password)
            return machine.run(need("crane"), "digest", f"{host}/{name}:1").ok

        assert push("ann", PASSWORD, "web/shop")
        assert push("web.ci", key, "web/built")
        assert not push("ann", PASSWORD, "public/x")
        assert not push("gus", PASSWORD, "web/other")
        assert pull("gus", PASSWORD, "web/built")
        assert not pull("", "", "web/shop")
