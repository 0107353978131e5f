"""Stored secrets of robots: made, replaced without an outage, revoked; two at most, with those of policy files."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stored_sites import POLICY, StoredSite, in_days

from tokenserver.access_keys import RANDOM_BYTES, compose_key, declare, parse_key, spell_declaration
from tokenserver.cli.robots.stored_secrets import live_secrets
from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.policy.terms import parse_moment
from tokenserver.storage.selection import Listed

DECLARED = compose_key(AccessKeyForm.ROBOT, bytes(RANDOM_BYTES))


def new(site: StoredSite, *arguments: str) -> str:
    """The id of a new stored secret of ci-web."""
    result = site.run("robots", "secret", "new", "ci-web", *arguments)
    assert result.exit_code == 0, result.stderr
    return parse_key(result.stdout.removesuffix("\n")).id


def declare_one(site: StoredSite, end: str = "2999-01-01") -> None:
    """Let the policy file declare a secret of ci-web."""
    line = spell_declaration(declare(DECLARED, parse_moment(end)))
    site.write(
        "policies/web.yaml",
        POLICY.replace("{description: builds}", f"\n    description: builds\n    secrets:\n      {line}"),
    )


def test_new(site: StoredSite) -> None:
    """The secret alone on standard output, and a row that is the robot's."""
    result = site.run(
        "robots", "secret", "new", "ci-web", "--expires", "30d", "--network", "10.0.0.0/8", "--pull", "--note", "runner"
    )
    key = parse_key(result.stdout.removesuffix("\n"))
    assert (key.form, key.text.reveal()[17:] in result.stderr) == (AccessKeyForm.ROBOT, False)
    assert "limits   pull from 10.0.0.0/8" in result.stderr
    row = site.row(key.id).credential
    assert (row.owner, row.sort, row.source, row.name) == ("robot:ci-web", Sort.ROBOT, "", "runner")
    assert 0 <= row.ends - in_days(30) <= 60
    assert row.ceiling is not None


def test_as_json(site: StoredSite) -> None:
    """One object with the secret and the facts."""
    facts = site.facts("robots", "secret", "new", "ci-web")
    assert parse_key(facts["secret"]).id == facts["id"]
    assert (facts["robot"], facts["owner"], facts["state"]) == ("ci-web", "robot:ci-web", "active")


def test_two_at_a_time(site: StoredSite) -> None:
    """A third is refused; one that expired or was revoked does not count."""
    first = new(site)
    new(site)
    result = site.run("robots", "secret", "new", "ci-web")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "has 2 live secrets, in files and stored" in result.stderr
    assert site.run("robots", "secret", "revoke", "ci-web", "--id", first).exit_code == 0
    new(site)


def test_declared_ones_count(site: StoredSite) -> None:
    """One in the file and one stored are two; an expired one in the file is none."""
    declare_one(site)
    new(site)
    assert site.run("robots", "secret", "new", "ci-web").exit_code == 1
    assert site.run("robots", "secret", "rotate", "ci-web").exit_code == 1
    declare_one(site, "2001-01-01")
    new(site)


def test_the_robot_is_declared(site: StoredSite) -> None:
    """The database grants nothing: without a declaration, a secret would be refused."""
    for command in ("new", "rotate"):
        result = site.run("robots", "secret", command, "ci-wbe")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "no policy file declares the robot 'ci-wbe'; did you mean 'ci-web'?" in result.stderr
    assert site.live() == set()


def test_rotate(site: StoredSite) -> None:
    """The successor has the same limits, and the old one ends after the overlap."""
    old = new(site, "--pull", "--network", "10.0.0.0/8", "--note", "runner")
    result = site.run("robots", "secret", "rotate", "ci-web", "--overlap", "1h")
    key = parse_key(result.stdout.removesuffix("\n"))
    assert (result.exit_code, key.form) == (0, AccessKeyForm.ROBOT)
    before, after = site.row(old).credential, site.row(key.id).credential
    assert (after.ceiling, after.networks, after.name, after.replaces) == (
        before.ceiling,
        before.networks,
        "runner",
        old,
    )
    assert abs(before.ends - in_days(1 / 24)) <= 60
    again = site.run("robots", "secret", "rotate", "ci-web")
    assert (again.exit_code, "has 2 live secrets" in again.stderr) == (1, True)


def test_a_third_that_is_made_meanwhile(site: StoredSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is checked where the successor is stored, and not before."""
    new(site)

    def listed(*arguments: Any) -> list[Listed]:
        found = live_secrets(*arguments)
        new(site)
        return found

    monkeypatch.setattr("tokenserver.cli.robots.stored_secrets.live_secrets", listed)
    result = site.run("robots", "secret", "rotate", "ci-web")
    assert (result.exit_code, result.stdout, "has 2 live secrets" in result.stderr) == (1, "", True)
    assert len(site.live()) == 2


def test_rotate_nothing(site: StoredSite) -> None:
    """Without a stored secret there is none to replace."""
    result = site.run("robots", "secret", "rotate", "ci-web")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "has no live stored secret; fix: tokenserver robots secret new ci-web" in result.stderr


def test_revoke(site: StoredSite) -> None:
    """All of the robot's, also when no file declares it any more; other credentials stay."""
    stored = {new(site), new(site)}
    key = site.stored()[1].id
    site.write("policies/web.yaml", "version: 1\nallow: [{id: web, to: [everyone], repositories: [x], role: reader}]\n")
    assert set(site.facts("robots", "secret", "revoke", "ci-web")["revoked"]) == stored
    assert site.live() == {key}
    again = site.run("robots", "secret", "revoke", "ci-web", "--json")
    assert (again.exit_code, json.loads(again.stdout)) == (1, {"revoked": [], "not_found": []})


def test_revoke_says_what_is_left(site: StoredSite) -> None:
    """A declared secret ends with its line alone, and faulty policies keep no stored one alive."""
    declare_one(site)
    new(site)
    result = site.run("robots", "secret", "revoke", "ci-web")
    assert result.exit_code == 0
    assert f"warning: {DECLARED.id} is declared at" in result.stderr
    new(site)
    site.write("policies/web.yaml", "version: 2\n")
    result = site.run("robots", "secret", "revoke", "ci-web")
    assert (result.exit_code, site.live()) == (0, set())
    assert "the policies do not load" in result.stderr


def test_another_key_is_not_the_robots(site: StoredSite) -> None:
    """`--id` ends secrets of this robot alone."""
    key = site.stored()[1].id
    result = site.run("robots", "secret", "revoke", "ci-web", "--id", key)
    assert (result.exit_code, site.live()) == (1, {key})


def test_list_and_show(site: StoredSite) -> None:
    """Stored ones are beside the declared ones, and say that they are."""
    declare_one(site)
    stored = new(site, "--push", "--expires", "7d")
    listed = site.run("robots", "list").stdout
    assert DECLARED.id in listed
    assert stored in listed
    facts = site.facts("robots", "show", "ci-web")
    by_id = {one["id"]: one for one in facts["secrets"]}
    assert (by_id[stored]["stored"], by_id[stored]["state"], by_id[stored]["limits"]) == (
        True,
        "expires soon",
        "pull, push",
    )
    assert (by_id[DECLARED.id]["stored"], "last_used" in by_id[DECLARED.id]) == (False, False)
    shown = site.run("robots", "show", "ci-web").stdout
    assert f"{stored}  stored" in shown
    assert f"{DECLARED.id}  in a file" in shown
    site.run("robots", "secret", "revoke", "ci-web")
    assert [one["id"] for one in site.facts("robots", "show", "ci-web")["secrets"]] == [DECLARED.id]


def test_list_without_the_storage(site: StoredSite) -> None:
    """A storage that does not answer is a warning, and the declared secrets are listed."""
    declare_one(site)
    new(site)
    (site.folder / "state" / "tokenserver.db").write_bytes(b"no database" * 1000)
    result = site.run("robots", "list")
    assert (result.exit_code, DECLARED.id in result.stdout) == (0, True)
    assert "warning: stored secrets are not shown" in result.stderr


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(["--pull"], id="pull"),
        pytest.param(["--repositories", "web/*"], id="repositories"),
        pytest.param(["--registry", "registry.example.com"], id="registry"),
    ],
)
def test_limits_are_for_stored_ones(site: StoredSite, option: list[str]) -> None:
    """A policy file has rules to narrow a robot."""
    result = site.run("robots", "secret", "new", "ci-web", "--for-file", *option)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "a secret in a policy file has no limits but networks" in " ".join(result.stderr.split())
