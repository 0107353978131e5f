"""docs/upgrade.md: the last release and this tree, side by side and one after the other, on the same files."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from harness import web
from harness.processes import Daemon, answers, free_port, plain_environment, run
from harness.programs import ROOT, refuse

from tokenserver.cli import main

pytestmark = pytest.mark.nightly

PAGE = (ROOT / "docs" / "upgrade.md").read_text("utf-8")
COMMANDS = [
    line for text in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for line in text.splitlines()
]
PASSWORD = "correct horse battery"
POLICY = 'version: 1\nallow:\n  - {id: ann, to: ["user:ann"], repositories: ["public/**"], actions: [pull, push]}\n'
SECONDS = 20


def git(*words: str) -> bytes:
    """What git prints in the project."""
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the newest release of the changelog: the commit that dated its section."""
    section = re.findall(r"^## \[\d.*$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[0]
    commits = git("log", "--format=%H", "--reverse", f"-S{section}", "--", "CHANGELOG.md").decode().split()
    if not commits:
        refuse("the commit of the last release is not in this clone; git fetch --unshallow gets it")
    folder = tmp_path_factory.mktemp("released")
    with tarfile.open(fileobj=BytesIO(git("archive", commits[0]))) as archive:
        archive.extractall(folder, filter="data")
    return folder


class Site:
    """The files of one site, which servers of both releases serve on ports of their own."""

    def __init__(self, folder: Path, released: Path) -> None:
        self.folder = folder
        self.released = {**plain_environment(folder), "PYTHONPATH": str(released)}
        self.ours = plain_environment(folder)
        self.command = [sys.executable, "-P", "-m", "tokenserver"]
        for words, stdin in ((["init", "."], ""), (["users", "set", "ann"], PASSWORD)):
            output = run([*self.command, *words], environment=self.released, folder=folder, stdin=stdin)
            assert output.ok, str(output)
        shutil.rmtree(folder / "policies")  # the samples have groups that nobody is in, which `policy lint` finds
        (folder / "policies").mkdir()
        (folder / "policies" / "root.yaml").write_text(POLICY)

    def server(self, environment: dict[str, str], name: str) -> tuple[Daemon, int]:
        """A server that runs, and its port."""
        port = free_port()
        document = yaml.safe_load((self.folder / "tokenserver.yaml").read_text())
        document["server"] |= {"listen": f"127.0.0.1:{port}", "workers": 1}
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
        command = [*self.command, "serve", "--config", f"{name}.yaml"]
        daemon = Daemon(name, command, environment=environment, folder=self.folder)
        daemon.start(lambda: answers(port) and web.request(port, "GET", "/readyz").status == 200)
        return daemon, port


def signer(port: int) -> str:
    """The certificate of the key that signs a token for ann."""
    target = web.token_target("localhost:5000", ["repository:public/x:pull"])
    answer = web.request(port, "GET", target, headers=web.basic("ann", PASSWORD))
    assert answer.status == 200, answer
    return str(web.header(answer.json()["token"])["x5c"][0])


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it does within a while."""
    deadline = time.monotonic() + SECONDS
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds()


@pytest.fixture
def site(tmp_path: Path, released: Path) -> Site:
    """A site that the last release made."""
    return Site(tmp_path, released)


def test_side_by_side(site: Site) -> None:
    """Both sign with the same key, also after this release has rotated it."""
    old, old_port = site.server(site.released, "old")
    try:
        new, new_port = site.server(site.ours, "new")
        try:
            first = signer(old_port)
            assert signer(new_port) == first
            command = [*site.command, "keys", "rotate", "--now"]
            output = run(command, environment=site.ours, folder=site.folder)
            assert output.ok, str(output)
            assert eventually(lambda: signer(old_port) == signer(new_port) != first)
        finally:
            new.stop()
    finally:
        old.stop()


def test_upgrade_and_roll_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the page by this release, and then the last one again on the files that this one has changed."""
    old, port = site.server(site.released, "before")
    first = signer(port)
    old.stop()
    new, port = site.server(site.ours, "upgraded")
    try:
        assert signer(port) == first
        monkeypatch.chdir(site.folder)
        monkeypatch.setenv("TOKENSERVER_CONFIG", "upgraded.yaml")
        assert [line.split()[0] for line in COMMANDS] == ["tokenserver"] * 5
        for command in COMMANDS:
            result = CliRunner().invoke(main, shlex.split(command)[1:])
            # `server.url` of the site is a port on which no server of this test listens, which the doctor finds.
            assert (command, result.exit_code) == (command, int("doctor" in command)), result.output
        assert run([*site.command, "keys", "rotate", "--now"], environment=site.ours, folder=site.folder).ok
        assert eventually(lambda: signer(port) != first)
        second = signer(port)
    finally:
        new.stop()
    old, port = site.server(site.released, "rolled-back")
    try:
        assert signer(port) == second
    finally:
        old.stop()
