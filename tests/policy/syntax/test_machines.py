"""The syntax of robots, workloads and claims: every fault with its place, and what is read."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest

from tokenserver.access_keys import DeclaredSecret
from tokenserver.documents.document import parse
from tokenserver.identity import Identity, Kind
from tokenserver.policy.machines.claim_globs import ClaimError
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Workload
from tokenserver.policy.syntax.file import PolicyFile, read_policy_file
from tokenserver.policy.syntax.machines import parse_claim, read_claims, read_machine
from tokenserver.policy.syntax.reader import Reader

HASH = "sha256:" + "0a" * 32
SECRET = f'id: 3f9K2mQx7LbT, hash: "{HASH}", expires: 2027-03-01'
CLAIMS = "{repository_id: 74}"


def read(text: str) -> tuple[PolicyFile, list[str]]:
    """The file with this text behind its version, and its faults."""
    file = read_policy_file(parse(f"version: 1\n{text}\n", "a.yaml"))
    return file, [str(fault).removeprefix("a.yaml:") for fault in file.faults]


def robot(text: str) -> str:
    """A robot with this content, in line 3."""
    return f"robots:\n  ci: {text}"


def secret(text: str) -> str:
    """A robot with this secret, in line 3."""
    return robot(f"{{secrets: [{{{text}}}]}}")


def workload(text: str) -> str:
    """A workload with this content, in line 3."""
    return f"workloads:\n  web: {text}"


NEW = "; fix: copy the line that tokenserver robots secret new NAME --for-file prints"
PLACE = "3: robots.ci.secrets[0]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("robots: {}", "2: robots: is empty: leave the key out, or fill it", id="no robots"),
        pytest.param("robots: [ci]", "2: robots: must be a mapping (key: value), not a list", id="a list of robots"),
        pytest.param(
            "robots: {CI: }",
            "2: robots.CI: 'CI': the name of a machine has 1 to 64 characters of a-z 0-9 . _ - "
            "and begins and ends with a letter or digit",
            id="name of a robot",
        ),
        pytest.param(
            robot("{}"),
            "3: robots.ci: is empty; fix: write a description, or nothing at all after the colon",
            id="empty robot",
        ),
        pytest.param(robot("x"), "3: robots.ci: must be a mapping (key: value), not text", id="a text for a robot"),
        pytest.param(
            robot("{secret: []}"), "3: robots.ci.secret: unknown key; did you mean 'secrets'?", id="key of a robot"
        ),
        pytest.param(
            robot("{description: ''}"),
            "3: robots.ci.description: must be one line of 1 to 300 printable characters",
            id="no description",
        ),
        pytest.param(
            robot("{description: 7}"),
            "3: robots.ci.description: must be text, not a number; quote it if text is meant",
            id="a number for a description",
        ),
        pytest.param(
            robot("{owners: []}"),
            "3: robots.ci.owners: is an empty list: leave the key out, or fill it",
            id="no owners",
        ),
        pytest.param(
            robot("{owners: [authenticated]}"),
            "3: robots.ci.owners[0]: 'authenticated': an owner is a user or a group, such as group:web",
            id="everybody as owner",
        ),
        pytest.param(
            robot('{owners: ["robot:ci"]}'),
            "3: robots.ci.owners[0]: 'robot:ci': an owner is a user or a group, such as group:web",
            id="a robot as owner",
        ),
        pytest.param(robot("{secrets: {}}"), "3: robots.ci.secrets: must be a list, not a mapping", id="one secret"),
        pytest.param(
            robot("{secrets: [null]}"),
            f"{PLACE}: must be a mapping (key: value), not nothing",
            id="null for a secret",
        ),
        pytest.param(
            secret(SECRET.partition(", ")[2]), f"{PLACE}: id is missing; for example id: 3f9K2mQx7LbT", id="no id"
        ),
        pytest.param(
            secret("id: 3f9K2mQx7LbT, expires: 2027-03-01"),
            f"{PLACE}: hash is missing; for example hash: sha256:9f2c…",
            id="no hash",
        ),
        pytest.param(
            secret(SECRET.rpartition(", ")[0]),
            f"{PLACE}: expires is missing; for example expires: 2027-03-01",
            id="no end",
        ),
        pytest.param(
            secret(SECRET.replace("3f9K2mQx7LbT", "3f9K")),
            f"{PLACE}.id: must be the 12 letters and digits of the key's id{NEW}",
            id="short id",
        ),
        pytest.param(
            secret(SECRET.replace("3f9K2mQx7LbT", "123456789012")),
            f"{PLACE}.id: must be text, not a number; quote it if text is meant",
            id="id of digits",
        ),
        pytest.param(
            secret(SECRET.replace("sha256:", "")),
            f"{PLACE}.hash: must name its algorithm; fix: write sha256: before the hexadecimal digits",
            id="hash without algorithm",
        ),
        pytest.param(
            secret(SECRET.replace("sha256:", "md5:")),
            f"{PLACE}.hash: must be sha256: and 64 hexadecimal digits in lower case{NEW}",
            id="another hash",
        ),
        pytest.param(
            secret(SECRET.replace("2027-03-01", "never")),
            f"{PLACE}.expires: 'never': must be a date (2027-01-31) or a time with its zone (2027-01-31T18:00:00Z)",
            id="never",
        ),
        pytest.param(
            secret(SECRET.replace("2027-03-01", "20270301")),
            f"{PLACE}.expires: must be a date, not a number; fix: write 2027-03-01",
            id="a number for a date",
        ),
        pytest.param(
            secret(f"{SECRET}, networks: []"),
            f"{PLACE}.networks: is an empty list: leave the key out, or fill it",
            id="no networks",
        ),
        pytest.param(
            secret(f"{SECRET}, networks: [10.0.0.1/8]"),
            f"{PLACE}.networks[0]: '10.0.0.1/8': has bits set after the prefix; fix: write 10.0.0.0/8",
            id="network",
        ),
        pytest.param(
            secret(f"{SECRET}, note: ''"), f"{PLACE}.note: must be one line of 1 to 200 printable characters", id="note"
        ),
        pytest.param(
            secret(f"{SECRET}, secret: x"),
            f"{PLACE}.secret: unknown key; fix: write hash: with the line that tokenserver robots secret new NAME "
            "--for-file prints",
            id="the secret itself",
        ),
        pytest.param("workloads: {}", "2: workloads: is empty: leave the key out, or fill it", id="no workloads"),
        pytest.param(workload("{}"), "3: workloads.web: is empty: leave the key out, or fill it", id="empty workload"),
        pytest.param(
            workload(""), "3: workloads.web: must be a mapping (key: value), not nothing", id="null for a workload"
        ),
        pytest.param(
            f"workloads: {{a/b: {{from: github, claims: {CLAIMS}}}}}",
            "2: workloads.a/b: 'a/b': the name of a machine has 1 to 64 characters of a-z 0-9 . _ - "
            "and begins and ends with a letter or digit",
            id="name of a workload",
        ),
        pytest.param(
            workload(f"{{claims: {CLAIMS}}}"),
            "3: workloads.web: from is missing; for example from: github",
            id="no source",
        ),
        pytest.param(
            workload("{from: github}"),
            '3: workloads.web: claims is missing; for example claims: {repository_id: "74"}',
            id="no claims",
        ),
        pytest.param(
            workload(f"{{from: a b, claims: {CLAIMS}}}"),
            "3: workloads.web.from: 'a b': must be the name of a workload source of the configuration, such as github",
            id="name of a source",
        ),
        pytest.param(
            workload(f"{{from: [github], claims: {CLAIMS}}}"),
            "3: workloads.web.from: must be text, not a list",
            id="several sources",
        ),
        pytest.param(
            workload("{from: github, claims: {}}"),
            "3: workloads.web.claims: is empty: leave the key out, or fill it",
            id="empty claims",
        ),
        pytest.param(
            workload("{from: github, claims: [a]}"),
            "3: workloads.web.claims: must be a mapping (key: value), not a list",
            id="a list of claims",
        ),
        pytest.param(
            workload(f"{{from: github, claims: {CLAIMS}, sub: x}}"),
            "3: workloads.web.sub: unknown key; known here: claims, description, from",
            id="key of a workload",
        ),
    ],
)
def test_faults(text: str, expected: str) -> None:
    """Each fault has its place and says what to write; what has one is not in the result."""
    file, found = read(text)
    assert found == [expected]
    assert (file.robots, file.workloads) == ([], [])


def claims_of(text: str) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """Required claims as texts, and the faults with their places."""
    reader = Reader(parse(f"claims: {text}\n", "a.yaml"))
    found = read_claims(reader, reader.document.value["claims"], ("claims",))
    return [(name, [glob.text for glob in globs]) for name, globs in found], [
        f"{fault.path}: {fault.message}" for fault in reader.faults
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{b: x, a: y}", [("a", ["y"]), ("b", ["x"])], id="by name"),
        pytest.param("{a: [x, y*, x]}", [("a", ["x", "y*"])], id="a list"),
        pytest.param("{a: 74, b: -1}", [("a", ["74"]), ("b", ["-1"])], id="whole numbers"),
        pytest.param("{a: true, b: [false]}", [("a", ["true"]), ("b", ["false"])], id="booleans"),
        pytest.param("{a: 2027-01-31}", [("a", ["2027-01-31"])], id="what looks like a date"),
        pytest.param("{a: yes}", [("a", ["yes"])], id="yes is a text"),
        pytest.param("{kubernetes.io/pod/name: x}", [("kubernetes.io/pod/name", ["x"])], id="a claim in an object"),
        pytest.param("{https://example.com/roles: x}", [("https://example.com/roles", ["x"])], id="a URL"),
    ],
)
def test_claims(text: str, expected: list[tuple[str, list[str]]]) -> None:
    """Values compare as the text that they are in JSON."""
    assert claims_of(text) == (expected, [])


VALUE = "must be text, a whole number, true or false, not"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{a: }", f"claims.a: {VALUE} nothing", id="null"),
        pytest.param("{a: 1.5}", f"claims.a: {VALUE} a number; quote it if text is meant", id="fraction"),
        pytest.param("{a: []}", "claims.a: is an empty list: leave the key out, or fill it", id="empty list"),
        pytest.param("{a: [x, null]}", f"claims.a[1]: {VALUE} nothing", id="null in a list"),
        pytest.param("{a: [[x]]}", f"claims.a[0]: {VALUE} a list", id="list in a list"),
        pytest.param("{a: {}}", f"claims.a: {VALUE} a mapping", id="empty object"),
        pytest.param(
            "{kubernetes.io: {namespace: x}}",
            f"claims.kubernetes.io: {VALUE} a mapping; "
            "fix: write the way to the value as the claim's name, such as kubernetes.io/namespace",
            id="object",
        ),
        pytest.param(
            "{a: 'x**'}",
            "claims.a: 'x**': ** must be a whole segment, between slashes; fix: use * inside a segment",
            id="two stars in a segment",
        ),
        pytest.param("{a: ''}", "claims.a: a value of a claim has 1 to 1024 printable characters", id="empty value"),
        pytest.param(
            "{a: '${user}'}",
            "claims.a: '${user}': values of claims have no variables; fix: write * in their place",
            id="variable",
        ),
        pytest.param(
            "{a b: x}",
            "claims.a b: 'a b': the name of a claim has 1 to 255 characters of ASCII, and no blanks",
            id="name with a blank",
        ),
        pytest.param(
            "{ä: x}",
            "claims.ä: 'ä': the name of a claim has 1 to 255 characters of ASCII, and no blanks",
            id="name outside of ASCII",
        ),
    ],
)
def test_faults_of_claims(text: str, expected: str) -> None:
    """With the place of the value."""
    assert claims_of(text)[1] == [expected]


def test_a_long_name_of_a_claim() -> None:
    """The limit is that of the whole way to a claim in objects."""
    assert parse_claim("x" * 255) == "x" * 255
    with pytest.raises(ClaimError, match="has 1 to 255 characters of ASCII, and no blanks"):
        parse_claim("x" * 256)


def test_a_robot() -> None:
    """All that a robot has, with its line; owners and networks as they are compared."""
    file, faults = read(
        "robots:\n"
        "  ci: {description: builds, owners: ['group:web', 'user:ann', 'group:web'], secrets: "
        f"[{{{SECRET}, networks: 10.0.0.0/8, note: runner}}]}}\n"
        "  bare:"
    )
    assert faults == []
    end = datetime(2027, 3, 1, tzinfo=UTC)
    declared = DeclaredSecret("3f9K2mQx7LbT", bytes.fromhex("0a" * 32), end, (ip_network("10.0.0.0/8"),), "runner")
    assert file.robots == [
        (("robots", "ci"), Robot("ci", "builds", ("group:web", "user:ann"), (declared,))),
        (("robots", "bare"), Robot("bare")),
    ]
    assert [(one.file, one.line) for _, one in file.robots] == [("a.yaml", 3), ("a.yaml", 4)]


@pytest.mark.parametrize("text", ["{secrets: []}", "{secrets: }", "{description: x}", ""])
def test_a_robot_without_secrets(text: str) -> None:
    """What is left when the last line is removed is no fault, which would keep the previous version and its secret."""
    file, faults = read(robot(text))
    assert faults == []
    assert [one.secrets for _, one in file.robots] == [()]


def test_a_workload() -> None:
    """With its source, claims and line."""
    file, faults = read(workload("{description: x, from: github, claims: {ref: refs/*, repository_id: 74}}"))
    assert faults == []
    ((place, found),) = file.workloads
    assert (place, found.name, found.source, found.file, found.line) == (
        ("workloads", "web"),
        "web",
        "github",
        "a.yaml",
        3,
    )
    assert [(name, [glob.text for glob in globs]) for name, globs in found.claims] == [
        ("ref", ["refs/*"]),
        ("repository_id", ["74"]),
    ]
    assert isinstance(found, Workload)


def machine(value: Any) -> tuple[Identity | None, list[str]]:
    """The client of a test, and the faults with their places."""
    reader = Reader(parse("tests: []\n", "a.yaml"))
    found = read_machine(reader, value, ("as",))
    return found, [f"{fault.path}: {fault.message}" for fault in reader.faults]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"robot": "ci"}, Identity("robot:ci", Kind.ROBOT), id="a robot"),
        pytest.param(
            {
                "workload": {
                    "from": "github",
                    "claims": {"sub": "repo:x", "aud": ["a", "b"], "ok": True, "n": 7, "e": ""},
                }
            },
            Identity(
                "workload:github:repo:x",
                Kind.WORKLOAD,
                "github",
                claims=frozenset(
                    {("sub", "repo:x"), ("aud", "a"), ("aud", "b"), ("ok", "true"), ("n", "7"), ("e", "")}
                ),
            ),
            id="a workload",
        ),
        pytest.param(
            {"workload": {"from": "github", "claims": {"a": "*"}}},
            Identity("workload:github:", Kind.WORKLOAD, "github", claims=frozenset({("a", "*")})),
            id="a star is a value",
        ),
    ],
)
def test_machines_of_tests(value: Any, expected: Identity) -> None:
    """A client as it would log in."""
    assert machine(value) == (expected, [])


EXAMPLE = "for example {from: github, claims: {repository_id: 74}}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            {"robot": "ci", "user": "ann"}, ["as: is one client: a user, a robot or a workload"], id="two clients"
        ),
        pytest.param({"robot": None}, ["as.robot: must be text, not nothing"], id="null for a robot"),
        pytest.param({"workload": "web"}, ["as.workload: must be a mapping (key: value), not text"], id="a name"),
        pytest.param(
            {"workload": {"claims": {"a": "x"}}}, [f"as.workload: from is missing; {EXAMPLE}"], id="no source"
        ),
        pytest.param({"workload": {"from": "github"}}, [f"as.workload: claims is missing; {EXAMPLE}"], id="no claims"),
        pytest.param(
            {"workload": {"from": "github", "claims": {"a": "x\n", "b c": 1.5}}},
            [
                "as.workload.claims.a: a value of a claim has at most 1024 printable characters",
                "as.workload.claims.b c: 'b c': the name of a claim has 1 to 255 characters of ASCII, and no blanks",
                f"as.workload.claims.b c: {VALUE} a number; quote it if text is meant",
            ],
            id="values",
        ),
    ],
)
def test_faults_of_machines_of_tests(value: Any, expected: list[str]) -> None:
    """There is no client then."""
    assert machine(value) == (None, expected)
