"""What changes of users do to stored credentials: those of the user end, in that source alone."""

from __future__ import annotations

import pytest
from stored_sites import StoredSite

from tokenserver.storage.selection import Selection


@pytest.fixture
def others(site: StoredSite) -> set[str]:
    """The ids of credentials that have to stay: of another user, of a namesake, and of a robot and a workload."""
    return {
        site.stored(owner="bob")[1].id,
        site.stored(source="others")[1].id,
        site.refresh_token(source="others"),
        site.session("74"),
    }


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["disable", "ann"], "the account was disabled", id="disable"),
        pytest.param(["delete", "ann"], "the user was removed", id="delete"),
        pytest.param(["set", "ann", "--weak"], "the password was changed", id="set"),
    ],
)
def test_they_end(site: StoredSite, others: set[str], arguments: list[str], reason: str) -> None:
    """The command says how many, and the row why."""
    keys, token = {site.stored()[1].id for _ in range(2)}, site.refresh_token()
    result = site.run("users", *arguments, "--source", "staff", stdin="another password\n")
    assert result.exit_code == 0
    assert "Ended 2 access keys of ann.\nEnded 1 refresh token of ann.\n" in result.stdout
    assert site.live() == others
    assert {site.row(one).reason for one in (*keys, token)} == {reason}


def test_keys_can_be_kept(site: StoredSite) -> None:
    """A new password is no reason to stop all builds, if nobody else knew the old one."""
    key, token = site.stored()[1].id, site.refresh_token()
    result = site.run("users", "set", "ann", "--weak", "--keep-keys", "--source", "staff", stdin="another\n")
    assert (result.exit_code, "Ended 1 refresh token of ann." in result.stdout) == (0, True)
    assert site.live() == {key}
    assert token not in site.live()


def test_a_new_user_inherits_nothing(site: StoredSite) -> None:
    """Keys of somebody who had the name before end when the name is given to somebody else."""
    old = site.stored(owner="zoe")[1].id
    assert site.run("users", "set", "zoe", "--weak", "--source", "staff", stdin="a password\n").exit_code == 0
    assert old not in site.live()


def test_an_enabled_account_has_none(site: StoredSite) -> None:
    """What ended does not come back, and enabling ends nothing."""
    site.stored()
    assert site.run("users", "disable", "ann", "--source", "staff").exit_code == 0
    later = site.stored()[1].id
    assert site.run("users", "enable", "ann", "--source", "staff").exit_code == 0
    assert site.live() == {later}


def test_another_file(site: StoredSite) -> None:
    """A file that no source of the configuration has says nothing of stored credentials."""
    key = site.stored()[1].id
    copy = site.folder / "copy.htpasswd"
    site.write("copy.htpasswd", (site.folder / "users.htpasswd").read_text())
    assert site.run("users", "disable", "ann", "--file", str(copy)).exit_code == 0
    assert site.live() == {key}
    file = str(site.folder / "users.htpasswd")
    assert site.run("users", "disable", "ann", "--file", file).exit_code == 0
    assert site.live() == set()


def test_a_storage_that_does_not_answer(site: StoredSite) -> None:
    """The file is changed, and a warning says what is left to do."""
    site.stored()
    site.store.end(Selection(owner="nobody"), by="test", reason="x")
    (site.folder / "state" / "tokenserver.db").write_bytes(b"no database" * 1000)
    result = site.run("users", "disable", "ann", "--source", "staff")
    assert (result.exit_code, "ann is disabled" in result.stdout) == (0, True)
    assert "warning: the access keys and refresh tokens of ann were not ended" in result.stderr
    assert "tokenserver access-keys revoke --user ann" in result.stderr


def test_a_storage_that_is_not_made_yet(site: StoredSite) -> None:
    """Users are set before the server has started for the first time, and no state key is needed for it."""
    site.remove_storage()
    (site.folder / "keys" / "state.key").unlink()
    result = site.run("users", "set", "ann", "--weak", "--source", "staff", stdin="a password\n")
    assert (result.exit_code, result.stderr) == (0, "")
    assert not (site.folder / "state").exists()


def test_without_a_storage(site: StoredSite) -> None:
    """Nothing is opened, and nothing is made."""
    site.remove_storage()
    for line in ("storage: state/tokenserver.db\n", "access_keys: {per_user: 3, max_lifetime: 180d}\n"):
        site.configure(line, "")
    site.configure("refresh_tokens: {}\n", "")
    result = site.run("users", "disable", "ann", "--source", "staff")
    assert (result.exit_code, "Ended" in result.output) == (0, False)
    assert not (site.folder / "state").exists()
