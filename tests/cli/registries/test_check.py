"""`tokenserver registries check`: what is hardly meant, and what the start would reject."""

from __future__ import annotations

import json

import pytest
from registries_commands import PLAIN, POLICY, ZOT, Site


def test_check_says_that_all_is_well(site: Site) -> None:
    """Exit code 0, and each registry is named."""
    result = site.run("registries", "check")
    assert (result.exit_code, result.stdout) == (0, "plain: ok\nzot: ok\n")
    facts = json.loads(site.run("registries", "check", "--json").stdout)
    assert (facts["ok"], [one["findings"] for one in facts["registries"]]) == (True, [[], []])


@pytest.mark.parametrize(
    ("entries", "service", "expected"),
    [
        pytest.param([PLAIN, ZOT, "{service: forgotten}"], "forgotten", "no policy applies to it", id="no-policy"),
        pytest.param([PLAIN, "{service: zot, compat: zot}"], "zot", "also accepts the tokens for plain", id="shared"),
        pytest.param([PLAIN, "{service: zot, compat: zot, keys: k}"], "zot", "an older one needs RS256", id="old-zot"),
        pytest.param(
            ["{service: plain, algorithm: EdDSA, keys: e}", ZOT], "plain", "works with Distribution 3 alone", id="eddsa"
        ),
    ],
)
def test_check_finds_what_is_hardly_meant(site: Site, entries: list[str], service: str, expected: str) -> None:
    """Exit code 1, with the registry and what to do; the others are ok."""
    site.write(*entries)
    result = site.run("registries", "check")
    assert result.exit_code == 1
    below = result.stdout.partition(f"{service}:\n")[2].splitlines()[0:2]
    assert expected in "\n".join(below)
    facts = json.loads(site.run("registries", "check", "--json").stdout)
    assert not facts["ok"]
    found = {one["service"]: one["findings"] for one in facts["registries"] if one["findings"]}
    assert set(found) == {service}
    assert expected in "\n".join(found[service])


def test_a_deny_rule_does_not_speak_for_a_registry(site: Site) -> None:
    """Only an allow rule lets a token allow anything."""
    (site.folder / "policies" / "deny.yaml").write_text(
        "version: 1\nregistries: [forgotten]\n"
        'deny:\n  - {id: no, to: [everyone], repositories: ["**"], actions: [push]}\n'
    )
    site.write(PLAIN, ZOT, "{service: forgotten}")
    assert "no policy applies to it" in site.run("registries", "check").stdout


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(("[plain, zot]", "[plain, zott]"), "'zott' is configured; did you mean 'zot'?", id="unknown-name"),
        pytest.param(("[plain, zot]", "[bridged]"), "no registry with the service 'bridged' is configured", id="also"),
    ],
)
def test_check_refuses_what_the_start_would(site: Site, change: tuple[str, str], expected: str) -> None:
    """Exit code 2, with file and line; policies know a registry by its own name alone."""
    (site.folder / "policies" / "policy.yaml").write_text(POLICY.replace(*change))
    result = site.run("registries", "check")
    assert result.exit_code == 2
    assert "policy.yaml:2: registries[" in result.stderr
    assert expected in result.stderr
    (fault, *_) = json.loads(site.run("registries", "check", "--json").stdout)["faults"]
    assert (fault["line"], expected in fault["message"]) == (2, True)


def test_check_refuses_keys_that_a_registry_cannot_verify(site: Site) -> None:
    """A clash between compat and algorithm names the registry."""
    site.config.write_text(site.config.read_text().replace("algorithm: RS256", "algorithm: ES256"))
    result = site.run("registries", "check")
    assert result.exit_code == 2
    assert "registry zot: the keys here sign with RS256, not with its algorithm: ES256" in result.stderr


def test_policies_are_asked_under_any_name_of_a_registry(site: Site) -> None:
    """`--service` takes the names of `also`, and refuses others."""
    for service, code in (("plain", 0), ("bridged", 0), ("nobody", 2)):
        arguments = ["policy", "why", "--anonymous", "pull", "public/x", "--service", service]
        result = site.run(*arguments)
        assert result.exit_code == code, result.output
