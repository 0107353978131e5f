"""Files that a rejected configuration refers to: as many as can be determined, whatever else is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tokenserver.config.keys import USUAL_FOLDER
from tokenserver.config.referenced_files import ReferencedFiles, SettingsRefused, referenced_files_in
from tokenserver.errors import Fault

BASE = Path("/base")


def test_all_of_them() -> None:
    """Relative to the configuration, and absolute as they are; only htpasswd files hold users."""
    found = referenced_files_in(
        {
            "policies": "p",
            "keys": {"folder": "/k"},
            "authentication": [{"htpasswd": {"file": "u"}}, {"ldap": {}}, {"htpasswd": {"file": "/v"}}],
        },
        BASE,
    )
    assert found == ReferencedFiles(Path("/base/p"), Path("/k"), (Path("/base/u"), Path("/v")))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param("k", Path("/base/k"), id="text"),
        pytest.param({"folder": "k"}, Path("/base/k"), id="section"),
        pytest.param({"rotate_every": "30d"}, BASE / USUAL_FOLDER, id="the-usual-folder"),
        pytest.param({"folder": 5}, None, id="number"),
        pytest.param([], None, id="list"),
        pytest.param(None, None, id="absent"),
    ],
)
def test_keys(keys: Any, expected: Path | None) -> None:
    """Both forms of the setting."""
    assert referenced_files_in({"keys": keys}, BASE).keys == expected


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("", id="empty"),
        pytest.param("a\0b", id="nul"),
        pytest.param(5, id="number"),
        pytest.param(None, id="absent"),
        pytest.param([], id="list"),
        pytest.param({}, id="section"),
        pytest.param("~no-such-user-here/x", id="no-such-home"),
    ],
)
def test_what_is_no_path(given: Any) -> None:
    """The settings would not accept it, so there is nothing to check."""
    value = {"policies": given, "keys": {"folder": given}, "authentication": [{"htpasswd": {"file": given}}]}
    assert referenced_files_in(value, BASE) == ReferencedFiles(None, None, ())


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        pytest.param({"listen": "[::]:5001"}, ("[::]:5001", None), id="address"),
        pytest.param({"tls": {"certificate": "tls.pem"}}, (None, Path("/base/tls.pem")), id="certificate"),
        pytest.param({"listen": 5001, "tls": "tls.pem"}, (None, None), id="other-types"),
        pytest.param("x", (None, None), id="no-section"),
        pytest.param(None, (None, None), id="absent"),
    ],
)
def test_where_the_server_listens(server: Any, expected: tuple[str | None, Path | None]) -> None:
    """As written, and not checked."""
    found = referenced_files_in({"server": server}, BASE)
    assert (found.listen, found.certificate) == expected


@pytest.mark.parametrize(
    "authentication", ["x", {}, [1, "x", None, {"htpasswd": "u"}, {"htpasswd": {}}, {"ldap": {"file": "u"}}]]
)
def test_what_is_no_user_source(authentication: Any) -> None:
    """Any value gives an answer and no error."""
    assert referenced_files_in({"authentication": authentication}, BASE).users == ()


def test_a_rejection_carries_them() -> None:
    """With the faults of the settings themselves."""
    named = ReferencedFiles(None, None, ())
    error = SettingsRefused([Fault("c.yaml", 1, "issuer", "is missing")], named)
    assert (error.named, [str(fault) for fault in error.faults]) == (named, ["c.yaml:1: issuer: is missing"])
