"""Diagnosis of registries that reject a good token, by their responses to probes."""

from __future__ import annotations

import pytest
from doctor_worlds import ours_of, setup_of

from tokenserver.doctor.checks.refusals import (
    explain_despite_files,
    explain_generation,
    explain_other_way,
    explain_refusal,
    explain_zot_login,
    generation,
    is_key_known,
)
from tokenserver.doctor.facts import RegistryKind
from tokenserver.doctor.findings import failed
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer, Outcome

URL = "https://registry.example.com"


def answer(challenge: str | None = None, status: int = 401) -> HttpAnswer:
    headers = {} if challenge is None else {"www-authenticate": (challenge,)}
    return HttpAnswer(status, headers, b"", None)


PLAIN = answer('Bearer realm="a",service="b"')
INVALID = answer('Bearer realm="a",service="b",error="invalid_token"')
SILENT = answer()
FAILED = FetchFailure(FailureReason.TIMEOUT, "too slow")


@pytest.mark.parametrize(
    ("outcome", "is_known"),
    [
        pytest.param(PLAIN, True, id="plain-challenge"),
        pytest.param(INVALID, False, id="invalid-token"),
        pytest.param(SILENT, False, id="no-challenge"),
        pytest.param(answer('Basic realm="a"'), False, id="basic"),
        pytest.param(answer('Bearer realm="a"', 403), False, id="another-status"),
        pytest.param(FAILED, False, id="no-response"),
    ],
)
def test_is_key_known(outcome: Outcome, is_known: bool) -> None:
    """Only a challenge without an error says so."""
    assert is_key_known(outcome) is is_known


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        pytest.param(PLAIN, RegistryKind.DISTRIBUTION2, id="sees-no-token"),
        pytest.param(INVALID, RegistryKind.DISTRIBUTION3, id="sees-a-malformed-token"),
        pytest.param(SILENT, RegistryKind.ZOT, id="no-challenge"),
        pytest.param(answer(None, 200), None, id="open"),
        pytest.param(FAILED, None, id="no-response"),
    ],
)
def test_generation(outcome: Outcome, kind: RegistryKind | None) -> None:
    """By the response to `Authorization: Bearer x x`."""
    assert generation(outcome) is kind


@pytest.mark.parametrize(
    ("kind", "known_by", "compat", "check", "fix"),
    [
        pytest.param(RegistryKind.ZOT, set(), "universal", "cert", "--for zot --write DIR", id="zot"),
        pytest.param(None, set(), "zot", "cert", "--for zot --write DIR", id="compat-zot"),
        pytest.param(
            RegistryKind.DISTRIBUTION3, {"ES256"}, "universal", "issuer", "set issuer to auth.example.com", id="issuer"
        ),
        pytest.param(
            RegistryKind.DISTRIBUTION3, {"RS256"}, "jwks", "algorithm", "add ES256 to signingalgorithms", id="algorithm"
        ),
        pytest.param(
            RegistryKind.DISTRIBUTION3, set(), "universal", "rootcertbundle", "/ca.pem` as its rootcertbundle", id="ca"
        ),
        pytest.param(RegistryKind.DISTRIBUTION3, set(), "jwks", "jwks", "jwks.json` as its jwks", id="jwks"),
        pytest.param(
            RegistryKind.DISTRIBUTION3, set(), "distribution3", "rootcertbundle", "write its rootcertbundle", id="own"
        ),
        pytest.param(RegistryKind.DISTRIBUTION2, set(), "universal", "trust or issuer", "says which", id="either"),
        pytest.param(None, set(), "universal", "trust or issuer", "says which", id="unknown-generation"),
    ],
)
def test_explanations(kind: RegistryKind | None, known_by: set[str], compat: str, check: str, fix: str) -> None:
    """The setting at fault, as far as the probes can tell, with the fix."""
    ours = ours_of(compat=compat)
    found = explain_refusal(kind, frozenset(known_by), ours, ours.registries[0], URL)
    assert (found.check, found.ok) == (check, False)
    assert fix in str(found.fix)


@pytest.mark.parametrize(
    ("compat", "refused", "is_explained"),
    [
        pytest.param("zot", PLAIN, True, id="challenge"),
        pytest.param("zot", SILENT, False, id="no-challenge"),
        pytest.param("universal", PLAIN, False, id="no-zot"),
    ],
)
def test_zot_logins(compat: str, refused: HttpAnswer, is_explained: bool) -> None:
    """A zot that asks for more access trusts the key."""
    found = explain_zot_login(refused, ours_of(compat=compat).registries[0])
    assert (found is not None) is is_explained
    assert found is None or (found.check, found.theirs) == ("access", PLAIN.bearer())


def test_despite_files() -> None:
    """The registry runs with another configuration than the one that was given."""
    found = explain_despite_files(ours_of().registries[0], "config.yml")
    assert (found.check, found.ok, found.theirs) == ("restart", False, "config.yml")


@pytest.mark.parametrize(
    ("kind", "compat", "is_30", "words"),
    [
        (RegistryKind.DISTRIBUTION3, "distribution2", False, "is Distribution 3, and compat: distribution2"),
        (RegistryKind.DISTRIBUTION2, "distribution3", False, "is Distribution 2.8, and compat: distribution3"),
        (RegistryKind.DISTRIBUTION2, "jwks", False, "is Distribution 2.8, and compat: jwks"),
        (RegistryKind.DISTRIBUTION3, "distribution3", True, "is Distribution 3.0, which"),
        (RegistryKind.DISTRIBUTION3, "distribution3", False, None),
        (RegistryKind.DISTRIBUTION2, "universal", False, None),
        (RegistryKind.ZOT, "zot", False, None),
        (None, "distribution2", False, None),
    ],
)
def test_the_generation_does_not_fit(kind: RegistryKind | None, compat: str, is_30: bool, words: str | None) -> None:
    """`compat: universal` fits all of them; 3.0 has other ways out, too."""
    ours = ours_of(compat=compat)
    found = explain_generation(kind, ours.registries[0], ours, is_30=is_30)
    if words is None:
        assert found is None
        return
    assert found is not None
    assert words in found.message
    assert "set compat: universal for registry.example.com in tokenserver.yaml" in str(found.fix)
    assert ("RS256" in str(found.fix)) is is_30


def test_another_way_than_the_file_says() -> None:
    """Only where the file asks for tokens is it a contradiction."""
    found = failed("auth", "the registry asks for Basic credentials instead of a token", "x", theirs="Basic")
    assert explain_other_way(found, setup_of(auth="htpasswd")) is found
    explained = explain_other_way(found, setup_of())
    assert (explained.check, explained.theirs) == ("auth", "Basic")
    assert "REGISTRY_AUTH…" in str(explained.fix)
