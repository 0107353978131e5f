"""Groups of the tree: who is in them, also through groups that they include."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tokenserver.identity import ANONYMOUS, Claims, Identity, Kind
from tokenserver.policy.groups import Group, Groups, included
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.workloads import Workload, membership

NAMES = ["a", "b", "c", "d", "e"]
USERS = ["ann", "bob", "eve"]
written = st.lists(
    st.builds(
        Group,
        st.sampled_from(NAMES),
        st.frozensets(st.sampled_from(USERS), max_size=2),
        st.frozensets(st.sampled_from([*NAMES, "x"]), max_size=2),
        st.frozensets(st.sampled_from([*NAMES, "nowhere"]), max_size=2),
    ),
    unique_by=lambda one: one.name,
)
identities = st.builds(
    Identity, st.sampled_from(USERS), st.just(Kind.PASSWORD), groups=st.frozensets(st.sampled_from([*NAMES, "x"]))
)


def in_words(found: list[Group], identity: Identity) -> set[str]:
    """The groups that hold the identity, by repeating the sentence of the contract until nothing is added."""
    tree = {one.name: one for one in found}
    held = {one.name for one in found if identity.subject in one.users or identity.groups & one.groups}
    for _ in found:
        held |= {one.name for one in found if one.includes & held & tree.keys()}
    return held | {name for name in identity.groups if name not in tree}


@given(written, identities)
def test_members_of_included_groups_are_members(found: list[Group], identity: Identity) -> None:
    """Whatever includes what, also in a circle, which only the loader refuses."""
    groups = Groups.of_all(found)
    assert groups.holding(identity) == in_words(found, identity)
    assert groups.holding(ANONYMOUS) == frozenset()
    assert all(not one.includes for one in groups.by_name.values())
    assert groups.written == {one.name: one for one in found}


def test_what_a_group_includes() -> None:
    """Each group once, whichever way leads to it; undefined names are skipped."""
    tree = [
        Group("all", includes=frozenset({"web", "data", "gone"})),
        Group("web", frozenset({"ann"}), includes=frozenset({"base"})),
        Group("data", includes=frozenset({"base"})),
        Group("base", frozenset({"bob"})),
    ]
    found = [one.name for one in included({one.name: one for one in tree}, "all")]
    assert sorted(found) == ["all", "base", "data", "web"]
    assert Groups.of_all(tree).by_name["all"].users == {"ann", "bob"}


@given(
    st.sampled_from(["ci", "other", ""]),
    st.frozensets(st.tuples(st.sampled_from(["id", "\0web", "groups"]), st.sampled_from(["7", "web", "\0web"]))),
)
def test_only_declared_claims_make_a_workload(source: str, claims: Claims) -> None:
    """Neither a claim nor a subject that looks like the membership (docs/design/threats.md#threat-153)."""
    web = Workload("web", "ci", (("id", (parse_claim_glob("7"),)),))
    groups = Groups.of_all([Group("team", groups=frozenset({membership("web")}))], [web])
    found = groups.holding(Identity("workload:ci:\0web", Kind.WORKLOAD, source, claims=claims))
    is_web = source == "ci" and ("id", "7") in claims
    assert found == ({membership("web"), "team"} if is_web else set())
    assert groups.holding(Identity(membership("web"), Kind.PASSWORD, source, claims=claims)) == frozenset()
