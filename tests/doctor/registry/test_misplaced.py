"""Documents that are no registry's configuration, and settings that stand elsewhere than in their section."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tokenserver.doctor.registry.distribution import read_distribution
from tokenserver.doctor.registry.misplaced import other_document, stray_settings
from tokenserver.doctor.registry.zot import read_zot
from tokenserver.errors import LoadError

TOKEN = {"realm": "https://auth.example.com/token", "service": "s", "issuer": "i", "rootcertbundle": "/ca.pem"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"kind": "ConfigMap", "apiVersion": "v1", "data": {"config.yml": "x"}}, "ConfigMap; the configuration is its"),
        ({"kind": "Secret", "apiVersion": "v1", "stringData": {"config.yml": "x"}}, "its part data, config.yml"),
        ({"kind": "ConfigMap", "apiVersion": "v1", "data": {"a": "", "b": ""}}, "is a file that it carries"),
        ({"kind": "Deployment", "apiVersion": "apps/v1", "spec": {}}, "Kubernetes Deployment"),
        ({"services": {"registry": {"image": "registry:3"}}}, "a compose file"),
        ({"configData": {"auth": {}}}, "Helm values"),
        ({"issuer": "auth.example.com", "registries": []}, "configuration of tokenserver"),
        ({"authentication": [], "policies": "p/"}, "configuration of tokenserver"),
        ({"server": {"addr": ":5001"}, "token": {"issuer": "x"}, "users": {}}, "of a token server"),
    ],
)
def test_other_documents(value: dict[str, Any], words: str) -> None:
    """Each is named, and both readers reject it before they look for settings."""
    assert words in str(other_document(value))
    with pytest.raises(LoadError, match="is a"):
        read_distribution(yaml.safe_dump(value), "f")


def test_other_json() -> None:
    """zot's reader rejects it before it misses `http`."""
    with pytest.raises(LoadError, match="Kubernetes ConfigMap"):
        read_zot(json.dumps({"kind": "ConfigMap", "apiVersion": "v1", "data": {"config.json": "{}"}}), "f")


@pytest.mark.parametrize(
    "value", [None, [], "x", {"kind": "ConfigMap"}, {"services": {}, "storage": {}}, {"version": 0.1, "auth": {}}]
)
def test_what_may_be_a_configuration(value: Any) -> None:
    """Nothing is said about it here."""
    assert other_document(value) is None


@pytest.mark.parametrize(
    ("whole", "place"),
    [
        ({"http": {"auth": {"token": TOKEN}}}, "http.auth.token"),
        ({"token": TOKEN}, "token"),
        (TOKEN, "the top level"),
        ({"auth": {"token": TOKEN}}, ""),
        ({"auth": {"token": {"options": TOKEN}}}, "auth.token.options"),
        ({"notifications": {"realm": "x"}}, ""),
    ],
)
def test_settings_in_the_wrong_place(whole: dict[str, Any], place: str) -> None:
    """Found at any depth where people put them."""
    assert read_distribution(yaml.safe_dump({"version": 0.1, **whole}), "f").stray == place


def test_settings_beside_token() -> None:
    """A registry does not start with them, and they are told to be indented."""
    with pytest.raises(LoadError) as caught:
        read_distribution(yaml.safe_dump({"auth": {"token": None, **TOKEN}}), "f")
    assert [fault.message for fault in caught.value.faults] == [
        "issuer, realm, rootcertbundle, service belong below auth.token: indent them under `token:`"
    ]


def test_zot_without_its_section_in_its_place() -> None:
    """`auth` beside `http` instead of below it."""
    found = read_zot(json.dumps({"http": {"port": "1"}, "auth": {"bearer": {"realm": "x", "service": "y"}}}), "f")
    assert (found.auth, found.stray) == ("none", "auth.bearer")


def test_deep_documents_end() -> None:
    """The search goes down a few levels and no further."""
    value: dict[str, Any] = dict(TOKEN)
    for _ in range(10):
        value = {"a": value}
    assert list(stray_settings(value, ())) == []


def test_silly_has_a_realm_of_its_own() -> None:
    """They are not misplaced settings of the token section."""
    assert read_distribution("auth: {silly: {realm: x, service: y}}", "f").stray == ""
