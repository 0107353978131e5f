"""Disagreements: how they are found, printed and announced."""

from __future__ import annotations

import pytest
from acl_worlds import NOW, SERVICES

from tokenserver.importers.docker_auth.comparison.announced import Announcements
from tokenserver.importers.docker_auth.comparison.compare import Undecided, disagreement, disagreements
from tokenserver.importers.docker_auth.comparison.ours import OurSide
from tokenserver.importers.docker_auth.model import (
    AclEntry,
    AclMatch,
    DockerAuthConfig,
    PeerBackend,
    PeerRequest,
    PeerServerSettings,
    PeerTokenSettings,
)
from tokenserver.importers.report import Construct, Verdict
from tokenserver.policy.loading.loader import compile_texts

POLICY = """\
version: 1
allow:
  - {id: a, to: ["group:team=web", "user:static"], repositories: ["a/**"], role: writer}
  - {id: b, to: [anonymous], repositories: [public], role: reader, when: {from: [10.0.0.0/8]}}
"""


def _config(*entries: AclEntry, others: bool = False) -> DockerAuthConfig:
    backends = {"ext_authz": PeerBackend("ext_authz", 1, {})} if others else {}
    return DockerAuthConfig("auth.yml", PeerServerSettings(), PeerTokenSettings(), {}, entries, backends)


def _ours(*rejected: str) -> OurSide:
    policies, _ = compile_texts({"p.yaml": POLICY}, services=SERVICES)
    return OurSide(policies, SERVICES, {"static"}, NOW, rejected)


def _request(account: str = "ann", name: str = "a/b", **parts: object) -> PeerRequest:
    return PeerRequest(account, name, **{"actions": ("pull",), "service": "one", **parts})  # type: ignore[arg-type]


GRANTED = {
    "a group that a label brings": (_request(labels={"team": ("web",)}), {"pull"}),
    "no label": (_request(), set()),
    "a static account has its groups from the policies": (_request("static"), {"pull"}),
    "an unknown service": (_request("static", service="x"), set()),
    "an unknown type": (_request("static", type="plugin"), set()),
    "an illegal name": (_request("static", "A"), set()),
    "an account that is rejected": (_request("gone", labels={"team": ("web",)}), set()),
    "an anonymous client": (_request("", "public", ip="10.0.0.1"), {"pull"}),
    "an IPv4 address as IPv6": (_request("", "public", ip="::ffff:10.0.0.1"), {"pull"}),
    "no address": (_request("", "public"), set()),
}


@pytest.mark.parametrize(("request_", "expected"), GRANTED.values(), ids=GRANTED)
def test_our_side(request_: PeerRequest, expected: set[str]) -> None:
    """What is granted here."""
    assert _ours("gone").granted(request_) == expected


def test_a_wildcard_asks_for_the_actions_as_well() -> None:
    """So that the answers can be compared."""
    entry = AclEntry(3, AclMatch(), ("pull",))
    found = disagreement(_config(entry), _ours(), _request(actions=("*",)))
    assert found is not None
    assert found.theirs == {"pull"}
    assert str(found) == ("ann asks one for repository:a/b:*,pull,push,delete: docker_auth grants pull, here nothing")


def test_text() -> None:
    """With labels and the address."""
    found = disagreement(
        _config(AclEntry(3, AclMatch(), ("pull",))), _ours(), _request("", ip="10.0.0.1", labels={"x": ("y",)})
    )
    assert str(found) == (
        "anonymous x=y from 10.0.0.1 asks one for repository:a/b:pull: docker_auth grants pull, here nothing"
    )


def test_undecided() -> None:
    """Where another source of rules decides, nothing is compared."""
    config = _config(others=True)
    with pytest.raises(Undecided):
        disagreement(config, _ours(), _request())
    assert list(disagreements(config, _ours(), [_request()])) == []


NAMED = AclMatch(name="${account}/*")
ANNOUNCED = {
    "an exact entry": (AclMatch(), Verdict.EXACT, "ann", False),
    "another verdict": (AclMatch(), Verdict.DIFFERENT, "ann", True),
    "a legal account": (NAMED, Verdict.EXACT, "a", False),
    "an account that is no segment": (NAMED, Verdict.EXACT, "a/b", True),
    "an account that cannot log in": (AclMatch(), Verdict.EXACT, "gone", True),
}


@pytest.mark.parametrize(("match", "verdict", "account", "expected"), ANNOUNCED.values(), ids=ANNOUNCED)
def test_announced(match: AclMatch, verdict: Verdict, account: str, expected: bool) -> None:
    """By the verdict on the entry that decides."""
    entry = AclEntry(3, match, ("push",))
    config = _config(entry)
    announcements = Announcements(config, (Construct("auth.yml:3", "", verdict),), ("gone",))
    name = "x/y" if match is not NAMED else f"{account}/x"
    found = disagreement(config, _ours(), _request(account, name, actions=("push",)))
    assert found is not None
    assert announcements.has(found) is expected
    assert announcements.with_witnesses([found, found])[0].witness == str(found)


def test_more_is_never_announced() -> None:
    """Whatever the verdict is; nor is what no entry decides."""
    config = _config(AclEntry(3, AclMatch(account="x"), ("pull",)))
    announcements = Announcements(config, (Construct("auth.yml:3", "", Verdict.DIFFERENT),))
    found = disagreement(config, _ours(), _request("static"))
    assert found is not None
    assert found.grants_more
    assert not announcements.has(found)
    assert announcements.with_witnesses([found])[0].witness == ""
