"""The lifetime of tokens in which a delegated file grants something, through the whole server."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests_web_server import POLICY, Server, make_server

ROOT = """\
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push], max_lifetime: 5m}
  - {file: teams/data.yaml, repositories: ["data/**"], actions: [pull, push], max_lifetime: 2m}
"""
TEAM = """\
version: 1
allow:
  - {id: NAME, to: [everyone], repositories: ["NAME/**"], actions: [pull]}
"""


@pytest.fixture
def delegating(server_folder: Path, tmp_path: Path) -> Server:
    """A server with two teams whose tokens live for five and for two minutes."""
    folder = tmp_path / "server"
    shutil.copytree(server_folder, folder)
    (folder / "policies" / "teams").mkdir(mode=0o755)
    (folder / "policies" / "policy.yaml").write_text(POLICY + ROOT)
    for name in ("web", "data"):
        (folder / "policies" / "teams" / f"{name}.yaml").write_text(TEAM.replace("NAME", name))
    return make_server(folder)


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        pytest.param([], 900, id="login"),
        pytest.param(["public/x:pull"], 900, id="a-root-rule"),
        pytest.param(["web/x:pull"], 300, id="a-teams-rule"),
        pytest.param(["web/x:push"], 900, id="nothing-granted"),
        pytest.param(["public/x:pull", "web/x:pull"], 300, id="both-in-one-token"),
        pytest.param(["web/x:pull", "data/x:pull"], 120, id="two-teams"),
    ],
)
def test_a_teams_ceiling_bounds_the_token(delegating: Server, scopes: list[str], expected: int) -> None:
    """One token has one lifetime, the shortest of what it grants; answer and claims agree."""
    query = urlencode([("service", "reg"), *(("scope", f"repository:{scope}") for scope in scopes)])
    body = delegating.client.get(f"/token?{query}").get_json()
    payload = body["token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert body["expires_in"] == expected
    assert claims["exp"] - claims["iat"] == expected + 10
