"""Reconfiguration of a server in this process: what changes, what stays, and that a fault changes nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests_web_server import PASSWORDS, Server, make_server, server_folder

from tokenserver.config.changes.transfer import validated
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.credentials import Password, Secret
from tokenserver.errors import LoadError, Throttled, TokenserverError
from tokenserver.exchange.peer.observer import ShadowPeer
from tokenserver.metrics.setup import metrics_board
from tokenserver.runtime.bulletin import Bulletin
from tokenserver.server.compose import watched_parts
from tokenserver.server.reconfigure import definitions, faults_of_change, reconfigured, watch_configuration
from tokenserver.server.reload.configuration import ConfigurationWatch, notice_in
from tokenserver.server.shared_state import NOTHING_SHARED, SharedState

__all__ = ["server_folder"]


class World:
    """A server, and its configuration as a value that tests change."""

    def __init__(self, folder: Path, tmp_path: Path) -> None:
        made = make_server(folder, anonymous=False)
        self.server = made.parts
        self.folder = folder
        self.text = yaml.safe_load((folder / "tokenserver-False-1.yaml").read_text())
        self.others = tmp_path / "others"
        self.others.write_text((folder / "users.htpasswd").read_text().replace("ann:", "eve:").splitlines()[0] + "\n")
        self.others.chmod(0o600)

    def settings(self) -> Settings:
        path = self.folder / "reconfigured.yaml"
        path.write_text(yaml.safe_dump(self.text))
        return load_settings(path, {})

    def apply(self, quiesce: Callable[[], None] = lambda: None) -> None:
        self.server = reconfigured(self.server, self.settings(), quiesce=quiesce)

    def login(self, user: str = "ann", password: str = PASSWORDS["ann"]) -> str:
        try:
            chain = self.server.live.snapshot().chain
            return chain.authenticate(Password(user, Secret(password))).source
        except TokenserverError as error:
            return type(error).__name__


@pytest.fixture
def world(server_folder: Path, tmp_path: Path) -> World:
    return World(server_folder, tmp_path)


def test_registries(world: World) -> None:
    """They are those of the new settings; users, keys and policies are not loaded again where they need not be."""
    before = world.server.live.snapshot()
    world.text["registries"][0]["token_lifetime"] = "2m"
    world.apply()
    after = world.server.live.snapshot()
    assert (before.registries["reg"].token_lifetime, after.registries["reg"].token_lifetime) == (900, 120)
    assert after.policies is before.policies
    assert after.issuer is before.issuer
    world.text["registries"].append({"service": "new"})
    world.apply()
    assert {*world.server.live.snapshot().registries} == {"reg", "new"}
    assert world.server.live.snapshot().policies is not before.policies  # they may name the new one


def test_a_policy_that_was_cut_off(world: World) -> None:
    """A change of the registries does not accept it: files that ended with the marker must go on doing so."""
    policy = world.folder / "policies" / "policy.yaml"
    whole = policy.read_text()
    try:
        policy.write_text(f"{whole}...\n")
        for _ in range(3):
            world.server.live.look()
        assert world.server.live.snapshot().policies.is_marked
        policy.write_text(whole)
        world.text["registries"].append({"service": "new"})
        with pytest.raises(LoadError, match=r"policy\.yaml"):
            world.apply()
        assert {*world.server.live.snapshot().registries} == {"reg"}
    finally:
        policy.write_text(whole)


def test_sources(world: World) -> None:
    """A new one is asked, and one that is gone vouches for nobody, although its login is cached."""
    assert world.login("eve") == "InvalidCredentials"
    world.text["authentication"].append({"htpasswd": {"file": str(world.others), "name": "others"}})
    world.apply()
    assert (world.login("eve"), world.login("eve"), world.login()) == ("others", "others", "htpasswd")
    world.text["authentication"].pop()
    world.apply()
    assert (world.login("eve"), world.login()) == ("InvalidCredentials", "htpasswd")


def test_cached_logins_stay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no source changed, nothing is hashed again; where one did, everything is."""
    hashed: list[str] = []
    assert world.login() == "htpasswd"

    def no_hash(*arguments: object) -> bool:
        hashed.append("once")
        return True

    monkeypatch.setattr("tokenserver.authn.htpasswd.backend.checked", no_hash)
    world.text["registries"][0]["token_lifetime"] = "2m"
    world.apply()
    assert (world.login(), hashed) == ("htpasswd", [])
    world.text["authentication"][0]["htpasswd"]["cache"] = "50s"
    world.apply()
    assert (world.login(), world.login(), hashed) == ("htpasswd", "htpasswd", ["once"])


def test_failures_count_on(world: World) -> None:
    """After other limits and other sources."""
    world.text["throttle"] = {"failures_per_user": 3}
    wrong = [world.login(password=f"wrong {number}") for number in range(3)]
    assert wrong == ["InvalidCredentials"] * 3
    world.apply()
    assert world.login() == Throttled.__name__
    world.text["authentication"].append({"htpasswd": {"file": str(world.others), "name": "others"}})
    world.apply()
    assert (world.login(), world.login("eve")) == (Throttled.__name__, "others")
    world.text["throttle"] = {"enabled": False}
    world.apply()
    assert world.login() == "htpasswd"


@pytest.mark.parametrize(
    ("section", "value", "place"),
    [
        ("authentication", [{"htpasswd": {"file": "missing"}}], "missing"),
        ("policies", "no-policies", "no-policies"),
        ("keys", "no-keys", "no-keys"),
    ],
)
def test_a_fault_changes_nothing(world: World, section: str, value: object, place: str) -> None:
    """Nothing at all, and the threads are not disturbed; the master process finds the same faults before."""
    before, was = world.server.live.snapshot(), world.server.settings
    world.text[section] = value
    world.text["registries"][0]["token_lifetime"] = "2m"
    quiet = threading.Event()
    with pytest.raises(LoadError) as caught:
        world.apply(quiesce=quiet.set)
    assert place in str(caught.value)
    assert [str(fault) for fault in faults_of_change(was, world.settings())] == [
        str(fault) for fault in caught.value.faults
    ]
    assert (world.server.live.snapshot() is before, world.server.settings is was, quiet.is_set()) == (True, True, False)


def test_a_user_in_two_sources(world: World) -> None:
    """It would be ambiguous; the master process finds that as well."""
    same = world.others.with_name("same")
    same.write_text((world.folder / "users.htpasswd").read_text())
    same.chmod(0o600)
    world.text["authentication"].append({"htpasswd": {"file": str(same), "name": "same"}})
    with pytest.raises(LoadError, match="in the source"):
        world.apply()
    assert any("in the source" in str(fault) for fault in faults_of_change(world.server.settings, world.settings()))


def test_a_fault_of_a_file_that_stays_stops_nothing(world: World) -> None:
    """A source can be removed while the file of another one is faulty; the last good version goes on."""
    world.text["authentication"].append({"htpasswd": {"file": str(world.others), "name": "others"}})
    world.apply()
    world.others.write_text("eve:plain text\n")
    assert faults_of_change(world.server.settings, world.settings()) == []
    world.text["registries"][0]["token_lifetime"] = "2m"
    assert faults_of_change(world.server.settings, world.settings()) == []
    world.apply()
    assert (world.login("eve"), world.server.live.snapshot().registries["reg"].token_lifetime) == ("others", 120)


def test_shadow_policies_and_reuse(world: World) -> None:
    """Observers are those of the new settings."""
    before = len(world.server.exchange.observers)
    world.text["shadow_policies"] = "policies"
    world.text["token_reuse"] = "0s"
    world.apply()
    assert len(world.server.exchange.observers) == before + 1
    assert world.server.live.snapshot().candidate is not None
    del world.text["shadow_policies"]
    world.apply()
    assert (len(world.server.exchange.observers), world.server.live.snapshot().candidate) == (before, None)


def test_a_shadow_peer(world: World, tmp_path: Path) -> None:
    """It goes on while it stays as it is configured, is another one with other settings, and is gone without any."""

    def peer() -> ShadowPeer | None:
        return world.server.shadow_peer

    assert peer() is None
    world.text["shadow_peer"] = "https://old.example.com/auth"
    world.apply()
    first = peer()
    assert first is not None
    world.text["token_reuse"] = "0s"
    world.apply()
    assert peer() is first
    world.text["shadow_peer"] = {"url": "https://old.example.com/auth", "ca_file": str(tmp_path / "missing.pem")}
    old = world.server.settings
    with pytest.raises(LoadError, match=r"missing\.pem"):
        world.apply()
    assert (world.server.settings, peer()) == (old, first)
    world.text["shadow_peer"] = {"url": "https://old.example.com/auth", "rate": 5}
    world.apply()
    assert peer() not in {None, first}
    del world.text["shadow_peer"]
    world.apply()
    assert peer() is None


def test_the_counters_of_reloads_never_go_back(world: World) -> None:
    """Not even if a part with failures is gone: metrics count the differences."""
    world.text["authentication"].append({"htpasswd": {"file": str(world.others), "name": "others"}})
    world.apply()
    world.others.write_text("eve:plain text\n")
    while not world.server.live.reload_failures:
        world.server.live.look()
    failures, reloads = world.server.live.reload_failures, world.server.live.reloads
    world.text["authentication"].pop()
    world.apply()
    assert (world.server.live.reload_failures, world.server.live.reloads) == (failures, reloads + 1)


def test_every_part_has_a_definition(two: Server) -> None:
    """By which it is known whether it has to be loaded again."""
    settings = two.parts.settings
    assert {(part.kind, part.name) for part in watched_parts(settings)} == definitions(settings).keys()


@pytest.fixture
def two(server_folder: Path) -> Server:
    return make_server(server_folder, services=("reg", "other"))


# --- in the master process -------------------------------------------------------------------------------------------


def watched(world: World, shared: SharedState) -> tuple[ConfigurationWatch, Path]:
    """The watch over the configuration of the world, and its file."""
    path = world.folder / "reconfigured.yaml"
    return watch_configuration(path, world.settings(), shared), path


def looks(watch: ConfigurationWatch) -> str:
    """The state of a change that is at rest."""
    for _ in range(3):
        watch.look()
    return watch.notice.state


def test_a_change_reaches_the_workers(world: World) -> None:
    """By what they share: the settings with a number, and the notice."""
    shared = SharedState(bulletin=Bulletin(), orders=Bulletin())
    assert shared.orders is not None
    watch, _ = watched(world, shared)
    assert watch.orders.number == shared.orders.numbered()[0]
    world.text["registries"].append({"service": "new"})
    world.settings()
    assert looks(watch) == "in force"
    number, text = shared.orders.numbered()
    assert (number, validated(json.loads(text))) == (watch.orders.number, world.settings())
    world.text["server"]["workers"] = 3
    world.settings()
    assert (looks(watch), notice_in(shared.bulletin).state) == ("restart", "restart")
    assert watch.orders.number == number


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        pytest.param(("server", "listen"), "203.0.113.1:5001", "server.listen: cannot listen", id="an address"),
        pytest.param(("server", "tls"), {"certificate": "none.pem", "key": "none.key"}, "none.pem", id="TLS"),
        pytest.param(("authentication",), [{"htpasswd": {"file": "none"}}], "none: cannot be read", id="a source"),
        pytest.param(("throttle",), {"redis": "redis://x", "secret_file": "none"}, "none", id="a secret"),
        pytest.param(("shadow_peer",), {"url": "https://x/auth", "ca_file": "none.pem"}, "none.pem", id="a CA"),
        pytest.param(("server", "url"), "ftp://x", "must be a URL", id="a value"),
    ],
)
def test_what_a_start_would_refuse(
    world: World, caplog: pytest.LogCaptureFixture, path: tuple[str, ...], value: object, fault: str
) -> None:
    """Is refused by the running server, also where it would only matter at a restart."""
    shared = SharedState(bulletin=Bulletin(), orders=Bulletin())
    watch, _ = watched(world, shared)
    world.text["anonymous"] = True
    section = world.text if len(path) == 1 else world.text[path[0]]
    section[path[-1]] = value
    if path[-1] == "tls":
        section["url"] = "https://localhost:5001"
    (world.folder / "reconfigured.yaml").write_text(yaml.safe_dump(world.text))
    assert looks(watch) == "rejected"
    assert fault in caplog.text
    assert watch.orders.settings.anonymous is False


def test_directories_beyond_the_spare_ones(world: World) -> None:
    """Two can be added to a server without any; the third needs threads, so the user sources wait."""
    shared = SharedState(bulletin=Bulletin(), orders=Bulletin())
    watch, _ = watched(world, shared)
    directory = {"url": "ldap://127.0.0.1:1", "insecure_plaintext": True, "base": "dc=x", "preset": "openldap"}
    directory |= {"bind_dn": "cn=r,dc=x", "bind_password": "x"}
    states = []
    for number in range(3):
        world.text["authentication"].append({"ldap": {**directory, "name": f"d{number}"}})
        world.settings()
        states.append(looks(watch))
    assert states == ["in force", "in force", "restart"]
    assert [source.name for source in watch.orders.settings.authentication] == ["htpasswd", "d0", "d1"]


def test_without_shared_memory(world: World) -> None:
    """Everything waits for a restart."""
    watch, _ = watched(world, NOTHING_SHARED)
    world.text["anonymous"] = True
    world.settings()
    assert looks(watch) == "restart"


def test_new_names_have_labels_before_workers_use_them(world: World) -> None:
    """The master process gives them, so that the workers and the page agree on their cells."""
    board = metrics_board(world.settings(), workers=1)
    shared = SharedState(bulletin=Bulletin(), orders=Bulletin())
    path = world.folder / "reconfigured.yaml"
    watch = watch_configuration(path, world.settings(), shared, board)
    assert ("new", "GET", "granted") not in board.layout.exchanges
    world.text["registries"].append({"service": "new"})
    world.settings()
    assert looks(watch) == "in force"
    assert ("new", "GET", "granted") in board.layout.exchanges
