"""Registry hosts in patterns and names, where they never match."""

from __future__ import annotations

from pathlib import Path

import pytest
from one_file_policies import SERVICES, faults


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            'deny: [{id: d, to: [everyone], repositories: ["registry.example.com/web/**"], actions: [push]}]',
            "4: deny[0].repositories[0]: 'registry.example.com/web/**': begins with a registry's host, "
            "which token requests never contain; did you mean 'web/**'?",
            id="deny",
        ),
        pytest.param(
            'deny: [{id: d, to: [everyone], repositories: ["**"], not: [a, "localhost:5000/x"], actions: [push]}]',
            "4: deny[0].not[1]: 'localhost:5000/x': begins with a registry's host, "
            "which token requests never contain; did you mean 'x'?",
            id="not",
        ),
        pytest.param(
            'deny: [{id: d, to: [everyone], repositories: [a, "localhost:5000/x"], actions: [push]}]',
            "4: deny[0].repositories[1]: 'localhost:5000/x': begins with a registry's host, "
            "which token requests never contain; did you mean 'x'?",
            id="localhost",
        ),
        pytest.param(
            'deny: [{id: d, to: [everyone], repositories: ["registry.example.com:443/x"], actions: [push]}]',
            "4: deny[0].repositories[0]: 'registry.example.com:443/x': begins with a registry's host, "
            "which token requests never contain; did you mean 'x'?",
            id="another-port",
        ),
        pytest.param(
            'deny: [{id: d, to: [everyone], repositories: ["registry.example.com"], actions: [push]}]',
            "4: deny[0].repositories[0]: 'registry.example.com': begins with a registry's host, "
            "which token requests never contain; did you mean '**'?",
            id="the-host-alone",
        ),
        pytest.param(
            "tests: [{as: anonymous, cannot: [pull registry.example.com/web/x]}]",
            "4: tests[0].cannot[0]: 'registry.example.com/web/x': begins with a registry's host, "
            "which token requests never contain; did you mean 'web/x'?",
            id="test",
        ),
        pytest.param(
            "tests: [{who_can: pull registry.example.com/web/x, exactly: []}]",
            "4: tests[0].who_can: 'registry.example.com/web/x': begins with a registry's host, "
            "which token requests never contain; did you mean 'web/x'?",
            id="who-test",
        ),
        pytest.param(
            'tests: [{what_can: anonymous, exactly: ["pull web/** except registry.example.com/web/x"]}]',
            "4: tests[0].exactly[0]: 'registry.example.com/web/x': begins with a registry's host, "
            "which token requests never contain; did you mean 'web/x'?",
            id="what-test",
        ),
    ],
)
def test_a_configured_registry_s_host_is_refused(folder: Path, text: str, expected: str) -> None:
    """Where the host is a service of the configuration there is no doubt; without one, lint tells (TS114)."""
    assert faults(folder, f"{text}\n", SERVICES) == [expected]
    assert faults(folder, f"{text}\n") == []


def test_the_host_of_a_mandate_is_refused(folder: Path) -> None:
    """What is delegated there could never be used."""
    text = 'delegate: [{file: t/w.yaml, repositories: ["registry.example.com/web/**"], actions: [pull]}]\n'
    found = [fault for fault in faults(folder, text, SERVICES) if "there is no file" not in fault]
    assert [fault.partition(": begins")[0] for fault in found] == [
        "4: delegate[0].repositories[0]: 'registry.example.com/web/**'"
    ]


def test_a_service_that_is_no_host_is_a_namespace_like_any(folder: Path) -> None:
    """A registry may be called `web`, and so may a team; and other dotted namespaces are not refused."""
    text = 'deny: [{id: d, to: [everyone], repositories: ["web/x", "docker.io/**"], actions: [push]}]\n'
    assert faults(folder, text, SERVICES) == []
    assert faults(folder, text, frozenset({"web"})) == []
