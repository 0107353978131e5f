"""`tokenserver policy test, why, who-can, what-can, matrix`, run as the command line runs them."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.dom import minidom

import bcrypt
import pytest
from click.testing import CliRunner, Result

from tokenserver.cli import main

Run = Callable[..., Result]

POLICY = """\
version: 1
groups:
  web: {users: [bob], groups: [web-dev]}
allow:
  - {id: web-developers, to: ["group:web"], repositories: ["web/**"], role: writer}
  - {id: kim, to: ["user:kim"], repositories: ["web/app"], role: reader, when: {until: 2027-01-01, from: [10.0.0.0/8]}}
  - {id: public, to: [everyone], repositories: ["public/**"], role: reader}
deny:
  - {id: freeze, to: [everyone], except: ["user:bob"], repositories: ["web/prod/*"], actions: [push], message: ask bob}
tests:
  - {as: {user: bob}, can: [push web/prod/x]}
  - {what_can: "user:eve", exactly: [pull public/**]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bare policy folder."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    write(path / "web.yaml", POLICY)
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


@pytest.fixture
def run(folder: Path) -> Run:
    """Run a command of `policy` on the bare folder."""

    def run(*arguments: str | Path, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, ["policy", *map(str, arguments), "--policies", str(folder)], input=stdin)

    return run


@pytest.fixture
def site(tmp_path: Path, folder: Path) -> Path:
    """A configuration beside the folder, with one user."""
    write(tmp_path / "users.htpasswd", f"ann:{bcrypt.hashpw(b'x', bcrypt.gensalt(10)).decode()}\n")
    config = tmp_path / "tokenserver.yaml"
    write(
        config,
        "issuer: auth\nserver: {listen: '127.0.0.1:5001', url: 'http://localhost:5001'}\n"
        "registries: [{service: registry.example.com}]\nauthentication: [{htpasswd: {file: users.htpasswd}}]\n"
        "policies: policies\nkeys: keys\n",
    )
    return config


def facts(result: Result) -> Any:
    return json.loads(result.stdout)


# --- why -------------------------------------------------------------------------------------------------------------


def test_why_not_granted(run: Run) -> None:
    """The nearest rule, and what is missing."""
    result = run("why", "push", "web/site", "--user", "ann", "--group", "web-devs", "--group", "ops", "--json")
    assert (result.exit_code, result.stderr) == (1, "")
    found = facts(result)
    assert (found["verdict"], found["action"], found["repository"]) == ("not_granted", "push", "web/site")
    assert found["rules"] == [
        {
            "id": "web-developers",
            "effect": "allow",
            "file": "web.yaml",
            "line": 5,
            "applies": False,
            "because": "not for ann: it is to group:web",
        },
    ]
    sentence = "`web-developers` would grant it to group web; ann is in ops, web-devs"
    assert [near["because"] for near in found["nearest"]] == [sentence]
    text = run("why", "push", "web/site", "--user", "ann", "--group", "web-devs", "--group", "ops").stdout
    assert "push web/site: not granted" in text
    assert f"{sentence} (web.yaml:5)" in text


def test_why_allowed_and_denied(run: Run) -> None:
    """Exit code 0 and 1; the deny's message is shown."""
    allowed = run("why", "push", "web/prod/x", "--user", "bob")
    assert (allowed.exit_code, allowed.stdout.splitlines()[0]) == (
        0,
        "push web/prod/x: allowed by web-developers (web.yaml:5)",
    )
    denied = run("why", "push", "web/prod/x", "--group", "web-dev")
    assert (denied.exit_code, denied.stdout.splitlines()[:2]) == (
        1,
        ["push web/prod/x: denied by freeze (web.yaml:9)", "  ask bob"],
    )


@pytest.mark.parametrize(
    ("circumstances", "code"),
    [
        pytest.param(["--at", "2026-12-31", "--from", "10.0.0.1"], 0, id="there-and-then"),
        pytest.param(["--at", "2027-01-01", "--from", "10.0.0.1"], 1, id="too-late"),
        pytest.param(["--at", "2026-12-31", "--from", "192.0.2.1"], 1, id="elsewhere"),
        pytest.param(["--at", "2026-12-31"], 1, id="from-nowhere"),
    ],
)
def test_why_asks_for_then_and_there(run: Run, circumstances: list[str], code: int) -> None:
    """--at and --from."""
    assert run("why", "pull", "web/app", "--user", "kim", *circumstances).exit_code == code


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["pull", "a"], "name the client: --user", id="nobody"),
        pytest.param(["pull", "a", "--user", "x", "--anonymous"], "--anonymous and --as exclude each other", id="two"),
        pytest.param(
            ["pull", "a", "--group", "x", "--anonymous"],
            "--anonymous and --as exclude each other",
            id="anonymous-in-a-group",
        ),
        pytest.param(["pul", "a", "--user", "x"], "did you mean 'pull'?", id="action"),
        pytest.param(["pull,push", "a", "--user", "x"], "name exactly one action", id="two-actions"),
        pytest.param(["*", "a", "--user", "x"], "name exactly one action: pull, push or delete", id="star"),
        pytest.param(["pull", "A", "--user", "x"], "no legal name", id="repository"),
        pytest.param(["pull", "--user", "x"], "name ACTION and REPOSITORY, such as", id="no-repository"),
        pytest.param(["pull", "a", "--user", "x*"], "names are literal", id="user"),
        pytest.param(["pull", "a", "--user", "x", "--at", "noon"], "must be a date", id="time"),
        pytest.param(["pull", "a", "--as", "x"], "needs --config", id="as-without-configuration"),
        pytest.param(["--user", "x", "--challenge", "Basic realm=x"], "no challenge", id="challenge"),
        pytest.param(["pull", "a", "--user", "x", "--challenge", 'Bearer realm="x"'], "exclude each other", id="both"),
    ],
)
def test_why_wrong_use(run: Run, arguments: list[str], told: str) -> None:
    """Exit code 2, and what would be right."""
    result = run("why", *arguments)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr


def test_why_asks_the_user_sources(site: Path) -> None:
    """--as: a user of the htpasswd file exists, another one does not."""
    arguments = ["policy", "why", "pull", "public/x", "--config", str(site), "--as"]
    assert CliRunner().invoke(main, [*arguments, "ann"]).exit_code == 0
    unknown = CliRunner().invoke(main, [*arguments, "eve"])
    assert (unknown.exit_code, "no user source knows 'eve' (asked: htpasswd)" in unknown.stderr) == (2, True)


def test_why_says_that_anonymous_clients_get_nothing(site: Path) -> None:
    """Policies alone are not the whole truth."""
    arguments = ["policy", "why", "pull", "public/x", "--config", str(site), "--anonymous"]
    assert "anonymous: false" in CliRunner().invoke(main, arguments).stdout


def test_a_policy_whose_tests_fail_can_be_asked(run: Run, folder: Path) -> None:
    """That is when one needs to know why."""
    write(folder / "web.yaml", POLICY.replace("can: [push web/prod/x]", "cannot: [push web/prod/x]"))
    assert run("why", "push", "web/prod/x", "--user", "bob").exit_code == 0


CHALLENGE = 'Bearer realm="https://a/token",service="registry.example.com",scope="repository:web/prod/x:pull,push"'


def jwt(claims: dict[str, Any]) -> str:
    """Something of the form of a token; nobody signed it."""
    parts = [{"alg": "none"}, claims]
    made = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*made, "c2lnbmF0dXJl"])


def test_why_from_a_challenge(run: Run) -> None:
    """Every action that the registry wanted is explained."""
    result = run("why", "--challenge", CHALLENGE, "--group", "web-dev", "--json")
    found = facts(result)
    assert (result.exit_code, found["wanted"]) == (1, ["repository:web/prod/x:pull,push"])
    assert [(one["action"], one["verdict"]) for one in found["answers"]] == [("pull", "allowed"), ("push", "denied")]
    text = run("why", "--challenge", CHALLENGE, "--group", "web-dev").stdout
    assert "The registry 'registry.example.com' wanted: repository:web/prod/x:pull,push" in text


def test_a_challenge_alone_says_what_was_wanted(run: Run) -> None:
    """And then asks for whom."""
    result = run("why", "--challenge", CHALLENGE)
    assert (result.exit_code, "name the client: --user" in result.stderr) == (2, True)
    assert result.stdout == "The registry 'registry.example.com' wanted: repository:web/prod/x:pull,push\n"


def test_why_from_a_challenge_for_a_login(run: Run) -> None:
    """A registry that wants any token at all, and what it says about the one it was given."""
    result = run(
        "why", "--challenge", 'Bearer realm="https://a/token",error="invalid_token",scope="x:y:z"', "--user", "x"
    )
    assert result.exit_code == 0
    assert "any token, as for a login" in result.stdout
    assert "It reported: 'invalid_token'" in result.stdout
    assert "grants nothing: unknown type" in result.stdout


def test_why_from_a_token_alone(run: Run) -> None:
    """It is told what is in it; an empty subject is an anonymous client."""
    result = run("why", "--token", "-", stdin=jwt({"sub": "", "aud": "r"}))
    assert (result.exit_code, "carries no access" in result.stdout) == (0, True)
    asked = run("why", "pull", "public/x", "--token", "-", stdin=jwt({"sub": "", "aud": "r"}))
    assert (asked.exit_code, "for an anonymous client" in asked.stdout) == (1, True)
    assert run("why", "--token", "-", "--json", stdin=jwt({"sub": "ann"})).exit_code == 0


def test_why_from_a_token(run: Run) -> None:
    """What it lacks of what was wanted; it is not verified, not printed, and names who it is."""
    access = [{"type": "repository", "name": "web/prod/x", "actions": ["pull"]}]
    text = jwt({"sub": "bob", "aud": "registry.example.com", "exp": 4102444800, "access": access})
    result = run("why", "--challenge", CHALLENGE, "--token", "-", "--json", stdin=text)
    found = facts(result)
    assert (result.exit_code, found["token"]["verified"], found["token"]["subject"]) == (1, False, "bob")
    assert found["token"]["lacks"] == ["repository:web/prod/x:push"]
    assert [one["verdict"] for one in found["answers"]] == ["allowed", "allowed"]
    shown = run("why", "--challenge", CHALLENGE, "--token", "-", stdin=text).output
    assert "NOT verified" in shown
    assert "lacks push on repository:web/prod/x" in shown
    assert [part for part in text.split(".") if part in shown] == []
    access[0]["actions"] = ["pull", "push"]
    for expires, code in ((4102444800, 0), (1000000000, 1)):
        text = jwt({"sub": "bob", "aud": "registry.example.com", "exp": expires, "access": access})
        result = run("why", "--challenge", CHALLENGE, "--token", "-", stdin=text)
        assert (result.exit_code, "lacks nothing" in result.stdout) == (code, True)


def test_why_takes_a_token_from_the_command_line_or_a_file(run: Run, tmp_path: Path) -> None:
    """Pasted as it is, as a header or as a server's answer, or in a file."""
    access = [{"type": "repository", "name": "web/prod/x", "actions": ["pull"]}]
    text = jwt({"sub": "bob", "aud": "registry.example.com", "exp": 4102444800, "access": access})
    (tmp_path / "refused.txt").write_text(f"{text}\n")
    given = [text, f"Bearer {text}", json.dumps({"token": text}), str(tmp_path / "refused.txt")]
    for one in given:
        result = run("why", "push", "web/prod/x", "--token", one, "--json")
        found = facts(result)["token"]
        assert (found["subject"], found["lacks"]) == ("bob", ["repository:web/prod/x:push"])


def test_why_repeats_nothing_of_what_is_no_token(run: Run) -> None:
    """It may be most of one, or a password."""
    for given in ("eyJhbGciOiJub25lIn0.canary", "canary.yaml", "x" * 5000 + "canary", "eyJ9.canary.c2ln"):
        result = run("why", "--token", given)
        assert (result.exit_code, "canary" in result.output + result.stderr) == (2, False)


def test_a_challenge_of_an_unknown_registry(site: Path) -> None:
    """The registry and the configuration must call it by the same name; that is worth saying."""
    challenge = CHALLENGE.replace("registry.example.com", "other")
    arguments = ["policy", "why", "--challenge", challenge, "--user", "x", "--config", str(site)]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, "calls itself 'other'" in result.stderr) == (2, True)


# --- who-can, what-can -----------------------------------------------------------------------------------------------


def test_who_can(run: Run) -> None:
    """Groups with their members, conditions as conditions."""
    result = run("who-can", "pull", "web/app", "--json")
    assert (result.exit_code, facts(result)) == (
        0,
        {
            "action": "pull",
            "repository": "web/app",
            "everyone": False,
            "authenticated": False,
            "anonymous": False,
            "users": ["kim"],
            "groups": ["web"],
            "except": [],
            "when": {"user:kim": [{"from": ["10.0.0.0/8"], "until": "2027-01-01", "rule": "kim"}]},
            "members": {"web": {"users": ["bob"], "groups": ["web-dev"]}},
        },
    )
    assert [line.split() for line in run("who-can", "pull", "web/app").stdout.splitlines()] == [
        ["who", "when", "members"],
        ["group:web", "bob,", "all", "of", "the", "directory's", "web-dev"],
        ["user:kim", "from", "10.0.0.0/8,", "until", "2027-01-01"],
    ]
    settled = run("who-can", "pull", "web/app", "--at", "2027-01-01", "--json")
    assert facts(settled)["users"] == []


def test_who_can_nobody(run: Run) -> None:
    """Exit code 1."""
    result = run("who-can", "delete", "web/app")
    assert (result.exit_code, result.stdout) == (1, "nobody can delete web/app\n")


def test_who_can_tells_exceptions(run: Run, folder: Path) -> None:
    """Those who are left out, and those whom a deny under a condition stops."""
    more = '  - {id: no-ops, to: ["group:ops"], repositories: ["public/a"], actions: [pull]}\n'
    more += '  - {id: no-night, to: ["group:x"], except: ["group:y"], repositories: ["public/**"], actions: [pull]}\n'
    write(folder / "web.yaml", POLICY.replace("tests:\n", more + "tests:\n"))
    text = run("who-can", "pull", "public/a").stdout
    assert "but never group:ops" in text
    assert "but not if in group:x, unless in group:y (rule no-night)" in text


def test_what_can(run: Run) -> None:
    """Patterns with actions, conditions and what denies cut off."""
    result = run("what-can", "user:eve", "--group", "web-dev", "--json")
    assert (result.exit_code, facts(result)) == (
        0,
        [
            {
                "repositories": "web/**",
                "actions": ["pull"],
                "when": {},
                "rule": "web-developers",
                "except": [],
                "unless": [],
            },
            {
                "repositories": "web/**",
                "actions": ["push"],
                "when": {},
                "rule": "web-developers",
                "except": ["web/prod/*"],
                "unless": [],
            },
            {
                "repositories": "public/**",
                "actions": ["pull"],
                "when": {},
                "rule": "public",
                "except": [],
                "unless": [],
            },
        ],
    )
    kim = facts(run("what-can", "user:kim", "--json"))[0]
    assert kim["when"] == {"from": ["10.0.0.0/8"], "until": "2027-01-01"}
    assert "web/prod/* (freeze)" in run("what-can", "group:web").stdout
    assert run("what-can", "everyone").exit_code == 2
    assert run("what-can", "anonymous", "--group", "x").exit_code == 2


TEAM = """\
version: 1
groups: {devs: {users: [zoe]}}
allow:
  - {id: %s, to: ["group:devs"], repositories: ["%s/**"], role: reader}
"""


def test_a_group_of_a_team_s_own(run: Run, folder: Path) -> None:
    """It is found by its name where no other could be meant, and by the name that answers give it in any case."""
    delegate = 'delegate:\n  - {file: t/a.yaml, repositories: ["a/**"], actions: [pull]}\n'
    write(folder / "web.yaml", POLICY + delegate)
    (folder / "t").mkdir(mode=0o755)
    write(folder / "t" / "a.yaml", TEAM % ("a", "a"))

    def rules(who: str) -> tuple[list[str], str]:
        result = run("what-can", who, "--json")
        return sorted(one["rule"] for one in facts(result)), result.stderr

    told = "group:devs is resolved to group:devs (t/a.yaml)\n"
    assert rules("group:devs") == (["a", "public"], told)
    assert rules("group:devs (t/a.yaml)") == (["a", "public"], "")
    assert rules("group:web-dev")[1] == ""
    matrix = run("matrix", "--who", "group:devs", "--repositories", "a/**")
    assert (matrix.stdout.splitlines()[1].split(), matrix.stderr) == (["group:devs", "(t/a.yaml)", "p"], told)
    write(folder / "web.yaml", POLICY + delegate + '  - {file: t/b.yaml, repositories: ["b/**"], actions: [pull]}\n')
    write(folder / "t" / "b.yaml", TEAM % ("b", "b"))
    found, told = rules("group:devs")
    assert found == ["public"]
    assert "delegated files also have 'group:devs (t/a.yaml)' and 'group:devs (t/b.yaml)'" in told
    assert rules("group:devs (t/b.yaml)") == (["b", "public"], "")


def test_what_can_nothing(run: Run, folder: Path) -> None:
    """Exit code 1."""
    write(
        folder / "web.yaml",
        POLICY.replace('to: [everyone], repositories: ["public', 'to: ["user:x"], repositories: ["public'),
    )
    result = run("what-can", "anonymous")
    assert (result.exit_code, result.stdout) == (1, "anonymous can do nothing\n")


def test_a_registry_must_be_chosen_where_it_matters(run: Run, folder: Path) -> None:
    """Rules for several registries: the question must say which."""
    for name in ("one", "two"):
        rule = f"{{id: in-{name}, to: [everyone], repositories: [x], role: reader}}"
        write(folder / f"{name}.yaml", f"version: 1\nregistries: [{name}]\nallow: [{rule}]\n")
    result = run("who-can", "pull", "x")
    assert (result.exit_code, "--service: one, two" in result.stderr) == (2, True)
    assert run("who-can", "pull", "x", "--service", "one").exit_code == 0
    assert run("who-can", "pull", "x", "--service", "three").exit_code == 1


def test_an_unknown_registry_is_refused(site: Path) -> None:
    """With a configuration it is known which there are."""
    arguments = ["policy", "who-can", "pull", "x", "--config", str(site), "--service", "regist"]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, "no registry 'regist' is configured" in result.stderr) == (2, True)


# --- matrix ----------------------------------------------------------------------------------------------------------


def test_matrix_as_csv(run: Run) -> None:
    """A row for each one whom rules name, in a form that every spreadsheet reads."""
    rows = list(csv.reader(io.StringIO(run("matrix", "--format", "csv").stdout)))
    assert rows == [
        ["who", "public/**", "web/**", "web/app", "web/prod/*"],
        ["anonymous", "p", "", "", ""],
        ["authenticated", "p", "", "", ""],
        ["group:web", "p", "pP*", "pP", "p"],
        ["user:bob", "p", "pP", "pP", "pP"],
        ["user:kim", "p", "p*", "p*", ""],
    ]
    chosen = run("matrix", "--format", "csv", "--who", "user:bob", "--repositories", "web/app").stdout
    assert list(csv.reader(io.StringIO(chosen))) == [["who", "web/**", "web/app"], ["user:bob", "pP", "pP"]]


def test_matrix_as_page_table_and_json(run: Run, folder: Path) -> None:
    """The page escapes what it shows; the table has a legend."""
    write(folder / "web.yaml", POLICY.replace("user:kim", "user:<b>&kim"))
    page = run("matrix", "--format", "html").stdout
    assert "<b>" not in page
    cells: list[str] = []

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            cells.append(data)

    Reader().feed(page)
    assert "user:<b>&kim" in cells
    assert "p pull, P push" in run("matrix").stdout
    found = facts(run("matrix", "--json"))
    assert found["cells"][found["people"].index("group:web")][1] == {"always": ["pull"], "partly": ["push"]}


def test_matrix_too_large(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how to see a part."""
    monkeypatch.setattr("tokenserver.cli.policy.matrix.MAX_CELLS", 3)
    result = run("matrix")
    assert (result.exit_code, "--who and --repositories" in result.stderr) == (2, True)


# --- test ------------------------------------------------------------------------------------------------------------


def test_all_tests_pass(run: Run) -> None:
    """A summary, and exit code 0."""
    result = run("test")
    assert (result.exit_code, result.stdout) == (0, "2 tests in 1 file: 2 passed, 0 failed\n")


def test_no_tests_at_all(run: Run, folder: Path) -> None:
    """Nothing failed, and that is nothing to be proud of."""
    write(folder / "web.yaml", POLICY.partition("tests:")[0])
    result = run("test")
    assert (result.exit_code, "No file has any tests" in result.stderr) == (0, True)


def test_a_failing_who_test_has_its_title(run: Run, folder: Path) -> None:
    """What it asks."""
    write(folder / "web.yaml", f"{POLICY}  - {{who_can: push web/a, exactly: []}}\n")
    (failure,) = facts(run("test", "--json"))["failures"]
    assert (failure["test"], failure["expected"]) == ("who can push web/a", "who can push web/a: exactly nobody")


def test_tests_for_an_unknown_registry(site: Path, tmp_path: Path) -> None:
    """With a configuration it is known which there are."""
    extra = tmp_path / "audit.yaml"
    write(extra, "version: 1\ntests: [{as: anonymous, service: nope, cannot: [pull x]}]\n")
    arguments = ["policy", "test", "--config", str(site), "--tests", str(extra)]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, "no registry with the service 'nope'" in result.stderr) == (2, True)


def test_one_source_of_policies(run: Run, site: Path) -> None:
    """A configuration or a folder."""
    assert run("test", "--config", site).exit_code == 2


def test_what_failed_is_told(run: Run, folder: Path) -> None:
    """Place, expected, actual, and the deciding rules; exit code 1."""
    write(folder / "web.yaml", POLICY.replace("can: [push web/prod/x]", "cannot: [pull web/a, push web/prod/x]"))
    result = run("test", "--json")
    assert result.exit_code == 1
    found = facts(result)
    assert (found["tests"], found["failed"], len(found["failures"])) == (2, 1, 2)
    assert found["failures"][0] == {
        "file": str(folder / "web.yaml"),
        "line": 11,
        "test": "as user bob",
        "expected": "user bob cannot pull web/a",
        "actual": "it is allowed by web-developers (web.yaml:5)",
        "rules": [{"id": "web-developers", "effect": "allow", "file": "web.yaml", "line": 5}],
    }
    text = run("test").stdout
    assert f"{folder / 'web.yaml'}:11\n  expected  user bob cannot pull web/a\n" in text
    assert "rule      allow web-developers (web.yaml:5)" in text
    assert text.endswith("2 tests in 1 file: 1 passed, 1 failed\n")


def test_more_tests_from_another_file(run: Run, tmp_path: Path) -> None:
    """Auditors keep tests of their own."""
    extra = tmp_path / "audit.yaml"
    write(extra, "version: 1\ntests:\n  - {as: anonymous, can: [push public/x]}\n")
    result = run("test", "--tests", extra)
    assert (result.exit_code, f"{extra}:3" in result.stdout) == (1, True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "version: 1\nallow: []\n",
            ":2: allow: a file for --tests contains only version, registries and tests",
            id="rules",
        ),
        pytest.param("version: 1\ntests: [{as: x}]\n", "must be {user: NAME", id="fault"),
        pytest.param("tests: {", "is not valid YAML", id="syntax"),
    ],
)
def test_a_faulty_file_of_tests(run: Run, tmp_path: Path, text: str, told: str) -> None:
    """Exit code 2."""
    extra = tmp_path / "audit.yaml"
    write(extra, text)
    result = run("test", "--tests", extra)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr


def test_junit(run: Run, folder: Path, tmp_path: Path) -> None:
    """Well-formed XML with a suite for each file and a failure for each test that failed."""
    write(folder / "web.yaml", POLICY.replace("{as: {user: bob}, can: [", "{as: {user: '<bob> & \"co\"'}, can: ["))
    assert run("test", "--junit", tmp_path / "out.xml").exit_code == 1
    root = minidom.parse(str(tmp_path / "out.xml")).documentElement  # noqa: S318 - written by the line above
    assert root is not None
    (suite,) = root.getElementsByTagName("testsuite")
    assert (suite.getAttribute("tests"), suite.getAttribute("failures")) == ("2", "1")
    names = [case.getAttribute("name") for case in suite.getElementsByTagName("testcase")]
    assert names == ['as user <bob> & "co" (line 11)', "what can user:eve (line 12)"]
    (failure,) = suite.getElementsByTagName("failure")
    assert "forbidden by freeze" in failure.getAttribute("message")
    assert run("test", "--junit", tmp_path / "none" / "out.xml").exit_code == 2


@pytest.mark.parametrize(
    ("test", "told"),
    [
        pytest.param('what_can: "user:bob", exactly: ["pull,push web/**", pull public/**]', None, id="member"),
        pytest.param(
            "what_can: {groups: [web-dev]}, exactly: [pull web/**, push web/** except web/prod/*, pull public/**]",
            None,
            id="cut",
        ),
        pytest.param("what_can: anonymous, exactly: [pull public/*, pull public/*/**]", None, id="written-otherwise"),
        pytest.param(
            "what_can: {user: kim}, from: 10.0.0.1, at: 2026-01-01, exactly: [pull web/app, pull public/**]",
            None,
            id="then-and-there",
        ),
        pytest.param(
            'what_can: authenticated, exactly: ["* registry:catalog", pull public/**]',
            "cannot * registry:catalog",
            id="less",
        ),
        pytest.param("what_can: anonymous, exactly: []", "anonymous can pull public/", id="more"),
        pytest.param("what_can: everyone, exactly: []", "ask for authenticated", id="everyone"),
        pytest.param("what_can: anonymous, exactly: [pull]", "no pattern", id="no-pattern"),
        pytest.param("what_can: anonymous, exactly: [pul x]", "did you mean 'pull'?", id="unknown-action"),
        pytest.param("what_can: anonymous, exactly: [pull X]", "lower case", id="bad-pattern"),
        pytest.param("what_can: {users: x}, exactly: []", "unknown key", id="bad-who"),
    ],
)
def test_what_can_tests(run: Run, tmp_path: Path, test: str, told: str | None) -> None:
    """`what_can` in a file of tests: names count, not how patterns are written."""
    extra = tmp_path / "audit.yaml"
    write(extra, f"version: 1\ntests:\n  - {{{test}}}\n")
    result = run("test", "--tests", extra)
    assert (result.exit_code == 0) is (told is None), result.output
    assert told is None or told in result.output


def test_faulty_policies(run: Run, folder: Path) -> None:
    """Every command: exit code 2 and each fault with its place."""
    write(folder / "web.yaml", "version: 1\nalow: []\n")
    for arguments in (["test"], ["why", "pull", "a", "--user", "x"], ["who-can", "pull", "a"], ["matrix"]):
        result = run(*arguments)
        assert (result.exit_code, "web.yaml:2: alow: unknown key" in result.stderr) == (2, True)
