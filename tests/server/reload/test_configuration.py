"""The configuration file of a running server: what goes live, what waits, and what is refused; never a value."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault
from tokenserver.runtime.bulletin import Bulletin
from tokenserver.server.reload.configuration import (
    IN_FORCE,
    ConfigurationNotice,
    ConfigurationWatch,
    Orders,
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
        self.ordered: list[Settings] = []
        self.faults: list[Fault] = []
        self.checked: list[tuple[Settings, Settings]] = []
        self.start()

    def start(self, *, orders: bool = True) -> None:
        """Start the server anew; without `orders`, its processes share no memory."""
        self.ordered.clear()
        self.watch = ConfigurationWatch(
            self.config,
            load_settings(self.config, {}),
            check=self.check,
            order=self.order if orders else None,
            post=self.posted.append,
            max_directories=2,
        )
        self.look()

    def check(self, old: Settings, new: Settings) -> list[Fault]:
        self.checked.append((old, new))
        return self.faults

    def order(self, settings: Settings) -> int:
        self.ordered.append(settings)
        return len(self.ordered)

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
    """Also if it was written again, or gained a comment; it is not checked again, since that opens sockets."""
    assert site.write(CONFIG + "# a comment\n") == IN_FORCE
    assert site.checked == []
    assert (site.posted, caplog.messages) == ([], [])


def test_a_change_goes_live(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """It is ordered once, with a line that names its keys; a worker that is forked from then on starts with it."""
    caplog.set_level(logging.INFO)
    changed = CONFIG.replace("[{service: reg}]", "[{service: reg, token_lifetime: 5m}, {service: new}]")
    assert site.write(changed) == IN_FORCE
    assert site.write(changed + "# again\n") == IN_FORCE
    start, new = site.ordered
    assert ([one.service for one in new.registries], len(start.registries)) == (["reg", "new"], 1)
    assert site.watch.orders == Orders(2, new)
    assert (start, new) in site.checked
    assert site.write(CONFIG) == IN_FORCE
    assert site.watch.orders == Orders(3, start)
    assert site.posted == []
    assert caplog.messages == [
        "configuration: reloaded tokenserver.yaml: registries[reg].token_lifetime.default, registries[new] (added)",
        "configuration: reloaded tokenserver.yaml: registries[reg].token_lifetime.default, registries[new] (removed)",
    ]


def test_half_of_a_change_waits(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What needs a restart is named, and the rest is ordered without it."""
    caplog.set_level(logging.INFO)
    text = CONFIG.replace('{url: "https://auth', '{listen: "127.0.0.1:1", url: "https://new')
    assert site.write(text) == restart("server.listen")
    server = site.ordered[-1].server
    assert (server.listen, server.url) == ("127.0.0.1:5001", "https://new.example.com")
    assert caplog.messages == [
        "configuration: reloaded tokenserver.yaml: server.url",
        f"configuration: {restart('server.listen').text}",
    ]


def test_what_a_start_would_refuse(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Is refused as a whole, with the places of the faults in `/readyz` and the faults in the log."""
    site.faults = [Fault("/x/users", 3, "", "is wrong"), Fault("/x/policies", 0, "", "is missing")]
    found = site.write(CONFIG.replace("issuer: auth", "issuer: new"))
    assert found.text.startswith("tokenserver.yaml has changed and is faulty (users:3), so a restart would fail;")
    assert "/x/policies: is missing" in caplog.text
    assert len(site.ordered) == 1
    site.faults = []
    assert site.write(CONFIG.replace("issuer: auth", "issuer: other")) == IN_FORCE
    assert site.ordered[-1].issuer == "other.example.com"


def test_without_shared_memory_everything_waits(site: Site) -> None:
    """The workers could not hear of it."""
    site.start(orders=False)
    assert site.write(CONFIG.replace("issuer: auth", "issuer: new")) == restart("issuer")
    assert (site.ordered, site.watch.orders.settings.issuer) == ([], "auth.example.com")


def test_a_change_that_waits_is_said_once_and_taken_back(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """By its key; a file as before is in force."""
    caplog.set_level(logging.INFO)
    changed = CONFIG.replace('{url: "https', '{workers: 7, url: "https')
    expected = restart("server.workers")
    assert site.write(changed) == expected
    assert site.write(changed + "# again\n") == expected
    assert site.write(CONFIG) == IN_FORCE
    assert site.posted == [expected, IN_FORCE]
    assert caplog.messages == [
        f"configuration: {expected.text}",
        "configuration: tokenserver.yaml is in force",
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
    """Workers take it by themselves; a pair that they would not take is reported, because a start would fail, too."""
    folder = site.config.parent
    (folder / "tls.pem").write_text("renewed")
    site.faults = [Fault(str(folder / "tls.pem"), 0, "", "does not work with tls.key")]
    found = site.look()
    assert found.state == "rejected"
    assert found.text == (
        "the file of server.tls.certificate has changed and is faulty, so a restart would fail;"
        " the previous content stays in force; see the log, or run: tokenserver check"
    )
    (folder / "tls.key").write_text("renewed")
    site.faults = []
    assert site.look() == IN_FORCE


@pytest.mark.parametrize("names", [("tls.pem", "tls.key"), ("tls.pem", "users"), ("users",)])
def test_which_files_are_faulty(site: Site, names: tuple[str, ...]) -> None:
    """Both files of the pair are named; with a fault elsewhere, the configuration as a whole is."""
    folder = site.config.parent
    (folder / "tls.pem").write_text("renewed")
    site.faults = [Fault(str(folder / name), 0, "", "is unsafe") for name in names]
    expected = "the file of server.tls.certificate and of server.tls.key has changed and is faulty"
    assert site.look().text.startswith("tokenserver.yaml has changed and" if "users" in names else expected)


def test_a_configuration_that_names_a_faulty_certificate(site: Site) -> None:
    """The file has changed, and is named; also while another change of it waits for a restart, the certificate is."""
    folder = site.config.parent
    (folder / "new.pem").write_text("new")
    site.faults = [Fault(str(folder / "new.pem"), 0, "", "does not work with tls.key")]
    assert site.write(CONFIG.replace("tls.pem", "new.pem")).text.startswith(
        "tokenserver.yaml has changed and is faulty"
    )
    site.faults = []
    waiting = CONFIG.replace('{url: "https://auth', '{listen: "127.0.0.1:1", url: "https://auth')
    assert site.write(waiting) == restart("server.listen")
    site.faults = [Fault(str(folder / "tls.key"), 0, "", "is unsafe")]
    (folder / "tls.key").write_text("renewed")
    assert site.look().text.startswith("the file of server.tls.key has changed")


def test_a_certificate_without_orders(site: Site) -> None:
    """Where processes share no memory, a new one waits for a restart; the same content again is no change."""
    site.start(orders=False)
    folder = site.config.parent
    (folder / "tls.pem").write_text("certificate")
    assert site.look() == IN_FORCE
    (folder / "tls.pem").write_text("renewed")
    assert site.look() == restart("server.tls.certificate (content)")


def test_a_changed_secret_of_the_throttle(tmp_path: Path) -> None:
    """The content of a file that only the start reads."""
    secret = tmp_path / "secret"
    secret.write_text("one" * 16)
    secret.chmod(0o600)
    site = Site(tmp_path, CONFIG + "throttle: {redis: 'redis://localhost', secret_file: secret}\n")
    assert site.look() == IN_FORCE
    secret.write_text("two" * 16)
    assert site.look() == restart("throttle.secret_file (content)")


def test_a_folder_of_registries(tmp_path: Path) -> None:
    """Files that come, change and go; a faulty one is named."""
    folder = tmp_path / "registries"
    folder.mkdir(mode=0o755)
    (folder / "one.yaml").write_text("service: one\n")
    site = Site(tmp_path, CONFIG.replace("[{service: reg}]", "registries/"))

    def services() -> list[tuple[str, int]]:
        return [(one.service, one.token_lifetime.default) for one in site.ordered[-1].registries]

    (folder / "two.yaml").write_text("service: two\n")
    assert (site.look(), services()) == (IN_FORCE, [("one", 900), ("two", 900)])
    (folder / "two.yaml").write_text("service: two\ncompat: nothing\n")
    assert " (two.yaml:2)" in site.look().text
    (folder / "two.yaml").unlink()
    (folder / "one.yaml").write_text("service: one\ntoken_lifetime: 2m\n")
    assert (site.look(), services()) == (IN_FORCE, [("one", 120)])


def test_a_secret_does_not_show(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the old nor the new password of a directory."""
    source = (
        "[{ldap: {url: 'ldap://h', start_tls: true, base: 'dc=x', preset: openldap, bind_dn: 'cn=r',"
        " bind_password: %s}}]"
    )
    text = CONFIG.replace("[{htpasswd: {file: users}}]", source)
    site = Site(tmp_path, text % "oldcanary")
    caplog.set_level(logging.INFO)
    assert site.write(text % "newcanary") == IN_FORCE
    assert "authentication[ldap].ldap.bind_password" in caplog.text
    assert "canary" not in caplog.text


def test_the_hangup_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """It says what is reloaded anyway, and what is not."""
    caplog.set_level(logging.INFO)
    begin = "SIGHUP: changed files go live within two seconds, without a signal; "
    site.watch.hangup()
    site.write(CONFIG.replace('{url: "https', '{workers: 7, url: "https'))
    site.watch.hangup()
    assert [message for message in caplog.messages if message.startswith("SIGHUP")] == [
        begin + "tokenserver.yaml is in force",
        begin + restart("server.workers").text,
    ]


def test_notices_travel_on_a_bulletin() -> None:
    """As they were posted; nothing posted means in force, and without a bulletin nothing is known to differ."""
    bulletin = Bulletin()
    assert notice_in(None) == notice_in(bulletin) == IN_FORCE
    posted_on(bulletin)(restart("issuer"))
    assert notice_in(bulletin) == restart("issuer")
    posted_on(None)(restart("issuer"))
