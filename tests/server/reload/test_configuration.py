"""The configuration file of a running server: what is not in force is said once, and never a value."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tokenserver.config.load import load_settings
from tokenserver.runtime.bulletin import Bulletin
from tokenserver.server.reload.configuration import (
    IN_FORCE,
    ConfigurationNotice,
    ConfigurationWatch,
    notice_in,
    posted_on,
)

CONFIG = """\
issuer: auth.example.com
server: {url: "https://auth.example.com", tls: {certificate: tls.pem, key: tls.key}}
registries: [{service: reg}]
authentication: [{htpasswd: {file: users}}]
policies: policies
keys: keys
"""


class Site:
    """A configuration and its watch, with what it posts."""

    def __init__(self, folder: Path, text: str = CONFIG) -> None:
        self.config = folder / "tokenserver.yaml"
        (folder / "tls.pem").write_text("certificate")
        (folder / "tls.key").write_text("key")
        (folder / "tls.key").chmod(0o600)
        self.config.write_text(text)
        self.posted: list[ConfigurationNotice] = []
        self.watch = ConfigurationWatch(self.config, load_settings(self.config, {}), post=self.posted.append)
        self.look()

    def look(self) -> ConfigurationNotice:
        """As often as a change needs: it must be at rest."""
        for _ in range(3):
            self.watch.look()
        return self.watch.notice

    def write(self, text: str) -> ConfigurationNotice:
        other = self.config.with_name("other")
        other.write_text(text)
        os.replace(other, self.config)
        return self.look()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def restart(keys: str) -> ConfigurationNotice:
    text = f"tokenserver.yaml has changed ({keys}); this takes effect at the next restart"
    return ConfigurationNotice("restart", text)


def test_an_unchanged_file_is_in_force(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Also if it was written again, or gained a comment."""
    assert site.write(CONFIG + "# a comment\n") == IN_FORCE
    assert (site.posted, caplog.messages) == ([], [])


def test_a_change_is_said_once_and_taken_back(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """By its key; a file as before is in force again."""
    caplog.set_level(logging.INFO)
    changed = CONFIG.replace("[{service: reg}]", "[{service: reg, token_lifetime: 5m}, {service: new}]")
    expected = restart("registries[reg].token_lifetime.default, registries[new] (added)")
    assert site.write(changed) == expected
    assert site.write(changed + "# again\n") == expected
    assert site.write(CONFIG) == IN_FORCE
    assert site.posted == [expected, IN_FORCE]
    assert caplog.messages == [
        f"configuration: {expected.text}",
        "configuration: tokenserver.yaml is as in force again",
    ]


@pytest.mark.parametrize(
    ("harm", "place"),
    [
        pytest.param(
            lambda text: text.replace("keys: keys", "kyes: keys"), " (tokenserver.yaml:1, tokenserver.yaml:6)", id="key"
        ),
        pytest.param(lambda text: text + "issuer: again\n", " (tokenserver.yaml:7)", id="no YAML"),
        pytest.param(lambda _: "", " (tokenserver.yaml:1)", id="empty"),
    ],
)
def test_a_faulty_file(site: Site, caplog: pytest.LogCaptureFixture, harm: Callable[[str], str], place: str) -> None:
    """The notice has the place of the fault, the log the fault, and the next good file is good."""
    found = site.write(harm(CONFIG))
    assert found.state == "rejected"
    assert found.text.startswith(f"tokenserver.yaml has changed and is faulty{place}, so a restart would fail;")
    assert [message[:35] for message in caplog.messages] == ["configuration: reload rejected, kee"]
    assert site.write(CONFIG) == IN_FORCE


def test_a_deleted_file(site: Site) -> None:
    """A restart would fail."""
    site.config.unlink()
    assert site.look().state == "rejected"


def test_a_renewed_certificate(site: Site) -> None:
    """The content of a file that only the start reads; the same content again is no change."""
    folder = site.config.parent
    (folder / "tls.pem").write_text("certificate")
    assert site.look() == IN_FORCE
    (folder / "tls.pem").write_text("renewed")
    assert site.look() == restart("server.tls.certificate (content)")


def test_a_folder_of_registries(tmp_path: Path) -> None:
    """Files that come, change and go; a faulty one is named."""
    folder = tmp_path / "registries"
    folder.mkdir(mode=0o755)
    (folder / "one.yaml").write_text("service: one\n")
    site = Site(tmp_path, CONFIG.replace("[{service: reg}]", "registries/"))
    assert site.watch.notice == IN_FORCE
    (folder / "two.yaml").write_text("service: two\n")
    assert site.look() == restart("registries[two] (added)")
    (folder / "two.yaml").write_text("service: two\ncompat: nothing\n")
    assert " (two.yaml:2)" in site.look().text
    (folder / "two.yaml").unlink()
    (folder / "one.yaml").write_text("service: one\ntoken_lifetime: 2m\n")
    assert site.look() == restart("registries[one].token_lifetime.default")


def test_a_secret_does_not_show(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the old nor the new password of a directory."""
    source = (
        "[{ldap: {url: 'ldap://h', start_tls: true, base: 'dc=x', preset: openldap, bind_dn: 'cn=r',"
        " bind_password: %s}}]"
    )
    text = CONFIG.replace("[{htpasswd: {file: users}}]", source)
    site = Site(tmp_path, text % "oldcanary")
    assert site.write(text % "newcanary") == restart("authentication[ldap].ldap.bind_password")
    assert "canary" not in caplog.text


def test_the_hangup_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """It says what is reloaded anyway, and what is not."""
    caplog.set_level(logging.INFO)
    begin = "SIGHUP: changed users, keys and policies are reloaded within two seconds, without a signal; "
    site.watch.hangup()
    site.write(CONFIG.replace("keys: keys", "keys: other"))
    site.watch.hangup()
    assert [message for message in caplog.messages if message.startswith("SIGHUP")] == [
        begin + "tokenserver.yaml is in force",
        begin + restart("keys.folder").text,
    ]


def test_notices_travel_on_a_bulletin() -> None:
    """As they were posted; nothing posted means in force, and without a bulletin nothing is known to differ."""
    bulletin = Bulletin()
    assert notice_in(None) == notice_in(bulletin) == IN_FORCE
    posted_on(bulletin)(restart("issuer"))
    assert notice_in(bulletin) == restart("issuer")
    posted_on(None)(restart("issuer"))
