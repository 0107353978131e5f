"""`tokenserver policy why`: verdicts, circumstances, challenges and tokens, and what it rejects."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from policy_commands import EVERY_WORD, Run, facts, write

from tokenserver.authn.htpasswd.account import DISABLED
from tokenserver.authn.htpasswd.file import with_account
from tokenserver.cli import main


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


def test_why_says_that_anonymous_clients_get_nothing(site: Path) -> None:
    """Policies alone are not the whole truth."""
    arguments = ["policy", "why", "pull", "public/x", "--config", str(site), "--anonymous"]
    assert "anonymous: false" in CliRunner().invoke(main, arguments).stdout


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


@pytest.mark.parametrize(
    ("arguments", "is_told"),
    [
        pytest.param(["--user", "ann"], True, id="user"),
        pytest.param(["--user", "bob"], False, id="another user"),
        pytest.param(["--anonymous"], False, id="anonymous"),
    ],
)
def test_why_mentions_a_disabled_account(site: Path, arguments: list[str], *, is_told: bool) -> None:
    """A policy that allows is not the whole answer for a user who cannot log in; as text and as JSON."""
    users = site.parent / "users.htpasswd"
    users.write_text(with_account(users.read_text(), "ann", DISABLED))
    asked = ["policy", "why", "pull", "public/x", "--config", str(site), *arguments]
    problem = f"the account is disabled ({users}:2)"
    result = CliRunner().invoke(main, asked)
    assert (result.exit_code, f"  but {problem}, so this user gets no token at all\n" in result.stdout) == (0, is_told)
    told = json.loads(CliRunner().invoke(main, [*asked, "--json"]).stdout)
    assert told["account"] == (problem if is_told else None)
    users.write_text("ann\n")
    assert CliRunner().invoke(main, asked).exit_code == 0


def test_why_as_a_disabled_user(site: Path) -> None:
    """--as looks up who could log in, and this user could not."""
    users = site.parent / "users.htpasswd"
    users.write_text(with_account(users.read_text(), "ann", DISABLED))
    result = CliRunner().invoke(main, ["policy", "why", "pull", "public/x", "--config", str(site), "--as", "ann"])
    assert result.exit_code == 2
    assert "htpasswd knows 'ann', but the user cannot log in: the account is disabled" in result.stderr


def test_why_with_every_word(run: Run, folder: Path) -> None:
    """The part that a rule leaves out, and the group that is missing, are named."""
    write(folder / "web.yaml", EVERY_WORD)
    assert "its not has */prod/**" in run("why", "push", "web/prod/x", "--user", "bob").stdout
    missing = facts(run("why", "push", "web/a", "--user", "eve", "--json"))["nearest"][0]["missing"]
    assert missing == ["web/a is for group:adm-web or group:reg-web-rw; eve is in no group"]
