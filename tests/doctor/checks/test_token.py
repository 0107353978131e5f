"""The replay of a verifier's checks on claims, times and verdicts about the key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.checks.token import (
    Expected,
    check_access,
    check_claims,
    check_clock,
    check_keys,
    check_shape,
    outvoted_clock,
)
from tokenserver.doctor.facts import RegistryKind
from tokenserver.doctor.findings import Finding
from tokenserver.scopes import parse_scope

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
FIXES = {"issuer": "i", "audience": "a", "time": "t", "key": "k", "algorithm": "g", "copy": "c"}


def claims(**changes: Any) -> dict[str, Any]:
    right = {
        "iss": "issuer",
        "aud": "service",
        "exp": SECONDS + 900,
        "nbf": SECONDS - 10,
        "iat": SECONDS - 10,
        "access": [{"type": "repository", "name": "web/x", "actions": ["pull"]}],
    }
    return right | changes


def expected(
    kind: RegistryKind = RegistryKind.DISTRIBUTION2, at: datetime = NOW, service: str | None = "service"
) -> Expected:
    return Expected("issuer", service, at, (kind,), FIXES)


def wrong(findings: list[Finding]) -> dict[str, bool | None]:
    return {one.check: one.ok for one in findings if one.is_actionable}


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        pytest.param({}, None, id="right"),
        pytest.param({"iss": "other"}, "issuer", id="issuer"),
        pytest.param({"iss": None}, "issuer", id="no issuer"),
        pytest.param({"aud": "Service"}, "audience", id="audience"),
        pytest.param({"aud": ["service"]}, None, id="a list of one"),
        pytest.param({"aud": ["service", "b"]}, "audience", id="a list of two"),
        pytest.param({"exp": SECONDS - 61}, "time", id="over"),
        pytest.param({"exp": SECONDS - 60}, None, id="over, but forgiven"),
        pytest.param({"nbf": SECONDS + 61}, "time", id="not yet"),
        pytest.param({"nbf": SECONDS + 60}, None, id="not yet, but forgiven"),
        pytest.param({"exp": None}, "time", id="no end"),
        pytest.param({"exp": True}, "time", id="a flag"),
        pytest.param({"nbf": 1.5}, "time", id="a float"),
        pytest.param({"exp": 10**30}, None, id="never"),
        pytest.param({"exp": -(10**30)}, "time", id="before all times"),
    ],
)
def test_claims(changes: dict[str, Any], check: str | None) -> None:
    """Each rejection has its own check name and its own fix."""
    found = check_claims(claims(**changes), expected())
    assert wrong(found) == ({} if check is None else {check: False})
    assert [one.fix for one in found if one.is_actionable] == ([] if check is None else [FIXES[check]])


def test_zot_forgives_no_second() -> None:
    """Distribution accepts it for a minute longer."""
    late = claims(exp=SECONDS - 1)
    assert wrong(check_claims(late, expected(RegistryKind.ZOT))) == {"time": False}
    assert wrong(check_claims(late, expected())) == {}


def test_what_is_not_known_is_not_judged() -> None:
    """The value is shown, and nothing is said against it."""
    found = check_claims(claims(aud="x"), expected(service=None))
    assert [(one.check, one.ok, one.ours) for one in found if one.check == "audience"] == [("audience", None, "x")]
    assert wrong(found) == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({}, None, id="right"),
        pytest.param({"exp": 1.5}, "exp is not an integer", id="float"),
        pytest.param({"nbf": "1", "iat": None}, "nbf, iat is not an integer", id="text"),
        pytest.param({"aud": ["service"]}, "aud is a list", id="list"),
        pytest.param({"access": [None]}, "access is not a list of entries", id="null entry"),
        pytest.param({"access": None}, "access is not a list of entries", id="null"),
    ],
)
def test_shapes(changes: dict[str, Any], reason: str | None) -> None:
    """What some registry cannot even read."""
    found = check_shape(claims(**changes))
    assert [one.message.startswith(str(reason)) for one in found] == ([] if reason is None else [True])


def test_the_key_is_judged_for_those_that_have_to_take_it() -> None:
    """The verdicts of other kinds are reported as notes."""
    verdicts = {RegistryKind.DISTRIBUTION2: None, RegistryKind.DISTRIBUTION3: "no", RegistryKind.ZOT: None}
    right = check_keys(verdicts, expected())
    assert [(one.check, one.ok) for one in right] == [("key", True), ("other kinds", None), ("other kinds", None)]
    assert wrong(right) == {}
    refused = check_keys(verdicts, expected(RegistryKind.DISTRIBUTION3))
    assert wrong(refused) == {"key": False}
    assert refused[0].message == "Distribution 3.1 rejects the token's key: no"


@pytest.mark.parametrize(
    ("wanted", "lacks"),
    [
        pytest.param([], None, id="nothing wanted"),
        pytest.param(["repository:web/x:pull"], None, id="there"),
        pytest.param(["repository:web/x:pull,push"], "repository:web/x:push", id="an action"),
        pytest.param(["repository:web/y:pull"], "repository:web/y:pull", id="a repository"),
    ],
)
def test_access(wanted: list[str], lacks: str | None) -> None:
    """What is lacking is named, with the command that says why."""
    (found,) = check_access(claims(), [parse_scope(one) for one in wanted], "policy why {}".format)
    assert found.ours == "repository:web/x:pull"
    assert found.ok is (lacks is None)
    if lacks is not None:
        assert found.message == f"the token lacks {lacks}"
        assert found.fix == f"ask why: policy why {lacks}"


def test_strange_entries_allow_nothing() -> None:
    """As registries read them."""
    entries = [None, {"type": "repository", "name": "a"}, {"type": "repository", "name": "b", "actions": [1, "pull"]}]
    (found,) = check_access({"access": entries}, [], str)
    assert found.ours == "repository:b:pull"
    assert check_access({"access": "x"}, [], str)[0].ours == "a login only"


@pytest.mark.parametrize(
    ("difference", "ok", "is_actionable"),
    [
        pytest.param(None, None, False, id="not known"),
        pytest.param(0, True, False, id="the same"),
        pytest.param(-10, True, False, id="behind as far as tokens are set back"),
        pytest.param(-11, None, True, id="behind, forgiven by some"),
        pytest.param(-71, False, True, id="behind"),
        pytest.param(60, True, False, id="ahead, forgiven"),
        pytest.param(61, None, True, id="ahead"),
        pytest.param(961, False, True, id="ahead by a token's life"),
    ],
)
def test_clocks(difference: float | None, ok: bool | None, is_actionable: bool) -> None:
    """Fault, warning or passed."""
    (found,) = check_clock(difference, 900, whose="the token server's")
    assert (found.check, found.ok, found.is_actionable) == ("clock", ok, is_actionable)


@given(difference=st.integers(-5000, 5000), lifetime=st.integers(60, 3600))
def test_the_clock_agrees_with_the_verifier(difference: int, lifetime: int) -> None:
    """It is a fault exactly if Distribution would reject a token issued this second."""
    there = expected(at=NOW + timedelta(seconds=difference))
    refused = wrong(check_claims(claims(exp=SECONDS + lifetime), there)) == {"time": False}
    (found,) = check_clock(difference, lifetime, whose="ours")
    assert (found.ok is False) == refused


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "name", "actions"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "access"]), _ANY))
def test_any_claims_are_judged(said: dict[str, Any]) -> None:
    """Strange claims are findings and never errors."""
    found = [*check_shape(said), *check_claims(said, expected()), *check_access(said, [], str)]
    assert all(one.message.isprintable() for one in found)


@pytest.mark.parametrize(
    ("reason", "fix"),
    [
        ("it knows no key by the kid that the token names", "k"),
        ("its signature has the wrong length, as if the token was cut when it was copied", "c"),
        ("it cannot verify EdDSA", "g"),
    ],
)
def test_the_fix_follows_from_the_reason(reason: str, fix: str) -> None:
    """A token that was cut, or an algorithm, is not fixed by comparing keys."""
    found = check_keys({RegistryKind.DISTRIBUTION2: reason}, expected())
    assert found[0].fix == fix


def test_a_registry_that_accepts_a_token_outvotes_its_clock() -> None:
    """What its Date header says becomes a note."""
    (found,) = check_clock(-3600, 900, whose="ours")
    outvoted = outvoted_clock(found)
    assert (found.ok, outvoted.ok, outvoted.is_actionable, outvoted.theirs) == (False, None, False, "-3600 s")
    assert outvoted.message == f"{found.message}; yet it accepts one, so its Date header may be that of a proxy"
