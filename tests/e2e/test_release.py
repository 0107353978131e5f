"""A release from its build to its verification: `python -m release`, with a key pair in place of the workflow's name.

Two builders, in different folders and with different umasks, make everything; it is published to a real registry that
trusts the server, and signed by cosign. What this cannot show is the certificate of a workflow and the public log.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from harness.checkout import clone
from harness.image_builder import Builder, image_builder
from harness.images import make
from harness.machine import Machine
from harness.processes import Output, run
from harness.programs import ROOT, TOOLS, need
from harness.registries import Registry

from release.artifacts import Published, image_digest
from tokenserver import __version__

PAGE = (ROOT / "docs/verify-a-release.md").read_text("utf-8")
DEFAULT_FOLDERS = os.defpath.split(os.pathsep)


@dataclass
class Releaser:
    """Somebody who releases, on a machine of their own. `folder` is the release."""

    machine: Machine
    checkout: Path
    folder: Path

    def release(self, *words: str | Path, checkout: Path | None = None, umask: int = 0o022) -> Output:
        """One step, in a checkout."""
        command = [sys.executable, "-m", "release", *words]
        return self.run(*command, folder=checkout or self.checkout, umask=umask)

    def run(self, *words: str | Path, folder: Path, umask: int = 0o022) -> Output:
        """Any command, with the tools of a release on the PATH."""
        before = os.umask(umask)
        try:
            return run([*words], environment=self.machine.environment, folder=folder, seconds=900)
        finally:
            os.umask(before)

    def follow(self, name: str, key: Path, registry: str) -> Output:
        """The commands of a block of docs/verify-a-release.md, with a key in place of the name of the workflow."""
        block = re.search(rf"<!-- test: {name} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
        assert block is not None
        identity = r'--certificate-identity "\$WORKFLOW" (?:\\\n *)?--certificate-oidc-issuer "\$ISSUER"'
        text, changed = re.subn(identity, f"--key {key} --insecure-ignore-tlog", block[1])
        assert changed == text.count("cosign ")
        script = f"set -eu\nVERSION={__version__}\n{text.replace('registry.example.com', registry)}"
        return self.run("sh", "-c", script, folder=self.folder)


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """buildah with the base image."""
    with image_builder(tmp_path_factory.mktemp("wheels")) as made:
        yield made


@pytest.fixture(scope="module")
def releaser(builder: Builder, short_folder: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Releaser:
    """With what two builders made, which was compared, in `folder`."""
    machine = Machine(short_folder())
    tools = {need(name).parent for name in ("cosign", "crane", "helm", "buildah", "git")}
    machine.environment |= builder.settings(machine.folder)
    machine.environment["PATH"] = os.pathsep.join([str(TOOLS), *map(str, tools), *DEFAULT_FOLDERS])
    machine.environment["COSIGN_PASSWORD"] = "no secret"
    pip = machine.folder / "pip.conf"
    pip.write_text("[global]\nno-index = true\nfind-links = /packages\n")
    above = [tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("another-folder")]
    first = clone(above[0])
    made = Releaser(machine, first, tmp_path_factory.mktemp("release") / "dist")
    second = above[1] / "tokenserver"
    before = os.umask(0o077)
    try:
        shutil.copytree(first / ".git", second / ".git")
        checked_out = made.run("git", "checkout", "--quiet", "--", ".", folder=second, umask=0o077)
    finally:
        os.umask(before)
    assert checked_out.ok, checked_out
    folders = []
    for checkout, umask in ((first, 0o022), (second, 0o077)):
        folders.append(checkout.parent / "built")
        options: list[str | Path] = ["--base", builder.base, "--pip-conf", pip]
        built = made.release("build", folders[-1], *options, checkout=checkout, umask=umask)
        assert built.ok, built
        time.sleep(1.1)
    merged = made.release("merge", made.folder, *folders)
    assert merged.ok, merged
    return made


@dataclass
class Signed:
    """What was published where, and the key pair."""

    registry: str
    published: Published
    key: Path
    stranger: Path


@pytest.fixture(scope="module")
def signed(releaser: Releaser, builder: Builder, registry_of: Callable[[str], Registry]) -> Signed:
    """By somebody who may push to `web/`."""
    registry = registry_of("registry3.test")
    releaser.machine.sign_in(registry.host, "ann", registry.server.people["ann"])
    done = releaser.release("publish", releaser.folder, f"{registry.host}/web")
    assert done.ok, done
    keys = []
    for name in ("ours", "stranger"):
        prefix = releaser.machine.folder / name
        assert releaser.run("cosign", "generate-key-pair", "--output-key-prefix", prefix, folder=prefix.parent).ok
        keys.append(prefix.with_suffix(".pub"))
    done = releaser.release(
        "sign", releaser.folder, "--base", builder.base, "--key", releaser.machine.folder / "ours.key"
    )
    assert done.ok, done
    return Signed(f"{registry.host}/web", Published.read(releaser.folder), *keys)


@pytest.mark.nightly
@pytest.mark.real("cosign")
class TestARelease:
    """Built once for all tests: two builds take minutes."""

    def test_two_builders_make_the_same(self, releaser: Releaser) -> None:
        """Wheel, source distribution, chart, lists of packages, and the image with its list: `merge` compared them.

        See docs/design/threats.md#threat-230.
        """
        listed = re.findall(r"^[0-9a-f]{64}  (.+)$", (releaser.folder / "SHA256SUMS").read_text(), re.MULTILINE)
        (image,) = (path.name for path in releaser.folder.iterdir() if path.is_dir())
        packages = {f"tokenserver-{__version__}{end}" for end in ("-py3-none-any.whl", ".tar.gz", ".tgz")}
        assert {*listed} == {*packages, f"{image}.cdx.json", "requirements.txt", "requirements-build.txt"}

    def test_a_builder_that_makes_something_else(self, releaser: Releaser, tmp_path: Path) -> None:
        """One byte more in a wheel, with checksums that are right for it."""
        built = releaser.checkout.parent / "built"
        shutil.copytree(built, tmp_path / "other")
        wheel = tmp_path / f"other/tokenserver-{__version__}-py3-none-any.whl"
        wheel.write_bytes(wheel.read_bytes() + b"\0")
        sums = releaser.run(
            "sh", "-c", "sha256sum $(cut -c67- SHA256SUMS) > new; mv new SHA256SUMS", folder=wheel.parent
        )
        assert sums.ok, sums
        merged = releaser.release("merge", tmp_path / "all", built, tmp_path / "other")
        assert (merged.code, "two builders made different files" in merged.stderr) == (1, True), merged

    def test_the_list_of_components(self, releaser: Releaser) -> None:
        """CycloneDX accepts it; packages have hashes that requirements.txt knows, and ours has that of the wheel.

        See docs/design/threats.md#threat-230.
        """
        (file,) = releaser.folder.glob("*.cdx.json")
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read_text()) is None
        found: dict[str, Any] = json.loads(file.read_text())
        assert found["metadata"]["component"]["version"] == image_digest(file.with_name(file.name[: -len(".cdx.json")]))
        hashes = {one["name"]: one["hashes"][0]["content"] for one in found["components"] if "pypi/" in one["purl"]}
        known = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", (ROOT / "requirements.txt").read_text()))
        sums = (releaser.folder / "SHA256SUMS").read_text()
        assert f"{hashes.pop('tokenserver')}  tokenserver-{__version__}-py3-none-any.whl\n" in sums
        assert len(hashes) > 30
        assert [name for name, one in hashes.items() if one not in known] == []
        debian = {one["name"]: one["purl"] for one in found["components"] if "deb/" in one["purl"]}
        assert {"libc6", "libssl3"} <= set(debian)
        assert len(debian) < 40
        assert re.fullmatch(r"pkg:deb/debian/libc6@[^?]+\?arch=\w+&distro=debian-\d+", debian["libc6"])
        unlicensed = {one["name"] for one in found["components"] if "pypi/" in one["purl"] and not one.get("licenses")}
        assert unlicensed == set()

    def test_the_same_is_published_again(self, releaser: Releaser, signed: Signed) -> None:
        """The same digests, also of the index and of the chart's manifest: nothing depends on the time."""
        again = releaser.release("publish", releaser.folder, signed.registry)
        assert again.ok, again
        assert Published.read(releaser.folder) == signed.published
        labels = json.loads(releaser.run("crane", "config", signed.published.image, folder=releaser.folder).stdout)
        assert labels["config"]["Labels"]["org.opencontainers.image.base.digest"].startswith("sha256:")
        assert "io.buildah.version" not in labels["config"]["Labels"]

    def test_every_signature(self, releaser: Releaser, signed: Signed) -> None:
        """Ours are accepted, and the same would not be with the key of somebody else."""
        verified = releaser.release("verify", releaser.folder, "--key", signed.key)
        assert verified.ok, verified
        refused = releaser.release("verify", releaser.folder, "--key", signed.stranger)
        assert refused.code == 1, refused

    @pytest.mark.parametrize("block", ["files", "statement", "image", "sbom"])
    def test_the_page(self, releaser: Releaser, signed: Signed, block: str) -> None:
        """Its commands succeed with our key, and the first of each block fails with another one."""
        followed = releaser.follow(block, signed.key, signed.registry)
        assert followed.ok, followed
        assert not releaser.follow(block, signed.stranger, signed.registry).ok

    def test_what_was_changed(self, releaser: Releaser, signed: Signed, tmp_path: Path) -> None:
        """A file with its checksum, and a statement about another file.

        See docs/design/threats.md#threat-230.
        """
        changed = Releaser(releaser.machine, releaser.checkout, tmp_path / "changed")
        shutil.copytree(releaser.folder, changed.folder)
        wheel = changed.folder / f"tokenserver-{__version__}-py3-none-any.whl"
        wheel.write_bytes(wheel.read_bytes() + b"\0")
        assert not changed.follow("files", signed.key, signed.registry).ok
        assert not changed.follow("statement", signed.key, signed.registry).ok

    def test_the_statement(self, releaser: Releaser, signed: Signed) -> None:
        """It names the revision, the base image by its digest, and who built it."""
        words = ("--key", signed.key, "--insecure-ignore-tlog", "--type", "slsaprovenance1", signed.published.image)
        shown = releaser.run("cosign", "verify-attestation", *words, folder=releaser.folder)
        assert shown.ok, shown
        statement = json.loads(base64.b64decode(json.loads(shown.stdout.splitlines()[0])["payload"]))
        definition = statement["predicate"]["buildDefinition"]
        commit = releaser.run("git", "rev-parse", "HEAD", folder=releaser.checkout).stdout.strip()
        assert definition["resolvedDependencies"][0]["digest"] == {"gitCommit": commit}
        assert statement["subject"][0]["digest"]["sha256"] == signed.published.image.partition("sha256:")[2]

    def test_an_installation_with_hashes(self, releaser: Releaser, builder: Builder, tmp_path: Path) -> None:
        """The page's commands, with the wheels of a folder for an index."""
        folder = tmp_path / "install"
        folder.mkdir()
        for name in ("requirements.txt", f"tokenserver-{__version__}-py3-none-any.whl"):
            shutil.copy2(releaser.folder / name, folder / name)
        environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(builder.wheels)}
        before = dict(releaser.machine.environment)
        releaser.machine.environment |= environment
        releaser.machine.environment["PATH"] = f"{Path(sys._base_executable).parent}:{before['PATH']}"  # type: ignore[attr-defined]  # undocumented
        try:
            installed = Releaser(releaser.machine, releaser.checkout, folder).follow(
                "install", Path("unused"), "unused"
            )
        finally:
            releaser.machine.environment.clear()
            releaser.machine.environment |= before
        assert installed.ok, installed
        shown = releaser.run(folder / "tokenserver/bin/tokenserver", "--version", folder=folder)
        assert __version__ in shown.stdout, shown

    def test_somebody_who_builds_it_again(self, releaser: Releaser, tmp_path: Path) -> None:
        """The last command of the page, with what the second builder made."""
        block = re.search(r"<!-- test: build -->\n```sh\n.*\n.*\n(.*)\n```", PAGE)
        assert block is not None
        shutil.copytree(releaser.checkout.parent / "built", tmp_path / "mine")
        shutil.copy2(releaser.folder / "SHA256SUMS", tmp_path / "SHA256SUMS")
        assert releaser.run("sh", "-c", block[1], folder=tmp_path).ok
        (tmp_path / "mine/requirements.txt").write_text("")
        assert not releaser.run("sh", "-c", block[1], folder=tmp_path).ok

    def test_a_working_tree_with_changes(self, releaser: Releaser, builder: Builder, tmp_path: Path) -> None:
        """Nothing is built that is in no commit."""
        extra = releaser.checkout / "tokenserver" / "extra.py"
        extra.write_text("")
        try:
            built = releaser.release("build", tmp_path / "dist", "--base", builder.base)
        finally:
            extra.unlink()
        assert (built.code, "the working tree differs from the commit" in built.stderr) == (1, True), built
        assert not (tmp_path / "dist").exists()


@pytest.mark.real("crane")
def test_the_digest_of_a_base_image(registry_of: Callable[[str], Registry], tmp_path: Path) -> None:
    """`pin-base` writes it behind the tag, again after the tag has moved, and changes nothing else."""
    registry = registry_of("registry3.test")
    machine = Machine(tmp_path / "home")
    machine.sign_in(registry.host, "ann", registry.server.people["ann"])
    machine.environment["PATH"] = os.pathsep.join([str(need("crane").parent), *DEFAULT_FOLDERS])
    file = tmp_path / "Containerfile"
    text = (ROOT / "deploy/Containerfile").read_text()
    name = f"{registry.host}/web/base"
    file.write_text(re.sub(r"ARG BASE=.*", f"ARG BASE={name}:3", text))
    for content in ("one", "another"):
        (tmp_path / content).mkdir()
        image = make(tmp_path / content, content)
        registry.put("web/base", image, "3")
        command: list[str | Path] = [sys.executable, "-m", "release", "pin-base", "--containerfile", file]
        done = run(command, environment=machine.environment, folder=ROOT)
        assert done.ok, done
        assert done.stdout == f"{name}:3@{image.digest}\n"
        assert file.read_text() == re.sub(r"ARG BASE=.*", f"ARG BASE={name}:3@{image.digest}", text)


@pytest.mark.real("actionlint")
def test_workflows_are_well_formed(tmp_path: Path) -> None:
    """actionlint finds nothing: keys, expressions, types of their values, names of jobs and machines."""
    machine = Machine(tmp_path)
    done = run([need("actionlint"), "-no-color"], environment=machine.environment, folder=ROOT)
    assert (done.ok, done.text) == (True, ""), done
