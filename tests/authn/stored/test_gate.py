"""The gate: what is seen of a stored credential at each use."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from held_credentials import NOW, Held, stored

from tokenserver.authn.stored.gate import check
from tokenserver.credentials import AccessKeyForm
from tokenserver.errors import UnusableAccessKey
from tokenserver.storage.credential import LAG_SECONDS

KEY, ROBOT, REFRESH = AccessKeyForm.PERSONAL, AccessKeyForm.ROBOT, AccessKeyForm.REFRESH
HOME = ip_address("10.1.2.3")
INSIDE = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        ("ann", ["", "<token>", "token", "ann", "ANN", "\uff41nn"]),
        ("robot:ci-web", ["", "<token>", "token", "ci-web", "robot/ci-web", "Robot/CI-web"]),
        ("workload:github:repo:x", ["", "<token>", "token"]),
    ],
)
def test_names_that_fit(owner: str, names: list[str]) -> None:
    """The neutral ones, and the owner's in any spelling."""
    form = ROBOT if owner.startswith("robot") else KEY
    for name in names:
        check(Held(stored(form, owner)), name, None, NOW)


@pytest.mark.parametrize(
    ("owner", "name"),
    [("ann", "eve"), ("ann", "robot/ann"), ("robot:ci", "robot:ci/x"), ("robot:ci", "robot/other"), ("robot:ci", "c")],
)
def test_names_of_others(owner: str, name: str) -> None:
    """A right key with the name of somebody else is refused (docs/design/threats.md#threat-16)."""
    form = ROBOT if owner.startswith("robot") else KEY
    with pytest.raises(UnusableAccessKey) as caught:
        check(Held(stored(form, owner)), name, None, NOW)
    assert caught.value.reason.startswith(f"account differs from {owner} of access key ")
    assert str(caught.value) == "the access key has another user name; fix: use token as the user name"


@pytest.mark.parametrize(
    ("held", "moment", "reason", "public"),
    [
        pytest.param(
            Held(stored(KEY)), NOW + 3600,
            "access key  of ann expired on 2027-01-15 09:00 UTC",
            "the access key expired on 2027-01-15 09:00 UTC; fix: use a newer one",
            id="its end is the first moment after it",
        ),
        pytest.param(
            Held(stored(REFRESH, idle=60)), NOW + 60 + LAG_SECONDS,
            "stored login  of ann was not used for too long, since it had to be used before 2027-01-15 08:01 UTC",
            "the stored login was not used for too long and ended on 2027-01-15 08:01 UTC; fix: log out of the registry"
            " and in again: docker logout HOST, then docker login HOST",
            id="never used",
        ),
        pytest.param(
            Held(stored(REFRESH, idle=60), used=NOW + 30), NOW + 90 + LAG_SECONDS,
            "stored login  of ann was not used for too long, since it had to be used before 2027-01-15 08:01 UTC",
            "the stored login was not used for too long and ended on 2027-01-15 08:01 UTC; fix: log out of the registry"
            " and in again: docker logout HOST, then docker login HOST",
            id="used once",
        ),
        pytest.param(
            Held(stored(KEY), ended="left the company"), NOW,
            "access key  of ann has ended: left the company", "the access key has been ended; fix: use a newer one",
            id="ended, whose reason is nobody's business",
        ),
    ],
)  # fmt: skip
def test_what_is_over(held: Held, moment: float, reason: str, public: str) -> None:
    """The client has proved possession, so it learns what is wrong; nothing is about the owner."""
    with pytest.raises(UnusableAccessKey) as caught:
        check(held, "", HOME, moment)
    assert (caught.value.reason, str(caught.value)) == (reason, public)


def test_just_before() -> None:
    """A use resets the time that may pass without one."""
    check(Held(stored(KEY)), "", None, NOW + 3599)
    check(Held(stored(REFRESH, idle=60)), "", None, NOW + 59 + LAG_SECONDS)
    check(Held(stored(REFRESH, idle=60), used=NOW + 59), "", None, NOW + 118 + LAG_SECONDS)


@pytest.mark.parametrize(
    ("address", "where"),
    [
        (None, "an unknown address"),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:10.1.2.3", "::ffff:a01:203"),
        ("fe80::1",) * 2,
    ],
)
def test_networks(address: Any, where: str) -> None:
    """An address that is not known is in no network."""
    held = Held(stored(KEY, networks=INSIDE))
    for inside in ("10.1.2.3", "fd00::1"):
        check(held, "", ip_address(inside), NOW)
    with pytest.raises(UnusableAccessKey, match=f"not valid from {where}; fix: use it in its networks"):
        check(held, "", None if address is None else ip_address(address), NOW)
