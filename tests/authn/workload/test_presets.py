"""Presets: the algorithms, anchors and short names of each kind of issuer."""

from __future__ import annotations

import pytest

from tokenserver.authn.workload.algorithms import ALGORITHMS
from tokenserver.authn.workload.presets import (
    PRESETS,
    is_spiffe_id,
    is_trust_domain,
    issuer_of_svid,
    issuer_of_trust_domain,
)


def test_every_preset_can_be_used() -> None:
    """Each has algorithms that exist, and anchors, none of which is empty."""
    assert set(PRESETS) == {"github_actions", "gitlab_ci", "kubernetes", "spiffe", "none"}
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert preset.algorithms
        assert set(preset.algorithms) <= set(ALGORITHMS)
        assert preset.anchors
        assert all(preset.anchors)


@pytest.mark.parametrize(
    ("preset", "pinned", "is_anchored"),
    [
        pytest.param("github_actions", ["repository_id"], True, id="github: repository id"),
        pytest.param("github_actions", ["ref", "repository_owner"], True, id="github: owner and more"),
        pytest.param("github_actions", ["enterprise_id"], True, id="github: enterprise"),
        pytest.param("github_actions", ["ref", "environment", "actor", "sub"], False, id="github: no anchor"),
        pytest.param("github_actions", [], False, id="github: nothing"),
        pytest.param("gitlab_ci", ["namespace_id"], True, id="gitlab: namespace id"),
        pytest.param("gitlab_ci", ["project_path"], True, id="gitlab: path"),
        pytest.param("gitlab_ci", ["ref_protected", "user_login"], False, id="gitlab: no anchor"),
        pytest.param("kubernetes", ["namespace", "serviceaccount"], True, id="kubernetes: both"),
        pytest.param("kubernetes", ["namespace"], False, id="kubernetes: a namespace alone"),
        pytest.param("kubernetes", ["serviceaccount", "pod"], False, id="kubernetes: no namespace"),
        pytest.param(
            "kubernetes",
            ["kubernetes.io/namespace", "kubernetes.io/serviceaccount/name"],
            True,
            id="kubernetes: paths",
        ),
        pytest.param("kubernetes", ["namespace", "kubernetes.io/namespace"], False, id="kubernetes: the same twice"),
        pytest.param("spiffe", ["sub"], True, id="spiffe: subject"),
        pytest.param("spiffe", ["aud"], False, id="spiffe: no subject"),
        pytest.param("none", ["sub"], True, id="none: subject"),
        pytest.param("none", ["groups"], False, id="none: no subject"),
    ],
)
def test_anchors(preset: str, pinned: list[str], is_anchored: bool) -> None:
    """Claims that say whose workload it is, by their name or path."""
    assert PRESETS[preset].is_anchored(pinned) is is_anchored


def test_only_spiffe_has_a_trust_domain() -> None:
    """And no EdDSA, which its specification does not know."""
    assert [name for name, preset in PRESETS.items() if preset.needs_trust_domain] == ["spiffe"]
    assert set(ALGORITHMS) - set(PRESETS["spiffe"].algorithms) == {"EdDSA", "Ed25519"}


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        pytest.param("example.org", True, id="a domain"),
        pytest.param("prod_1-a.example", True, id="all characters"),
        pytest.param("", False, id="empty"),
        pytest.param("Example.org", False, id="upper case"),
        pytest.param("example.org/", False, id="a path"),
        pytest.param("spiffe://example.org", False, id="a scheme"),
        pytest.param("example.org\n", False, id="a line feed"),
        pytest.param("a" * 256, False, id="too long"),
    ],
)
def test_trust_domains(text: str, is_one: bool) -> None:
    """Lower-case letters, digits, dots, hyphens and underscores."""
    assert is_trust_domain(text) is is_one


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        pytest.param("spiffe://example.org/web", True, id="one segment"),
        pytest.param("spiffe://example.org/ns/web/sa/Puller_1", True, id="several"),
        pytest.param("spiffe://example.org", False, id="the trust domain alone"),
        pytest.param("spiffe://example.org/", False, id="an empty path"),
        pytest.param("spiffe://example.org/web/", False, id="a slash at the end"),
        pytest.param("spiffe://example.org//web", False, id="an empty segment"),
        pytest.param("spiffe://example.org/../web", False, id="dots"),
        pytest.param("spiffe://example.org/./web", False, id="a dot"),
        pytest.param("spiffe://example.org.evil.example/web", False, id="a longer domain"),
        pytest.param("spiffe://other.example/web", False, id="another domain"),
        pytest.param("spiffe://example.org:443/web", False, id="a port"),
        pytest.param("spiffe://user@example.org/web", False, id="a user"),
        pytest.param("SPIFFE://example.org/web", False, id="scheme in upper case"),
        pytest.param("spiffe://EXAMPLE.org/web", False, id="domain in upper case"),
        pytest.param("spiffe://example.org/web?x", False, id="a query"),
        pytest.param("spiffe://example.org/w%20b", False, id="an escape"),
        pytest.param("https://example.org/web", False, id="another scheme"),
        pytest.param("web", False, id="no URL"),
    ],
)
def test_spiffe_ids(text: str, is_one: bool) -> None:
    """Of this trust domain, and with a path in its only spelling."""
    assert is_spiffe_id(text, "example.org") is is_one


@pytest.mark.parametrize(
    ("subject", "issuer"),
    [
        pytest.param("spiffe://example.org/ns/web/sa/puller", "spiffe://example.org", id="a workload"),
        pytest.param("spiffe://example.org", "spiffe://example.org", id="the trust domain alone"),
        pytest.param("spiffe://example.org//web", "spiffe://example.org", id="no SPIFFE ID, of its trust domain"),
        pytest.param("spiffe://example.org.evil.example/web", "spiffe://example.org.evil.example", id="longer"),
        pytest.param("spiffe://EXAMPLE.org/web", "", id="domain in upper case"),
        pytest.param("SPIFFE://example.org/web", "", id="scheme in upper case"),
        pytest.param("spiffe://example.org:443/web", "", id="a port"),
        pytest.param("spiffe://user@example.org/web", "", id="a user"),
        pytest.param("spiffe:///web", "", id="no trust domain"),
        pytest.param("https://example.org/web", "", id="a URL"),
        pytest.param("repo:octo-org/web", "", id="a job of GitHub"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_the_issuer_of_a_subject(subject: str, issuer: str) -> None:
    """A subject stands for the issuer of its trust domain, and only of that (docs/design/threats.md#threat-227)."""
    assert issuer_of_svid(subject) == issuer
    for trust_domain in ("example.org", "evil.example"):
        if is_spiffe_id(subject, trust_domain):
            assert issuer == issuer_of_trust_domain(trust_domain)
