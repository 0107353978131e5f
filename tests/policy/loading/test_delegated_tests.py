"""Tests in delegated files: what they may speak about."""

from __future__ import annotations

from pathlib import Path

import pytest
from team_trees import NOW, ROOT, TEST, TREE, WEB, put, refused

from tokenserver.errors import LoadError
from tokenserver.policy import budget
from tokenserver.policy.loading.loader import PolicyLoader, load_policies


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the tree."""
    put(tmp_path, TREE)
    return tmp_path


@pytest.fixture
def loader(folder: Path) -> PolicyLoader:
    """A loader that has loaded the tree."""
    loader = PolicyLoader(folder)
    assert loader.load(NOW).notes == ()
    return loader


@pytest.mark.parametrize(
    ("test", "place", "expected"),
    [
        pytest.param(
            "as: {user: ann}, can: [push web/x], cannot: [push data/x]",
            "tests[0].cannot[0]",
            "'data/x' is not delegated to this file; its tests may only name what company.yaml:3 delegates: web/**",
            id="repository",
        ),
        pytest.param(
            "as: {user: ann}, cannot: [delete web/x]",
            "tests[0].cannot[0]",
            "delete is not delegated to this file; its tests may only name what company.yaml:3 delegates: pull, push",
            id="action",
        ),
        pytest.param(
            'as: {user: ann}, cannot: ["* web/x"]', "tests[0].cannot[0]", "delete is not delegated", id="star"
        ),
        pytest.param(
            'as: {user: ann}, cannot: ["* registry:catalog"]',
            "tests[0].cannot[0]",
            "'registry:catalog' is not delegated",
            id="catalog",
        ),
        pytest.param("who_can: push web, excludes: [everyone]", "tests[0].who_can", "'web' is not delegated", id="who"),
        pytest.param(
            "who_can: delete web/x, exactly: []", "tests[0].who_can", "delete is not delegated", id="who-action"
        ),
        pytest.param(
            'what_can: "user:ann", exactly: ["pull,push web/**", pull **/x]',
            "tests[0].exactly[1]",
            "'**/x' reaches x/x, which is not delegated",
            id="what",
        ),
        pytest.param(
            'what_can: "user:ann", exactly: ["pull,push,delete web/**"]',
            "tests[0].exactly[0]",
            "delete is not delegated",
            id="what-action",
        ),
        pytest.param(
            'what_can: "user:ann", exactly: ["* registry:catalog"]',
            "tests[0].exactly[0]",
            "'registry:catalog' is not delegated",
            id="what-catalog",
        ),
        pytest.param(
            "as: {user: ann}, service: other, can: [push web/x]",
            "tests[0].service",
            (
                "the registry 'other' is not delegated to this file; "
                "its tests may only name what company.yaml:3 delegates: one"
            ),
            id="registry",
        ),
    ],
)
def test_a_test_beyond_the_mandate_is_refused(folder: Path, test: str, place: str, expected: str) -> None:
    """A fault at any load, with file, line and the delegation."""
    company = ROOT.replace("version: 1\n", "version: 1\n" + "registries: [one]\n" * ("service" in test))
    put(folder, {"company.yaml": company, "teams/web.yaml": WEB.replace(TEST, f"  - {{{test}}}\n")})
    with pytest.raises(LoadError) as caught:
        load_policies(folder, now=NOW)
    (found,) = [str(fault).removeprefix(f"{folder}/") for fault in caught.value.faults]
    expected = expected.replace("company.yaml:3", "company.yaml:4") if "service" in test else expected
    assert found.startswith(f"teams/web.yaml:5: {place}: {expected}")


@pytest.mark.parametrize(
    "test",
    [
        pytest.param("as: {user: eve}, cannot: [push web/x, pull web/y/z]", id="as"),
        pytest.param("who_can: push web/x, service: one, exactly: ['user:ann', 'user:mallory']", id="who"),
        pytest.param('what_can: "user:ann", exactly: ["pull,push web/**"]', id="what-leaves-out-the-rest"),
        pytest.param('what_can: anonymous, exactly: ["pull web/public"]', id="what-others-give-there"),
    ],
)
def test_a_test_within_the_mandate_is_fine(folder: Path, test: str) -> None:
    """Access granted by others outside of the mandate is ignored; within it, it counts."""
    public = '  - {id: public, to: [everyone], repositories: ["*/public"], role: reader}\n'
    root = ROOT.replace("version: 1\n", "version: 1\nregistries: [one]\n") + (public if "anonymous" in test else "")
    put(folder, {"company.yaml": root, "teams/web.yaml": WEB.replace(TEST, f"  - {{{test}}}\n")})
    assert load_policies(folder, now=NOW).notes == ()


def test_what_can_fails_within_the_mandate_as_anywhere(folder: Path, loader: PolicyLoader) -> None:
    """And only names what is within the mandate."""
    test = '  - {what_can: "user:ann", exactly: [pull web/**]}\n'
    (found,) = refused(folder, loader, web=WEB.replace(TEST, test))
    assert found.endswith("but it is pull,push web/**; user:ann can push web/x (web)")


def test_a_variable_in_a_mandate_is_any_name(folder: Path) -> None:
    """Its tests can name any repository."""
    root = ROOT.replace('["web/**"]', '["users/${user}/**", "groups/${group}/x"]')
    own = WEB.replace("web/**", "users/${user}/**")
    tests = (
        "  - {as: {user: ann}, can: [push users/ann/x], cannot: [push users/bob/x, pull groups/a/x]}\n"
        '  - {what_can: "user:ann", exactly: ["pull,push users/ann/**"]}\n'
    )
    put(folder, {"company.yaml": root, "teams/web.yaml": own.replace(TEST, tests)})
    assert load_policies(folder, now=NOW).notes == ()
    put(folder, {"teams/web.yaml": own.replace(TEST, "  - {as: {user: ann}, cannot: [push users/x]}\n")})
    with pytest.raises(LoadError, match="'users/x' is not delegated to this file"):
        load_policies(folder, now=NOW)


@pytest.mark.parametrize(
    ("delegated", "allowed", "refused"),
    [
        pytest.param("x-${user}/**", "x-a/b", "xa/b", id="after-a-text"),
        pytest.param("${user}-x/**", "a-x/b", "a/b", id="before-a-text"),
        pytest.param("x/${user}*", "x/a", "y/a", id="before-a-star"),
        pytest.param("x/a*${group}-b", "x/a-b", "x/a-c", id="after-a-star"),
    ],
)
def test_a_variable_inside_a_segment(folder: Path, delegated: str, allowed: str, refused: str) -> None:
    """It is any name there, beside the text."""
    root = ROOT.replace('["web/**"]', f'["{delegated}"]')
    for name, is_fault in ((allowed, False), (refused, True)):
        tests = f"  - {{as: {{user: ann}}, cannot: [push {name}]}}\n  - {{what_can: anonymous, exactly: []}}\n"
        put(folder, {"company.yaml": root, "teams/web.yaml": WEB.replace("web/**", delegated).replace(TEST, tests)})
        if is_fault:
            with pytest.raises(LoadError, match=f"'{name}' is not delegated to this file"):
                load_policies(folder, now=NOW)
        else:
            load_policies(folder, now=NOW)


def test_what_is_not_decided_is_a_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the line of the test, with what to do about it."""
    monkeypatch.setattr(budget, "FILE_STEPS", 0)
    monkeypatch.setattr(budget, "ITEM_STEPS", 0)
    test = "  - {what_can: anonymous, exactly: [pull web/*x*]}\n"
    put(folder, {"company.yaml": ROOT.replace("web/**", "web/*"), "teams/web.yaml": WEB.replace(TEST, test)})
    with pytest.raises(LoadError) as caught:
        load_policies(folder, now=NOW)
    (found,) = [fault for fault in caught.value.faults if fault.path.startswith("tests")]
    assert found.line == 5
    assert found.message.startswith("'web/*x*': whether it lies within the delegation is not decided within 0 steps")
