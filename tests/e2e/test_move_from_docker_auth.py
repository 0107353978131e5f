"""docs/move-from-docker-auth.md with real registries: pushes before, during and after the move, none refused.

Registries go on as they are: the same realm, issuer and certificate.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import bcrypt
import canaries
import pytest
from harness import web
from harness.docker_auth import make_token_key, old_server
from harness.images import Image
from harness.machine import Machine
from harness.moves import PUSHES, Pusher, registry_configuration, running_registry, stored_images, tokenserver
from harness.processes import Daemon, answers, free_port, plain_environment, run, running
from harness.switch import switch

pytestmark = pytest.mark.waits

PASSWORD = secrets.token_urlsafe(18)
canaries.know(PASSWORD, user="ann")
SERVICE = "Docker registry"

_CONFIG = """\
server: {{addr: "127.0.0.1:5001"}}
token:
  {{issuer: "Acme auth server", expiration: 900, certificate: token.crt, key: token.key, disable_legacy_key_id: {ids}}}
users:
  ann: {{password: "{hashed}"}}
  ben: {{password: "{hashed}", labels: {{team: [web]}}}}
  "": {{}}
acl:
  - match: {{account: "/.+/", name: "${{account}}/*"}}
    actions: ["*"]
    comment: everybody's own namespace
  - match: {{name: "secret/*"}}
    actions: []
  - match: {{labels: {{team: web}}, name: "web/*"}}
    actions: [push, pull]
  - match: {{account: "/.+/"}}
    actions: [pull]
"""


def configured(folder: Path, ids: str = "false") -> Path:
    """A configuration of docker_auth with a key and certificate of its own; `ids` is its `disable_legacy_key_id`."""
    folder.mkdir()
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
    (folder / "auth_config.yml").write_text(_CONFIG.format(hashed=hashed, ids=ids))
    make_token_key(folder)
    return folder / "auth_config.yml"


@pytest.mark.parametrize(("generation", "ids"), [("distribution2", "false"), ("distribution3", "true")])
def test_no_push_is_refused(generation: str, ids: str, tmp_path: Path, image: Image) -> None:
    """Clients and registries see nothing of the move: only the proxy in front leads elsewhere."""
    config, folder, site = configured(tmp_path / "docker_auth", ids), tmp_path / "registry", tmp_path / "site"
    (folder / "tmp").mkdir(parents=True)
    environment = plain_environment(folder)
    ports = [free_port(), free_port()]
    with old_server(config) as old, switch(old.port) as realm:
        url = f"http://localhost:{realm.port}"
        auth = {
            "realm": f"{url}/auth",
            "service": SERVICE,
            "issuer": "Acme auth server",
            "rootcertbundle": str(config.parent / "token.crt"),
        }
        registry = registry_configuration(folder, ports[0], {"token": auth})
        with running_registry(folder, generation, ports[0], registry):
            pusher = Pusher(Machine(tmp_path / "machine"), ports[0], image, "ann", PASSWORD)
            try:
                pusher.wait()
                options = ["--service", SERVICE, "--url", url]
                imported = run(
                    tokenserver("import", "docker-auth", config, site, *options), environment=environment, folder=folder
                )
                assert imported.ok, str(imported)
                settings = site / "tokenserver.yaml"
                settings.write_text(settings.read_text().replace("127.0.0.1:5001", f"127.0.0.1:{ports[1]}"))
                serve = tokenserver("serve", "--config", settings)
                server = Daemon("tokenserver", serve, environment=environment, folder=folder)
                with running(server, lambda: answers(ports[1])):
                    pusher.wait()
                    before = len(pusher.outputs)
                    realm.lead_to(ports[1])
                    asked = len(old.answered)
                    pusher.wait()
                    pusher.stop()
                    assert pusher.refused() == []
                    assert len(pusher.outputs) >= before + PUSHES
                    assert (set(old.answered), len(old.answered)) == ({200}, asked)
                    assert server.log.count('"subject":"ann"') >= PUSHES
            finally:
                pusher.stop()
    assert stored_images(folder, "ann") == {f"image-{number}" for number in range(len(pusher.outputs))}


@pytest.mark.parametrize(
    ("user", "scopes"),
    [
        ("ann", ["repository:ann/x:pull,push", "repository:secret/x:pull", "repository:web/x:pull,push"]),
        ("ben", ["repository:web/x:pull,push", "repository:ann/x:push,pull", "repository:ben/x/y:push"]),
        ("", ["repository:ann/x:pull", "repository:web/x:pull"]),
        ("ann", ["registry:catalog:*"]),
    ],
)
def test_both_grant_the_same(user: str, scopes: list[str], tmp_path: Path) -> None:
    """The same request to the old server and to the new one, over HTTP."""
    config, site = configured(tmp_path / "docker_auth"), tmp_path / "site"
    environment = plain_environment(tmp_path)
    options = ["--service", SERVICE, "--url", "http://localhost:5001"]
    imported = run(
        tokenserver("import", "docker-auth", config, site, *options), environment=environment, folder=tmp_path
    )
    assert imported.ok, str(imported)
    settings, port = site / "tokenserver.yaml", free_port()
    settings.write_text(settings.read_text().replace("127.0.0.1:5001", f"127.0.0.1:{port}"))
    server = Daemon("tokenserver", tokenserver("serve", "--config", settings), environment=environment, folder=tmp_path)
    headers = web.basic(user, PASSWORD) if user else {}
    with old_server(config) as old, running(server, lambda: answers(port)):
        target = web.token_target(SERVICE, scopes).replace("/token", "/auth", 1)
        found = [access(web.request(one, "GET", target, headers=headers)) for one in (old.port, port)]
        compare: list[str | Path] = ["--docker-auth", config, "--with", site, "--random", "500"]
        verified = run(tokenserver("import", "verify", *compare), environment=environment, folder=tmp_path)
    assert found[0] == found[1]
    assert verified.ok, str(verified)


def access(answer: web.Answer) -> tuple[str, dict[str, set[str]]]:
    """The subject of a token, and what it grants."""
    assert answer.status == 200, answer
    claims = web.claims(json.loads(answer.body)["token"])
    granted = {f"{one['type']}:{one['name']}": set(one["actions"]) for one in claims["access"]}
    return claims["sub"], {name: actions for name, actions in granted.items() if actions}
