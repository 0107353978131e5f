"""Reports about files with very many faults, and about files reached through a link."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from tokenserver.authn.htpasswd.backend import load_htpasswd
from tokenserver.cli import main
from tokenserver.config.load import load_settings
from tokenserver.errors import MAX_KEPT, MAX_REPORTED, Fault, LoadError
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.keys.ring_file import read_entries
from tokenserver.policy.loading.loader import load_policies
from tokenserver.server.reload.live import LiveSnapshot, Values
from tokenserver.server.reload.parts import PoliciesPart

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
RIGHT = 'version: 1\nallow:\n  - {id: a, to: [everyone], repositories: ["a/**"], role: reader}\n'
LARGE = 400_000
SIZE = 150_000
LINE = 20_000  # far more than twenty faults take, and far less than the files hold


def config(folder: Path, more: str = "") -> Path:
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "right.yaml").write_text(RIGHT)
    path = folder / "tokenserver.yaml"
    path.write_text(
        "issuer: x\nserver: {url: http://localhost:5001}\nregistries: [{service: a.test}]\nanonymous: true\n"
        f"policies: policies\nkeys: keys\n{more}"
    )
    return path


def load(path: Path) -> None:
    """Whatever kind of file it is, by its name."""
    if path.name.endswith(".htpasswd"):
        load_htpasswd(path, "htpasswd")
    elif path.parent.name == "policies":
        load_policies(path.parent, now=NOW)
    elif path.name == "ring.json":
        read_entries(path.read_text(), str(path))
    else:
        load_settings(path, {})


def repeated(line: Callable[[int], str], head: str = "") -> str:
    """So many lines that the file has its size."""
    lines, size, number = [head], 0, 0
    while size < SIZE:
        lines.append(line(number))
        size += len(lines[-1])
        number += 1
    return "".join(lines)


BAD = {
    "unknown keys of a policy": ("policies/bad.yaml", repeated(lambda n: f"k{n}: 1\n", "version: 1\n")),
    "unknown keys of rules": (
        "policies/bad.yaml",
        repeated(lambda n: f'  - {{id: r{n}, to: [everyone], repositories: ["a"], rol: reader}}\n', RIGHT),
    ),
    "roles that nobody knows": (
        "policies/bad.yaml",
        repeated(lambda n: f'  - {{id: r{n}, to: [everyone], repositories: ["a"], role: x{n}}}\n', RIGHT),
    ),
    "a key again and again": ("policies/bad.yaml", repeated(lambda _: "version: 1\n")),
    "tags": ("policies/bad.yaml", repeated(lambda n: f"k{n}: !x 1\n")),
    "one long key": ("policies/bad.yaml", f"version: 1\n? {'k' * LARGE}\n: 1\n"),
    "users without a hash": ("users.htpasswd", repeated(lambda n: f"user{n}\n")),
    "weak hashes": ("users.htpasswd", repeated(lambda n: f"user{n}:plain\n")),
    "unknown settings": ("tokenserver.yaml", repeated(lambda n: f"k{n}: 1\n", "issuer: x\n")),
    "registries": ("tokenserver.yaml", repeated(lambda n: f"  - {{servic: s{n}}}\n", "issuer: x\nregistries:\n")),
    "one long value": ("tokenserver.yaml", f"issuer: x\nanonymous: {'v' * LARGE}\n"),
    "keys of the ring": ("ring.json", json.dumps({"version": 1, "keys": [{"ids": n} for n in range(5_000)]})),
}


@pytest.mark.parametrize("name", list(BAD))
def test_a_large_bad_file_is_told_in_a_few_lines(name: str, tmp_path: Path) -> None:
    """Twenty faults, each of bounded length, and a count: in the text that goes to the log, and by the command."""
    path, text = BAD[name]
    settings = config(tmp_path)
    bad = tmp_path / path
    bad.write_text(text)
    bad.chmod(0o600)
    started = time.monotonic()
    with pytest.raises(LoadError) as refused:
        load(bad)
    assert time.monotonic() - started < 60
    error = refused.value
    assert len(error.faults) <= MAX_KEPT + 1
    lines = str(error).split("\n")
    assert len(lines) <= MAX_REPORTED + 1
    assert len(str(error)) < LINE
    assert all(len(str(fault)) < LINE for fault in error.faults)
    if error.count > MAX_REPORTED:
        assert lines[-1] == f"and {error.count - MAX_REPORTED:,} more"
    if "long" not in name:
        assert error.count > 2_000
    if name == "unknown keys of a policy":
        told = CliRunner().invoke(main, ["policy", "test", str(tmp_path / "policies")])
        assert (told.exit_code, len(told.stderr.splitlines()) <= MAX_REPORTED + 2) == (2, True)
        assert len(told.stderr) < LINE
        checked = CliRunner().invoke(main, ["check", "--json", "--config", str(settings)])
        assert checked.exit_code == 2
        facts = json.loads(checked.stdout)
        assert len(facts["faults"]) <= MAX_REPORTED
        assert len(facts["faults"]) + facts.get("more", 0) >= error.count


class OnlyPolicies:
    """Composes a snapshot of policies alone; the rest of it is not looked at."""

    def faults(self, values: Values) -> list[Fault]:  # noqa: ARG002 - one part is always in order
        return []

    def together(self, newest: Values, live: Values) -> tuple[Values, list[Fault]]:  # noqa: ARG002 - as above
        return newest, []

    def snapshot(self, values: Values) -> Snapshot:
        (policies,) = values.values()
        return cast(Snapshot, SimpleNamespace(policies=policies))


def test_a_reload_logs_a_few_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And the server keeps its previous configuration."""
    config(tmp_path)
    folder = tmp_path / "policies"
    live = LiveSnapshot([PoliciesPart("policies", folder, services=frozenset())], OnlyPolicies())
    stop = threading.Event()
    with caplog.at_level(logging.ERROR):
        watcher = threading.Thread(target=live.watch, args=(stop,), kwargs={"every": 0.05})
        watcher.start()
        try:
            (folder / "bad.yaml").write_text(BAD["unknown keys of a policy"][1])
            deadline = time.monotonic() + 60
            while not caplog.records and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            stop.set()
            watcher.join()
    assert caplog.records
    assert all(len(record.getMessage()) < LINE for record in caplog.records)
    assert " more" in caplog.records[0].getMessage()


# --- files behind links ----------------------------------------------------------------------------------------------

SECRET = "hunter2"  # stands in every file that a link leads to
HELD = {
    "shadow": f"root:${SECRET}$:19000::\nann:{SECRET}:1\n",
    "mapping": f"{SECRET}: {SECRET}\nversion: {SECRET}\nissuer: [{SECRET}]\n",
    "twice": f"{SECRET}: 1\n{SECRET}: 2\n",
    "list": f"- {SECRET}\n- {{{SECRET}: {SECRET}}}\n",
    "broken": f"a: [{SECRET}\nb: '{SECRET}\n",
    "tag": f"a: !{SECRET} 1\n*{SECRET}\n",
    "rules": (
        f'version: 1\nallow:\n  - {{id: {SECRET}, to: ["group:{SECRET}"], repositories: ["{SECRET}/*x"],'
        f" role: {SECRET}}}\n  - {{id: {SECRET}, to: [{SECRET}]}}\n"
        f"tests:\n  - {{as: {{user: {SECRET}}}, can: [pull {SECRET}/x]}}\n"
    ),
    "failing test": (
        f'version: 1\nallow:\n  - {{id: b, to: [everyone], repositories: ["{SECRET}/**"], role: reader}}\n'
        f"tests:\n  - {{as: {{user: {SECRET}}}, cannot: [pull {SECRET}/x]}}\n"
    ),
    "registry": f"service: a.test\ncompat: {SECRET}\n{SECRET}: 1\nurl: {SECRET}\n",
    "ring": json.dumps({"version": SECRET, "keys": [{"id": SECRET, "state": SECRET, SECRET: 1}]}),
    "users": f"{SECRET}\n{SECRET}:{SECRET}\nann:{SECRET} \n",
    "empty": "",
    "bytes": f"{SECRET}\udcff",
}


def linked(path: Path, held: str, elsewhere: Path, *, by_folder: bool = False) -> None:
    """A file with this content, and a link to it at `path` (or at its folder)."""
    elsewhere.mkdir(exist_ok=True)
    target = elsewhere / path.name
    target.write_text(held, errors="surrogateescape")
    target.chmod(0o600)
    if by_folder:
        path.parent.symlink_to(elsewhere)
    else:
        path.symlink_to(target)


PLACES: dict[str, Callable[[Path], tuple[Path, Callable[[], Any]]]] = {
    "a policy": lambda folder: (
        folder / "policies" / "x.yaml",
        lambda: load_policies(folder / "policies", now=NOW),
    ),
    "the configuration": lambda folder: (folder / "c.yaml", lambda: load_settings(folder / "c.yaml", {})),
    "a registry": lambda folder: (
        folder / "registries" / "x.yaml",
        lambda: load_settings(folder / "with.yaml", {}),
    ),
    "users": lambda folder: (folder / "u.htpasswd", lambda: load_htpasswd(folder / "u.htpasswd", "htpasswd")),
}


@pytest.mark.parametrize("held", list(HELD))
@pytest.mark.parametrize("place", list(PLACES))
def test_what_a_linked_file_holds_is_never_told(place: str, held: str, tmp_path: Path) -> None:
    """Neither values nor keys are repeated; only the line and the target of the link are reported."""
    config(tmp_path)
    (tmp_path / "registries").mkdir()
    (tmp_path / "with.yaml").write_text(
        (tmp_path / "tokenserver.yaml").read_text().replace("[{service: a.test}]", "registries")
    )
    path, read = PLACES[place](tmp_path)
    linked(path, HELD[held], tmp_path / "elsewhere")
    if (place, held) == ("users", "empty"):
        assert not read().users
        return
    with pytest.raises(LoadError) as refused:
        read()
    assert SECRET not in str(refused.value)
    assert all(SECRET not in f"{fault.path}{fault.message}" for fault in refused.value.faults)


def test_a_folder_that_is_linked_in_is_no_way_around(tmp_path: Path) -> None:
    """The files in it are regular ones; the link is further up."""
    config(tmp_path)
    linked(tmp_path / "policies" / "more" / "x.yaml", HELD["mapping"], tmp_path / "elsewhere", by_folder=True)
    with pytest.raises(LoadError) as refused:
        load_policies(tmp_path / "policies", now=NOW)
    assert SECRET not in str(refused.value)
    assert str(tmp_path / "elsewhere" / "x.yaml") in str(refused.value)


def test_links_inside_of_the_folder_say_everything(tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap: `x.yaml` leads to `..data/x.yaml`, and that to a folder next to it."""
    config(tmp_path)
    policies = tmp_path / "policies"
    (policies / "..2027_01").mkdir()
    (policies / "..2027_01" / "x.yaml").write_text("versoin: 1\n")
    (policies / "..data").symlink_to("..2027_01")
    (policies / "x.yaml").symlink_to("..data/x.yaml")
    with pytest.raises(LoadError, match="versoin: unknown key; did you mean 'version'"):
        load_policies(policies, now=NOW)


def test_a_ring_that_is_linked_in(tmp_path: Path) -> None:
    """The same holds for the ring of keys."""
    settings = config(tmp_path)
    assert CliRunner().invoke(main, ["keys", "init", "--config", str(settings)]).exit_code == 0
    ring = tmp_path / "keys" / "ring.json"
    ring.unlink()
    linked(ring, HELD["ring"], tmp_path / "elsewhere")
    told = CliRunner().invoke(main, ["check", "--config", str(settings)])
    assert told.exit_code == 2
    assert SECRET not in told.output
    assert "is wrong; the file is a link to" in told.stderr


@pytest.mark.parametrize(
    "name", ["TOKENSERVER_ANONYMOUS_FILE", "TOKENSERVER_SERVER_LISTEN_FILE", "TOKENSERVER_REGISTRIES_0_COMPAT_FILE"]
)
def test_a_file_of_a_variable_is_never_told(name: str, tmp_path: Path) -> None:
    """It is a secret by its nature, whether a link leads to it or not."""
    settings = config(tmp_path)
    (tmp_path / "value").write_text(f"{SECRET}\n")
    (tmp_path / "value").chmod(0o600)
    with pytest.raises(LoadError) as refused:
        load_settings(settings, {name: os.fspath(tmp_path / "value")})
    assert SECRET not in str(refused.value)
    assert name in str(refused.value)
