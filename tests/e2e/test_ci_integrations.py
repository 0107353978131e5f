"""The GitHub Action and the GitLab template, run step by step as their runners do, against APIs on loopback.

The runners themselves cannot be had; what they promise to a job (shell, variables, files) is made here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.forge_api import ForgeApi, forge_api
from harness.processes import Output, plain_environment, run
from harness.programs import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
TEMPLATE: dict[str, Any] = yaml.safe_load((ROOT / "ci" / "gitlab.yml").read_text())["tokenserver-policies"]
PAGE = (ROOT / "docs" / "check-policies-in-ci.md").read_text()
TOKEN = "not-a-secret-token"

POLICY = """\
version: 1
allow:
  - {id: web, to: ["user:ann"], repositories: ["web/**"], role: writer}
tests:
  - {as: {user: ann}, can: [push web/site]}
"""
WIDER = POLICY.replace('"user:ann"]', '"user:ann", "user:bob"]')


@dataclass
class Checkout:
    """A repository whose branch changes the policies; `base` is where it began."""

    folder: Path
    base: str

    def stage(self, text: str) -> None:
        """The policies of the next commit."""
        file = self.folder / "policies" / "web.yaml"
        file.write_text(text)
        file.chmod(0o644)
        git(self.folder, "add", "--all")

    def commit(self, text: str) -> None:
        """The policies of the branch."""
        self.stage(text)
        git(self.folder, "commit", "--quiet", "--message", "change")


def git(folder: Path, *words: str) -> str:
    """One git command as somebody."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """With access for one more user on the branch."""
    folder = tmp_path / "checkout"
    (folder / "policies").mkdir(parents=True, mode=0o755)
    git(folder, "init", "--quiet")
    made = Checkout(folder, "")
    made.commit(POLICY)
    made.base = git(folder, "rev-parse", "HEAD").strip()
    git(folder, "checkout", "--quiet", "-b", "branch")
    made.commit(WIDER)
    return made


@pytest.fixture
def api() -> Iterator[ForgeApi]:
    """The forge."""
    with forge_api(TOKEN) as running:
        yield running


# --- GitHub ----------------------------------------------------------------------------------------------------------


def evaluated(text: str, inputs: Mapping[str, str]) -> str:
    """The expressions of action.yml, as far as it uses them."""
    text = text.replace("${{ inputs.comment == 'true' && inputs.token || '' }}", "${{ inputs.shown }}")
    known = {**inputs, "shown": inputs["token"] if inputs["comment"] == "true" else ""}
    return re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: known[found[1]], text)


@dataclass
class Step:
    """What a step left: its output, its outputs, and the summary."""

    output: Output
    outputs: dict[str, str]
    summary: str


def github(checkout: Checkout, api: ForgeApi, *, head: str = "acme/policies", **changes: str) -> Step:
    """The step that reviews, with these inputs, in a pull request. tokenserver is installed as the first step does."""
    folder = checkout.folder.parent
    inputs = {name: str(facts.get("default", "")) for name, facts in ACTION["inputs"].items()}
    inputs |= {"token": TOKEN} | {name.replace("_", "-"): value for name, value in changes.items()}
    pull = {"number": 5, "base": {"sha": checkout.base}, "head": {"repo": {"full_name": head}}}
    (folder / "event.json").write_text(json.dumps({"pull_request": pull}))
    (folder / "temp").mkdir(exist_ok=True)
    installed = folder / "temp" / "policy-review"
    if not installed.exists():
        installed.symlink_to(sys.prefix)
    (step,) = (one for one in ACTION["runs"]["steps"] if one.get("id") == "review")
    environment = {
        **plain_environment(folder),
        **{name: evaluated(value, inputs) for name, value in step["env"].items()},
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_API_URL": api.url,
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_REPOSITORY": "acme/policies",
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "RUNNER_TEMP": str(folder / "temp"),
    }
    for name in ("output", "summary"):
        (folder / name).write_text("")
    output = shell(step["run"], environment, checkout.folder)
    outputs = dict(line.split("=", 1) for line in (folder / "output").read_text().splitlines())
    return Step(output, outputs, (folder / "summary").read_text())


def shell(script: str, environment: Mapping[str, str], folder: Path) -> Output:
    """`shell: bash` as GitHub documents it."""
    file = folder.parent / "step.sh"
    file.write_text(script)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(file)]
    return run(command, environment=environment, folder=folder, seconds=300)


def test_the_action_comments_once(checkout: Checkout, api: ForgeApi) -> None:
    """Who gains what is in one comment and in the summary; a second run with other policies changes that comment."""
    step = github(checkout, api)
    assert step.output.ok, step.output
    (body,) = api.bodies
    assert "**Gains**" in body
    assert step.summary == body
    assert step.outputs == {
        "access": "new",
        "errors": "0",
        "findings": "0",
        "report": str(checkout.folder.parent / "temp/policy-review-report/policy-review.md"),
    }
    checkout.commit(POLICY)
    assert github(checkout, api).outputs["access"] == "same"
    assert api.writes == ["POST", "PATCH"]
    assert "Gains" not in api.bodies[0]


def test_every_output_of_the_action_is_one_of_the_step(checkout: Checkout, api: ForgeApi) -> None:
    """And none is forgotten."""
    promised = {f"${{{{ steps.review.outputs.{name} }}}}" for name in github(checkout, api).outputs}
    assert {facts["value"] for facts in ACTION["outputs"].values()} == promised


def test_the_action_annotates_and_fails(checkout: Checkout, api: ForgeApi) -> None:
    """A failed test is an error at its line, and text that looks like a command is none."""
    checkout.commit(POLICY.replace("can: [push web/site]", "can: [delete web/site]"))
    step = github(checkout, api)
    assert step.output.code == 1
    (annotation,) = [line for line in step.output.stdout.splitlines() if line.startswith("::")]
    assert annotation.startswith("::error file=policies/web.yaml,line=5,title=failed test::expected ")


def test_new_access_fails_where_asked(checkout: Checkout, api: ForgeApi) -> None:
    """For a repository in which somebody else must approve it."""
    assert github(checkout, api, fail_on="new-access").output.code == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"head": "mallory/policies"}, "pull requests from forks", id="fork"),
        pytest.param({"comment": "false"}, "no token is given", id="switched-off"),
        pytest.param({"token": "another"}, "status 401", id="token-without-permission"),
    ],
)
def test_the_action_without_a_comment(changes: dict[str, str], reason: str, checkout: Checkout, api: ForgeApi) -> None:
    """The review is the same, the summary has it, and the job does not fail by it."""
    step = github(checkout, api, **changes)
    assert (step.output.code, api.bodies, "**Gains**" in step.summary) == (0, [], True)
    assert reason in step.output.stdout


def test_an_input_is_never_a_command(checkout: Checkout, api: ForgeApi) -> None:
    """No expression is in a script, so a folder's name cannot end a quotation."""
    assert [step for step in ACTION["runs"]["steps"] if "${{" in step["run"]] == []
    step = github(checkout, api, policies='policies"; touch ../planted; "')
    assert step.output.code == 1
    assert not (checkout.folder.parent / "planted").exists()


def test_the_action_needs_no_other_action() -> None:
    """Nothing that somebody else publishes runs with the job's token."""
    assert [step.get("uses") for step in ACTION["runs"]["steps"]] == [None, None]
    assert {facts.get("default") for facts in ACTION["inputs"].values()} >= {"${{ github.token }}"}


# --- GitLab ----------------------------------------------------------------------------------------------------------


def gitlab(checkout: Checkout, api: ForgeApi, **changes: str) -> Output:
    """The template's script in a merge request pipeline; git clone and pip are the first step's, and left out here."""
    script = [line for line in TEMPLATE["script"] if "git clone" not in line and "venv" not in line]
    assert len(script) == len(TEMPLATE["script"]) - 4
    folder = checkout.folder.parent
    (folder / "place").mkdir(exist_ok=True)
    if not (folder / "place" / "source").exists():
        (folder / "place" / "source").symlink_to(ROOT)
    environment = {
        **plain_environment(folder),
        **{name: str(value) for name, value in TEMPLATE["variables"].items()},
        "CI_API_V4_URL": api.url,
        "CI_MERGE_REQUEST_IID": "5",
        "CI_MERGE_REQUEST_PROJECT_ID": "12",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": checkout.base,
        "POLICY_REVIEW_TOKEN": TOKEN,
        "PATH": os.pathsep.join((str(Path(sys.prefix) / "bin"), "/usr/bin", "/bin")),
        **changes,
    }
    lines = [line if "mktemp" not in line else f'place="{folder}/place"' for line in script]
    return shell("\n".join(lines), environment, checkout.folder)


def test_the_template_notes_once(checkout: Checkout, api: ForgeApi) -> None:
    """One note, which the next pipeline updates."""
    assert gitlab(checkout, api).ok
    checkout.commit(POLICY)
    assert gitlab(checkout, api).ok
    assert api.writes == ["POST", "PUT"]
    assert len(api.bodies) == 1


def test_the_template_without_a_token(checkout: Checkout, api: ForgeApi) -> None:
    """Its artifacts are there at the places that it names, and nothing is asked of the API."""
    done = gitlab(checkout, api, POLICY_REVIEW_TOKEN="")
    assert (done.code, api.requests) == (0, [])
    assert "POLICY_REVIEW_TOKEN is not set" in done.stdout
    artifacts = TEMPLATE["artifacts"]
    for path in (*artifacts["reports"].values(), "policy-review/policy-review.md"):
        assert (checkout.folder / path).stat().st_size > 0
    assert artifacts["paths"] == ["policy-review/"]


# --- the page --------------------------------------------------------------------------------------------------------


def block(name: str) -> Any:
    """A YAML block of the page."""
    found = re.search(rf"<!-- test: {name} -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None, f"docs/check-policies-in-ci.md has no block {name}"
    return yaml.safe_load(found[1])


def test_the_pages_workflow() -> None:
    """It has the permissions that the comment needs and no more, the whole history, and inputs that exist."""
    workflow = block("github")
    (job,) = workflow["jobs"].values()
    check_out, action = job["steps"]
    # YAML 1.1 reads the key `on` as true.
    assert list(workflow[True]) == ["pull_request"]
    assert job["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert check_out["with"] == {"fetch-depth": 0, "persist-credentials": False}
    assert set(action.get("with", {})) <= set(ACTION["inputs"])


def test_the_pages_gitlab_file() -> None:
    """It sets what the template asks for."""
    example = block("gitlab")
    used = set(re.findall(r"\$(POLICY_REVIEW_\w+)", "\n".join(TEMPLATE["script"])))
    assert used - set(TEMPLATE["variables"]) == {"POLICY_REVIEW_SOURCE"}
    assert set(example["tokenserver-policies"]["variables"]) <= used
    assert "POLICY_REVIEW_SOURCE" in example["tokenserver-policies"]["variables"]


def test_the_pages_hooks() -> None:
    """They are hooks of this repository, with arguments that their commands take."""
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    (repository,) = block("pre-commit")["repos"]
    assert {hook["id"] for hook in repository["hooks"]} <= set(hooks)
    for hook in hooks.values():
        assert not hook["pass_filenames"]
        assert re.compile(hook["files"]).search("policies/teams/web.yaml")


@pytest.mark.parametrize(("text", "code"), [(POLICY, 0), (POLICY.replace("push", "delete"), 1)])
@pytest.mark.parametrize("hook", ["policy-test", "policy-lint"])
def test_a_hook_runs(hook: str, text: str, code: int, checkout: Checkout) -> None:
    """Each command as pre-commit calls it, in a repository of policies."""
    (facts,) = (one for one in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()) if one["id"] == hook)
    checkout.commit(f"{text}# {code}\n")
    environment = {**plain_environment(checkout.folder.parent), "PATH": f"{sys.prefix}/bin:/usr/bin:/bin"}
    done = run([*facts["entry"].split(), *facts["args"]], environment=environment, folder=checkout.folder)
    assert done.code == (code if hook == "policy-test" else 0), done


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(f"{POLICY}# a comment\n", 0, id="the same access"),
        pytest.param(POLICY.replace("writer", "reader").replace("push", "pull"), 0, id="less access"),
        pytest.param(WIDER, 4, id="new access"),
    ],
)
def test_the_hook_for_new_access(text: str, code: int, checkout: Checkout) -> None:
    """It compares what is staged with the last commit, and stops new access alone."""
    (facts,) = (
        one for one in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()) if one["id"] == "policy-diff"
    )
    checkout.commit(POLICY)
    checkout.stage(text)
    environment = {**plain_environment(checkout.folder.parent), "PATH": f"{sys.prefix}/bin:/usr/bin:/bin"}
    done = run([*facts["entry"].split(), *facts["args"]], environment=environment, folder=checkout.folder)
    assert done.code == code, done
    assert ("bob" in done.stdout) == (code == 4)
