"""Files of audit events as streams of bytes: plain, or compressed by gzip or Zstandard; `-` is standard input."""

from __future__ import annotations

import gzip
import importlib
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, cast

from tokenserver.audit.candidates import candidate_lines
from tokenserver.errors import Fault, LoadError

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_BUFFER = 1024 * 1024

_STEP = 256
"""Bytes of Zstandard that are decompressed together: four bytes can become 128 KiB (RFC 8878, section 3.1.1.2)."""

NO_ZSTD = (
    "is compressed by Zstandard, which this Python cannot read; fix: pip install 'tokenserver[zstd]', or "
    "zstd -dc FILE, piped into the command"
)


class LogReader:
    """The lines of files, in their order, and how much of them was read; `-` is standard input."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = tuple(files)
        self.read_bytes = 0

    def lines(self, needles: Sequence[bytes] = ()) -> Iterator[bytes]:
        """The lines that contain all `needles`; see `candidate_lines`.

        Raises:
            LoadError: a file cannot be read, or is damaged.
        """
        for name in self._files:
            with open_log(name) as stream:
                yield from candidate_lines(partial(self._read, stream), needles)

    def _read(self, stream: BinaryIO, size: int) -> bytes:
        block = stream.read(size)
        self.read_bytes += len(block)
        return block

    def spell(self) -> str:
        """How much was read, for people."""
        return f"{self.read_bytes // 1_000_000:,} MB"


@contextmanager
def open_log(name: str) -> Iterator[BinaryIO]:
    """The events of one file, decompressed as its first bytes say; `-` is standard input.

    Raises:
        LoadError: it cannot be opened or read, or is damaged; also while the block reads from it.
    """
    try:
        with _opened(name) as raw:
            kind = raw.peek(len(_ZSTD))[: len(_ZSTD)]
            if kind.startswith(_GZIP):
                with gzip.open(raw) as unpacked:
                    yield cast("BinaryIO", unpacked)
            elif kind == _ZSTD:
                yield io.BufferedReader(_ZstdReader(name, raw), _BUFFER)
            else:
                yield raw
    except (OSError, EOFError, zlib.error) as error:
        raise _fault(name, f"cannot be read: {_reason(error)}") from error
    except Exception as error:
        if type(error).__name__ == "ZstdError":  # of a module that is imported where it is needed
            raise _fault(name, f"cannot be read: {error}") from error
        raise


@contextmanager
def _opened(name: str) -> Iterator[Any]:
    if name == "-":
        stream = sys.stdin.buffer
        # Python's own is buffered; others that stand in for it may not be.
        yield stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))
        return
    with Path(name).open("rb", buffering=0) as raw, io.BufferedReader(raw, _BUFFER) as buffered:
        yield buffered


def zstd_module() -> ModuleType | None:
    """The module for Zstandard: Python's own since 3.14, before that of the extra `zstd`; None if there is neither."""
    for name in ("compression.zstd", "zstandard"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


class _ZstdReader(io.RawIOBase):
    """The content of Zstandard frames; one that ends too early is an error, not the end of the file."""

    def __init__(self, name: str, raw: BinaryIO) -> None:
        super().__init__()
        module = zstd_module()
        if module is None:
            raise _fault(name, NO_ZSTD)
        decompressor = module.ZstdDecompressor
        self._new = decompressor if hasattr(decompressor, "eof") else lambda: decompressor().decompressobj()
        self._raw = raw
        self._frame: Any = None
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as one block of the file allows; 0 at its end."""
        while not self._left:
            block = (self._frame.unused_data if self._frame is not None and self._frame.eof else b"") or self._raw.read(
                _STEP
            )
            if not block:
                if self._frame is not None and not self._frame.eof:
                    raise EOFError("it ends in the middle of a frame")
                return 0
            if self._frame is None or self._frame.eof:
                self._frame = self._new()
            self._left = memoryview(self._frame.decompress(block))
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def _fault(name: str, message: str) -> LoadError:
    return LoadError([Fault("standard input" if name == "-" else name, 0, "", message)])
