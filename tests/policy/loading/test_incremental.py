"""Incremental loading: only changed files are compiled again, with the same result as a first load."""

from __future__ import annotations

import gc
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_properties import slow_examples

from tokenserver.errors import LoadError
from tokenserver.policy.loading import loader as load_module
from tokenserver.policy.loading.loader import PolicyLoader, load_policies
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Workload
from tokenserver.policy.model import PolicySet

NOW = datetime(2026, 6, 1, tzinfo=UTC)

ROOT = """\
version: 1
groups: {ops: {users: [olga]}}
roles: {cleaner: [delete]}
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push, delete]}
  - {file: teams/data.yaml, repositories: ["data/**"], actions: [pull], principals: ["group:ops", "user:dan"]}
allow:
  - {id: root, to: ["group:ops"], repositories: ["infra/**"], role: writer}
"""
WEB = """\
version: 1
groups: {web: {users: [ann]}}
allow:
  - {id: web, to: ["group:web"], repositories: ["web/**"], role: cleaner}
tests:
  - {as: {user: ann}, can: ["delete web/app"]}
"""
DATA = """\
version: 1
groups: {crew: {groups: [ops-directory], users: [dan]}}
allow:
  - {id: data, to: ["user:dan"], repositories: ["data/*"], role: reader}
"""
TREE = {"root.yaml": ROOT, "teams/data.yaml": DATA, "teams/web.yaml": WEB}

OTHERS: Mapping[str, list[str | None]] = {
    "root.yaml": [
        ROOT,
        "# a line more\n" + ROOT,
        ROOT.replace("cleaner: [delete]", "cleaner: [pull, delete]"),
        ROOT.replace("roles: {cleaner: [delete]}\n", ""),
        ROOT.replace("[olga]", "[olga, dan]"),
        ROOT.replace('["web/**"]', '["web/app"]'),
        ROOT.replace("[pull, push, delete]}", "[pull, push, delete], max_lifetime: 60}"),
        ROOT.replace('"user:dan"', '"user:ann"'),
        ROOT.replace('"user:dan"', "authenticated"),
        ROOT.replace("version: 1\n", "version: 1\nregistries: [one]\n"),
        ROOT.replace("id: root", "id: web"),
        ROOT.replace('["infra/**"]', '["infra/**", "web/base", "**/shared"]'),
        "version: 1\nallow: [\n",
    ],
    "teams/web.yaml": [
        WEB,
        WEB.replace("[ann]", "[ann, bob]"),
        WEB.replace("[ann]", "[bob]"),
        WEB.replace('["web/**"]', '["web/a", "web/b/**", "web/*/c"]').replace("delete web/app", "delete web/a"),
        WEB.replace('["web/**"]', '["data/**"]'),
        WEB.replace('["web/**"]', '["web/**"], not: ["web/prod/**", web/x-*]'),
        WEB.replace('["web/**"]', '["web/**"], not: [web/app]'),
        WEB.replace('["web/**"]', '["we*/**"], not: ["we*-*/**"]'),
        WEB.replace(
            "role: cleaner}",
            'role: cleaner}\n  - {id: t, to: ["group:r-{t}"], repositories: ["web/${t}-*"], role: reader}',
        ),
        WEB.replace("role: cleaner", "role: writer").replace("delete web", "push web"),
        None,
    ],
    "teams/data.yaml": [
        DATA,
        DATA.replace('"user:dan"', '"group:ops", "user:dan"'),
        DATA.replace('"user:dan"', '"group:crew"'),
        DATA.replace("allow:", "registries: [two]\nallow:"),
        DATA + "tests:\n  - {as: {user: dan}, can: [pull data/x]}\n",
        DATA + "tests:\n  - {as: {user: eve}, can: [pull data/x]}\n",
        DATA.replace('"user:dan"', '"group:{t}-rw"').replace("data/*", "data/${t}"),
        None,
    ],
    "more.yaml": [
        None,
        "version: 1\ngroups: {ops-directory: {users: [eve]}}\n",
        'version: 1\nallow:\n  - {id: more, to: [everyone], repositories: ["**"], role: reader}\n',
        'version: 1\ndeny:\n  - {id: no, to: ["user:dan"], repositories: ["data/**", "web/**"], actions: ["*"]}\n',
        'version: 1\ndeny:\n  - {id: cat, to: [everyone], registry: catalog, actions: ["*"]}\n',
    ],
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with the tree."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        for file, text in TREE.items():
            put(path, file, text)
        yield path


def put(folder: Path, name: str, text: str | None) -> None:
    """Write a file, or remove it."""
    path = folder / name
    path.parent.mkdir(mode=0o755, exist_ok=True)
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(text)
        path.chmod(0o644)


def outcome(load: Callable[[], PolicySet]) -> PolicySet | list[str]:
    """The policies, or the faults as reported."""
    try:
        return load()
    except LoadError as error:
        return [str(fault) for fault in error.faults]


def anew(folder: Path) -> PolicySet | list[str]:
    """The result of a first load of the same files."""
    return outcome(lambda: load_policies(folder, now=NOW))


CHANGES = st.lists(
    st.one_of([st.tuples(st.just(name), st.sampled_from(texts)) for name, texts in OTHERS.items()]), max_size=6
)


@slow_examples()
@given(CHANGES)
def test_it_is_as_if_loaded_for_the_first_time(changes: list[tuple[str, str | None]]) -> None:
    """After any changes in any order: the same rules, groups, index and digest, or the same faults and lines.

    Only the change of a delegated file that fails a test waits, and its last good version stays; a first load, which
    has none, tells the same faults as notes.
    """
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as other:
        folder, aside = Path(name), Path(other)
        for file, first in TREE.items():
            put(folder, file, first)
        loader = PolicyLoader(folder)
        assert loader.load(NOW) == anew(folder)
        live: dict[str, str | None] = dict(TREE)
        offered = dict(live)
        for file, text in changes:
            put(folder, file, text)
            offered[file] = text
            found, expected = outcome(lambda: loader.load(NOW)), anew(folder)
            if isinstance(expected, list):
                assert found == expected
                continue
            every = {one for one in offered if offered[one] != live.get(one)}
            changed = {one for one in every if "/" in one}
            told = [str(note) for note in expected.notes]
            if isinstance(found, list):
                assert changed == every
                assert found == [line for line in told if any(one in line for one in changed)] != []
                continue
            waiting = {one for one in changed if any(f"the change of {one}" in str(note) for note in found.notes)}
            live = {one: live[one] if one in waiting else text for one, text in offered.items()}
            for one, kept in live.items():
                put(aside, one, kept)
            effective = anew(aside)
            assert isinstance(effective, PolicySet)
            assert replace(found, notes=()) == replace(effective, notes=())
            assert len(found.notes) == len(expected.notes)
            assert waiting or found == expected


MACHINE_ROOT = """\
version: 1
workloads: {base: {from: s, claims: {a: x}}}
groups: {bots: {robots: [web-ci]}}
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull], robots: ["web-*"]}
  - file: teams/data.yaml
    repositories: ["data/**"]
    actions: [pull]
    workloads: {from: [s], claims: {a: x}}
    principals: ["user:dan", "workload:base"]
allow:
  - {id: root, to: ["group:bots", "workload:base"], repositories: ["base/**"], role: reader}
"""
MACHINE_WEB = """\
version: 1
robots: {web-ci: }
allow:
  - {id: web, to: ["robot:web-ci"], repositories: ["web/**"], role: reader}
"""
MACHINE_DATA = """\
version: 1
workloads: {data: {from: s, claims: {a: x, b: y}}}
groups: {crew: {workloads: [data]}}
allow:
  - {id: data, to: ["group:crew"], repositories: ["data/**"], role: reader}
  - {id: part, to: ["workload:base"], repositories: ["data/**"], role: reader, when: {claims: {c: z}}}
"""
SECRETS = ", ".join(f'{{id: "{n:012}", hash: "sha256:{"0a" * 32}", expires: 202{6 + n}-01-01}}' for n in range(3))
MACHINE_TREE = {"root.yaml": MACHINE_ROOT, "teams/data.yaml": MACHINE_DATA, "teams/web.yaml": MACHINE_WEB}
MACHINE_OTHERS: Mapping[str, list[str]] = {
    "root.yaml": [
        MACHINE_ROOT,
        "# x\n" + MACHINE_ROOT,
        MACHINE_ROOT.replace("{a: x}}}\ngroups", "{a: [x, y]}}}\ngroups"),
        MACHINE_ROOT.replace("[web-ci]", "[web-ci, web-x]"),
        MACHINE_ROOT.replace("web-*", "web-x*"),
        MACHINE_ROOT.replace("claims: {a: x}}\n    p", "claims: {b: y}}\n    p"),
        MACHINE_ROOT.replace(', "workload:base"]\nallow', "]\nallow"),
        MACHINE_ROOT.replace("version: 1\n", "version: 1\nrobots: {web-y: }\n"),
    ],
    "teams/web.yaml": [
        MACHINE_WEB,
        "# x\n" + MACHINE_WEB,
        MACHINE_WEB.replace("web-ci: ", "web-ci: , web-x: "),
        MACHINE_WEB.replace("web-ci: ", "web-x: "),
        MACHINE_WEB.replace("web-ci: ", "web-ci: , web-y: "),
        MACHINE_WEB.replace("web-ci: ", f"web-ci: {{secrets: [{SECRETS}]}}"),
    ],
    "teams/data.yaml": [
        MACHINE_DATA,
        "# x\n" + MACHINE_DATA,
        MACHINE_DATA.replace("{a: x, b: y}", "{b: y}"),
        MACHINE_DATA.replace("{a: x, b: y}", "{a: x}"),
        MACHINE_DATA.replace("{c: z}", "{c: [z, y]}"),
        MACHINE_DATA.replace("workload:base", "robot:web-ci"),
        MACHINE_DATA.replace("[data]}}", "[base, data]}}"),
    ],
}


@slow_examples(most=50_000)
@given(
    st.lists(
        st.one_of([st.tuples(st.just(name), st.sampled_from(texts)) for name, texts in MACHINE_OTHERS.items()]),
        min_size=2,
        max_size=4,
    )
)
def test_machines_are_as_if_loaded_for_the_first_time(changes: list[tuple[str, str]]) -> None:
    """With the same lines, and with faults that depend on files which did not change."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, first in MACHINE_TREE.items():
            put(folder, file, first)
        loader = PolicyLoader(folder)
        assert loader.load(NOW) == anew(folder)
        for file, text in changes:
            put(folder, file, text)
            found, expected = outcome(lambda: loader.load(NOW)), anew(folder)
            assert found == expected
            if isinstance(found, PolicySet) and isinstance(expected, PolicySet):
                assert declared_at(found) == declared_at(expected)


def declared_at(policies: PolicySet) -> list[tuple[str, str, int]]:
    """Where each machine is declared."""
    machines: list[Robot | Workload] = [*policies.robots.values(), *policies.groups.workloads.by_name.values()]
    return sorted((one.name, one.file, one.line) for one in machines)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        pytest.param("teams/web.yaml", MACHINE_OTHERS["teams/web.yaml"][2], ["web.yaml"], id="a robot more"),
        pytest.param("teams/data.yaml", MACHINE_OTHERS["teams/data.yaml"][4], ["data.yaml"], id="other claims"),
        pytest.param("root.yaml", MACHINE_OTHERS["root.yaml"][2], ["root.yaml"], id="claims of a root's workload"),
        pytest.param("root.yaml", MACHINE_OTHERS["root.yaml"][7], ["root.yaml"], id="a robot of the root file"),
        pytest.param(
            "root.yaml",
            MACHINE_ROOT.replace("[web-ci]", "[web-ci], workloads: [base]"),
            ["root.yaml", "data.yaml"],
            id="machines of a root's group, where the ceiling names principals",
        ),
    ],
)
def test_only_what_depends_on_machines_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, expected: list[str]
) -> None:
    """A change of machines compiles the file that declares them, and those whose limits depend on them."""
    for file, first in MACHINE_TREE.items():
        put(tmp_path, file, first)
    loader = PolicyLoader(tmp_path)
    loader.load(NOW)
    read = read_files(monkeypatch)
    put(tmp_path, name, text)
    loader.load(NOW)
    assert sorted(read) == sorted(expected)


def test_secrets_expire_between_loads(tmp_path: Path) -> None:
    """A third secret is a fault until one has expired, although no file changes meanwhile."""
    for file, first in MACHINE_TREE.items():
        put(tmp_path, file, first)
    loader = PolicyLoader(tmp_path)
    loader.load(NOW)
    put(tmp_path, "teams/web.yaml", MACHINE_OTHERS["teams/web.yaml"][5])
    with pytest.raises(LoadError, match="has 3 secrets that have not expired"):
        loader.load(datetime(2025, 1, 1, tzinfo=UTC))
    assert len(loader.load(NOW).robots["web-ci"].secrets) == 3
    put(tmp_path, "root.yaml", "# x\n" + MACHINE_ROOT)
    assert len(loader.load(NOW).robots["web-ci"].secrets) == 3


def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are parsed from now on."""
    parse = load_module.parse  # type: ignore[attr-defined]
    read: list[str] = []

    def reading(text: str, file: str) -> object:
        read.append(Path(file).name)
        return parse(text, file)

    monkeypatch.setattr(load_module, "parse", reading)
    return read


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        pytest.param("root.yaml", ROOT, [], id="nothing"),
        pytest.param("root.yaml", "# x\n" + ROOT, ["root.yaml"], id="lines moved in the root file"),
        pytest.param("teams/web.yaml", WEB + "# x\n", ["web.yaml"], id="one team"),
        pytest.param("more.yaml", OTHERS["more.yaml"][2], ["more.yaml"], id="a file more"),
        pytest.param(
            "root.yaml",
            ROOT.replace('"web/**"', '"web/**", "www/**"'),
            ["root.yaml", "web.yaml"],
            id="one team's ceiling",
        ),
        pytest.param(
            "root.yaml",
            ROOT.replace("[delete]}", "[pull, delete]}"),
            ["root.yaml", "data.yaml", "web.yaml"],
            id="a role of all files",
        ),
        pytest.param(
            "teams/web.yaml",
            WEB.replace("[ann]", "[ann, bob]"),
            ["web.yaml"],
            id="groups of another team, where the ceiling names people",
        ),
        pytest.param(
            "root.yaml",
            ROOT.replace("[olga]", "[olga, dan]"),
            ["root.yaml", "data.yaml"],
            id="groups of all files, where the ceiling names people",
        ),
    ],
)
def test_only_what_changed_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, expected: list[str]
) -> None:
    """In a tree of a thousand files, only what depends on the changed one is compiled again."""
    loader = PolicyLoader(folder)
    before = loader.load(NOW)
    read = read_files(monkeypatch)
    put(folder, name, text)
    after = loader.load(NOW)
    assert sorted(read) == sorted(expected)
    kept = {rule.id for rule in after.rules if any(rule is old for old in before.rules)}
    assert kept == {rule.id for rule in after.rules if Path(rule.file).name not in expected}


def test_a_refused_change_is_forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault has its line, and the state of the last good load is kept."""
    loader = PolicyLoader(folder)
    loader.load(NOW)
    put(folder, "teams/data.yaml", OTHERS["teams/data.yaml"][5])
    with pytest.raises(LoadError, match=r"data\.yaml:6: .*test failed"):
        loader.load(NOW)
    put(folder, "teams/web.yaml", WEB.replace('["web/**"]', '["data/**"]'))
    with pytest.raises(LoadError, match=r"web\.yaml:4: .*root\.yaml:5 delegates web"):
        loader.load(NOW)
    put(folder, "teams/data.yaml", DATA)
    put(folder, "teams/web.yaml", WEB)
    read = read_files(monkeypatch)
    loader.load(NOW)
    assert read == []


def test_a_fault_of_a_file_that_did_not_change_has_its_line(folder: Path) -> None:
    """A fault that one file causes in another is reported at its place there."""
    loader = PolicyLoader(folder)
    loader.load(NOW)
    put(folder, "root.yaml", ROOT.replace("id: root", "id: web"))
    with pytest.raises(LoadError) as caught:
        loader.load(NOW)
    (fault,) = caught.value.faults
    assert re.search(r"web\.yaml:4: .*'web' is already used in .*root\.yaml:8", str(fault))


def test_a_cut_file_is_refused_once_files_were_marked(folder: Path) -> None:
    """The mark is remembered from load to load, and only of loads that were good (docs/design/threats.md#fault-16)."""
    loader = PolicyLoader(folder)
    for name, text in TREE.items():
        put(folder, name, text + "...\n")
    loader.load(NOW)
    put(folder, "teams/web.yaml", WEB)
    put(folder, "teams/data.yaml", DATA)
    put(folder, "root.yaml", ROOT)
    with pytest.raises(LoadError, match=r"does not end with the line \.\.\."):
        loader.load(NOW)


def test_it_works_at_its_pace(folder: Path) -> None:
    """It pauses between files, so that requests do not wait for all of them."""
    turns = 0

    def pace() -> None:
        nonlocal turns
        turns += 1

    loader = PolicyLoader(folder, pace=pace)
    loader.load(NOW)
    assert turns > 3 * len(TREE)


def test_many_new_rules_are_kept_from_the_collector(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection would stop every thread while it scans them; a few are not worth freezing."""
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(True))
    frozen: list[bool] = []
    PolicyLoader(folder).load(NOW)
    assert frozen == []
    monkeypatch.setattr(load_module, "MANY_OBJECTS", 1)
    PolicyLoader(folder).load(NOW)
    assert frozen == [True]
    assert gc.isenabled()
