"""Expiry of certificates: the time left, problems, and warnings."""

from __future__ import annotations

from datetime import timedelta

import pytest
from key_folders import NOW, make

from tokenserver.keys.expiry import key_warnings
from tokenserver.keys.ring import KeyRing
from tokenserver.keys.store import load_keys


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    """A ring with its token CA, made at `NOW`."""
    folder = tmp_path_factory.mktemp("warnings") / "keys"
    make(folder)
    return load_keys(folder, now=NOW)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param(0, [], id="new"),
        pytest.param(794, [], id="31 days before"),
        pytest.param(795, ["expires on 2029-05-05, in 30 days"], id="30 days before"),
        pytest.param(824, ["expires on 2029-05-05, in 1 days"], id="last day"),
        pytest.param(826, ["expired on 2029-05-05"], id="over"),
        pytest.param(3470, ["expired on 2029-05-05", "expires on 2037-01-28, in 180 days"], id="the CA's last half"),
        pytest.param(3651, ["expired on 2029-05-05", "expired on 2037-01-28"], id="both over"),
    ],
)
def test_warnings(ring: KeyRing, days: int, expected: list[str]) -> None:
    """A signing certificate is announced 30 days before its end, the CA half a year, each with its date."""
    found = key_warnings(ring, NOW + timedelta(days=days))
    assert [next((text for text in expected if text in warning), warning) for warning in found] == expected


def test_warnings_name_the_key(ring: KeyRing) -> None:
    """The sentence has the key, the date, and the consequence."""
    expected = (
        f"the certificate of the signing key {ring.active.id} expires on 2029-05-05, in 25 days; registries then"
        " refuse every token that it signs: replace the keys before"
    )
    assert key_warnings(ring, NOW + timedelta(days=800)) == [expected]
