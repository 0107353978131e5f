"""The package `release`, as far as it needs no registry, engine or cosign; tests/e2e/test_release.py has the rest."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shlex
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from release import artifacts, packages, registry, sbom
from release.__main__ import _parser, main
from release.artifacts import Published, check_sums, merge, write_sums
from release.image import base_image, pinned
from release.programs import ROOT, ReleaseError, run
from release.provenance import LOCAL, provenance

DIGEST = "sha256:" + "a" * 64


# --- the folder of a release -----------------------------------------------------------------------------------------


def built(folder: Path, files: Mapping[str, str], images: Mapping[str, str] | None = None) -> Path:
    """What a builder leaves: files, layouts of images, and checksums."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    for processor, digest in (images or {}).items():
        layout = folder / f"tokenserver-1-image-{processor}"
        layout.mkdir()
        (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": digest}]}))
    write_sums(folder)
    return folder


def test_several_builders(tmp_path: Path) -> None:
    """What two made is equal, and what one made is added: an image for each processor."""
    one = built(tmp_path / "one", {"a.whl": "a"}, {"amd64": "sha256:1"})
    same = built(tmp_path / "same", {"a.whl": "a"}, {"amd64": "sha256:1"})
    other = built(tmp_path / "other", {"a.whl": "a", "b.json": "b"}, {"arm64": "sha256:2"})
    merge(tmp_path / "all", [one, same, other])
    assert [path.name for path in artifacts.files(tmp_path / "all")] == ["a.whl", "b.json"]
    assert set(artifacts.image_folders(tmp_path / "all")) == {"amd64", "arm64"}
    check_sums(tmp_path / "all")


@pytest.mark.parametrize(
    ("files", "images", "text"),
    [
        pytest.param({"a.whl": "b"}, {}, r"a\.whl: two builders made different files", id="a file"),
        pytest.param({}, {"amd64": "sha256:2"}, "tokenserver-1-image-amd64: .* different images", id="an image"),
    ],
)
def test_builders_that_disagree(tmp_path: Path, files: dict[str, str], images: dict[str, str], text: str) -> None:
    """Nothing is released that only one machine can build.

    See docs/design/threats.md#threat-230.
    """
    one = built(tmp_path / "one", {"a.whl": "a"}, {"amd64": "sha256:1"})
    with pytest.raises(ReleaseError, match=text):
        merge(tmp_path / "all", [one, built(tmp_path / "two", files, images)])


@pytest.mark.parametrize("change", ["changed", "added", "removed"])
def test_files_that_were_changed_after_the_build(tmp_path: Path, change: str) -> None:
    """The checksums show it, by the name of the file.

    See docs/design/threats.md#threat-230.
    """
    folder = built(tmp_path / "one", {"a.whl": "a", "b.whl": "b"})
    if change == "changed":
        (folder / "a.whl").write_text("x")
    elif change == "added":
        (folder / "c.whl").write_text("c")
    else:
        (folder / "a.whl").unlink()
    name = "c.whl" if change == "added" else "a.whl"
    with pytest.raises(ReleaseError, match=f"SHA256SUMS and the files differ: {name}$"):
        check_sums(folder)


def test_what_is_about_the_files_is_not_released_as_one(tmp_path: Path) -> None:
    """Bundles and the list of what was published come after the checksums."""
    folder = built(tmp_path / "one", {"a.whl": "a"})
    (folder / "a.whl.provenance.sigstore.json").write_text("{}")
    published = Published("r/tokenserver@sha256:1", "r/charts/tokenserver@sha256:2", {"amd64": "r/t@sha256:3"})
    published.write(folder)
    check_sums(folder)
    assert Published.read(folder) == published


def test_nothing_published(tmp_path: Path) -> None:
    """The step before is named."""
    with pytest.raises(ReleaseError, match="fix: python -m release publish"):
        Published.read(tmp_path)


# --- the base image --------------------------------------------------------------------------------------------------


def test_a_base_with_its_digest() -> None:
    """As `pin-base` writes it."""
    name = f"docker.io/library/python:3.13-slim-bookworm@{DIGEST}"
    assert base_image(f"# text\nARG BASE={name}\nFROM $BASE AS build\n") == name


@pytest.mark.parametrize(
    "name",
    [
        "docker.io/library/python:3.13",
        "python@sha256:abc",
        f"python@{DIGEST}x",
        f"python@{DIGEST}\nx",
        f"@{DIGEST}",
        "",
    ],
)
def test_a_base_without_its_digest(name: str) -> None:
    """Tomorrow a tag may be another image.

    See docs/design/threats.md#threat-230.
    """
    with pytest.raises(ReleaseError, match="has no digest; fix: python -m release pin-base"):
        pinned(name)


def test_a_containerfile_without_a_base() -> None:
    """It is not guessed."""
    with pytest.raises(ReleaseError, match="no line ARG BASE="):
        base_image("FROM scratch\n")


# --- packages --------------------------------------------------------------------------------------------------------


def archive(files: Mapping[str, str], seconds: int) -> bytes:
    """A compressed archive in this order, with times."""
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w") as target:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(text), seconds, 0o644
            target.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(tape.getvalue(), mtime=seconds)


def test_times_in_archives() -> None:
    """The same files give the same bytes, in any order and at any time; other files do not."""
    one = packages.with_times(archive({"c/a": "1", "c/b": "2"}, 5), 1000)
    assert one == packages.with_times(archive({"c/b": "2", "c/a": "1"}, 7), 1000)
    assert one != packages.with_times(archive({"c/b": "2", "c/a": "3"}, 7), 1000)
    with tarfile.open(fileobj=io.BytesIO(one)) as opened:
        assert [(member.name, member.mtime, member.mode) for member in opened] == [
            ("c/a", 1000, 0o644),
            ("c/b", 1000, 0o644),
        ]


# --- provenance ------------------------------------------------------------------------------------------------------

WORKFLOW = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "example/tokenserver",
    "GITHUB_WORKFLOW_REF": "example/tokenserver/.github/workflows/release.yml@refs/tags/v1",
    "GITHUB_RUN_ID": "7",
    "GITHUB_RUN_ATTEMPT": "1",
    "GITHUB_EVENT_NAME": "push",
}


def test_provenance_in_a_workflow() -> None:
    """Who built it, from which revision, base image and lists of packages (https://slsa.dev/spec/v1.0/provenance)."""
    found = provenance(WORKFLOW, "c" * 40, f"docker.io/library/python:3@{DIGEST}", {"requirements.txt": "b" * 64})
    assert found["buildDefinition"]["externalParameters"] == {
        "workflow": {
            "ref": "refs/tags/v1",
            "repository": "https://github.com/example/tokenserver",
            "path": ".github/workflows/release.yml",
        }
    }
    assert found["buildDefinition"]["resolvedDependencies"] == [
        {"uri": "git+https://github.com/example/tokenserver@refs/tags/v1", "digest": {"gitCommit": "c" * 40}},
        {"uri": "pkg:docker/docker.io/library/python:3", "digest": {"sha256": "a" * 64}},
        {"uri": "file:requirements.txt", "digest": {"sha256": "b" * 64}},
    ]
    assert found["runDetails"] == {
        "builder": {"id": "https://github.com/example/tokenserver/.github/workflows/release.yml@refs/tags/v1"},
        "metadata": {"invocationId": "https://github.com/example/tokenserver/actions/runs/7/attempts/1"},
    }


def test_provenance_elsewhere() -> None:
    """A builder that nobody trusts, and no address that it does not have."""
    found = provenance({}, "c" * 40, f"python@{DIGEST}", {})
    assert found["runDetails"] == {"builder": {"id": LOCAL}, "metadata": {"invocationId": LOCAL}}
    assert "github.com" not in json.dumps(found["buildDefinition"]["resolvedDependencies"])


# --- the list of components ------------------------------------------------------------------------------------------

SITE = "opt/tokenserver/lib/python3.13/site-packages"
REQUIRED = """\
Requires-Dist: flask>=3
Requires-Dist: redis; extra == "redis"
Requires-Dist: zstandard; extra == "zstd"

What it is, and Name: nothing
"""
CONTENT = {
    "opt/tokenserver/pyvenv.cfg": "home = /usr/local/bin\nversion = 3.13.9\n",
    f"{SITE}/tokenserver-1.dist-info/METADATA": "Name: tokenserver\nVersion: 1\nLicense-Expression: Apache-2.0\n"
    + REQUIRED,
    f"{SITE}/tokenserver-1.dist-info/direct_url.json": '{"archive_info": {"hashes": {"sha256": "%s"}}}' % ("b" * 64),
    f"{SITE}/Flask-3.dist-info/METADATA": "Name: Flask\nVersion: 3\n"
    "Classifier: License :: OSI Approved :: MIT License\n"
    'Requires-Dist: tomli; python_version < "3.11"\n',
    f"{SITE}/redis-7.dist-info/METADATA": "Name: redis\nVersion: 7\nLicense-Expression: no licence (at all\n",
    f"{SITE}/redis-7.dist-info/RECORD": "not read",
    "var/lib/dpkg/status.d/libc6": "Package: libc6\nArchitecture: amd64\nVersion: 2.36-9+deb12u9\n",
    "usr/lib/os-release": 'ID=debian\nVERSION_ID="12"\n',
    "etc/passwd": "root",
}


def layout(folder: Path, content: Mapping[str, str], seconds: int = 0) -> Path:
    """An OCI layout with one image of one layer."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def add(data: bytes) -> dict[str, str]:
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"digest": f"sha256:{name}"}

    config = add(json.dumps({"architecture": "amd64"}).encode())
    manifest = add(json.dumps({"config": config, "layers": [add(archive(content, seconds))]}).encode())
    (folder / "index.json").write_text(json.dumps({"manifests": [manifest]}))
    return folder


def listed(folder: Path) -> dict[str, Any]:
    """The list of a layout, which the schema of CycloneDX accepts."""
    sbom.write_sbom(folder, folder / "sbom.json", 1_700_000_000)
    text = (folder / "sbom.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found: dict[str, Any] = json.loads(text)
    return found


def test_components(tmp_path: Path) -> None:
    """Python, its packages and Debian's, with addresses, hashes and licences as far as they are said."""
    found = listed(layout(tmp_path / "image", CONTENT))
    components = {one["name"]: one for one in found["components"]}
    assert {name: one["purl"] for name, one in components.items()} == {
        "Flask": "pkg:pypi/flask@3",
        "libc6": "pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64&distro=debian-12",
        "python": "pkg:generic/python@3.13.9",
        "redis": "pkg:pypi/redis@7",
        "tokenserver": "pkg:pypi/tokenserver@1",
    }
    assert components["tokenserver"]["hashes"] == [{"alg": "SHA-256", "content": "b" * 64}]
    licences = {name: one.get("licenses") for name, one in components.items()}
    assert licences["tokenserver"] == [{"license": {"id": "Apache-2.0"}}]
    assert licences["Flask"] == [{"license": {"id": "MIT"}}]
    assert licences["redis"] == [{"license": {"name": "no licence (at all"}}]
    assert found["metadata"]["component"]["version"] == artifacts.image_digest(tmp_path / "image")


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: other\n", [{"expression": "MIT OR Apache-2.0"}]),
        ("Classifier: License :: OSI Approved :: MIT License\nLicense: other\n", [{"license": {"id": "MIT"}}]),
        ("License: BSD-2-Clause\n", [{"license": {"id": "BSD-2-Clause"}}]),
        ("License: The licence\n        with all its words\n", None),
        ("Classifier: License :: OSI Approved\n", None),
        ("", None),
    ],
    ids=["an expression", "a classifier", "a text", "a whole licence", "no name", "nothing"],
)
def test_licences(tmp_path: Path, metadata: str, licence: list[Any] | None) -> None:
    """What a package says most exactly."""
    content = {"opt/tokenserver/pyvenv.cfg": "version = 3.13.9\n"}
    content[f"{SITE}/a-1.dist-info/METADATA"] = f"Name: a\nVersion: 1\n{metadata}"
    found = {one["name"]: one.get("licenses") for one in listed(layout(tmp_path / "image", content))["components"]}
    assert found["a"] == licence


def test_who_needs_what(tmp_path: Path) -> None:
    """By the markers of the image's Python and its extras; what is not in the image is not needed there."""
    needs = {
        one["ref"]: set(one.get("dependsOn", ())) for one in listed(layout(tmp_path / "i", CONTENT))["dependencies"]
    }
    assert needs["pkg:pypi/tokenserver@1"] == {"pkg:pypi/flask@3", "pkg:pypi/redis@7"}
    assert needs["pkg:pypi/flask@3"] == set()


def test_the_same_image_has_the_same_list(tmp_path: Path) -> None:
    """And another image another one, also if it has the same components."""
    one, same = layout(tmp_path / "one", CONTENT), layout(tmp_path / "same", CONTENT)
    other = layout(tmp_path / "other", CONTENT, seconds=7)
    assert listed(one) == listed(same)
    assert listed(one)["serialNumber"] != listed(other)["serialNumber"]


# --- the command -----------------------------------------------------------------------------------------------------


def test_a_tag_of_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is built."""
    monkeypatch.setenv("GITHUB_REF_TYPE", "tag")
    monkeypatch.setenv("GITHUB_REF_NAME", "v99")
    assert main(["build", str(tmp_path / "dist"), "--base", f"python@{DIGEST}"]) == 1
    assert capsys.readouterr().err.startswith("release: the tag is v99, and the version 0.1.0")
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/verify-a-release.md", "deploy/Containerfile"])
def test_commands_that_are_named(page: str) -> None:
    """Each of them exists, with its arguments."""
    found = re.findall(r"python -m release ([^`\n]+)", (ROOT / page).read_text("utf-8"))
    assert found
    assert [_parser().parse_args(shlex.split(words)).step.__name__ for words in found]


@pytest.mark.parametrize("base", ["python:3.13", "python"])
def test_no_release_from_a_tag(tmp_path: Path, capsys: pytest.CaptureFixture[str], base: str) -> None:
    """Neither by an option.

    See docs/design/threats.md#threat-230.
    """
    assert main(["build", str(tmp_path / "dist"), "--base", base]) == 1
    assert "has no digest" in capsys.readouterr().err
    assert not (tmp_path / "dist").exists()


def test_programs() -> None:
    """One that is missing is named with the fix, one that fails with what it said."""
    with pytest.raises(ReleaseError, match="no-such-program is not installed; scripts/release-tools installs crane"):
        run("no-such-program")
    with pytest.raises(ReleaseError, match=r"git status --nonsense failed:\n.*unknown option"):
        run("git", "status", "--nonsense")


# --- what is published -----------------------------------------------------------------------------------------------


class Registry:
    """What crane and helm say about a registry in which somebody else may push to the same tags."""

    def __init__(self, chart: Path) -> None:
        self.digests = {"1-amd64": "sha256:1", "1-arm64": "sha256:2", "1": "sha256:i"}
        self.manifests = {
            "tokenserver@sha256:i": {"manifests": [{"digest": "sha256:2"}, {"digest": "sha256:1"}]},
            "charts/tokenserver@sha256:i": {"layers": [{"digest": f"sha256:{artifacts.sha256(chart)}"}]},
        }

    def run(self, *words: str | Path) -> str:
        """Run one command."""
        command = [str(word) for word in words]
        if command[:2] == ["crane", "digest"]:
            return self.digests[command[2].rpartition(":")[2]] + "\n"
        if command[:2] == ["crane", "manifest"]:
            return json.dumps(self.manifests[command[2].removeprefix("registry.test/")])
        return ""


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Registry, Path]:
    """A registry, and the folder of a release for it."""
    images = {"amd64": "sha256:1", "arm64": "sha256:2"}
    folder = built(tmp_path / "dist", {"tokenserver-1.tgz": "chart"}, images)
    found = Registry(folder / "tokenserver-1.tgz")
    monkeypatch.setattr(registry, "run", found.run)
    return found, folder


def test_what_is_published(published: tuple[Registry, Path]) -> None:
    """By digests, which are signed later."""
    done = registry.publish(published[1], "registry.test", "1")
    assert (done.image, done.chart) == (
        "registry.test/tokenserver@sha256:i",
        "registry.test/charts/tokenserver@sha256:i",
    )
    assert Published.read(published[1]) == done


@pytest.mark.parametrize(
    ("name", "manifest"),
    [
        ("tokenserver@sha256:i", {"manifests": [{"digest": "sha256:1"}, {"digest": "sha256:3"}]}),
        ("tokenserver@sha256:i", {"manifests": [{"digest": f"sha256:{number}"} for number in (1, 2, 3)]}),
        ("charts/tokenserver@sha256:i", {"layers": [{"digest": "sha256:3"}]}),
    ],
    ids=["another image", "one more image", "another chart"],
)
def test_somebody_else_pushes_meanwhile(
    name: str, manifest: dict[str, list[dict[str, str]]], published: tuple[Registry, Path]
) -> None:
    """docs/design/threats.md#threat-230: what was not built is not handed on to be signed."""
    published[0].manifests[name] = manifest
    with pytest.raises(ReleaseError, match="in the registry, and not"):
        registry.publish(published[1], "registry.test", "1")
    assert not (published[1] / artifacts.PUBLISHED).exists()
