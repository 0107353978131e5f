"""Policies that the chart's sidecar brings: a push goes live, and no fault of the repository stops the server.

git-sync itself cannot be had here; `harness/git_sync.py` says what stands in for it. Its arguments, folders, users and
modes are those of the rendered chart.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.chart import Manifests, template
from harness.chart_values import VALUES, changed
from harness.json_lines import whole_lines
from harness.processes import Daemon, DidNotStart, plain_environment, run
from harness.programs import ROOT, need, need_root
from harness.server import Setup, TokenServer, password
from harness.waiting import until
from harness.web import claims

pytestmark = [pytest.mark.real("helm"), pytest.mark.waits]

SERVICE = "registry.test"
STAND_IN = Path(__file__).parent / "harness" / "git_sync.py"
BAD = "version: 1\nallow: [{id: x}]\n...\n"


def policy(*repositories: str) -> str:
    """A policy file that lets everybody who is authenticated pull these."""
    rules = [
        {"id": f"r{number}", "to": ["authenticated"], "repositories": [name], "role": "reader"}
        for number, name in enumerate(repositories)
    ]
    return yaml.safe_dump({"version": 1, "allow": rules}, explicit_end=True)


class Origin:
    """The repository that people push to."""

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "policies.git"
        self._work = folder / "work"
        self._environment = plain_environment(folder) | {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "ann"), ("EMAIL", "ann@example.com"))
        }
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare), folder=folder)
        self.git("clone", "--quiet", str(self.bare), str(self._work), folder=folder)

    def git(self, *words: str, folder: Path | None = None) -> str:
        """Run git in the working tree, or in another folder."""
        output = run(["git", *words], environment=self._environment, folder=folder or self._work)
        assert output.ok, str(output)
        return output.stdout.strip()

    def push(self, files: dict[str, str], *, again: bool = False) -> str:
        """Push a commit with these files; `again` replaces the last one by force. Gives the commit."""
        for name, text in files.items():
            path = self._work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=policies", *(["--amend"] if again else []))
        self.git("push", "--quiet", *(["--force"] if again else []), "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")


@dataclass
class Pod:
    """A running server and its sidecar."""

    server: TokenServer
    sidecar: Daemon
    origin: Origin
    first: str
    volume: Path

    def may_pull(self, repository: str) -> bool:
        token = self.server.token(SERVICE, [f"repository:{repository}:pull"], person="ann")
        return bool(claims(token)["access"])

    def changes(self) -> list[dict[str, Any]]:
        """The events about policies, in their order."""
        events = whole_lines(self.server.daemon.stdout)
        return [one for one in events if (one["event"], one.get("what")) == ("change", "policies")]

    def last_change(self) -> tuple[str, str | None, bool | None]:
        """Its outcome, its commit, and whether the files were those of the commit."""
        last = self.changes()[-1]
        return last["outcome"], last.get("revision"), last.get("clean")

    @property
    def readiness(self) -> int:
        return self.server.request("GET", "/readyz").status


def as_user(user: int, group: int | None) -> list[str]:
    """What stands before the command of a container."""
    # The capability only reads folders on the way to the interpreter; the server decides by owner and mode.
    groups = ["--clear-groups"] if group is None else ["--groups", str(group)]
    reading = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    return [str(need("setpriv")), "--reuid", str(user), "--regid", str(user), *groups, *reading, "--"]


def container(manifests: Manifests, kind: str, name: str) -> dict[str, Any]:
    return next(dict(one) for one in manifests.pod[kind] if one["name"] == name)


@dataclass(frozen=True)
class Users:
    """Who runs in the pod: what the values say, and what becomes of it."""

    values: dict[str, Any]
    sidecar: int
    server: int
    group: int | None


CHART = Users({}, 10001, 10001, 10001)
PLATFORM = Users({"runAsUser": None}, 1000650000, 1000650000, 1000650000)
IMAGES = Users({"runAsUser": None}, 65533, 10001, None)


@pytest.fixture(params=[pytest.param(CHART, id="the chart's user"), pytest.param(PLATFORM, id="the platform's user")])
def pod(request: pytest.FixtureRequest) -> Iterator[Pod]:
    """The pod of the chart, as far as policies go, when it is ready."""
    with pod_of(request.param) as made:
        made.server.daemon.start(made.server.is_ready)
        made.sidecar.start(lambda: made.sidecar.is_running)
        yield made


@contextmanager
def pod_of(users: Users) -> Iterator[Pod]:
    """A pod whose sidecar has run once and whose server has not started."""
    need_root("mount")
    with tempfile.TemporaryDirectory(prefix="e2e", ignore_cleanup_errors=True) as path:
        folder = Path(path)
        folder.chmod(0o755)
        for name in ("origin", "site", "sidecar", "mounts", "volume"):
            (folder / name).mkdir()
        origin = Origin(folder / "origin")
        first = origin.push({"policies/root.yaml": policy("web/**"), "README.md": "Ours.\n"})
        git = {"repository": f"file://{origin.bare}", "period": "1s"}
        changes = {"policies": {"gitSync": git, "path": "policies"}, "keys.ids": ["ID"], **users.values}
        rendered = template(folder, changed(VALUES, changes))
        assert rendered.ok, str(rendered)
        manifests = Manifests(rendered.stdout)
        security = manifests.pod["securityContext"]
        if users is CHART:
            assert (security["runAsUser"], security["fsGroup"]) == (users.server, users.group)
        else:
            assert not {"runAsUser", "fsGroup"} & security.keys()
        # An emptyDir, as the kubelet makes it.
        volume = folder / "volume"
        os.chown(volume, 0, users.group or 0)
        volume.chmod(0o2777 if users.group else 0o777)
        os.chown(folder / "sidecar", users.sidecar, users.sidecar)
        environment = plain_environment(folder / "sidecar")
        once, beside = (
            _sidecar(container(manifests, kind, name), volume, users)
            for kind, name in (("initContainers", "git-sync-first"), ("containers", "git-sync"))
        )
        done = run(once, environment=environment, folder=folder / "sidecar")
        assert done.ok, str(done)
        server = _server(folder, manifests, volume, users)
        sidecar = Daemon("git-sync", beside, environment=environment, folder=folder)
        try:
            yield Pod(server, sidecar, origin, first, volume)
        finally:
            sidecar.stop()
            server.daemon.stop()
            server.wire.close()


def _sidecar(rendered: dict[str, Any], volume: Path, users: Users) -> list[str]:
    """The command line of a rendered container of git-sync."""
    mounts = {mount["name"]: mount["mountPath"] for mount in rendered["volumeMounts"]}
    root = f"--root={mounts['policies']}"
    assert root in rendered["args"]
    words = [f"--root={volume}" if word == root else word for word in rendered["args"]]
    return [*as_user(users.sidecar, users.group), sys.executable, str(STAND_IN), *words]


def _server(folder: Path, manifests: Manifests, volume: Path, users: Users) -> TokenServer:
    """The server of the pod, which sees the volume at its own place, read-only."""
    (mount,) = (one for one in manifests.server["volumeMounts"] if one["name"] == "policies")
    assert mount["readOnly"] is True
    place = folder / "mounts" / "policies"
    place.mkdir()
    data = manifests.one("ConfigMap", "tokenserver-config")["data"]["tokenserver.yaml"]
    policies = str(yaml.safe_load(data)["policies"]).replace(mount["mountPath"], str(place))
    setup = Setup({"ann": password()}, {}, {SERVICE: "universal"}, {"policies": policies, "server": {"workers": 2}})
    source, target = shlex.quote(str(volume)), shlex.quote(str(place))
    script = f"mount --bind {source} {target} && mount -o remount,bind,ro {target}"
    script += f' && exec {shlex.join(as_user(users.server, users.group))} "$@"'
    prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    server = TokenServer(folder / "site", setup, prefix=prefix)
    for path in (server.folder, *server.folder.rglob("*")):
        os.chown(path, users.server, users.server)
    return server


def test_a_push_is_live_with_its_commit(pod: Pod) -> None:
    """The start and each push have an event with the commit; the repository is in the read-only mount."""
    assert pod.last_change() == ("in_force", pod.first, True)
    assert (pod.may_pull("web/x"), pod.may_pull("api/x")) == (True, False)
    second = pod.origin.push({"policies/root.yaml": policy("web/**", "api/**")})
    until(lambda: pod.may_pull("api/x"))
    assert pod.last_change() == ("in_force", second, True)


def test_a_bad_push_changes_nothing(pod: Pod) -> None:
    """docs/design/threats.md#threat-261: the last good policies stay, although their files are gone.

    The next good push is live, also one by force.
    """
    bad = pod.origin.push({"policies/root.yaml": BAD})
    until(lambda: pod.last_change()[:2] == ("rejected", bad))
    until(lambda: pod.readiness == 503, in_a_row=5)
    assert (pod.may_pull("web/x"), pod.may_pull("api/x")) == (True, False)
    good = pod.origin.push({"policies/root.yaml": policy("api/**")}, again=True)
    until(lambda: pod.may_pull("api/x") and not pod.may_pull("web/x"), in_a_row=5)
    until(lambda: pod.readiness == 200, in_a_row=5)
    assert pod.last_change() == ("in_force", good, True)


def test_a_server_that_starts_with_a_bad_push(pod: Pod) -> None:
    """It ends and says why, until the repository is right again."""
    pod.origin.push({"policies/root.yaml": BAD})
    until(lambda: pod.last_change()[0] == "rejected")
    pod.server.daemon.stop()
    with pytest.raises(DidNotStart, match=r"(?s)policies/root\.yaml.*not started"):
        pod.server.daemon.start(pod.server.is_ready)
    good = pod.origin.push({"policies/root.yaml": policy("api/**")})
    until(lambda: (pod.volume / "current").readlink().name == good)
    pod.server.daemon.start(pod.server.is_ready)
    assert (pod.last_change(), pod.may_pull("api/x")) == (("in_force", good, True), True)


def test_a_repository_that_is_gone(pod: Pod) -> None:
    """The sidecar goes on trying, the server serves; when the repository is back, a push is live."""
    away = pod.origin.bare.with_name("away")
    pod.origin.bare.rename(away)
    until(lambda: "does not appear to be a git repository" in pod.sidecar.log or "not found" in pod.sidecar.log)
    assert (pod.may_pull("web/x"), pod.readiness, pod.sidecar.is_running) == (True, 200, True)
    away.rename(pod.origin.bare)
    commit = pod.origin.push({"policies/root.yaml": policy("api/**")})
    until(lambda: pod.may_pull("api/x"))
    assert pod.last_change() == ("in_force", commit, True)


def test_two_users_are_refused() -> None:
    """Without a user for the pod each image has its own, and the server trusts no files of another one's."""
    with pod_of(IMAGES) as pod, pytest.raises(DidNotStart, match=f"belongs to another user \\(uid {IMAGES.sidecar}\\)"):
        pod.server.daemon.start(pod.server.is_ready)


def test_the_stand_in_takes_what_git_sync_takes() -> None:
    """An argument that it does not know is an error, as it is for git-sync."""
    command = [sys.executable, str(STAND_IN), "--repo=x", "--root=/nonexistent", "--link=current", "--branch-typo=main"]
    output = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (output.returncode, "--branch-typo" in output.stderr) == (2, True)
