"""`tokenserver policy who-can`: people and groups with their conditions and exceptions."""

from __future__ import annotations

from pathlib import Path

from policy_commands import POLICY, Run, facts, write


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
