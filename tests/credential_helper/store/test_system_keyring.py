"""The keyring of the system, which may be absent, locked or of no use."""

from __future__ import annotations

import importlib.util
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tokenserver.credential_helper.store.system_keyring import SystemKeyring


def broken(*_: Any) -> Any:
    """What a locked keyring does."""
    raise RuntimeError("locked")


def module(**functions: Any) -> ModuleType:
    """A package with these functions."""
    made = ModuleType("keyring")
    usual = {
        "get_keyring": lambda: SimpleNamespace(priority=5),
        "get_password": lambda *_: "kept",
        "set_password": lambda *_: None,
        "delete_password": lambda *_: None,
    }
    for name, function in (usual | functions).items():
        setattr(made, name, function)
    return made


@pytest.mark.parametrize(
    ("functions", "read", "is_kept"),
    [
        pytest.param({}, "kept", True, id="works"),
        pytest.param({"get_keyring": lambda: SimpleNamespace(priority=0)}, "kept", False, id="no backend"),
        pytest.param({"get_keyring": broken}, "kept", False, id="no backends at all"),
        pytest.param({"set_password": broken}, "kept", False, id="cannot write"),
        pytest.param({"get_password": broken}, "", False, id="cannot read"),
        pytest.param({"get_password": lambda *_: None}, "", False, id="loses it"),
        pytest.param({"get_password": lambda *_: "other"}, "other", False, id="changes it"),
        pytest.param({"delete_password": broken}, "kept", True, id="cannot delete"),
    ],
)
def test_backends(functions: dict[str, Any], read: str, is_kept: bool) -> None:
    """A secret is in the keyring only if it came back from it."""
    keyring = SystemKeyring(lambda: module(**functions))
    assert (keyring.read("r"), keyring.keep("r", "kept")) == (read, is_kept)
    keyring.forget("r")


@pytest.mark.skipif(importlib.util.find_spec("keyring") is not None, reason="the package is installed here")
def test_no_package() -> None:
    """Then the file is the place."""
    keyring = SystemKeyring()
    assert (keyring.read("r"), keyring.keep("r", "kept")) == ("", False)
    keyring.forget("r")
