"""Policy files as text: what is written is read back as the same values."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.document import parse
from tokenserver.documents.strict_yaml import read_yaml
from tokenserver.importers.policy_text import (
    GroupText,
    PolicyTest,
    PolicyText,
    RobotText,
    RuleText,
    policy_yaml,
)
from tokenserver.policy.syntax.file import read_policy_file

POLICY = PolicyText(
    header="From harbor.json.\nPlease read it.",
    registries=("registry.example.com:5000",),
    administrators=("user:ann",),
    roles={"promoter": ("pull", "push")},
    robots=(RobotText("ci", "builds: all", ("group:web",)), RobotText("cleaner")),
    groups=(GroupText("web", users=("ann", "no"), groups=("web-devs",), robots=("ci",), comment="project 7"),),
    allow=(
        RuleText("web", ("group:web",), ("web/**",), role="promoter", besides=("web/prod/**",), comment="line 3"),
        RuleText("catalog", ("user:ann",), registry=("catalog",), actions=("*",)),
    ),
    deny=(
        RuleText(
            "freeze",
            ("everyone",),
            ("web/*",),
            ("push",),
            exceptions=("user:ann",),
            when={"from": ("10.0.0.0/8", "2001:db8::/32"), "until": "2999-01-01"},
            message="later: on Monday",
        ),
    ),
    tests=(
        PolicyTest({"user": "ann", "groups": ("web-devs",)}, ("push web/x",), ("delete web/x",), {"from": "192.0.2.7"}),
        PolicyTest({}, cannot=("pull web/x",)),
        PolicyTest({"robot": "ci"}, can=("pull web/x",)),
    ),
)

TEXT = """\
# From harbor.json.
# Please read it.
version: 1
registries: ["registry.example.com:5000"]
administrators: ["user:ann"]

roles:
  promoter: [pull, push]

robots:
  ci:
    description: "builds: all"
    owners: ["group:web"]
  cleaner:

groups:
  # project 7
  web: {users: [ann, "no"], groups: [web-devs], robots: [ci]}

allow:
  # line 3
  - id: web
    to: ["group:web"]
    repositories: ["web/**"]
    not: ["web/prod/**"]
    role: promoter
  - id: catalog
    to: ["user:ann"]
    registry: [catalog]
    actions: ["*"]

deny:
  - id: freeze
    to: [everyone]
    except: ["user:ann"]
    repositories: ["web/*"]
    actions: [push]
    when: {from: ["10.0.0.0/8", "2001:db8::/32"], until: "2999-01-01"}
    message: "later: on Monday"

tests:
  - {as: {user: ann, groups: [web-devs]}, from: "192.0.2.7", can: [push web/x], cannot: [delete web/x]}
  - {as: anonymous, cannot: [pull web/x]}
  - {as: {robot: ci}, can: [pull web/x]}
"""


def test_the_text() -> None:
    """As a person would have written it, apart from quotation marks."""
    assert policy_yaml(POLICY) == TEXT.replace("[push web/x]", '["push web/x"]').replace(
        "[delete web/x]", '["delete web/x"]'
    ).replace("[pull web/x]", '["pull web/x"]')


def test_it_is_a_policy() -> None:
    """The syntax of policy files has no fault to find."""
    assert read_policy_file(parse(policy_yaml(POLICY), "x.yaml")).faults == []


def test_an_empty_one() -> None:
    """Sections without content are left out."""
    assert policy_yaml(PolicyText()) == "version: 1\n"


_WORDS = [
    "yes",
    "No",
    "on",
    "null",
    "~",
    "0x10",
    "1e3",
    "12:30",
    "2027-01-01",
    "user:ann",
    "a: b",
    "#x",
    "${user}/**",
    "é\U0001f600",
]
_TEXTS = st.sampled_from(_WORDS) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
_SOME = st.lists(_TEXTS, max_size=3).map(tuple)
_MANY = st.lists(_TEXTS, min_size=1, max_size=3).map(tuple)
_COMMENTS = st.text(st.characters(codec="utf-8"), max_size=20)
_VALUES = st.dictionaries(st.sampled_from(["from", "until", "kind"]), _TEXTS | _MANY, max_size=2)
_RULES = st.builds(
    RuleText,
    id=_TEXTS,
    to=_MANY,
    repositories=_SOME,
    actions=_SOME,
    role=_TEXTS,
    registry=_SOME,
    exceptions=_SOME,
    besides=_SOME,
    when=_VALUES,
    message=_TEXTS,
    comment=_COMMENTS,
)
_GROUPS = st.builds(GroupText, name=_TEXTS, users=_MANY, groups=_SOME, includes=_SOME, robots=_SOME, comment=_COMMENTS)
_POLICIES = st.builds(
    PolicyText,
    header=_COMMENTS,
    registries=_SOME,
    administrators=_SOME,
    roles=st.dictionaries(_TEXTS, _MANY, max_size=2),
    robots=st.lists(st.builds(RobotText, _TEXTS, _COMMENTS, _SOME), max_size=2, unique_by=lambda one: one.name).map(
        tuple
    ),
    groups=st.lists(_GROUPS, max_size=2, unique_by=lambda one: one.name).map(tuple),
    allow=st.lists(_RULES, max_size=2).map(tuple),
    deny=st.lists(_RULES, max_size=2).map(tuple),
    tests=st.lists(
        st.builds(
            PolicyTest,
            st.fixed_dictionaries({}, optional={"user": _TEXTS, "groups": _MANY}),
            _MANY,
            _SOME,
            st.dictionaries(st.sampled_from(["service", "at"]), _TEXTS, max_size=2),
        ),
        max_size=2,
    ).map(tuple),
)


def read(value: Any) -> Any:
    """A value of ours as YAML has it: lists, and texts."""
    if isinstance(value, tuple):
        return [read(one) for one in value]
    return {key: read(one) for key, one in value.items()} if isinstance(value, dict) else value


def full(**values: Any) -> dict[str, Any]:
    """Those that are not empty."""
    return {key.rstrip("_"): read(value) for key, value in values.items() if value}


def rule(one: RuleText) -> dict[str, Any]:
    """A rule as its keys have it."""
    lists = full(to=one.to, repositories=one.repositories, registry=one.registry, actions=one.actions, when=one.when)
    more = {"except": read(one.exceptions)} if one.exceptions else {}
    return {
        "id": one.id,
        **lists,
        **more,
        **full(not_=one.besides, role=one.role, message=one.message),
    }


def expected(policy: PolicyText) -> dict[str, Any]:
    """The whole file."""
    return {
        "version": 1,
        **full(
            registries=policy.registries,
            administrators=policy.administrators,
            roles=policy.roles,
            robots={one.name: full(description=one.description, owners=one.owners) or None for one in policy.robots},
            groups={
                one.name: full(users=one.users, groups=one.groups, includes=one.includes, robots=one.robots)
                for one in policy.groups
            },
            allow=tuple(rule(one) for one in policy.allow),
            deny=tuple(rule(one) for one in policy.deny),
            tests=tuple(
                {
                    "as": read(one.client) or "anonymous",
                    **one.settings,
                    **full(can=one.can, cannot=one.cannot),
                }
                for one in policy.tests
            ),
        ),
    }


@given(_POLICIES)
def test_any_policy_is_read_back(policy: PolicyText) -> None:
    """Whatever its texts hold: words of YAML 1.1, control characters, quotation marks, ends of lines in comments."""
    assert read_yaml(policy_yaml(policy), "x.yaml")[0] == expected(policy)
