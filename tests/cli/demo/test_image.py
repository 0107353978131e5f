"""The image of a demo: a layout and an archive that agree, with the digests that they name."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from tokenserver.cli.demo.image import ARCHIVE, LAYOUT, write_image
from tokenserver.errors import LoadError

REFERENCES = ("localhost:5000/users/admin/hello:1", "localhost:5000/web/prod/hello:1")


def test_every_blob_has_its_digest(tmp_path: Path) -> None:
    """From the index to the manifest, the configuration and the layer, each with its size."""
    write_image(tmp_path, REFERENCES)
    blobs = tmp_path / LAYOUT / "blobs" / "sha256"
    for path in blobs.iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name

    def read(descriptor: dict[str, object]) -> bytes:
        content = (blobs / str(descriptor["digest"]).removeprefix("sha256:")).read_bytes()
        assert len(content) == descriptor["size"]
        return content

    (manifest,) = json.loads((tmp_path / LAYOUT / "index.json").read_text())["manifests"]
    parts = json.loads(read(manifest))
    config = json.loads(read(parts["config"]))
    (layer,) = map(read, parts["layers"])
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]


def test_the_archive_is_the_layout_with_names(tmp_path: Path) -> None:
    """What `docker load` reads: `manifest.json` names blobs that are in the archive."""
    write_image(tmp_path, REFERENCES)
    with tarfile.open(tmp_path / ARCHIVE) as archive:
        contents = {member.name: file.read() for member in archive if (file := archive.extractfile(member)) is not None}
    (saved,) = json.loads(contents.pop("manifest.json"))
    assert saved["RepoTags"] == list(REFERENCES)
    assert {saved["Config"], *saved["Layers"]} < contents.keys()
    layout = tmp_path / LAYOUT
    files = {path.relative_to(layout).as_posix(): path.read_bytes() for path in layout.rglob("*") if path.is_file()}
    assert contents == files


def test_it_is_written_again(tmp_path: Path) -> None:
    """The same bytes each time, over what is there."""
    write_image(tmp_path, REFERENCES)
    before = (tmp_path / ARCHIVE).read_bytes()
    write_image(tmp_path, REFERENCES)
    assert (tmp_path / ARCHIVE).read_bytes() == before


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """A planted link is a fault, and its target stays."""
    (tmp_path / "victim").write_text("old")
    (tmp_path / ARCHIVE).symlink_to("victim")
    with pytest.raises(LoadError, match="symbolic link"):
        write_image(tmp_path, REFERENCES)
    assert (tmp_path / "victim").read_text() == "old"
