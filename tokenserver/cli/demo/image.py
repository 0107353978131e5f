"""The image that a demo pushes: one layer with one file, as an OCI layout and as an archive that engines load."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenserver.cli.output_files import write_into
from tokenserver.documents.json_output import json_text

LAYOUT = "image"
ARCHIVE = "image.tar"

_OCI = "application/vnd.oci.image"


def write_image(folder: Path, references: Sequence[str]) -> None:
    """Write the layout `LAYOUT` and the archive `ARCHIVE` into the folder.

    Loading the archive (`docker load`) gives the image all of these references; in the layout it has no name.
    Specifications: OCI image layout 1.0; the archive is a layout with the `manifest.json` of `docker save`.

    Raises:
        LoadError: they cannot be written.
    """
    layer = _tar({"hello": b"Hello from the demo of tokenserver.\n"})
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/hello"]},
            "rootfs": {"type": "layers", "diff_ids": [_content_address(layer)]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "tokenserver demo"}],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor("config.v1+json", config),
            "layers": [_descriptor("layer.v1.tar", layer)],
        }
    )
    platform = {"architecture": "amd64", "os": "linux"}
    index = {"schemaVersion": 2, "manifests": [{**_descriptor("manifest.v1+json", manifest), "platform": platform}]}
    files = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index)}
    blobs = {_content_address(blob).removeprefix("sha256:"): blob for blob in (layer, config, manifest)}
    for name, content in files.items():
        write_into(folder, name, content, below=LAYOUT)
    for name, content in blobs.items():
        write_into(folder / LAYOUT / "blobs", name, content, below="sha256")
    saved = [{"Config": _blob(config), "RepoTags": list(references), "Layers": [_blob(layer)]}]
    archive = _tar({**files, **{_blob(blob): blob for blob in blobs.values()}, "manifest.json": _json(saved)})
    write_into(folder, ARCHIVE, archive)


def _blob(content: bytes) -> str:
    return f"blobs/{_content_address(content).replace(':', '/')}"


def _json(value: object) -> bytes:
    return json_text(value, separators=(",", ":")).encode()


def _content_address(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": _content_address(content), "size": len(content)}


def _tar(files: Mapping[str, bytes]) -> bytes:
    """An archive that is the same for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
