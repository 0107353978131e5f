"""Change gating: a team cannot block a deny of the company, and its own mistakes do not go live."""

from __future__ import annotations

from pathlib import Path

import pytest
from team_trees import DATA, DENY, NOW, ROOT, ROOT_TEST, TREE, WEB, WITHOUT_MALLORY, put, refused, reload

from tokenserver.errors import LoadError
from tokenserver.identity import Identity, Kind
from tokenserver.policy.decide import decide
from tokenserver.policy.loading.loader import PolicyLoader, load_policies
from tokenserver.policy.model import Context, PolicySet
from tokenserver.policy.terms import parse_request


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


def notes(folder: Path, policies: PolicySet) -> list[str]:
    return [str(note).removeprefix(f"{folder}/") for note in policies.notes]


def can(policies: PolicySet, user: str, asked: str) -> bool:
    return bool(decide(policies, Identity(user, Kind.PASSWORD), parse_request(asked), Context("r", None, NOW)).granted)


FAILS_BY_DENY = (
    "teams/web.yaml:5: tests[0].can[0]: test failed: expected that user mallory can push web/x, but it is forbidden by "
    "no-mallory (company.yaml:8)"
)
FAILS_BY_ITSELF = (
    "teams/web.yaml:5: tests[0].can[0]: test failed: expected that user mallory can push web/x, "
    "but no allow rule applies"
)
WAITS = FAILS_BY_ITSELF.replace(
    "test failed", "the change of teams/web.yaml is not live, its last good version stays: test failed"
)


# --- what tests of a delegated file speak about ----------------------------------------------------------------------


# --- whose change goes live ------------------------------------------------------------------------------------------


def test_a_company_s_deny_goes_live_against_a_team_s_test(folder: Path, loader: PolicyLoader) -> None:
    """Otherwise mallory would keep push until somebody fixes the test."""
    policies = reload(folder, loader, company=DENY)
    assert not can(policies, "mallory", "push web/x")
    assert notes(folder, policies) == [FAILS_BY_DENY]
    assert notes(folder, loader.load(NOW)) == [FAILS_BY_DENY]
    assert reload(folder, loader, company=ROOT).notes == ()


def test_another_team_s_change_goes_live_as_well(folder: Path, loader: PolicyLoader) -> None:
    """If mandates overlap, the tests of one team do not block the other."""
    deny = 'deny:\n  - {id: d, to: ["user:ann"], repositories: ["web/data/x"], actions: [push]}\n'
    data = DATA.replace("tests:", deny + "tests:")
    web = WEB + "  - {as: {user: ann}, can: [push web/data/x]}\n"
    reload(folder, loader, web=web)
    policies = reload(folder, loader, data=data)
    assert not can(policies, "ann", "push web/data/x")
    (note,) = notes(folder, policies)
    assert note.startswith("teams/web.yaml:6: tests[1].can[0]: test failed: ")


def test_a_file_s_own_mistake_waits(folder: Path, loader: PolicyLoader) -> None:
    """With no other change, the reload is rejected with the line, and the last good policies stay live."""
    assert refused(folder, loader, web=WITHOUT_MALLORY) == [FAILS_BY_ITSELF]
    assert refused(folder, loader) == [FAILS_BY_ITSELF]
    assert reload(folder, loader, web=WITHOUT_MALLORY.replace("can: [push", "cannot: [push")).notes == ()


def test_what_not_takes_away_waits_for_the_file_s_test(folder: Path, loader: PolicyLoader) -> None:
    """As any change of a rule does; and a part that the test does not name goes live."""
    taken = WEB.replace('["web/**"]', '["web/**"], not: [web/x]')
    (found,) = refused(folder, loader, web=taken)
    assert "tests[0].can[0]: test failed: " in found
    policies = reload(folder, loader, web=taken.replace("not: [web/x", "not: [web/y"))
    assert [can(policies, "mallory", f"push web/{name}") for name in "xyz"] == [True, False, True]


def test_a_deny_does_not_wait_for_a_file_that_does(folder: Path, loader: PolicyLoader) -> None:
    """Whether the mistake came before or in the same reload, only the one file waits."""
    refused(folder, loader, web=WITHOUT_MALLORY)
    deny_all = DENY.replace('"user:mallory"', '"user:dora"')
    policies = reload(folder, loader, company=deny_all)
    assert not can(policies, "dora", "push web/x")
    assert can(policies, "mallory", "push web/x")  # as the last good version has it
    assert notes(folder, policies) == [WAITS]
    assert loader.load(NOW) == policies  # touched, and nothing is new
    both = reload(folder, loader, company=DENY, data=DATA.replace("user:dora", "user:dan").replace("dora", "dan"))
    assert (can(both, "mallory", "push web/x"), can(both, "dan", "push data/x")) == (False, True)
    assert len(both.notes) == 1
    fixed = reload(folder, loader, web=WITHOUT_MALLORY.replace("can: [push", "cannot: [push"))
    assert fixed.notes == ()


def test_a_mistake_and_a_deny_in_one_reload(folder: Path, loader: PolicyLoader) -> None:
    """With a test that both would break, the deny goes live and the team's change still waits."""
    later = WITHOUT_MALLORY + "  - {as: {user: ann}, cannot: [push web/x]}\n"
    policies = reload(folder, loader, company=DENY, web=later)
    assert (can(policies, "mallory", "push web/x"), can(policies, "ann", "push web/x")) == (False, True)
    pending, waiting = notes(folder, policies)
    assert pending == FAILS_BY_DENY
    assert waiting.startswith("teams/web.yaml:6: tests[1].cannot[0]: the change of teams/web.yaml is not live")


def test_two_files_wait_and_the_rest_is_live(folder: Path, loader: PolicyLoader) -> None:
    """Each for its own mistake."""
    data = DATA.replace('["user:dora"]', '["user:dan"]')
    policies = reload(folder, loader, company=DENY.replace("mallory", "eve"), web=WITHOUT_MALLORY, data=data)
    assert [note.partition(":")[0] for note in notes(folder, policies)] == ["teams/data.yaml", "teams/web.yaml"]
    assert (can(policies, "mallory", "push web/x"), can(policies, "dora", "push data/x")) == (True, True)


def test_what_failed_before_does_not_count_against_a_change(folder: Path, loader: PolicyLoader) -> None:
    """A team whose test was broken by a deny can still remove a user from its file."""
    reload(folder, loader, company=DENY)
    policies = reload(folder, loader, web="# moved\n" + WEB.replace(', "user:ann"', ""))
    assert not can(policies, "ann", "push web/x")
    assert notes(folder, policies) == [FAILS_BY_DENY.replace("web.yaml:5", "web.yaml:6")]
    worse = WEB + "  - {as: {user: ann}, cannot: [push web/x]}\n"
    assert [line.partition(": expected")[0] for line in refused(folder, loader, web=worse)] == [
        "teams/web.yaml:6: tests[1].cannot[0]: test failed"
    ]


def test_a_change_and_a_deny_that_breaks_its_test_in_one_reload(folder: Path, loader: PolicyLoader) -> None:
    """The change is not at fault, so both go live."""
    policies = reload(folder, loader, company=DENY, web=WEB.replace('"user:ann"', '"user:bob"'))
    assert (can(policies, "mallory", "push web/x"), can(policies, "bob", "push web/x")) == (False, True)
    assert notes(folder, policies) == [FAILS_BY_DENY]


def test_a_root_file_s_test_holds_up_a_team_s_change_and_no_other(folder: Path, loader: PolicyLoader) -> None:
    """Alone, it is rejected; together with a change of a root file, that one goes live."""
    guarded = ROOT + ROOT_TEST
    reload(folder, loader, company=guarded)
    open_to_all = WEB.replace('"user:ann"', "authenticated")
    (fault,) = refused(folder, loader, web=open_to_all)
    assert fault.startswith("company.yaml:8: tests[0]: test failed: who can push web/prod/x: expected excludes ")
    policies = reload(folder, loader, company=DENY + ROOT_TEST)
    assert not can(policies, "eve", "push web/prod/x")
    assert [note.partition(", its last")[0] for note in notes(folder, policies)] == [
        "company.yaml:10: tests[0]: the change of teams/web.yaml is not live",
        FAILS_BY_DENY,
    ]
    assert not can(policies, "mallory", "push web/x")


def test_the_file_that_breaks_a_root_file_s_test_is_found(folder: Path, loader: PolicyLoader) -> None:
    """Of two that changed, the other one is live."""
    reload(folder, loader, company=ROOT + ROOT_TEST)
    data = DATA.replace('["user:dora"]', '["user:dora", "user:dan"]')
    policies = reload(folder, loader, web=WEB.replace('"user:ann"', "authenticated"), data=data)
    assert (can(policies, "eve", "push web/prod/x"), can(policies, "dan", "push data/x")) == (False, True)
    assert len(policies.notes) == 1


def test_two_changes_that_break_a_root_file_s_test_together_both_wait(folder: Path, loader: PolicyLoader) -> None:
    """Neither does by itself."""
    deny = 'deny:\n  - {id: d, to: ["user:kim"], repositories: ["web/data/x"], actions: [push]}\n'
    root = ROOT + "tests:\n  - {as: {user: kim}, cannot: [push web/data/x]}\n"
    reload(folder, loader, company=root, data=DATA.replace("tests:", deny + "tests:"))
    with_kim = WEB.replace('"user:ann"', '"user:ann", "user:kim"')
    (fault,) = refused(folder, loader, web=with_kim, data=DATA)
    assert fault.startswith("company.yaml:8: tests[0].cannot[0]: test failed: expected that user kim cannot push")
    policies = reload(folder, loader, company=root + "  - {as: anonymous, cannot: [pull base/x]}\n")
    assert not can(policies, "kim", "push web/data/x")
    told = [str(note).partition("the change of ")[2].partition(" ")[0] for note in policies.notes]
    assert told == ["teams/data.yaml", "teams/web.yaml"]


def test_a_root_file_s_own_failing_test_refuses_everything(folder: Path, loader: PolicyLoader) -> None:
    """With every fault, also of delegated files."""
    wrong = DENY + "tests:\n  - {as: anonymous, can: [pull base/x]}\n"
    found = refused(folder, loader, company=wrong)
    assert [line.partition(":")[0] for line in found] == ["company.yaml", "teams/web.yaml"]
    bad = refused(folder, loader, data=DATA.replace('["user:dora"]', '["user:dan"]'))
    assert [line.partition(":")[0] for line in bad] == ["company.yaml", "teams/web.yaml"]


def test_a_new_file_with_a_failing_test_is_refused(folder: Path, loader: PolicyLoader) -> None:
    """It has no last good version."""
    root = ROOT.replace("allow:", "  - {file: teams/more.yaml, repositories: [more], actions: [pull]}\nallow:")
    more = 'version: 1\nallow:\n  - {id: m, to: ["user:ann"], repositories: [more], actions: [pull]}\ntests:\n'
    test = "  - {as: {user: bob}, can: [pull more]}\n"
    (fault,) = refused(folder, loader, company=root, more=more + test)
    assert fault.startswith("teams/more.yaml:5: tests[0].can[0]: test failed")
    assert can(reload(folder, loader, more=more + test.replace("bob", "ann")), "ann", "pull more")


def test_a_last_good_version_that_does_not_go_with_the_rest_refuses_all(folder: Path, loader: PolicyLoader) -> None:
    """If the mandate changes in the same reload, the faults of the new version are reported."""
    root = ROOT.replace('repositories: ["web/**"]', 'repositories: ["www/**"]')
    found = refused(folder, loader, company=root, web=WITHOUT_MALLORY.replace("web/", "www/"))
    assert found == [FAILS_BY_ITSELF.replace("web/x", "www/x")]
    assert can(reload(folder, loader, company=root, web=WEB.replace("web/", "www/")), "mallory", "push www/x")


def test_a_start_is_held_up_by_root_files_alone(folder: Path) -> None:
    """There is no version to compare with, and one team's test must not stop the service for all at a restart."""
    put(folder, {"company.yaml": DENY})
    policies = load_policies(folder, now=NOW)
    assert notes(folder, policies) == [FAILS_BY_DENY]
    assert not can(policies, "mallory", "push web/x")
    put(folder, {"company.yaml": ROOT, "teams/web.yaml": WITHOUT_MALLORY})
    assert notes(folder, load_policies(folder, now=NOW)) == [FAILS_BY_ITSELF]
    put(folder, {"company.yaml": ROOT + "tests:\n  - {as: anonymous, can: [pull base/x]}\n"})
    with pytest.raises(LoadError, match=r"company\.yaml:8: .*test failed"):
        load_policies(folder, now=NOW)


def test_what_time_decides_holds_up_the_file_alone_as_well(folder: Path, loader: PolicyLoader) -> None:
    """A freeze of the company makes a team's test depend on the moment; that is noted, and the freeze is live."""
    freeze = DENY.replace("actions: [push]}", "actions: [push], when: {until: 2027-01-01}}")
    policies = reload(folder, loader, company=freeze)
    assert not can(policies, "mallory", "push web/x")
    (note,) = notes(folder, policies)
    assert "depends on the moment" in note
