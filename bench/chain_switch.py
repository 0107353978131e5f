"""`python -m bench.chain_switch TABLE serve --config FILE`: a server of audit trails with and without a chain.

Each worker has one of each slot of `SLOTS`, which write to the same output, and hands each event to the trail of the
slot that `bench.audit_chain` has chosen in the table, a file that all of them map. So what is compared is in the same
process, with the same caches, connections and cores: two servers differ by more than a chain costs.
"""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path
from typing import Any

from tokenserver.exchange.audit import AuditTrail
from tokenserver.exchange.audit_chain.sink import ChainedSink
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.exchange.observers import UnparsedRequest
from tokenserver.exchange.service import TokenRequest, TokenResult

SLOTS = ("no chain", "chain", "no chain again", "chain again")

_ROWS = 64
"""Workers have consecutive process ids, so each has a row of its own."""


class SwitchTable:
    """What the benchmark and the workers share: the slot in use, and how many events each worker has had."""

    def __init__(self, file: Path) -> None:
        size = 8 * (1 + _ROWS)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, size)
        self.numbers = memoryview(mmap.mmap(descriptor, size)).cast("Q")
        os.close(descriptor)

    @staticmethod
    def row(process: int) -> int:
        """The index of the number of events of this process; that of the slot is 0."""
        return 1 + process % _ROWS

    def events(self, processes: list[int]) -> int:
        """The events of these processes so far."""
        return sum(self.numbers[self.row(process)] for process in processes)


class SwitchedTrail(AuditTrail):
    """Hands the event of each exchange to the trail in use; other events to the chain."""

    table: SwitchTable

    def __init__(self, sink: ChainedSink, **options: Any) -> None:
        super().__init__(sink, **options)
        output = sys.stdout.fileno()
        sinks = [
            ChainedSink(output, sink.state) if "no" not in slot else DescriptorSink(output, sink.state)
            for slot in SLOTS
        ]
        self._observers = [AuditTrail(one, **options).observe for one in sinks]
        self._numbers, self._row = self.table.numbers, self.table.row(os.getpid())

    def observe(
        self, request: TokenRequest | UnparsedRequest, outcome: TokenResult | Exception, seconds: float
    ) -> None:
        """See `AuditTrail`."""
        self._numbers[self._row] += 1
        self._observers[self._numbers[0]](request, outcome, seconds)


def main() -> None:
    """Run the server."""
    from tokenserver.__main__ import run  # noqa: PLC0415 - after the workers' trail is set
    from tokenserver.server import compose  # noqa: PLC0415 - as above

    SwitchedTrail.table = SwitchTable(Path(sys.argv.pop(1)))
    vars(compose)["trail_kind"] = lambda _settings: SwitchedTrail
    run()


if __name__ == "__main__":
    main()
