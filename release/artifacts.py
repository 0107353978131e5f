"""The folder of a release: which files are in it, their checksums, and what several builders must agree on."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from release.programs import ReleaseError

SUMS = "SHA256SUMS"
PUBLISHED = "published.json"
IMAGE = "-image-"
"""In the name of an image's folder, which is an OCI layout, and of its SBOM, before the processor."""


@dataclass(frozen=True)
class Published:
    """What is in a registry, each by its digest: `REPOSITORY@sha256:…`."""

    image: str
    chart: str
    platforms: dict[str, str] = field(default_factory=dict)
    """Processor -> the image for it."""

    def write(self, folder: Path) -> None:
        """Into the folder of the release."""
        (folder / PUBLISHED).write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Published:
        """Out of it.

        Raises:
            ReleaseError: nothing was published.
        """
        if not (folder / PUBLISHED).is_file():
            raise ReleaseError(f"{folder / PUBLISHED} is missing; fix: python -m release publish")
        return cls(**json.loads((folder / PUBLISHED).read_text("utf-8")))


def sha256(file: Path) -> str:
    """In hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def image_folders(folder: Path) -> dict[str, Path]:
    """Processor -> the OCI layout of its image."""
    return {path.name.rpartition(IMAGE)[2]: path for path in sorted(folder.glob(f"*{IMAGE}*")) if path.is_dir()}


def image_digest(layout: Path) -> str:
    """The digest of the one image in an OCI layout, such as `sha256:…`."""
    (manifest,) = json.loads((layout / "index.json").read_text("utf-8"))["manifests"]
    return str(manifest["digest"])


def blob(layout: Path, digest: str) -> Path:
    """The file of a blob in an OCI layout."""
    return layout / "blobs" / digest.replace(":", "/")


def files(folder: Path) -> list[Path]:
    """What is released as files, sorted: neither images nor what was made about the files."""
    about = {SUMS, PUBLISHED}
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name not in about and not path.name.endswith(".sigstore.json")
    )


def write_sums(folder: Path) -> None:
    """As sha256sum prints and checks them."""
    lines = [f"{sha256(path)}  {path.name}\n" for path in files(folder)]
    (folder / SUMS).write_text("".join(lines), "utf-8")


def check_sums(folder: Path) -> None:
    """Compare the files with the checksums.

    Raises:
        ReleaseError: a file has changed, is missing, or is not listed.
    """
    listed = dict(re.findall(r"^([0-9a-f]{64})  (.+)$", (folder / SUMS).read_text("utf-8"), re.MULTILINE))
    found = {sha256(path): path.name for path in files(folder)}
    if wrong := sorted({*listed.items()} ^ {*found.items()}, key=lambda pair: pair[1]):
        raise ReleaseError(f"{SUMS} and the files differ: {', '.join(sorted({name for _, name in wrong}))}")


def merge(target: Path, sources: Sequence[Path]) -> None:
    """Put together what several builders made: what two of them made must be equal, byte for byte.

    Raises:
        ReleaseError: it is not; or a folder was changed after it was built.
    """
    for source in sources:
        check_sums(source)
    target.mkdir(parents=True)
    for source in sources:
        for path in files(source):
            if not (target / path.name).exists():
                shutil.copyfile(path, target / path.name)
            elif sha256(path) != sha256(target / path.name):
                raise ReleaseError(f"{path.name}: two builders made different files")
        for layout in image_folders(source).values():
            if not (target / layout.name).exists():
                shutil.copytree(layout, target / layout.name)
            elif image_digest(layout) != image_digest(target / layout.name):
                raise ReleaseError(f"{layout.name}: two builders made different images")
    write_sums(target)
