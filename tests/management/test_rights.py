"""Who may manage: no credential that was made by another one, and no machine that policies do not name."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored_credentials import FULL

from tokenserver.ceilings import Ceiling
from tokenserver.errors import BackendUnavailable
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.management.actors import Actor
from tokenserver.management.refusals import MayNotManage, ProofTooOld
from tokenserver.management.rights import FRESH_SECONDS, may_manage, owns, require_fresh, require_manager
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.model import PolicySet

POLICY = """\
version: 1
administrators: ["user:root", "robot:terraform"]
robots: {terraform: {description: a}, ci: {description: b}}
allow:
  - {id: a, to: [authenticated], repositories: ["base/**"], role: reader}
"""
TERRAFORM = "robot:terraform"


@pytest.fixture
def policies(tmp_path: Path) -> PolicySet:
    """A person and a robot administer."""
    (tmp_path / "root.yaml").write_text(POLICY)
    return compile_policies(tmp_path)[0]


@pytest.mark.parametrize(
    ("identity", "is_able"),
    [
        pytest.param(ANONYMOUS, False, id="nobody"),
        pytest.param(Identity("ann", Kind.PASSWORD, "staff"), True, id="password"),
        pytest.param(Identity("ann", Kind.KEY, "staff", credential="a", via="key"), False, id="access key"),
        pytest.param(Identity("root", Kind.KEY, "staff", credential="a", via="key"), False, id="administrator's key"),
        pytest.param(Identity("ann", Kind.PASSWORD, "staff", credential="a", via="refresh"), False, id="refresh token"),
        pytest.param(Identity(TERRAFORM, Kind.ROBOT, credential="a"), True, id="declared secret of an administrator"),
        pytest.param(Identity(TERRAFORM, Kind.ROBOT, credential="a", via="key"), True, id="its stored secret"),
        pytest.param(Identity(TERRAFORM, Kind.ROBOT, ceiling=Ceiling(())), False, id="a narrowed secret"),
        pytest.param(Identity(TERRAFORM, Kind.ROBOT, services=frozenset({"r"})), False, id="for one registry"),
        pytest.param(Identity("robot:ci", Kind.ROBOT, credential="a"), False, id="another robot"),
        pytest.param(Identity("workload:ci:x", Kind.WORKLOAD, "ci"), False, id="workload"),
        pytest.param(Identity("workload:ci:x", Kind.WORKLOAD, "ci", via="session"), False, id="its session"),
    ],
)
def test_who_may_manage(policies: PolicySet, identity: Identity, is_able: bool) -> None:
    """People with their passwords, and machines that are administrators."""
    actor = Actor(identity, "r", None, None)
    assert may_manage(policies, identity) is is_able
    if is_able:
        require_manager(policies, actor)
    else:
        with pytest.raises(MayNotManage, match=r"^credential may not manage$"):
            require_manager(policies, actor)


def test_an_old_login_makes_no_secret() -> None:
    """After an hour, somebody else may sit at the browser."""
    actor = Actor(Identity("ann", Kind.PASSWORD, "staff"), "r", None, None, authenticated=1000.0)
    require_fresh(actor, 1000.0 + FRESH_SECONDS - 1)
    with pytest.raises(ProofTooOld, match="log in again"):
        require_fresh(actor, 1000.0 + FRESH_SECONDS)


def test_a_source_that_does_not_answer_makes_no_secret() -> None:
    """Its last answer is enough to pull, and not for what lasts longer."""
    actor = Actor(Identity("ann", Kind.PASSWORD, "corp", stale=True), "r", None, None, authenticated=1000.0)
    with pytest.raises(BackendUnavailable):
        require_fresh(actor, 1000.0)


@pytest.mark.parametrize(
    ("identity", "is_own"),
    [
        pytest.param(Identity(FULL.owner, Kind.PASSWORD, FULL.source), True, id="its owner"),
        pytest.param(Identity(FULL.owner, Kind.PASSWORD, "elsewhere"), False, id="the same name in another source"),
        pytest.param(Identity("bob", Kind.PASSWORD, FULL.source), False, id="somebody else"),
        pytest.param(Identity(TERRAFORM, Kind.ROBOT, FULL.source), False, id="a robot"),
    ],
)
def test_whose_an_access_key_is(identity: Identity, is_own: bool) -> None:
    """A person's, by name and source."""
    assert owns(identity, FULL) is is_own
