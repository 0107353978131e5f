"""Indexing: events of files into a store, each once, however often and in whatever files they come.

What a store has of a file it knows by the content: by its first bytes, and the digest of all that was read. So a file
that has grown, was renamed or was compressed is read on where the last run ended. An event that comes by another way is
recognized by the digest of its text, among events of the same time.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from tokenserver.audit.candidates import BLOCK, MAX_LINE
from tokenserver.audit.log_files import open_log
from tokenserver.audit.position_sets import CHUNK_EVENTS
from tokenserver.audit.store.chunk import NewEvent, unpacked_block, write_chunk
from tokenserver.audit.store.database import DamagedStore, reading, transaction, writable_store
from tokenserver.audit.store.new_events import NewEvents

HEAD = 4096
"""The first bytes by which a file is recognized; a shorter one is read whole each time."""


class Indexer:
    """Adds the events of files to one store. The counts are of this run."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        with reading():
            (key,) = connection.execute("SELECT key FROM about").fetchone()
            self._new = NewEvents(key)
        self._waiting: list[NewEvent] = []
        self._digests: set[int] = set()
        self._marks: dict[bytes, tuple[int, bytes]] = {}
        self.added = self.known = self.other_lines = 0
        self.read_bytes = self.skipped_bytes = 0

    def add_files(self, files: Sequence[str]) -> None:
        """Add what is new in these files; `-` is standard input.

        Raises:
            LoadError: a file cannot be read, or is damaged. What was read before it is in the store.
        """
        try:
            for name in files:
                self._add_file(name)
        finally:
            self._flush()

    def spell(self) -> str:
        """The progress, for people."""
        return f"{(self.read_bytes + self.skipped_bytes) // 1_000_000:,} MB, {self.added:,} new events"

    def _add_file(self, name: str) -> None:
        if name == "-":
            with open_log(name) as stream:
                self._add_lines(_LogLines(stream, b""))
            return
        with open_log(name) as stream:
            start = _read_up_to(stream, HEAD)
            head = blake2b(start, digest_size=16).digest() if len(start) == HEAD else b""
            lines = _LogLines(stream, start)
            known = self._connection.execute("SELECT length, digest FROM sources WHERE head = ?", (head,)).fetchone()
            if known is None:
                self._add_lines(lines, head)
                return
            length, digest = known
            if not isinstance(length, int):
                raise DamagedStore("the length of a source is no number")
            if lines.skip(length) == digest:
                self.skipped_bytes += length
                self._add_lines(lines, head)
                return
        # It begins as another one and goes on otherwise, or is an earlier copy.
        with open_log(name) as stream:
            self._add_lines(_LogLines(stream, b""), head)

    def _add_lines(self, lines: _LogLines, head: bytes = b"") -> None:
        for block in lines:
            self.read_bytes += lines.last_size
            for line in block:
                self._add_line(line)
            if head and not lines.is_at_end:
                self._marks[head] = lines.mark

    def _add_line(self, line: bytes) -> None:
        event = self._new.of(line)
        if event is None:
            self.other_lines += bool(line.strip())
            return
        if event.digest in self._digests:
            self.known += 1
            return
        self._digests.add(event.digest)
        self._waiting.append(event)
        if len(self._waiting) >= CHUNK_EVENTS:
            self._flush()

    def _flush(self) -> None:
        """Write what is waiting, and how far the files were read, together or not at all."""
        waiting, marks = self._waiting, self._marks
        self._waiting, self._digests, self._marks = [], set(), {}
        if not waiting and not marks:
            return
        with transaction(self._connection):
            with reading():
                new = self._not_stored(waiting)
                last = self._last_small(len(new)) if new else []
            self.known += len(waiting) - len(new)
            self.added += len(new)
            if new:
                write_chunk(self._connection, [*last, *new])
            self._connection.executemany(
                "INSERT OR REPLACE INTO sources VALUES (?, ?, ?)",
                ((head, length, digest) for head, (length, digest) in marks.items()),
            )

    def _not_stored(self, events: list[NewEvent]) -> list[NewEvent]:
        if not events:
            return []
        first, last = min(one.moment for one in events), max(one.moment for one in events)
        rows = self._connection.execute("SELECT keys FROM chunks WHERE last >= ? AND first <= ?", (first, last))
        left = {one.digest: one for one in events}
        for (keys,) in rows:
            for key in left.keys() & set(array("Q", keys)):
                del left[key]
        return list(left.values())

    def _last_small(self, more: int) -> list[NewEvent]:
        """The events of the last chunk, which is removed, if they and the new ones fit into one."""
        row = self._connection.execute("SELECT id, count FROM chunks ORDER BY id DESC LIMIT 1").fetchone()
        if row is None or row[1] + more > CHUNK_EVENTS:
            return []
        blocks = self._connection.execute("SELECT events FROM blocks WHERE chunk = ? ORDER BY block", (row[0],))
        lines = (line for (block,) in blocks for line in unpacked_block(block))
        found = [event for line in lines if (event := self._new.of(line)) is not None]
        for table, column in (("terms", "chunk"), ("blocks", "chunk"), ("chunks", "id")):
            self._connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (row[0],))  # noqa: S608 - names above
        return found


@contextmanager
def indexer_of(path: Path) -> Iterator[Indexer]:
    """An indexer of the store at this path, which is made if it is missing.

    Raises:
        LoadError: it is no store, or cannot be written; also while the block writes.
    """
    with writable_store(path) as connection:
        yield Indexer(connection)


class _LogLines:
    """The lines of a stream by blocks, and a mark of how much of it they are: its length and digest.

    `start` is what was read of the stream before.
    """

    def __init__(self, stream: BinaryIO, start: bytes) -> None:
        self._stream = stream
        self._rest = start
        self._digest = blake2b(digest_size=32)
        self._length = 0
        self.last_size = 0
        self.is_at_end = False

    @property
    def mark(self) -> tuple[int, bytes]:
        """The length and the digest of all whole lines up to here."""
        return self._length, self._digest.digest()

    def skip(self, length: int) -> bytes:
        """Skip so much; the digest of it. Shorter streams have another one."""
        self._take(self._rest[:length])
        self._rest = self._rest[length:]
        while self._length < length:
            block = self._stream.read(min(BLOCK, length - self._length))
            if not block:
                break
            self._take(block)
        return self._digest.digest()

    def __iter__(self) -> Iterator[list[bytes]]:
        is_dropping = False
        while block := self._stream.read(BLOCK):
            self.last_size = len(block)
            block = self._rest + block
            end = block.rfind(b"\n") + 1
            self._rest = block[end:]
            self._take(block[:end])
            lines = block[:end].split(b"\n")
            if is_dropping and end:
                del lines[0]
                is_dropping = False
            if len(self._rest) > MAX_LINE:
                self._take(self._rest)
                self._rest, is_dropping = b"", True
            yield [line for line in lines if line and len(line) <= MAX_LINE]
        self.is_at_end = True
        self.last_size = 0
        # A line that is still being written is not in the mark, and so is read again.
        yield [line for line in self._rest.split(b"\n") if line and not is_dropping]

    def _take(self, content: bytes) -> None:
        self._digest.update(content)
        self._length += len(content)


def _read_up_to(stream: BinaryIO, size: int) -> bytes:
    found = b""
    while len(found) < size:
        block = stream.read(size - len(found))
        if not block:
            break
        found += block
    return found
