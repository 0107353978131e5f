"""docs/kubernetes.md and deploy/kustomize: the commands of the page, its values, and the manifests without helm."""

from __future__ import annotations

import itertools
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.chart import CHART, Manifests, block, pod_of, template
from harness.kubernetes_schemas import validate
from harness.processes import plain_environment, run
from harness.programs import ROOT, need
from script_modules import load_script

KUSTOMIZE = ROOT / "deploy" / "kustomize"


def commands(name: str) -> list[list[str]]:
    """The commands of a block, as words, without those that they are piped to."""
    lines = block(name).replace("\\\n", " ").splitlines()
    return [[*itertools.takewhile(lambda word: word != "|", shlex.split(line))] for line in lines]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user of a pod can get into."""
    with tempfile.TemporaryDirectory(prefix="e2e", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        yield Path(path)


def secrets_of(name: str, folder: Path) -> dict[str, dict[str, bytes]]:
    """Run the `tokenserver` commands of a block, and read the files that its `kubectl create secret` takes."""
    made: dict[str, dict[str, bytes]] = {}
    for program, *words in commands(name):
        if program == "tokenserver":
            command = [sys.executable, "-m", "tokenserver", *words]
            output = run(command, environment=plain_environment(folder) | {"PYTHONPATH": str(ROOT)}, folder=folder)
            assert output.ok, output
        elif words[:3] == ["create", "secret", "generic"]:
            paths = [folder / after for word, after in itertools.pairwise(words) if word == "--from-file"]
            files = [file for path in paths for file in (path.iterdir() if path.is_dir() else [path])]
            made[words[3]] = {file.name: file.read_bytes() for file in files}
        else:
            assert program == "helm" or words == ["create", "namespace", "tokenserver"]
    return made


def rendered(name: str, folder: Path) -> Manifests:
    """What helm renders by the command of a block, in a shell."""
    _, start, rest = block(name).rpartition("helm upgrade")
    assert start
    script = f"{need('helm')} template {rest.replace('--install', '')}"
    output = run(["/bin/sh", "-euc", script], environment=plain_environment(folder), folder=folder)
    assert output.ok, output
    return Manifests(output.stdout)


@pytest.mark.real("helm")
def test_installation_and_rotation(folder: Path) -> None:
    """The page from `init` to helm, which renders instead of installing: the server accepts the files of its pod.

    After a rotation, too, and it then has one key more.
    """
    secrets = secrets_of("secrets", folder)
    assert "token-ca.key" not in secrets["tokenserver-keys"]
    (folder / "values.yaml").write_text(block("values"))
    shutil.copytree(CHART, folder / "deploy" / "chart")
    counts = []
    for name in ("install", "rotate"):
        if name == "rotate":
            secrets |= secrets_of(name, folder)
        place = folder / name
        place.mkdir()
        checked = pod_of(rendered(name, folder), place, secrets, {}).run("check")
        assert checked.ok, checked
        counts.append(len([*place.rglob("signing/*.key")]))
    assert counts == [1, 2]


@pytest.mark.real("helm")
@pytest.mark.real("kubeconform")
@pytest.mark.parametrize(
    "names",
    [
        ["directory"],
        ["workloads"],
        ["git"],
        ["git-authority"],
        ["database"],
        ["certificate"],
        ["monitoring"],
        ["database", "certificate"],
    ],
)
def test_values(names: list[str], folder: Path) -> None:
    """Each example goes with the values of the installation, and is valid."""
    values: dict[str, Any] = yaml.safe_load(block("values"))
    values["keys"]["ids"] = ["ID"]
    for name in names:
        for key, value in yaml.safe_load(block(name)).items():
            is_added = isinstance(value, dict) and key != "policies"
            values[key] = values.get(key, {}) | value if is_added else value
    output = template(folder, values)
    assert output.ok, output
    file = folder / "manifests.yaml"
    file.write_text(output.stdout)
    validated = validate(file, folder)
    assert validated.ok, validated


@pytest.mark.real("helm")
def test_manifests_without_helm_are_up_to_date() -> None:
    """deploy/kustomize/base is what `scripts/chart` makes of the chart of today."""
    need("helm")
    script = load_script("chart")
    made = script.rendered(script.find_helm())
    there = {path: path.read_text() for path in (KUSTOMIZE / "base").rglob("*") if path.is_file()}
    assert there == made


@pytest.mark.real("kustomize")
@pytest.mark.real("kubeconform")
def test_overlay(folder: Path) -> None:
    """An overlay as the page has it is valid, and the server accepts the files of its pod."""
    secrets = secrets_of("secrets", folder)
    (key,) = (
        name.removesuffix(".pem") for name in secrets["tokenserver-keys"] if name.endswith(".pem") and "-ca" not in name
    )
    shutil.copytree(KUSTOMIZE / "base", folder / "kustomize" / "base")
    overlay = folder / "kustomize" / "mine"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(block("overlay").replace("ID", key))
    shutil.copy(KUSTOMIZE / "base" / "config" / "tokenserver.yaml", overlay)
    policy = 'version: 1\nallow: [{id: mine, to: [everyone], repositories: ["**"], role: reader}]\n'
    (overlay / "root.yaml").write_text(policy)
    output = run([need("kustomize"), "build", overlay], environment=plain_environment(folder), folder=folder)
    assert output.ok, output
    file = folder / "manifests.yaml"
    file.write_text(output.stdout)
    validated = validate(file, folder)
    assert validated.ok, validated
    manifests = Manifests(output.stdout)
    assert manifests.server["image"] == "registry.example.com/infra/tokenserver:0.1.0"
    assert {made["metadata"].get("namespace") for made in manifests.objects} == {"tokenserver"}
    pod = pod_of(manifests, folder, secrets, {})
    checked = pod.run("check")
    assert checked.ok, checked
    assert manifests.one("Ingress")["spec"]["rules"][0]["host"] == "auth.example.com"
    assert (folder / "run/tokenserver/policies/root.yaml").read_text() == policy
