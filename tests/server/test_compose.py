"""The composition root: settings become a server, or every fault of every file is reported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.config.protection import RobotSettings
from tokenserver.config.settings import Settings
from tokenserver.config.sources.ldap import Ldap
from tokenserver.config.sources.user_source import UserSource
from tokenserver.errors import LoadError
from tokenserver.server.compose import MANY_KINDS, build, load_snapshot, new_id, user_sources, warnings, watched_files
from tokenserver.server.sources.password_sources import ldap_directory, user_source


def ldap(**more: Any) -> Ldap:
    """The settings of a directory."""
    values = {"url": "ldap://ldap.example.com", "insecure_plaintext": True, "base": "dc=x", "preset": "openldap"}
    return Ldap.model_validate(values | {"bind_dn": "cn=reader", "bind_password": "reader"} | more)


def password_file(folder: Path, text: bytes) -> Path:
    """A file with the password of the service account."""
    path = folder / "password"
    path.write_bytes(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b"s3cret", "s3cret", id="plain"),
        pytest.param(b"s3cret\n", "s3cret", id="a newline is no part of it"),
        pytest.param(b"s3cret\r\n\n", "s3cret", id="several"),
        pytest.param(b" s3 cret \n", " s3 cret ", id="blanks are"),
        pytest.param("pässwörd".encode(), "pässwörd", id="any letters"),
    ],
)
def test_the_password_of_a_service_account(text: bytes, expected: str, tmp_path: Path) -> None:
    """The content of the file as it is, without the line's end."""
    found = ldap_directory(ldap(bind_password=None, bind_password_file=password_file(tmp_path, text)))
    assert found.directory.bind is not None
    assert found.directory.bind[1].reveal() == expected
    assert expected not in repr(found.directory)


@pytest.mark.parametrize(
    "text", [pytest.param(b"", id="empty"), pytest.param(b"\n", id="a line"), pytest.param(b"a\0b", id="NUL")]
)
def test_no_password_is_no_login(text: bytes, tmp_path: Path) -> None:
    """An empty one would be an anonymous bind, which succeeds; the message does not repeat the file."""
    with pytest.raises(LoadError) as caught:
        ldap_directory(ldap(bind_password=None, bind_password_file=password_file(tmp_path, text)))
    (fault,) = caught.value.faults
    assert fault.message == "must contain the password of bind_dn; an empty one would be an anonymous bind"


def test_every_fault_of_a_directory_s_files(tmp_path: Path) -> None:
    """A missing password and a missing CA are reported together."""
    broken = ldap(
        insecure_plaintext=False,
        url="ldaps://ldap.example.com",
        bind_password=None,
        bind_password_file=tmp_path / "none",
        ca_file=tmp_path / "ca.pem",
    )
    with pytest.raises(LoadError) as caught:
        ldap_directory(broken)
    assert sorted(Path(fault.file).name for fault in caught.value.faults) == ["ca.pem", "none"]


def test_kinds_of_user_sources(settings: Settings) -> None:
    """Each kind of source that the settings allow."""
    assert isinstance(user_source(settings.authentication[0]), Htpasswd)
    assert isinstance(user_source(UserSource(ldap=ldap())), LdapDirectory)


def test_what_is_watched(settings: Settings, tmp_path: Path) -> None:
    """Every file that a reload reads: users, policies, candidates and keys."""
    users = settings.authentication[0].htpasswd
    assert users is not None
    assert watched_files(settings) == [users.file, settings.policies, settings.keys.folder]
    with_shadow = settings.model_copy(update={"shadow_policies": tmp_path / "candidate"})
    assert tmp_path / "candidate" in watched_files(with_shadow)


def test_faults_of_all_files_are_reported_together(settings: Settings, tmp_path: Path) -> None:
    """So that they can be fixed together, and nothing is half built."""
    (settings.policies / "p.yaml").write_text("version: 1\nalow: []\n")
    users = tmp_path / "users"
    users.write_text("ann:plain\n")
    users.chmod(0o600)
    source = settings.authentication[0]
    assert source.htpasswd is not None
    htpasswd = source.htpasswd.model_copy(update={"file": users})
    broken = settings.model_copy(update={"authentication": [source.model_copy(update={"htpasswd": htpasswd})]})
    for load in (load_snapshot, build):
        with pytest.raises(LoadError) as caught:
            load(broken)
        assert {Path(fault.file).name for fault in caught.value.faults} >= {"users", "p.yaml"}


def but_for_hashes(found: list[str]) -> list[str]:
    """The warnings but those about the users' hashes, which may be cheap in tests."""
    return [one for one in found if "is quick to guess" not in one]


def test_a_good_installation_warns_of_nothing_but_http(settings: Settings) -> None:
    """The sample server is at localhost, where passwords do not travel."""
    assert but_for_hashes(warnings(settings, load_snapshot(settings))) == []


@pytest.mark.parametrize(
    ("url", "require_https", "expected"),
    [
        pytest.param(
            "http://auth.example.com",
            False,
            ["server.url is http://auth.example.com: passwords would travel in clear text; use https://"],
            id="another machine",
        ),
        pytest.param(
            "http://auth.example.com:5001/x",
            True,
            [
                (
                    "server.url is http://auth.example.com:5001/x: passwords would travel in clear text, "
                    "so requests from other machines are refused; use https://"
                )
            ],
            id="which the server refuses",
        ),
        pytest.param("https://auth.example.com", True, [], id="https"),
        pytest.param("http://localhost/x", True, [], id="this machine"),
    ],
)
def test_a_warning_about_clear_text(url: str, require_https: bool, expected: list[str], settings: Settings) -> None:
    """A sentence with what to change."""
    server = settings.server.model_copy(update={"url": url, "require_https": require_https})
    found = warnings(settings.model_copy(update={"server": server}), load_snapshot(settings))
    assert but_for_hashes(found) == expected


def test_warnings_about_users(settings: Settings, tmp_path: Path) -> None:
    """No source at all, and more kinds of hashes than a wrong login should cost."""
    nobody = settings.model_copy(update={"authentication": []})
    assert "authentication is empty: every client is anonymous" in warnings(nobody, load_snapshot(nobody))
    (tmp_path / "machines").mkdir()
    (tmp_path / "machines" / "robots.yaml").write_text(
        "version: 1\nrobots: {ci: {description: builds}}\n"
        'allow: [{id: ci, to: ["robot:ci"], repositories: ["web/**"], role: writer}]\n'
    )
    machines = nobody.model_copy(update={"policies": tmp_path / "machines"})
    found = warnings(machines, load_snapshot(machines))
    assert "authentication is empty: every client is anonymous or a robot" in found
    users = tmp_path / "users"
    costs = range(4, 4 + MANY_KINDS + 1)
    users.write_text("".join(f"u{cost}:{bcrypt.hashpw(b'x', bcrypt.gensalt(cost)).decode()}\n" for cost in costs))
    users.chmod(0o600)
    source = settings.authentication[0]
    assert source.htpasswd is not None
    htpasswd = source.htpasswd.model_copy(update={"file": users})
    many = settings.model_copy(update={"authentication": [source.model_copy(update={"htpasswd": htpasswd})]})
    snapshot = load_snapshot(many)
    (warning,) = [one for one in warnings(many, snapshot) if "hashed in" in one]
    assert warning.startswith(f"the users' passwords are hashed in {MANY_KINDS + 1} ways (bcrypt, cost 4, ")
    assert [sorted(one.users) for one in user_sources(snapshot)] == [[f"u{cost}" for cost in costs]]


def test_secrets_that_live_too_long_are_a_warning(settings: Settings, tmp_path: Path) -> None:
    """The server starts all the same; the lifetime is that of the configuration."""
    folder = tmp_path / "machines"
    folder.mkdir()
    end = datetime.now(UTC).date() + timedelta(days=100)
    (folder / "robots.yaml").write_text(
        f'version: 1\nrobots: {{ci: {{secrets: [{{id: a00000000000, hash: "sha256:{"0" * 64}", expires: {end}}}]}}}}\n'
        'allow: [{id: ci, to: ["robot:ci"], repositories: ["web/**"], role: writer}]\n'
    )
    machines = settings.model_copy(update={"policies": folder})
    strict = machines.model_copy(update={"robots": RobotSettings(max_lifetime=30 * 86_400)})
    snapshot = load_snapshot(machines)
    about = "secrets of robots live longer than 30 days (robots.max_lifetime): a00000000000 of robot:ci (robots.yaml:2)"
    assert [one for one in warnings(machines, snapshot) if "robot:ci" in one] == []
    assert [one.partition(";")[0] for one in warnings(strict, snapshot) if "robot:ci" in one] == [about]


def test_a_rejected_candidate_is_a_warning(settings: Settings, tmp_path: Path) -> None:
    """The server starts all the same."""
    (tmp_path / "candidate").mkdir()
    (tmp_path / "candidate" / "a.yaml").write_text("version: 1\nalow: []\n")
    shadowed = settings.model_copy(update={"shadow_policies": tmp_path / "candidate"})
    found = warnings(shadowed, load_snapshot(shadowed))
    assert [one for one in found if one.startswith("shadow_policies: ") and "nothing is compared" in one] != []


def test_ids_are_random() -> None:
    """No two are alike."""
    assert len({new_id() for _ in range(1000)}) == 1000


def test_the_configuration_of_the_session_is_used(settings: Settings) -> None:
    """What `build` gives serves the settings that it was given."""
    parts = build(settings)
    assert parts.settings is settings
    assert set(parts.live.snapshot().registries) == {"reg"}
