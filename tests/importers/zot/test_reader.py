"""Configurations of zot: what is read without regard to case, and faults with their places."""

from __future__ import annotations

import json
from typing import Any

import pytest
from zot_configurations import content, policy, zot_configuration

from tokenserver.errors import LoadError
from tokenserver.importers.zot.reader import (
    MAX_PATTERNS,
    ZotAccess,
    ZotPolicy,
    ZotRepositories,
    read_zot_access,
)


def read(configuration: dict[str, Any]) -> ZotAccess:
    """The values of a configuration."""
    return read_zot_access(content(configuration), "c.json")


def test_a_configuration() -> None:
    """Keys may have any case, and names of groups are in lower case."""
    entry = {"Policies": [policy(["ann"], ["Devs"], ["read"])], "defaultPolicy": ["read"], "ANONYMOUSPOLICY": ["read"]}
    found = read(
        zot_configuration({"Web/**": entry}, groups={"Devs": {"users": ["ann"]}}, adminPolicy=policy(["root"]))
    )
    assert found == ZotAccess(
        "c.json",
        "/etc/zot/htpasswd",
        (),
        has_access_control=True,
        repositories=(
            ZotRepositories(
                "c.json: http.accessControl.repositories.web/**",
                "web/**",
                (
                    ZotPolicy(
                        "c.json: http.accessControl.repositories.web/**.policies[0]", ("ann",), ("Devs",), ("read",)
                    ),
                ),
                ("read",),
                ("read",),
            ),
        ),
        groups={"devs": ("ann",)},
        admin=ZotPolicy("c.json: http.accessControl.adminPolicy", ("root",), (), ()),
    )


def test_patterns_without_a_section() -> None:
    """As old versions have them."""
    found = read({"http": {"accessControl": {"a": {"defaultPolicy": ["read"]}, "adminPolicy": policy()}}})
    assert [one.pattern for one in found.repositories] == ["a"]


def test_other_users() -> None:
    """They are named for the report."""
    assert read({"http": {"auth": {"ldap": {"address": "x"}, "openid": {}, "apikey": True}}}) == ZotAccess(
        "c.json", other_users=("ldap", "apikey")
    )


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        pytest.param("{}", "http", "is missing", id="no http"),
        pytest.param('{"http": {"a": 1, "A": 2}}', "http.A", "is there twice", id="a key twice"),
        pytest.param(
            '{"http": {"accessControl": {"repositories": {"a": {"defaultPolicy": "read"}}}}}',
            "http.accessControl.repositories.a.defaultPolicy",
            "must be a list of texts",
            id="a wrong type",
        ),
        pytest.param(
            json.dumps(zot_configuration({f"a{number}": {} for number in range(MAX_PATTERNS + 1)})),
            "http.accessControl",
            "has more than 500 patterns",
            id="very many",
        ),
    ],
)
def test_faults(text: str, path: str, message: str) -> None:
    """Each with its place."""
    with pytest.raises(LoadError) as refused:
        read_zot_access(text.encode(), "c.json")
    (fault,) = refused.value.faults
    assert (fault.path, message in fault.message) == (path, True)
