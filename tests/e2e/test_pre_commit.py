"""The hooks of .pre-commit-hooks.yaml, installed and run by pre-commit itself, and the action's installation step."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from harness.processes import Output, run
from harness.programs import ROOT, refuse

pytestmark = pytest.mark.nightly

INSTALL_SECONDS = 600

POLICY = """\
version: 1
allow:
  - {id: web, to: ["user:ann"], repositories: ["web/**"], role: writer}
tests:
  - {as: {user: ann}, can: [push web/site]}
"""


def environment_in(folder: Path) -> dict[str, str]:
    """A home of its own, with this machine's settings for pip and git."""
    kept = ("PIP_", "SSL_", "REQUESTS_")
    return {
        **{name: value for name, value in os.environ.items() if name.startswith(kept)},
        "HOME": str(folder),
        "PATH": os.pathsep.join((str(Path(sys.base_prefix) / "bin"), "/usr/bin", "/bin")),
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.com",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.com",
        "LANG": "C.UTF-8",
    }


@pytest.fixture(scope="module")
def pre_commit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, in an environment of its own."""
    folder = tmp_path_factory.mktemp("pre-commit")
    venv.create(folder / "venv", with_pip=True)
    command = [str(folder / "venv/bin/pip"), "install", "--quiet", "pre-commit>=4"]
    done = run(command, environment=environment_in(folder), folder=folder, seconds=INSTALL_SECONDS)
    if not done.ok:
        refuse(f"pre-commit cannot be installed: {done.text.strip().splitlines()[-1]}")
    return folder / "venv/bin/pre-commit"


def git(environment: Mapping[str, str], folder: Path, *words: str) -> str:
    """One git command."""
    done = subprocess.run(["git", *words], env=environment, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def repository(pre_commit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of policies with the hooks of this working tree, as a commit that pre-commit can clone."""
    folder = tmp_path_factory.mktemp("repository")
    environment = environment_in(folder)
    source = folder / "source"
    names = git(environment, ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in names:
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    git(environment, source, "init", "--quiet")
    git(environment, source, "add", "--all")
    git(environment, source, "commit", "--quiet", "--message", "as it is")
    made = folder / "policies-of-a-team"
    (made / "policies").mkdir(parents=True, mode=0o755)
    hooks = [{"id": "policy-test"}, {"id": "policy-lint"}, {"id": "policy-diff"}]
    revision = git(environment, source, "rev-parse", "HEAD")
    config = {"repos": [{"repo": str(source), "rev": revision, "hooks": hooks}]}
    (made / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    git(environment, made, "init", "--quiet")
    (made / "policies" / "web.yaml").write_text(POLICY)
    git(environment, made, "add", "--all")
    git(environment, made, "commit", "--quiet", "--no-verify", "--message", "the first policies")
    return made


def commit(repository: Path, pre_commit: Path, text: str) -> Output:
    """Stage the policy and run the hooks as a commit does."""
    environment = environment_in(repository.parent)
    file = repository / "policies" / "web.yaml"
    file.write_text(text)
    file.chmod(0o644)
    git(environment, repository, "add", "--all")
    return run([pre_commit, "run"], environment=environment, folder=repository, seconds=INSTALL_SECONDS)


def test_good_policies_pass(repository: Path, pre_commit: Path) -> None:
    """All hooks are installed and run."""
    done = commit(repository, pre_commit, f"{POLICY}# reviewed\n")
    assert done.ok, done
    assert done.text.count("Passed") == 3, done


def test_a_failed_test_stops_the_commit(repository: Path, pre_commit: Path) -> None:
    """With the expectation in the output; lint and diff have nothing to say."""
    done = commit(repository, pre_commit, POLICY.replace("can: [push", "can: [delete"))
    assert (done.code, done.text.count("Failed"), done.text.count("Passed")) == (1, 1, 2), done
    assert "policies/web.yaml:5" in done.text


def test_new_access_stops_the_commit(repository: Path, pre_commit: Path) -> None:
    """With who gets what, compared with the last commit; less access does not."""
    done = commit(repository, pre_commit, POLICY.replace('to: ["user:ann"]', 'to: ["user:ann", "user:eve"]'))
    assert (done.code, done.text.count("Failed"), done.text.count("Passed")) == (1, 1, 2), done
    assert "eve" in done.text
    done = commit(repository, pre_commit, POLICY.replace("role: writer", "role: reader").replace("push", "pull"))
    assert (done.code, done.text.count("Passed")) == (0, 3), done


def test_other_files_run_no_hook(repository: Path, pre_commit: Path) -> None:
    """A commit without policies is not slowed down."""
    environment = environment_in(repository.parent)
    git(environment, repository, "commit", "--quiet", "--no-verify", "--message", "policies")
    (repository / "README.md").write_text("hello\n")
    git(environment, repository, "add", "--all")
    done = run([pre_commit, "run"], environment=environment, folder=repository, seconds=INSTALL_SECONDS)
    assert (done.code, done.text.count("Skipped")) == (0, 3), done


def test_the_actions_installation(tmp_path: Path) -> None:
    """The first step of action.yml leaves a `tokenserver` where the second looks for it, with pinned packages."""
    (step, _) = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    script = tmp_path / "step.sh"
    script.write_text(step["run"])
    environment = {
        **environment_in(tmp_path),
        "PYTHON": sys.executable,
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_ACTION_PATH": str(ROOT),
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    done = run(command, environment=environment, folder=tmp_path, seconds=INSTALL_SECONDS)
    assert done.ok, done
    program = tmp_path / "policy-review/bin/tokenserver"
    shown = run([program, "--version"], environment=environment, folder=tmp_path)
    assert shown.ok, shown
    frozen = run([tmp_path / "policy-review/bin/pip", "freeze"], environment=environment, folder=tmp_path).stdout
    pins = (ROOT / "constraints.txt").read_text().lower().splitlines()
    packages = [line.lower() for line in frozen.splitlines() if not line.startswith("tokenserver")]
    assert [line for line in packages if line not in pins] == []
