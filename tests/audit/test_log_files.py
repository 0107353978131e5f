"""Files of audit events: each compression, standard input, and damaged ones."""

from __future__ import annotations

import gzip
import io
import sys
import tracemalloc
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from audit_lines import EXCHANGE, log

from tokenserver.audit import log_files
from tokenserver.audit.log_files import open_log
from tokenserver.errors import LoadError

_LOG = log(EXCHANGE, EXCHANGE)


def read(name: Path | str) -> bytes:
    """All bytes of a file of events."""
    with open_log(str(name)) as stream:
        return stream.read()


def problem(name: Path) -> str:
    """What is wrong with a file."""
    with pytest.raises(LoadError) as raised:
        read(name)
    (fault,) = raised.value.faults
    assert fault.file == str(name)
    return fault.message


def test_plain_and_gzip(tmp_path: Path) -> None:
    """By the content, not by the name; also several gzip files in one, as logrotate leaves them."""
    plain, packed = tmp_path / "a.gz", tmp_path / "b.log"
    plain.write_bytes(_LOG)
    packed.write_bytes(gzip.compress(_LOG[:100]) + gzip.compress(_LOG[100:]))
    assert (read(plain), read(packed)) == (_LOG, _LOG)


def test_empty(tmp_path: Path) -> None:
    """A file without events."""
    (tmp_path / "a").touch()
    assert read(tmp_path / "a") == b""


def test_zstd(tmp_path: Path) -> None:
    """Zstandard, by the package of the extra `zstd` or by Python itself."""
    packed = tmp_path / "a.zst"
    packed.write_bytes(_zstd().compress(_LOG))
    assert read(packed) == _LOG
    packed.write_bytes(_zstd().compress(_LOG[:100]) + _zstd().compress(_LOG[100:] + bytes(5_000_000)))
    assert read(packed) == _LOG + bytes(5_000_000)
    whole = packed.read_bytes()
    packed.write_bytes(whole[:-9])
    assert problem(packed) == "cannot be read: it ends in the middle of a frame"
    packed.write_bytes(whole[:4] + b"\xff" * 8 + whole[12:])
    assert problem(packed).startswith("cannot be read: ")


def test_what_becomes_very_large(tmp_path: Path) -> None:
    """docs/design/threats.md#threat-256: memory is bounded, whatever a compressed file expands to."""
    packed = tmp_path / "a"
    packed.write_bytes(_zstd().compress(bytes(400 << 20)))
    assert packed.stat().st_size < 100_000
    tracemalloc.start()
    try:
        with open_log(str(packed)) as stream:
            size = sum(len(block) for block in iter(lambda: stream.read(1 << 16), b""))
        assert size == 400 << 20
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def _zstd() -> ModuleType:
    found = log_files.zstd_module()
    assert found is not None, "the development environment has the extra zstd"
    return found


def test_without_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither is there, the fault says how to read the file."""
    packed = tmp_path / "a.zst"
    packed.write_bytes(_zstd().compress(_LOG))
    for name in ("compression.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    assert problem(packed) == log_files.NO_ZSTD


@pytest.mark.parametrize(
    "damage",
    [lambda packed: packed[:-20], lambda packed: packed[:30] + b"\0" * 30 + packed[60:]],
    ids=["cut", "changed"],
)
def test_damaged_gzip(tmp_path: Path, damage: object) -> None:
    """A fault with the name of the file, not a traceback."""
    packed = tmp_path / "a.gz"
    packed.write_bytes(damage(gzip.compress(_LOG * 50)))  # type: ignore[operator]
    assert problem(packed).startswith("cannot be read: ")


def test_missing_and_folder(tmp_path: Path) -> None:
    """The system's reason."""
    assert problem(tmp_path / "none") == "cannot be read: No such file or directory"
    assert problem(tmp_path) == "cannot be read: Is a directory"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-`, compressed or not."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(gzip.compress(_LOG)))))
    assert read("-") == _LOG
