"""Logins in the file, and with their secrets in a keyring."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helper_worlds import NOW, REGISTRY, HelperWorld, refresh_token

from tokenserver.credential_helper.store.stored_login import StoredLogin
from tokenserver.credential_helper.store.system_keyring import SystemKeyring


class FakeKeyring(ModuleType):
    """A keyring in memory, for what the machine of the tests has not."""

    def __init__(self, priority: float = 5) -> None:
        super().__init__("keyring")
        self.priority = priority
        self.kept: dict[tuple[str, str], str] = {}

    def get_keyring(self) -> Any:
        """The backend."""
        return self

    def get_password(self, service: str, name: str) -> str | None:
        """What is kept."""
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, secret: str) -> None:
        """Keep it."""
        self.kept[service, name] = secret

    def delete_password(self, service: str, name: str) -> None:
        """Raises KeyError where there is none."""
        del self.kept[service, name]


@pytest.fixture
def keyring() -> FakeKeyring:
    """An empty one."""
    return FakeKeyring()


@pytest.fixture
def world(tmp_path: Path, keyring: FakeKeyring) -> HelperWorld:
    """A store with a keyring."""
    return HelperWorld(tmp_path / "store", keyring=SystemKeyring(lambda: keyring))


def test_a_secret_in_the_keyring(world: HelperWorld, keyring: FakeKeyring) -> None:
    """Is not in the file, comes back, and goes with its login."""
    world.keep()
    assert refresh_token() not in (world.folder / "credentials.json").read_text()
    assert keyring.kept == {("tokenserver", REGISTRY): refresh_token()}
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert (found.secret, found.in_keyring, found.is_ready(NOW)) == (refresh_token(), True, True)
    world.logins.note(REGISTRY, found, lambda stored: setattr(stored, "checked", 7))
    assert world.logins.file.read()[REGISTRY].checked == 7
    removed = world.logins.remove(REGISTRY)
    assert removed is not None
    assert removed.secret == refresh_token()
    assert keyring.kept == {}


def test_a_secret_that_is_dropped(world: HelperWorld, keyring: FakeKeyring) -> None:
    """Goes from the keyring; what the registry named stays."""
    login = world.keep()
    world.logins.drop_secret(REGISTRY, login)
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert (found.has_secret, found.realm) == (False, login.realm)
    assert keyring.kept == {}


def test_a_keyring_that_is_gone(world: HelperWorld, keyring: FakeKeyring) -> None:
    """The next login is in the file, and the old secret is not left behind."""
    world.keep()
    keyring.priority = 0
    world.keep(secret=refresh_token("n"))
    assert world.logins.file.read()[REGISTRY].secret == refresh_token("n")
    assert keyring.kept == {}


def test_a_login_that_was_replaced_meanwhile(tmp_path: Path) -> None:
    """What was learned about another one is not written to it."""
    world = HelperWorld(tmp_path / "store")
    old = StoredLogin(REGISTRY, "ann", "old")
    world.keep(secret="new")
    world.logins.note(REGISTRY, old, lambda stored: setattr(stored, "checked", 7))
    world.logins.drop_secret(REGISTRY, old)
    world.logins.note("absent", old, lambda stored: setattr(stored, "checked", 7))
    world.logins.drop_secret("absent", old)
    found = world.logins.find(REGISTRY)
    assert found is not None
    assert (found.secret, found.checked) == ("new", NOW)
    assert world.logins.find("absent") is None
    assert world.logins.remove("absent") is None
