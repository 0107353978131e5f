"""What users of a registry's file may do: everything, and others nothing."""

from __future__ import annotations

import pytest
from imported_policies import decided, loaded

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.importers.policy_text import policy_yaml
from tokenserver.importers.users_file.translate import users_policy, users_report
from tokenserver.importers.users_file.users import RegistryUsers

USERS = RegistryUsers("ann:x\n", ("ann",), ())
NOBODY = RegistryUsers("", (), ())


@pytest.mark.parametrize("users", [pytest.param(USERS, id="some"), pytest.param(NOBODY, id="none")])
def test_everything(users: RegistryUsers) -> None:
    """For each user, including those that are added later; for clients without a password nothing."""
    policies = loaded(policy_yaml(users_policy(users)))
    bob = Identity("bob", Kind.PASSWORD)
    assert decided(policies, bob, "a") == decided(policies, bob, "a/b/c") == {"pull", "push", "delete"}
    assert decided(policies, bob, "catalog", "registry") == {"*"}
    assert decided(policies, ANONYMOUS, "a") == decided(policies, ANONYMOUS, "catalog", "registry") == set()


def test_the_report() -> None:
    """What is granted is exact, and the one difference is said."""
    report = users_report("config.yml", "config.yml:3", USERS, ["Start it."])
    assert {str(verdict): count for verdict, count in report.counts().items()} == {"exact": 1, "different": 1}
    assert report.constructs[0].became == ("everything", "catalog")
    assert report.next_steps == ("Start it.",)
