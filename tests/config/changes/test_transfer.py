"""Settings as plain values for other processes: they come back the same, with their secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from configuration import MINIMAL, REFERENCE, load
from pydantic import ValidationError

from tokenserver.config.changes.transfer import plain, validated


@pytest.mark.parametrize("text", [MINIMAL, REFERENCE, MINIMAL.replace("keys: keys", "keys: {rotate_every: 60d}")])
def test_there_and_back(folder: Path, text: str) -> None:
    """By way of JSON, in a process with another working folder."""
    settings = load(folder, text)
    back = validated(json.loads(json.dumps(plain(settings))))
    assert back == settings
    assert plain(back) == plain(settings)


def test_a_secret_is_in_it(folder: Path) -> None:
    """The directory gets the right password, and it still does not print."""
    back = validated(plain(load(folder, REFERENCE)))
    ldap = back.authentication[2].ldap
    assert ldap is not None
    assert ldap.bind_password is not None
    assert (ldap.bind_password.reveal(), "1234" in repr(back)) == ("1234", False)


def test_an_impossible_combination(folder: Path) -> None:
    """As in a file."""
    values = plain(load(folder, REFERENCE))
    values["server"]["url"] = "http://auth.example.com"
    with pytest.raises(ValidationError):
        validated(values)
