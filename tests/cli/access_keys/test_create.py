"""`tokenserver access-keys create` and `rotate`: the secret on standard output alone, and what the row says."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
from stored_sites import StoredSite, in_days, no_secret_in

from tokenserver.access_keys import parse_key
from tokenserver.ceilings import Ceiling
from tokenserver.cli import terminal
from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.scopes import Resource
from tokenserver.storage.credential import StoredCredential


def created(site: StoredSite, *arguments: str, user: str = "ann") -> StoredCredential:
    """The stored credential of a new key."""
    result = site.run("access-keys", "create", "--user", user, *arguments)
    assert result.exit_code == 0, result.output
    return site.row(parse_key(result.stdout.removesuffix("\n")).id).credential


def can(ceiling: Ceiling | None, service: str = "registry.example.com") -> dict[str, set[str]]:
    """What a ceiling leaves of a few resources."""
    assert ceiling is not None
    resources = [Resource("repository", name) for name in ("web/site", "api/x")] + [Resource("registry", "catalog")]
    found = {resource.name: set(ceiling.actions(resource, service)) for resource in resources}
    return {name: actions for name, actions in found.items() if actions}


def test_the_secret_alone_is_on_standard_output(site: StoredSite) -> None:
    """Standard error has the facts, and no part of the secret; the row has the owner as the source spells it."""
    result = site.run("access-keys", "create", "--user", "ann", "--name", "laptop")
    key = parse_key(result.stdout.removesuffix("\n"))
    assert (result.exit_code, key.form) == (0, AccessKeyForm.PERSONAL)
    assert key.text.reveal()[17:] not in result.stderr
    assert "This is shown once." in result.stderr
    assert f"id       {key.id}" in result.stderr
    assert "owner    ann (staff)" in result.stderr
    row = site.row(key.id).credential
    assert (row.owner, row.source, row.sort, row.form) == ("ann", "staff", Sort.USER, AccessKeyForm.PERSONAL)
    assert (row.name, row.ceiling, row.networks, row.services, row.proof) == ("laptop", None, (), None, None)
    assert row.created_by.startswith("cli:")
    assert 0 <= row.ends - in_days(90) <= 60


def test_a_key_of_another_source(site: StoredSite) -> None:
    """The first source that has the user is the owner's."""
    assert created(site, user="eve").source == "others"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["--pull"], {"web/site": {"pull"}, "api/x": {"pull"}}, id="pull"),
        pytest.param(["--push"], {"web/site": {"pull", "push"}, "api/x": {"pull", "push"}}, id="push"),
        pytest.param(
            ["--actions", "delete, pull"], {name: {"pull", "delete"} for name in ("web/site", "api/x")}, id="a"
        ),
        pytest.param(["--repositories", "web/**"], {"web/site": {"pull", "push", "delete"}}, id="repositories"),
        pytest.param(
            ["--pull", "--repositories", "api/*", "--repositories", "web/site"],
            {"web/site": {"pull"}, "api/x": {"pull"}},
            id="both",
        ),
        pytest.param(
            ["--registry", "old.example.com"],
            {
                "web/site": {"pull", "push", "delete", "*"},
                "api/x": {"pull", "push", "delete", "*"},
                "catalog": {"*"},
            },
            id="registry",
        ),
    ],
)
def test_limits(site: StoredSite, arguments: list[str], expected: dict[str, set[str]]) -> None:
    """Each option narrows what it says, and nothing else."""
    ceiling = created(site, *arguments).ceiling
    assert can(ceiling) == expected
    is_anywhere = "--registry" not in arguments
    assert bool(can(ceiling, "second.example.com")) is is_anywhere


def test_networks_and_the_end(site: StoredSite) -> None:
    """They are in the row, and in the facts as JSON together with the secret."""
    facts = site.facts(
        "access-keys", "create", "--user", "bob", "--network", "10.0.0.0/8", "--network", "2001:db8::/32",
        "--expires", "30d", "--push", "--repositories", "web/*",
    )  # fmt: skip
    key = parse_key(facts.pop("secret"))
    row = site.row(key.id).credential
    assert row.networks == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    assert 0 <= row.ends - in_days(30) <= 60
    assert (facts["id"], facts["owner"], facts["source"], facts["state"]) == (key.id, "bob", "staff", "active")
    assert facts["networks"] == ["10.0.0.0/8", "2001:db8::/32"]
    assert facts["ceiling"] == [{"type": "repository", "patterns": ["web/*"], "actions": ["pull", "push"]}]
    assert (facts["registries"], facts["last_used"], facts["uses"]) == (None, None, 0)


def test_an_end_on_a_date(site: StoredSite) -> None:
    """A date is its first moment, in UTC."""
    day = datetime.fromtimestamp(in_days(10), UTC).date()
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert created(site, "--expires", str(day)).ends == int(midnight.timestamp())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(["--repositories", "**"], 2, "fix: leave the repositories out", id="everything"),
        pytest.param(["--repositories", "users/${user}/*"], 2, "has a variable, which only rules have", id="variable"),
        pytest.param(["--repositories", "Web/*"], 2, "repository names are lower case", id="no pattern"),
        pytest.param(["--actions", "read"], 2, "'read' is no action; write some of pull,push,delete", id="action"),
        pytest.param(["--pull", "--actions", "push"], 2, "exclude each other", id="twice"),
        pytest.param(["--registry", "regstry.example.com"], 2, "did you mean 'registry.example.com'?", id="registry"),
        pytest.param(["--network", "10.0.0.1/8"], 2, "has bits set after the prefix", id="network"),
        pytest.param(["--expires", "181d"], 2, "at least an hour and at most 180d", id="too long"),
        pytest.param(["--expires", "59m"], 2, "at least an hour and at most 180d", id="too short"),
        pytest.param(["--expires", "never"], 2, "must be a duration such as 90d", id="never"),
        pytest.param(["--name", "a\tb"], 2, "must be at most 200 printable characters", id="name"),
        pytest.param(["--source", "stuff"], 2, "no user source is named 'stuff'; did you mean 'staff'?", id="source"),
        pytest.param(["--source", "others"], 1, "no user source has 'ann' (asked: others)", id="not that source"),
    ],
)
def test_what_is_refused(site: StoredSite, arguments: list[str], code: int, message: str) -> None:
    """Nothing is stored, and the message has the fix."""
    result = site.run("access-keys", "create", "--user", "ann", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in " ".join(result.stderr.split())
    assert site.live() == set()


@pytest.mark.parametrize(
    ("user", "message"),
    [
        pytest.param("zoe", "no user source has 'zoe' (asked: staff, others)", id="unknown"),
        pytest.param("Ann", "staff has 'ann': names are compared letter by letter", id="another case"),
    ],
)
def test_the_owner_exists(site: StoredSite, user: str, message: str) -> None:
    """Exit code 1, and nothing is stored."""
    result = site.run("access-keys", "create", "--user", user)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert site.live() == set()


def test_a_disabled_owner(site: StoredSite) -> None:
    """The key would be refused."""
    assert site.run("users", "disable", "ann", "--source", "staff").exit_code == 0
    result = site.run("access-keys", "create", "--user", "ann")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "staff knows 'ann', who could not log in: the account is disabled" in result.stderr


def test_a_person_has_so_many(site: StoredSite) -> None:
    """`per_user` of the configuration."""
    for _ in range(3):
        created(site)
    result = site.run("access-keys", "create", "--user", "ann")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "ann has 3" in result.stderr
    created(site, user="bob")


def test_without_the_section(site: StoredSite) -> None:
    """There are no personal keys then; those that exist can be ended."""
    identifier = site.stored()[1].id
    site.configure("access_keys: {per_user: 3, max_lifetime: 180d}\n", "")
    for command in (["create", "--user", "ann"], ["rotate", identifier]):
        result = site.run("access-keys", *command)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "access_keys: is missing, so there are no personal access keys; fix: access_keys: {}" in result.stderr
    assert site.run("access-keys", "revoke", identifier).exit_code == 0


def test_a_secret_that_cannot_be_printed(site: StoredSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has it, so it is revoked."""

    def full(*_: object, **options: bool) -> None:
        if not options.get("err"):
            raise terminal.OutputFailed("No space left on device")

    monkeypatch.setattr("tokenserver.cli.stored.secret_output.echo_text", full)
    result = site.run("access-keys", "create", "--user", "ann")
    assert result.exit_code == 74
    assert "was revoked, because its secret could not be printed" in result.stderr
    assert site.live() == set()


def test_rotate(site: StoredSite) -> None:
    """The successor has the owner and limits of the old key, which ends after the overlap."""
    old = created(site, "--pull", "--network", "10.0.0.0/8", "--name", "laptop", "--expires", "30d")
    result = site.run("access-keys", "rotate", old.id)
    key = parse_key(result.stdout.removesuffix("\n"))
    assert (result.exit_code, key.id != old.id) == (0, True)
    assert key.text.reveal()[17:] not in result.stderr
    new = site.row(key.id).credential
    assert (new.owner, new.ceiling, new.networks, new.name) == (old.owner, old.ceiling, old.networks, "laptop")
    assert new.replaces == old.id
    assert 0 <= new.ends - in_days(90) <= 60
    assert abs(site.row(old.id).credential.ends - in_days(1)) <= 60
    again = site.run("access-keys", "rotate", old.id)
    assert (again.exit_code, again.stdout) == (1, "")
    assert "is being rotated already" in again.stderr


def test_rotate_without_overlap(site: StoredSite) -> None:
    """The old key ends with the command; the answer as JSON has both ends."""
    old = created(site)
    facts = site.facts("access-keys", "rotate", old.id, "--overlap", "0s", "--expires", "7d")
    assert site.row(old.id).credential.ends <= in_days(0)
    assert facts["replaces"] == old.id
    assert {"secret", "replaced_expires", "expires"} <= facts.keys()


def test_rotate_is_for_live_personal_keys(site: StoredSite) -> None:
    """No refresh token, no key that ended, and none that is unknown."""
    ended = site.stored(ends=in_days(0) - 5)[1].id
    for identifier, message in (
        (site.refresh_token(), "there is no access key"),
        (ended, "has ended; fix: make a new one with access-keys create"),
        ("000000000000", "there is no access key 000000000000"),
    ):
        result = site.run("access-keys", "rotate", identifier)
        assert (result.exit_code, result.stdout) == (1, "")
        assert message in result.stderr
    result = site.run("access-keys", "rotate", created(site).id, "--overlap", "31d")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "at most 30d" in result.stderr


def test_a_key_in_place_of_its_id(site: StoredSite) -> None:
    """Its id is taken, and no message repeats it; a mistyped key is no id."""
    key, made = site.stored()
    result = site.run("access-keys", "show", key.text.reveal())
    assert (result.exit_code, f"whose id is {made.id}" in result.stderr) == (0, True)
    no_secret_in(result, [key])
    result = site.run("access-keys", "show", key.text.reveal()[:-1])
    assert result.exit_code == 2
    no_secret_in(result, [key])


def test_no_file_has_the_secret(site: StoredSite) -> None:
    """Neither the database nor anything else."""
    facts = site.facts("access-keys", "create", "--user", "ann")
    secret = facts["secret"][17:60].encode()
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    assert any(path.name == "tokenserver.db" for path in files)
    assert [path for path in files if secret in path.read_bytes()] == []


def test_without_a_storage(site: StoredSite) -> None:
    """The commands say how to get one."""
    site.remove_storage()
    site.configure("storage: state/tokenserver.db\n", "")
    site.configure("access_keys: {per_user: 3, max_lifetime: 180d}\n", "")
    site.configure("refresh_tokens: {}\n", "")
    for command in (["access-keys", "list"], ["access-keys", "revoke", "--user", "ann"], ["logins", "list"]):
        result = site.run(*command)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "storage" in result.stderr
    assert not (site.folder / "state").exists()
