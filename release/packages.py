"""Builds the wheel, the source distribution and the chart, the same each time."""

from __future__ import annotations

import gzip
import io
import os
import sys
import tarfile
import tempfile
from pathlib import Path

from release.programs import ROOT, run


def build_python(folder: Path, seconds: int) -> None:
    """The wheel and the source distribution."""
    targets = ("--target", "wheel", "--target", "sdist")
    environment = {"SOURCE_DATE_EPOCH": str(seconds)}
    run(sys.executable, "-m", "hatchling", "build", *targets, "--directory", folder, environment=environment)


def build_chart(folder: Path, seconds: int) -> None:
    """The chart, by helm, which takes the time of day for that of every file."""
    with tempfile.TemporaryDirectory() as name:
        run("helm", "package", ROOT / "deploy/chart", "--destination", name)
        (made,) = Path(name).iterdir()
        chart = folder / made.name
        chart.write_bytes(with_times(made.read_bytes(), seconds))
        set_chart_time(chart, seconds)


def set_chart_time(chart: Path, seconds: int) -> None:
    """`helm push` writes the time of the file into the manifest."""
    os.utime(chart, (seconds, seconds))


def with_times(archive: bytes, seconds: int) -> bytes:
    """The same archive with this time for each file, in the order of their names."""
    tape = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as source,
        tarfile.open(fileobj=tape, mode="w", format=tarfile.USTAR_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda one: one.name):
            member.mtime = seconds
            target.addfile(member, source.extractfile(member))
    return gzip.compress(tape.getvalue(), mtime=0)
