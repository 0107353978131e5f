"""The Helm chart: rendered by helm, and the files that a pod of it sees, with the modes that Kubernetes gives them."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.processes import Output, plain_environment, run
from harness.programs import ROOT, find, need

CHART = ROOT / "deploy" / "chart"
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()

SEEN = ("/run/tokenserver", "/var/lib/tokenserver", "/etc/tokenserver")
"""Where a pod sees its files."""

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def block(name: str) -> str:
    """A marked code block of docs/kubernetes.md."""
    (found,) = re.findall(rf"<!-- test: {name} -->\n *```\w+\n(.*?)\n *```", PAGE, re.DOTALL)
    return textwrap.dedent(str(found))


def helm(folder: Path, *words: str | Path) -> Output:
    """Run helm, which keeps its files in this folder."""
    return run([need("helm"), *words], environment=plain_environment(folder), folder=folder)


def template(folder: Path, values: Mapping[str, Any], chart: Path = CHART) -> Output:
    """`helm template` of the chart, or of a copy, with these values."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(dict(values)))
    return helm(folder, "template", "tokenserver", chart, "--values", file)


@dataclass(frozen=True)
class Manifests:
    """What a chart or a folder of kustomize makes."""

    text: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [found for found in yaml.safe_load_all(self.text) if found]

    def one(self, kind: str, name: str = "tokenserver") -> dict[str, Any]:
        """The object of this kind and name."""
        (found,) = (made for made in self.objects if (made["kind"], made["metadata"]["name"]) == (kind, name))
        return found

    def kinds(self) -> list[str]:
        """The kinds of all objects, sorted."""
        return sorted(made["kind"] for made in self.objects)

    @property
    def pod(self) -> dict[str, Any]:
        pod: dict[str, Any] = self.one("Deployment")["spec"]["template"]["spec"]
        return pod

    @property
    def server(self) -> dict[str, Any]:
        """The container of the server."""
        (found,) = (made for made in self.pod["containers"] if made["name"] == "tokenserver")
        return dict(found)


@dataclass(frozen=True)
class Pod:
    """The files of a pod below `folder`, and the environment of its server."""

    manifests: Manifests
    folder: Path

    def run(self, *words: str) -> Output:
        """Run `tokenserver` in the pod: as its user, if the tests run as root."""
        command: list[str | Path] = [sys.executable, "-m", "tokenserver", *words]
        user = self.manifests.pod["securityContext"].get("runAsUser", 10001)
        if os.geteuid() == 0 and find("setpriv") is not None:
            # The capability only reads folders on the way to the interpreter; the server decides by owner and mode.
            reading = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
            ids = ["--reuid", str(user), "--regid", str(user), "--groups", str(user)]
            command = [need("setpriv"), *ids, *reading, "--", *command]
        environment = plain_environment(self.folder) | {
            "TOKENSERVER_CONFIG": str(self.folder / "etc/tokenserver/tokenserver.yaml"),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for variable in self.manifests.server["env"]:
            environment[variable["name"]] = self.here(str(variable["value"]))
        return run(command, environment=environment, folder=self.folder)

    def here(self, text: str) -> str:
        """The text with the folders of the pod where they are in this test."""
        for place in SEEN:
            text = text.replace(f"{place}", f"{self.folder}{place}")
        return text


Secrets = Mapping[str, Mapping[str, bytes]]


def pod_of(manifests: Manifests, folder: Path, secrets: Secrets, policies: Mapping[str, str]) -> Pod:
    """Make the files of the volumes that the server mounts.

    `secrets` are all Secrets and ConfigMaps that are not of the chart, and `policies` what is in volumes and Git.
    """
    pod = Pod(manifests, folder)
    own = {made["metadata"]["name"]: made["data"] for made in manifests.objects if made["kind"] == "ConfigMap"}
    volumes = {volume["name"]: volume for volume in manifests.pod["volumes"]}
    group = manifests.pod["securityContext"].get("fsGroup")
    for mount in manifests.server["volumeMounts"]:
        target = Path(pod.here(mount["mountPath"]))
        target.mkdir(parents=True)
        files, mode = _content(volumes[mount["name"]], own, secrets, policies)
        for name, content in files:
            file = target / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(pod.here(content.decode()).encode() if mode is None else content)
            file.chmod(0o644 if mode is None else mode | (0o440 if group else 0))
        if mount["name"] == "policies" and "emptyDir" in volumes["policies"]:
            (target / "current").symlink_to(f".worktrees/{COMMIT}")
        if os.geteuid() == 0 and group:
            for path in (target, *target.rglob("*")):
                shutil.chown(path, 0, group)
            if not mount.get("readOnly"):
                target.chmod(0o2775)
    return pod


def _content(
    volume: Mapping[str, Any], own: Mapping[str, Mapping[str, str]], secrets: Secrets, policies: Mapping[str, str]
) -> tuple[list[tuple[str, bytes]], int | None]:
    """The files of a volume with their mode; None for those that are not secret."""
    if "configMap" in volume:
        name = volume["configMap"]["name"]
        data = {key: text.encode() for key, text in own[name].items()} if name in own else secrets[name]
        return list(_picked(data, volume["configMap"].get("items"))), None
    if "secret" in volume:
        secret = volume["secret"]
        return list(_picked(secrets[secret["secretName"]], secret.get("items"))), secret.get("defaultMode", 0o644)
    if "projected" in volume:
        sources = [source["secret"] for source in volume["projected"]["sources"]]
        found = [pair for source in sources for pair in _picked(secrets[source["name"]], source["items"])]
        return found, volume["projected"].get("defaultMode", 0o644)
    if volume["name"] == "policies":
        folder = f".worktrees/{COMMIT}/" if "emptyDir" in volume else ""
        return [(folder + path, text.encode()) for path, text in policies.items()], None
    return [], None


def _picked(data: Mapping[str, bytes], items: list[dict[str, str]] | None) -> Iterator[tuple[str, bytes]]:
    if items is None:
        yield from data.items()
    else:
        yield from ((item["path"], data[item["key"]]) for item in items)
