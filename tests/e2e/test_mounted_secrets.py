"""Every secret from a mounted volume, as Kubernetes mounts it: mode 1777, read-only, behind `..data` links.

The server runs in a mount namespace of its own, so its volumes are really read-only; the test swaps `..data` from
outside, as the kubelet does.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from harness import web
from harness.authority import Authority
from harness.own_time import promptly
from harness.processes import run
from harness.programs import ROOT, need, need_root, refuse
from harness.server import Setup, TokenServer, password, started

from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys, load_keys

POLICIES = {"root.yaml": 'version: 1\nallow: [{id: all, to: ["user:ann"], repositories: ["**"], role: reader}]\n...\n'}

RELOAD_SECONDS = 5.0

VOLUMES = ("keys", "users", "tls", "directory")

USER, GROUP = 65532, 2000
"""The user of the server, and `fsGroup`, where the pod has one."""


class Volume:
    """One Secret and its mount point in the server's folder."""

    def __init__(self, source: Path, target: Path, *, mode: int, group: int) -> None:
        self.source = source
        self._target = target
        self.mode = mode
        self._group = group
        self._number = 0
        source.mkdir(mode=0o1777)
        source.chmod(0o1777)
        os.chown(source, 0, group)
        target.mkdir()

    def mount_command(self) -> str:
        """What the server's namespace runs before the server."""
        source, target = shlex.quote(str(self.source)), shlex.quote(str(self._target))
        return f"mount --bind {source} {target} && mount -o remount,bind,ro {target}"

    def publish(self, folder: Path) -> None:
        """Replace the content by that of the folder, in the order of the kubelet."""
        self._number += 1
        before = (self.source / "..data").resolve() if self._number > 1 else None
        payload = self.source / f"..2027_01_{self._number:02d}"
        shutil.copytree(folder, payload)
        for path in (payload, *payload.rglob("*")):
            path.chmod(0o2755 if path.is_dir() else self.mode)
            os.chown(path, 0, self._group)
        (self.source / "..data_tmp").symlink_to(payload.name)
        os.replace(self.source / "..data_tmp", self.source / "..data")
        for entry in payload.iterdir():
            if not (self.source / entry.name).is_symlink():
                (self.source / entry.name).symlink_to(f"..data/{entry.name}")
        if before is not None:
            shutil.rmtree(before)


@dataclass
class Pod:
    """A running server whose secrets are all mounted, and the folder that they come from."""

    server: TokenServer
    secrets: Path
    volumes: dict[str, Volume]


def _is_mounting_permitted(folder: Path) -> bool:
    command = ["unshare", "--mount", "--propagation", "private", "mount", "--bind", str(folder), str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(params=["root", "fsGroup"])
def pod(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pod]:
    """A pod of root with defaultMode 0400, and one of another user with fsGroup, for which Kubernetes sets 0440."""
    need("unshare")
    need("setpriv")
    need_root("mount")
    if not _is_mounting_permitted(tmp_path):
        refuse("mount is not permitted in a namespace of its own here")
    is_root = request.param == "root"
    authority = Authority(tmp_path, "the company")
    ldap = {
        "name": "corp",
        "preset": "openldap",
        "url": "ldaps://localhost:9",
        "ca_file": "directory/ca.crt",
        "base": "dc=example,dc=com",
        "bind_dn": "cn=reader,dc=example,dc=com",
        "bind_password_file": "directory/password",
    }
    settings = {
        "authentication": [{"htpasswd": {"file": "users/users.htpasswd"}}, {"ldap": ldap}],
        "server": {"tls": {"certificate": "tls/tls.crt", "key": "tls/tls.key"}},
    }
    with tempfile.TemporaryDirectory(prefix="e2e", ignore_cleanup_errors=True) as path:
        folder = Path(path)
        folder.chmod(0o755)
        (folder / "mounts").mkdir()
        mode, group = (0o400, 0) if is_root else (0o440, GROUP)
        volumes = {
            name: Volume(folder / f"volume-{name}", folder / "mounts" / name, mode=mode, group=group)
            for name in VOLUMES
        }
        setup = Setup({"ann": password()}, POLICIES, {"registry.test": "universal"}, settings, authority)
        mounts = " && ".join(volume.mount_command() for volume in volumes.values())
        # The capability only reads folders on the way to the interpreter; the server decides by owner and mode.
        reading = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
        user = ["--reuid", str(USER), "--regid", str(USER), "--groups", str(GROUP), *reading]
        change = shlex.join(["setpriv", *([] if is_root else user), "--"])
        script = f'{mounts} && exec {change} "$@"'
        prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
        server = TokenServer(folder, setup, prefix=prefix)
        secrets = folder / "secrets"
        _collect(folder, secrets, authority)
        for name, volume in volumes.items():
            volume.publish(secrets / name)
        with started(server):
            yield Pod(server, secrets, volumes)


def _collect(folder: Path, secrets: Path, authority: Authority) -> None:
    """Move what `TokenServer` made to where the volumes get their content; the server reads the mounts instead."""
    for name in ("users", "tls", "directory"):
        (secrets / name).mkdir(parents=True)
    shutil.move(folder / "keys", secrets / "keys")
    shutil.move(folder / "users.htpasswd", secrets / "users" / "users.htpasswd")
    for name in ("tls.crt", "tls.key"):
        shutil.move(folder / name, secrets / "tls" / name)
    shutil.copy(authority.file, secrets / "directory" / "ca.crt")
    (secrets / "directory" / "password").write_text(password())
    shutil.copy(folder / "tokenserver.yaml", secrets / "tokenserver.yaml")
    for name in VOLUMES:
        # The server's paths lead to the mounts by links, so that the configuration need not be written again.
        (folder / name).symlink_to(f"mounts/{name}")


def _status(pod: Pod, secret: str) -> int:
    target = web.token_target("registry.test", ["repository:web/site:pull"])
    return pod.server.request("GET", target, headers=web.basic("ann", secret)).status


def test_a_pod_serves_from_mounted_secrets_and_notices_their_rotation(pod: Pod) -> None:
    """Keys, users, TLS key and the directory's password; then new keys and a new password of a user."""
    server = pod.server
    assert _status(pod, server.people["ann"]) == 200
    assert "warning" not in server.daemon.log.partition("realm")[0]
    before = server.request("GET", "/.well-known/jwks.json").json()

    rotate = server.command("keys", "rotate", "--now", "--config", pod.secrets / "tokenserver.yaml")
    rotated = run(rotate, environment=server.environment, folder=pod.secrets)
    assert rotated.ok, rotated
    new = password()
    server.run("users", "set", "ann", "--file", pod.secrets / "users" / "users.htpasswd", stdin=new)
    for name in ("keys", "users"):
        pod.volumes[name].publish(pod.secrets / name)

    pid = server.daemon.pid
    promptly(pid, lambda: _status(pod, new) == 200, seconds=RELOAD_SECONDS)
    promptly(pid, lambda: server.request("GET", "/.well-known/jwks.json").json() != before, seconds=RELOAD_SECONDS)
    parts = server.request("GET", "/readyz").json()["parts"]
    assert (parts["files"], parts["keys"]) == ("ok", "ok"), (
        server.daemon.log
    )  # no directory runs here, so `corp` may fail
    assert "rejected" not in server.daemon.log


def test_a_readable_key_is_refused_with_the_fix_of_a_volume(pod: Pod) -> None:
    """Kubernetes' default mode 0644: the old keys stay live, and the log says what to set; `chmod` would not work."""
    keys = pod.volumes["keys"]
    keys.mode = 0o644
    keys.publish(pod.secrets / "keys")
    expected = "can be read by others (mode 0644); its mount is read-only; fix: defaultMode: 0400, or 0440 with fsGroup"
    promptly(pod.server.daemon.pid, lambda: expected in pod.server.daemon.log, seconds=RELOAD_SECONDS)
    assert _status(pod, pod.server.people["ann"]) == 200


def test_the_mounts_of_these_tests_are_read_only(pod: Pod) -> None:
    """What the server sees: folders that everybody could write to, on mounts where nobody can."""
    mounts = [line.split() for line in Path(f"/proc/{pod.server.daemon.pid}/mountinfo").read_text().splitlines()]
    for name in VOLUMES:
        (options,) = [fields[5] for fields in mounts if fields[4].endswith(f"/mounts/{name}")]
        assert "ro" in options.split(",")
        assert pod.volumes[name].source.stat().st_mode & 0o7777 == 0o1777


def test_the_volume_of_the_page_is_a_key_folder(tmp_path: Path) -> None:
    """docs/keys.md: `items` lead from the flat keys of a Secret to files that load."""
    (block,) = re.findall(r"<!-- test: volume -->\n```yaml\n(.*?)```", (ROOT / "docs/keys.md").read_text(), re.DOTALL)
    (volume,) = yaml.safe_load(block)["volumes"]
    now = datetime.now(UTC)
    init_keys(tmp_path / "keys", issuer="issuer", algorithm=Algorithm.ES256, now=now)
    ring = load_keys(tmp_path / "keys", now=now)
    secret = {path.name: path.read_bytes() for path in (tmp_path / "keys").rglob("*") if path.is_file()}
    for item in volume["secret"]["items"]:
        target = tmp_path / "mount" / item["path"].replace("ID", ring.active.id)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(secret[item["key"].replace("ID", ring.active.id)])
        target.chmod(volume["secret"]["defaultMode"])
    assert load_keys(tmp_path / "mount", now=now).active.id == ring.active.id
