"""What is shipped as an example loads, and says what it is meant to say."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.errors import LoadError
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.decide import decide
from tokenserver.policy.lint.lint import LintedFile, lint
from tokenserver.policy.loading.loader import compile_policies, load_policies
from tokenserver.policy.model import Context, PolicySet
from tokenserver.policy.terms import parse_request

ROOT = Path(__file__).parent.parent.parent
NAMES = sorted(path.relative_to(ROOT / "policies").as_posix() for path in (ROOT / "policies").rglob("*.yaml"))
PAGE = ROOT / "docs" / "policies.md"
EXAMPLES = re.findall(
    r"^```yaml(?: ([a-z./-]+))?\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)

TEAM = """\
version: 1
groups:
  developers: {users: [ann]}
allow:
  - {id: web-production, to: ["group:developers"], repositories: ["web/prod/**"], role: maintainer}
"""

CONTRACT = """\
version: 1
registries: [registry.example.com]       # optional: the services this file speaks for; absent = all

groups:                                  # names for sets of people; local users and directory groups together
  web: {users: [ann, bob], groups: [web-devs]}
roles: {promoter: [pull, push, delete]}  # besides the built-in reader, writer (pull, push), maintainer (+ delete)

delegate:                                # in a root file: what a team's file may speak about, at most
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push, delete]}

allow:
  - {id: web-developers, to: ["group:web"], repositories: ["web/**"], role: writer}
  - {id: own-namespace,  to: [authenticated], repositories: ["users/${user}/**"], role: maintainer}
  - {id: team-namespace, to: [authenticated], repositories: ["teams/${group}/**"], role: writer}
  - {id: public,         to: [everyone], repositories: ["public/**"], actions: [pull]}
  - {id: catalog,        to: ["group:ops"], registry: [catalog], actions: ["*"]}
deny:
  - id: prod-freeze
    to: [everyone]
    except: ["user:release-bot"]
    repositories: ["web/prod/**"]
    actions: [push, delete]
    when: {until: 2027-01-31}
    message: production images come from the release pipeline
tests:
  - {as: {user: ann, groups: [web-devs]}, can: [push web/site], cannot: [delete web/site]}
  - {as: {user: ann, groups: [web-devs]}, at: 2027-01-30, cannot: [push web/prod/site]}
  - {who_can: push web/prod/site, at: 2027-01-30, exactly: ["user:release-bot"]}
"""


def load(folder: Path, now: datetime = datetime(2026, 6, 1, tzinfo=UTC)) -> PolicySet:
    return load_policies(folder, now=now)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty policy folder."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


def test_contract_example(folder: Path) -> None:
    """The example of the policy contract holds, its tests included."""
    write(folder / "company.yaml", CONTRACT)
    (folder / "teams").mkdir(mode=0o755)
    write(folder / "teams" / "web.yaml", TEAM)
    assert load(folder).rule_count == 7


@pytest.fixture
def samples(folder: Path) -> Path:
    """A copy of the sample tree, with the permissions that a checkout may not have."""
    for name in NAMES:
        (folder / name).parent.mkdir(mode=0o755, exist_ok=True)
        shutil.copy(ROOT / "policies" / name, folder / name)
        (folder / name).chmod(0o644)
    return folder


@pytest.mark.parametrize("year", [2024, 2026, 2046])
def test_sample_tree_loads_at_any_time(samples: Path, year: int) -> None:
    """Its tests hold today and in twenty years; nobody's start fails on a date."""
    assert load(samples, datetime(year, 12, 31, tzinfo=UTC)).files == (
        "company.yaml",
        "public.yaml",
        "teams/data.yaml",
        "teams/mobile.yaml",
        "teams/web.yaml",
    )


def test_lint_finds_nothing_in_the_sample_tree(samples: Path) -> None:
    """Whoever begins with it begins clean."""
    policies, tests = compile_policies(samples)
    files = [
        LintedFile(name, (samples / name).read_text(encoding="utf-8"), one.document, one.tests, one.service)
        for name, one in zip(policies.files, tests, strict=True)
    ]
    assert lint(policies, files, datetime(2026, 6, 1, tzinfo=UTC), have_groups=True) == ()


@pytest.mark.parametrize(
    ("identity", "request_", "expected"),
    [
        pytest.param(ANONYMOUS, "pull public/cli", {"pull"}, id="public"),
        pytest.param(ANONYMOUS, "* registry:catalog", set(), id="catalog-is-closed"),
        pytest.param(ANONYMOUS, "* web/shop", set(), id="anonymous-nothing-else"),
        pytest.param(Identity("ann", Kind.PASSWORD), "* users/ann/x", {"pull", "push", "delete"}, id="own-namespace"),
        pytest.param(Identity("admin", Kind.PASSWORD), "* registry:catalog", {"*"}, id="catalog-for-ops"),
        pytest.param(
            Identity("ann", Kind.PASSWORD, groups=frozenset({"external-staff"})),
            "pull,push web/prod/shop",
            {"pull"},
            id="contractor",
        ),
        pytest.param(
            Identity("release-bot", Kind.PASSWORD, groups=frozenset({"external-staff"})),
            "push web/prod/shop",
            set(),
            id="a-team-cannot-lift-the-companys-deny",
        ),
    ],
)
def test_sample_tree_says(samples: Path, identity: Identity, request_: str, expected: set[str]) -> None:
    """What its comments promise."""
    context = Context("registry.example.com", None, datetime(2026, 6, 1, tzinfo=UTC))
    assert decide(load(samples), identity, parse_request(request_), context).granted == expected


@pytest.mark.parametrize("name", NAMES)
def test_no_sample_file_can_be_cut_between_lines(samples: Path, name: str) -> None:
    """Every file of the sample tree has the end mark, so that a file cut short is refused."""
    lines = (samples / name).read_text(encoding="utf-8").splitlines(keepends=True)
    for count in range(len(lines)):
        write(samples / name, "".join(lines[:count]))
        with pytest.raises(LoadError):
            load(samples)


def test_page_has_examples() -> None:
    """The next test is about something."""
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_of_the_page_loads(folder: Path, name: str, text: str) -> None:
    """An example of docs/policies.md can be copied as it is: into a file of its own, or into one with a head."""
    named = {name or "example.yaml": text}
    if "/" in name or "delegate:" in text:  # the company's file and the team's belong together
        named = {name: text for name, text in EXAMPLES if name}
    for path, content in named.items():
        (folder / path).parent.mkdir(mode=0o755, exist_ok=True)
        write(folder / path, content if content.startswith("version:") else f"version: 1\n{content}")
    has_rules = re.search("^(allow|deny):", text, re.MULTILINE) is not None
    if not has_rules:  # groups or tests alone: beside a file that has a rule
        write(
            folder / "other.yaml",
            'version: 1\nallow:\n  - {id: other, to: ["group:web"], repositories: ["web/**"], role: writer}\n',
        )
    assert load(folder).rule_count >= 1, name
