"""Exposition: counters summed over all workers that ever ran, gauges over those that are alive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tokenserver.metrics.definitions import BUCKETS, Layout
from tokenserver.metrics.exposition import SILENT_SECONDS, Page

LAYOUT = Layout(
    services=("a",), sources=("file",), directories=("corp",), keys=("/keys",), issuers=("github", "gitlab")
)
NOW, MONOTONIC = 1_700_000_000.0, 5_000.0


class Rows:
    """Rows as a board has them, without memory that is shared."""

    def __init__(self, count: int) -> None:
        self.layout = LAYOUT
        self.kept = [[0.0] * LAYOUT.size for _ in range(count)]

    def rows(self) -> Sequence[Sequence[float]]:
        return self.kept


def scraped(board: Rows) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Each sample by its name and labels."""
    page = Page(board, now=lambda: NOW, monotonic=lambda: MONOTONIC)  # type: ignore[arg-type]  # as far as it is used
    return dict(samples(page.text().decode()))


def samples(text: str) -> Iterator[tuple[tuple[str, tuple[tuple[str, str], ...]], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield (sample.name.removeprefix("tokenserver_"), tuple(sorted(sample.labels.items()))), sample.value


def beating(board: Rows, row: int, ago: float = 1.0) -> list[float]:
    """The row of a worker whose last heartbeat was so many seconds ago."""
    board.kept[row][LAYOUT.heartbeat.cell] = MONOTONIC - ago
    return board.kept[row]


def test_counters_keep_what_dead_workers_counted() -> None:
    """A worker that is gone still has its counts; its gauges are gone."""
    board = Rows(2)
    for row, ago in ((0, 1.0), (1, SILENT_SECONDS + 1)):
        cells = beating(board, row, ago)
        cells[LAYOUT.signing_failures.cell] = 3
        cells[LAYOUT.load["requests", "running"]] = 5
    found = scraped(board)
    assert found["signing_failures_total", ()] == 6
    assert found["load", (("room", "requests"), ("state", "running"))] == 5
    assert found["workers", ()] == 1


@pytest.mark.parametrize(
    ("ago", "workers"),
    [
        pytest.param(0.0, 1, id="now"),
        pytest.param(SILENT_SECONDS, 1, id="just-in-time"),
        pytest.param(SILENT_SECONDS + 0.5, 0, id="silent"),
    ],
)
def test_a_silent_worker_is_none(ago: float, workers: int) -> None:
    """It is gone, or hangs."""
    board = Rows(1)
    beating(board, 0, ago)
    assert scraped(board)["workers", ()] == workers


def test_buckets_are_cumulative() -> None:
    """Prometheus wants each bucket to include the smaller ones."""
    board = Rows(1)
    first, total = LAYOUT.latency["granted"]
    board.kept[0][first] = 2
    board.kept[0][first + 1] = 1
    board.kept[0][first + len(BUCKETS)] = 4
    board.kept[0][total] = 99.5
    found = scraped(board)
    bucket = {
        dict(labels)["le"]: value
        for (name, labels), value in found.items()
        if name == "exchange_seconds_bucket" and ("outcome", "granted") in labels
    }
    assert [bucket["0.0001"], bucket["0.00025"], bucket["10.0"], bucket["+Inf"]] == [2, 3, 3, 7]
    assert found["exchange_seconds_sum", (("outcome", "granted"),)] == 99.5


def test_the_slowest_worker_and_the_furthest_jump() -> None:
    """A delay is the longest, a jump the furthest in either direction."""
    board = Rows(2)
    for row, delay, jump in ((0, 7.0, 3.0), (1, 9.0, -60.0)):
        cells = beating(board, row)
        cells[LAYOUT.reload_delay["users", "changing"]] = delay
        cells[LAYOUT.clock_jump.cell] = jump
    found = scraped(board)
    assert found["reload_delay_seconds", (("files", "users"), ("state", "changing"))] == 9
    assert found["clock_jump_seconds", ()] == -60


@pytest.mark.parametrize("waiting", [(1, 1), (0, 1), (0, 0)])
def test_a_configuration_that_is_not_in_force(waiting: tuple[int, int]) -> None:
    """1 however many workers know of it; 0 in the other state."""
    board = Rows(2)
    for row, value in enumerate(waiting):
        beating(board, row)[LAYOUT.pending[("restart",)]] = value
    found = scraped(board)
    assert found["configuration_pending", (("state", "restart"),)] == max(waiting)
    assert found["configuration_pending", (("state", "rejected"),)] == 0


def test_certificates_count_down_to_the_first_end() -> None:
    """A worker that has not loaded any yet has no say."""
    board = Rows(3)
    for row, end in ((0, NOW + 100), (1, NOW - 5), (2, 0.0)):
        beating(board, row)[LAYOUT.certificates["/keys", "ca"]] = end
    found = scraped(board)
    assert found["certificate_expiry_seconds", (("certificate", "ca"), ("keys", "/keys"))] == -5
    assert ("certificate_expiry_seconds", (("certificate", "signing"), ("keys", "/keys"))) not in found


def test_the_tls_certificate_counts_down() -> None:
    """To the first end of all workers; without TLS there is no series."""
    board = Rows(2)
    for row in (0, 1):
        beating(board, row)
    assert ("tls_certificate_expiry_seconds", ()) not in scraped(board)
    for row, end in ((0, NOW + 100), (1, NOW + 50)):
        beating(board, row)[LAYOUT.tls_certificate.cell] = end
    assert scraped(board)["tls_certificate_expiry_seconds", ()] == 50


def test_the_storage_of_several_workers() -> None:
    """The oldest look, the newest count, and the end that comes first; a worker that never looked has no say."""
    board = Rows(3)
    for row, since, live, end in ((0, MONOTONIC - 100, 7, NOW + 50), (1, MONOTONIC - 7, 8, NOW + 40), (2, 0.0, 0, 0.0)):
        cells = beating(board, row)
        cells[LAYOUT.storage.cell] = since
        cells[LAYOUT.stored[("key",)]] = live
        cells[LAYOUT.stored_ends[("key",)]] = end
    found = scraped(board)
    assert found["storage_age_seconds", ()] == 100
    assert found["stored_credentials", (("form", "key"),)] == 8
    assert found["credential_expires_seconds", (("form", "key"),)] == 40
    assert ("credential_expires_seconds", (("form", "robot"),)) not in found


def test_the_oldest_keys_of_an_issuer() -> None:
    """A worker that has not fetched them yet has no say; the age goes on without a new sample."""
    board = Rows(3)
    for row, since, is_failing in ((0, MONOTONIC - 100, 1.0), (1, MONOTONIC - 7, 0.0), (2, 0.0, 1.0)):
        cells = beating(board, row)
        cells[LAYOUT.issuer_keys[("github",)]] = since
        cells[LAYOUT.issuer_failures[("github",)]] = is_failing
    found = scraped(board)
    assert found["issuer_keys_age_seconds", (("source", "github"),)] == 100
    assert ("issuer_keys_age_seconds", (("source", "gitlab"),)) not in found
    failing = [found["issuer_keys_failing", (("source", source),)] for source in ("github", "gitlab")]
    assert failing == [2, 0]


def test_digests_of_policies() -> None:
    """One series for each digest, with its workers; the age is that of the oldest."""
    board = Rows(3)
    for row, digest, since in ((0, 0xAB, NOW - 10), (1, 0xAB, NOW - 60), (2, 0x1, NOW + 5)):
        cells = beating(board, row)
        cells[LAYOUT.policy.cell] = digest
        cells[LAYOUT.policy_since.cell] = since
    found = scraped(board)
    digests = {dict(labels)["digest"]: value for (name, labels), value in found.items() if name == "policy_info"}
    assert {int(digest, 16): count for digest, count in digests.items()} == {0xAB: 2, 0x1: 1}
    assert len({len(digest) for digest in digests}) == 1
    assert found["policy_age_seconds", ()] == 60


def test_without_workers() -> None:
    """The page is whole before the first worker runs."""
    found = scraped(Rows(0))
    assert (found["workers", ()], found["signing_failures_total", ()]) == (0, 0)
    assert ("policy_age_seconds", ()) not in found
