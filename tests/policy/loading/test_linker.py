"""Links between policy files: names, roles and registries."""

from __future__ import annotations

from pathlib import Path

import pytest
from policy_folders import GOOD, NOW, faults, rule, write

from tokenserver.policy.loading.linker import default_service
from tokenserver.policy.loading.loader import load_policies


def test_faults_between_files_are_told_with_the_others(folder: Path) -> None:
    """A duplicate id and an unknown role are reported along with other faults."""
    write(folder / "a.yaml", rule("role=raeder; to=[ann]"))
    write(folder / "b.yaml", rule("repositories=[B]"))
    found = "\n".join(faults(folder))
    for expected in ("unknown role 'raeder'", "'ann': must be", "the rule id 'r' is already used", "'B': repository"):
        assert expected in found


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(GOOD, GOOD, "b.yaml:3: allow[0].id: the rule id 'r' is already used in a.yaml:3", id="rule"),
        pytest.param(
            "version: 1\ngroups: {web: {users: [a]}}\n",
            "version: 1\ngroups: {web: {users: [b]}}\n",
            "b.yaml:2: groups.web: the group 'web' is already used in a.yaml:2",
            id="group",
        ),
        pytest.param(
            "version: 1\nroles: {x: [pull]}\n",
            "version: 1\nroles: {x: [pull]}\n",
            "b.yaml:2: roles.x: the role 'x' is already used in a.yaml:2",
            id="role",
        ),
    ],
)
def test_names_are_unique_in_the_tree(folder: Path, first: str, second: str, expected: str) -> None:
    """Two definitions of one name are a fault that names both places."""
    write(folder / "a.yaml", first)
    write(folder / "b.yaml", second)
    assert expected in faults(folder)


def test_roles_and_groups_are_known_in_the_whole_tree(folder: Path) -> None:
    """The file that defines a name may come after the one that uses it."""
    write(folder / "a.yaml", rule('role=cleaner; to=["group:web"]'))
    write(
        folder / "b.yaml",
        "version: 1\nroles: {cleaner: [delete]}\ngroups: {web: {users: [ann]}}\n"
        "tests: [{as: {user: ann}, can: [delete a], cannot: [pull a]}]\n",
    )
    assert load_policies(folder, now=NOW).rule_count == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            GOOD + "registries: [registri.example.com]\n",
            "a.yaml:4: registries[0]: no registry with the service 'registri.example.com' is configured; "
            "did you mean 'registry.example.com'?",
            id="registries",
        ),
        pytest.param(
            GOOD + "tests: [{as: anonymous, service: x.registry.example.com, can: [pull a]}]\n",
            "a.yaml:4: tests[0].service: no registry with the service 'x.registry.example.com' is configured; "
            "did you mean 'registry.example.com'?",
            id="test",
        ),
    ],
)
def test_services_are_held_against_the_configuration(folder: Path, text: str, expected: str) -> None:
    """A misspelt registry would silently disable a file."""
    write(folder / "a.yaml", text)
    assert faults(folder, frozenset({"registry.example.com"})) == [expected]
    assert load_policies(folder, now=NOW).rule_count == 1


def test_services_that_are_configured_are_fine(folder: Path) -> None:
    """Correct files pass the check."""
    write(folder / "a.yaml", GOOD + "registries: [one]\ntests: [{as: anonymous, can: [pull a]}]\n")
    assert load_policies(folder, services=frozenset({"one", "two"}), now=NOW).rule_count == 1


def test_default_service_of_tests(folder: Path) -> None:
    """The registry of a test that names none: the first one of its file, else the first configured one."""
    write(folder / "a.yaml", GOOD + "registries: [two, one]\n")
    write(folder / "b.yaml", "version: 1\nregistries: [two]\ntests: [{as: anonymous, can: [pull a]}]\n")
    write(folder / "c.yaml", "version: 1\ntests: [{as: anonymous, can: [pull a]}]\n")
    assert load_policies(folder, services=frozenset({"one", "two", "zed"}), now=NOW).rule_count == 1
    (failure,) = faults(folder)
    assert failure.startswith("c.yaml:2: tests[0].can[0]: test failed:")
    assert failure.endswith("expected that an anonymous client can pull a, but no allow rule applies")


@pytest.mark.parametrize(
    ("registries", "services", "expected"),
    [
        pytest.param(["two", "one"], frozenset({"one", "two"}), "two", id="the first of the file"),
        pytest.param([], frozenset({"two", "one"}), "one", id="the first that is configured"),
        pytest.param(["two"], None, "two", id="of the file, without a configuration"),
        pytest.param([], None, "", id="neither"),
        pytest.param([], frozenset[str](), "", id="a configuration without registries"),
    ],
)
def test_default_service(registries: list[str], services: frozenset[str] | None, expected: str) -> None:
    """The registry of a test that names none does not depend on the order of a set."""
    assert default_service(registries, services) == expected
