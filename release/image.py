"""Builds the image of this machine's processor from a base that is named by its digest."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from release.artifacts import IMAGE, blob, image_digest
from release.programs import ROOT, ReleaseError, run
from release.sbom import write_sbom

CONTAINERFILE = ROOT / "deploy/Containerfile"
_BASE = re.compile(r"^ARG BASE=(\S+)$", re.MULTILINE)
_PINNED = re.compile(r"[\w.:/-]+@sha256:[0-9a-f]{64}")


def base_image(containerfile: str) -> str:
    """The base that the text of a Containerfile names.

    Raises:
        ReleaseError: it names none, or a tag, which may be another image tomorrow.
    """
    found = _BASE.search(containerfile)
    if found is None:
        raise ReleaseError("deploy/Containerfile has no line ARG BASE=…")
    return pinned(found[1])


def pinned(base: str) -> str:
    """The same name.

    Raises:
        ReleaseError: it has no digest.
    """
    if _PINNED.fullmatch(base) is None:
        raise ReleaseError(f"the base image {base} has no digest; fix: python -m release pin-base")
    return base


def pin_base(containerfile: Path) -> str:
    """Write the digest that the tag has in its registry now; gives the new name."""
    text = containerfile.read_text("utf-8")
    found = _BASE.search(text)
    if found is None:
        raise ReleaseError(f"{containerfile} has no line ARG BASE=…")
    tag = found[1].partition("@")[0]
    digest = run("crane", "digest", tag).strip()
    name = pinned(f"{tag}@{digest}")
    containerfile.write_text(f"{text[: found.start(1)]}{name}{text[found.end(1) :]}", "utf-8")
    return name


def build_image(
    folder: Path, version: str, *, commit: str, seconds: int, base: str, pip_conf: Path | None = None
) -> None:
    """Put the image, as an OCI layout, and its SBOM into the folder."""
    tag, digest = base.split("@")
    labels = {
        "org.opencontainers.image.base.name": tag,
        "org.opencontainers.image.base.digest": digest,
        "org.opencontainers.image.revision": commit,
    }
    options: list[str | Path] = [f"--label={name}={text}" for name, text in labels.items()]
    options += [f"--build-arg=BASE={base}", f"--build-arg=SOURCE_DATE_EPOCH={seconds}", f"--timestamp={seconds}"]
    if pip_conf is not None:
        options.append(f"--secret=id=pip.conf,src={pip_conf}")
    local = f"localhost/tokenserver:{version}"
    # Without the label that names buildah's version, another version of it makes the same image.
    run(
        *("buildah", "build", "--format=oci", "--no-cache", "--identity-label=false", "--tag", local),
        *(*options, "--file", CONTAINERFILE, ROOT),
    )
    with tempfile.TemporaryDirectory(dir=folder) as name:
        layout = Path(name) / "image"
        run("buildah", "push", local, f"oci:{layout}:{version}")
        place = folder / f"tokenserver-{version}{IMAGE}{processor(layout)}"
        layout.rename(place)
    write_sbom(place, place.with_name(f"{place.name}.cdx.json"), seconds)


def processor(layout: Path) -> str:
    """What an image was built for, such as `amd64`."""
    manifest = json.loads(blob(layout, image_digest(layout)).read_text("utf-8"))
    return str(json.loads(blob(layout, manifest["config"]["digest"]).read_text("utf-8"))["architecture"])
