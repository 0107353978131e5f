"""The syntax of entries under `delegate:`."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.document import parse
from tokenserver.patterns import parse_pattern
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.model import Principals
from tokenserver.policy.syntax.delegation import Delegation, WorkloadLimits, parse_name_glob, read_delegation
from tokenserver.policy.syntax.reader import Reader

WEB = 'file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push, delete]'
ENTRY: dict[str, Any] = {"file": "teams/web.yaml", "repositories": ["web/**"], "actions": ["pull", "push"]}


def read(entry: str) -> tuple[Delegation | None, list[str]]:
    """The entry with this text, which is on line 2, and its faults."""
    document = parse(f"delegate:\n  - {entry}\n", "root.yaml")
    reader = Reader(document)
    found = read_delegation(reader, document.value["delegate"][0], ("delegate", 0))
    return found, [str(fault) for fault in reader.faults]


def read_value(value: Any) -> tuple[Delegation | None, Reader]:
    """The entry with this value."""
    reader = Reader(parse("delegate: []\n", "root.yaml"))
    return read_delegation(reader, value, ("delegate", 0)), reader


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(
            'repositories: ["web/**"], actions: [pull]', "delegate[0]: file is missing; for example", id="no-file"
        ),
        pytest.param(
            "file: teams/web.yaml, actions: [pull]", "delegate[0]: repositories is missing", id="no-repositories"
        ),
        pytest.param(
            'file: teams/web.yaml, repositories: ["web/**"]', "delegate[0]: actions is missing", id="no-actions"
        ),
        pytest.param(f"{WEB}, role: writer", "delegate[0].role: unknown key", id="unknown-key"),
        pytest.param(WEB.replace('["web/**"]', "[]"), "repositories: is an empty list", id="no-pattern"),
        pytest.param(WEB.replace("web/**", "Web/**"), "repositories[0]: 'Web': repository names are", id="pattern"),
        pytest.param(WEB.replace("[pull, push, delete]", "[]"), "actions: is an empty list", id="no-action"),
        pytest.param(WEB.replace("[pull,", "[pul,"), "actions[0]: unknown action 'pul'", id="action"),
        pytest.param(f"{WEB}, principals: []", "principals: is an empty list", id="no-principals"),
        pytest.param(f"{WEB}, principals: [ann]", "principals[0]: 'ann': must be", id="principal"),
        pytest.param(f"{WEB}, max_lifetime: soon", "max_lifetime: 'soon': must be a duration", id="lifetime"),
        pytest.param(f"{WEB}, max_lifetime: 59s", "max_lifetime: '59s': must be from 60s to 1h", id="too-short"),
        pytest.param(f"{WEB}, max_lifetime: 2h", "max_lifetime: '2h': must be from 60s to 1h", id="too-long"),
        pytest.param(f"{WEB}, max_lifetime: true", "max_lifetime: must be text, not a boolean", id="boolean"),
        pytest.param(f"{WEB}, robots: []", "robots: is an empty list", id="no-robots"),
        pytest.param(f"{WEB}, robots: web-*", "robots: must be a list, not text; fix: write", id="one-robot"),
        pytest.param(f"{WEB}, robots: ['**']", "robots[0]: '**': must be a name of a robot (a-z", id="robots"),
        pytest.param(f"{WEB}, robots: [web/*]", "robots[0]: 'web/*': must be a name of a robot", id="robot-path"),
        pytest.param(f"{WEB}, robots: [Web-*]", "robots[0]: 'Web-*': must be a name of a robot", id="robot-capital"),
        pytest.param(
            f"{WEB}, workloads: [github]",
            "workloads: must be a mapping (key: value), not a list",
            id="list-of-workloads",
        ),
        pytest.param(
            f"{WEB}, workloads: {{claims: {{a: x}}}}",
            "workloads: from is missing; for example from: [github]",
            id="no-source",
        ),
        pytest.param(
            f"{WEB}, workloads: {{from: github}}",
            'workloads: claims is missing; for example claims: {repository_owner_id: "65"}',
            id="no-claims",
        ),
        pytest.param(f"{WEB}, workloads: {{from: [], claims: {{a: x}}}}", "from: is an empty list", id="no-sources"),
        pytest.param(
            f"{WEB}, workloads: {{from: a, claims: {{a: x**}}}}", "workloads.claims.a: 'x**': ** must", id="claim"
        ),
        pytest.param(
            f"{WEB}, workloads: {{from: a, claims: {{a: x}}, names: [b]}}", "workloads.names: unknown key", id="names"
        ),
        pytest.param(f"{WEB}, contact: [a]", "contact: must be text, not a list", id="contacts"),
        pytest.param(f"{WEB}, contact: ''", "contact: must be one line of 1 to 200 printable", id="no-contact"),
        pytest.param(f"{WEB}, contact: ' '", "contact: must be one line of 1 to 200 printable", id="blank-contact"),
        pytest.param(f"{WEB}, contact: {'a' * 201}", "contact: must be one line of 1 to 200", id="long-contact"),
        pytest.param(f'{WEB}, contact: "a\\nb"', "contact: must be one line of 1 to 200 printable", id="two-lines"),
        pytest.param(f'{WEB}, contact: "\\e[2J"', "contact: must be one line of 1 to 200 printable", id="escape"),
        pytest.param(WEB.replace("teams/web.yaml", "web.yaml"), "cover everything; fix: delegate to", id="root"),
        pytest.param(WEB.replace("teams/", "../"), "file: '../web.yaml': must be a policy file below", id="outside"),
        pytest.param(WEB.replace("teams/", "/teams/"), "must be a policy file below the policy folder", id="absolute"),
        pytest.param(WEB.replace("teams/", "teams//"), "must be a policy file below the policy folder", id="doubled"),
        pytest.param(WEB.replace("teams/", ".teams/"), "must be a policy file below the policy folder", id="hidden"),
        pytest.param(WEB.replace(".yaml", ".txt"), "must be a policy file below the policy folder", id="suffix"),
    ],
)
def test_refused_entry(entry: str, expected: str) -> None:
    """A malformed entry is a fault at its line, and what is malformed is not taken for a limit."""
    found, faults = read(f"{{{entry}}}")
    assert limits(found).isdisjoint(faulty(faults))
    assert [fault for fault in faults if fault.startswith("root.yaml:2: ") and expected in fault] != [], faults


def limits(found: Delegation | None) -> set[str]:
    """The keys with which an entry limits its file."""
    if found is None:
        return set()
    every = {"pull", "push", "delete", "*"}
    limited = {
        "repositories": found.patterns != (parse_pattern("**"),),
        "actions": found.actions != every,
        "principals": found.principals is not None,
        "max_lifetime": found.max_lifetime is not None,
        "contact": found.contact is not None,
        "robots": found.robots not in ((), (parse_name_glob("*"),)),
        "workloads": found.workloads not in (None, WorkloadLimits(None, ())),
    }
    return {key for key, is_limit in limited.items() if is_limit}


def faulty(faults: list[str]) -> set[str]:
    """The keys of an entry that have a fault."""
    return {
        match[1] or match[2] for fault in faults if (match := re.search(r"delegate\[0\](?:\.(\w+)|: (\w+) is)", fault))
    }


def test_a_faulty_entry_keeps_its_other_limits() -> None:
    """So that the file's rules are still compared with them."""
    found, faults = read(f"{{{WEB}, contact: ''}}")
    assert len(faults) == 1
    assert limits(found) == {"repositories", "actions"}


def test_entries_are_mappings() -> None:
    """A bare file name is no delegation."""
    assert read("teams/web.yaml") == (None, ["root.yaml:2: delegate[0]: must be a mapping (key: value), not text"])


def test_every_fault_of_an_entry_is_reported() -> None:
    """They can be fixed together."""
    _, faults = read("{file: web.yaml, actions: [pul], principals: [ann], max_lifetime: soon}")
    assert [fault.partition("delegate[0]")[2].split(":")[0] for fault in faults] == [
        "",
        ".file",
        ".actions[0]",
        ".principals[0]",
        ".max_lifetime",
    ]


def test_a_whole_entry() -> None:
    """Every key, as the loader gets it; `*` is every action."""
    found, faults = read(
        '{file: teams/web.yaml, repositories: ["web/**", web], actions: ["*"], max_lifetime: 10m,'
        ' principals: ["user:ann", "group:web", robots], robots: ["web-*", ci],'
        ' workloads: {from: github, claims: {owner: [65, "66"]}}}'
    )
    assert faults == []
    assert found == Delegation(
        ("delegate", 0),
        "teams/web.yaml",
        (parse_pattern("web/**"), parse_pattern("web")),
        frozenset({"pull", "push", "delete", "*"}),
        600,
        Principals(users=frozenset({"ann"}), groups=frozenset({"web"}), robots=True),
        robots=(parse_name_glob("web-*"), parse_name_glob("ci")),
        workloads=WorkloadLimits(frozenset({"github"}), (("owner", (parse_claim_glob("65"), parse_claim_glob("66"))),)),
    )


@pytest.mark.parametrize(("written", "seconds"), [("90s", 90), ("10m", 600), ("1h", 3600), ("600", 600)])
def test_lifetimes_as_they_are_written(written: str, seconds: int) -> None:
    """As in the configuration, with a unit or in seconds."""
    found, faults = read(f"{{{WEB}, max_lifetime: {written}}}")
    assert faults == []
    assert found is not None
    assert found.max_lifetime == seconds


def test_what_is_left_out_has_no_limit() -> None:
    """Any principal may be named, and tokens live as long as the registry allows; but no machine may be declared."""
    found, _ = read(f"{{{WEB}}}")
    assert found is not None
    assert (found.max_lifetime, found.principals) == (None, None)
    assert (found.robots, found.workloads) == ((), None)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["pull", "web/**", "user:ann"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(
    st.dictionaries(
        st.sampled_from([*ENTRY, "max_lifetime", "principals", "robots", "workloads", "role"]), VALUES, max_size=3
    )
)
def test_any_value_is_an_entry_or_a_fault(changes: dict[str, Any]) -> None:
    """Nothing else is raised, and an entry with a fault is never taken for a narrower one."""
    found, reader = read_value(ENTRY | changes)
    assert found is not None or reader.faults
    assert limits(found).isdisjoint(faulty([str(fault) for fault in reader.faults]))
