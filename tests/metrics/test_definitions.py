"""Definitions of metrics: every series has a cell of its own, from labels that the configuration closes."""

from __future__ import annotations

from tokenserver.exchange.outcomes import OUTCOMES
from tokenserver.metrics.definitions import ANONYMOUS, BUCKETS, METHODS, NO_SERVICE, Layout, Table


def layout() -> Layout:
    """That of a configuration with two of each."""
    return Layout(services=("a", "b"), sources=("file", "corp"), directories=("corp",), keys=("/keys", "/own"))


def tables(found: Layout) -> list[Table]:
    return [value for value in vars(found).values() if isinstance(value, Table)]


def test_no_two_series_share_a_cell() -> None:
    """The cells of all tables are the row, without gaps."""
    found = layout()
    cells = [cell for table in tables(found) for cell in table.values()]
    assert sorted(cells) == list(range(found.size))


def test_processes_agree_on_the_layout() -> None:
    """The same configuration gives the same cells, whatever was built before."""
    assert [dict(table) for table in tables(layout())] == [dict(table) for table in tables(layout())]


def test_exchanges_have_closed_labels() -> None:
    """Configured registries and none, both methods, all outcomes; nothing that a client chooses."""
    exchanges = layout().exchanges
    assert exchanges.labels == ("service", "method", "outcome")
    assert set(exchanges) == {
        (service, method, outcome) for service in ("a", "b", NO_SERVICE) for method in METHODS for outcome in OUTCOMES
    }
    assert set(layout().authenticated) == {("file",), ("corp",), (ANONYMOUS,)}


def test_cells_by_method() -> None:
    """None for a registry or an outcome that is unknown."""
    found = layout()
    assert found.of_methods("a", "granted") == {method: found.exchanges["a", method, "granted"] for method in METHODS}
    assert found.of_methods("other", "granted") == found.of_methods("a", "other") == {}


def test_buckets_follow_each_other() -> None:
    """A histogram's cells are consecutive, with one more for everything above the last bound."""
    found = layout()
    for outcome, latency in found.latency.items():
        cells = [found.buckets[outcome, str(index)] for index in range(len(BUCKETS) + 1)]
        assert cells == list(range(latency.first_bucket, latency.first_bucket + len(BUCKETS) + 1))
        assert latency.total == found.seconds[(outcome,)]
    assert list(BUCKETS) == sorted(set(BUCKETS))


def test_a_repeated_name_is_one_series() -> None:
    """A label value that is configured twice does not shift the other cells."""
    table = Table("x", "", {"service": ("a", "a", "b")}, 5)
    assert dict(table) == {("a",): 5, ("b",): 6}


def test_a_metric_without_labels() -> None:
    """It has one cell."""
    assert Table("x", "", {}, 7).cell == 7
