"""Publishes the images and the chart of a release to a registry."""

from __future__ import annotations

import json
import re
from pathlib import Path

from release.artifacts import Published, check_sums, image_digest, image_folders, sha256
from release.packages import set_chart_time
from release.programs import ReleaseError, commit_seconds, run


def publish(folder: Path, registry: str, version: str) -> Published:
    """Push to `REGISTRY/tokenserver` and `REGISTRY/charts/tokenserver`; gives the digests that the registry has now.

    crane and helm find credentials where `crane auth login` or `docker login` has put them. Plain http is for this
    machine alone.

    Raises:
        ReleaseError: the folder was changed after the build, or the registry has something else.
    """
    check_sums(folder)
    layouts = image_folders(folder)
    if not layouts:
        raise ReleaseError(f"{folder} has no image; fix: python -m release build")
    repository = f"{registry}/tokenserver"
    platforms = {}
    for processor, layout in layouts.items():
        run("crane", "push", layout, f"{repository}:{version}-{processor}")
        platforms[processor] = _same(f"{repository}:{version}-{processor}", image_digest(layout))
    members = [f"--manifest={image}" for image in platforms.values()]
    run("crane", "index", "append", *members, "--tag", f"{repository}:{version}")
    image = f"{repository}@{run('crane', 'digest', f'{repository}:{version}').strip()}"
    _require(image, "manifests", {name.rpartition("@")[2] for name in platforms.values()})
    chart = folder / f"tokenserver-{version}.tgz"
    set_chart_time(chart, commit_seconds())
    plain = ["--plain-http"] if re.match(r"(?:localhost|127\.0\.0\.1)(?::|/|$)", registry) else []
    run("helm", "push", *plain, chart, f"oci://{registry}/charts")
    charts = f"{registry}/charts/tokenserver"
    pushed = f"{charts}@{run('crane', 'digest', f'{charts}:{version}').strip()}"
    _require(pushed, "layers", {f"sha256:{sha256(chart)}"})
    published = Published(image, pushed, platforms)
    published.write(folder)
    return published


def _require(name: str, member: str, digests: set[str]) -> None:
    """Check that what is in the registry under a digest, which will be signed, consists of what was built.

    Raises:
        ReleaseError: somebody else has pushed to the tag meanwhile.
    """
    found = {str(one["digest"]) for one in json.loads(run("crane", "manifest", name))[member]}
    if found != digests:
        raise ReleaseError(f"{name} has {sorted(found)} in the registry, and not {sorted(digests)}, which was built")


def _same(name: str, digest: str) -> str:
    """The name with the digest, if that is what the registry has."""
    found = run("crane", "digest", name).strip()
    if found != digest:
        raise ReleaseError(f"{name} is {found} in the registry, and not {digest}, which was built")
    return f"{name.rpartition(':')[0]}@{digest}"
