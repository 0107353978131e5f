"""Definitions of metrics: every series has a cell of its own, from labels that the configuration closes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tokenserver.exchange.outcomes import OUTCOMES
from tokenserver.metrics.definitions import ANONYMOUS, BUCKETS, METHODS, NO_SERVICE, LabelNames, Layout, Table


def layout() -> Layout:
    """That of a configuration with two of each."""
    return Layout(
        services=("a", "b"),
        sources=("file", "corp", "ci"),
        directories=("corp",),
        keys=("/keys", "/own"),
        issuers=("ci",),
    )


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
    assert set(layout().authenticated) == {("file",), ("corp",), ("ci",), (ANONYMOUS,), ("robots",)}


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
    """A label value that is configured twice has its first cell, and does not shift the other cells."""
    table = Table("x", "", {"service": ("a", "a", "b")}, 5)
    assert (dict(table), table.size) == ({("a",): 5, ("b",): 7}, 3)


NAMES = st.lists(st.sampled_from(["a", "b", "c", "hashing", "keys", "anonymous", ""]), unique=True, max_size=4).map(
    tuple
)
CONFIGURED = st.builds(LabelNames, NAMES, NAMES, NAMES, NAMES, NAMES)
SPARES = st.tuples(*[st.integers(0, 3)] * 5)


@given(CONFIGURED, SPARES, st.lists(CONFIGURED, max_size=4))
def test_names_that_come_later_move_no_cell(
    first: LabelNames, spares: tuple[int, int, int, int, int], later: list[LabelNames]
) -> None:
    """Whatever a reload adds, with names of ours as well, each series keeps its cell, and has it alone."""
    names = first.with_spares(spares)
    before = Layout(**names._asdict())
    for others in later:
        names = names.including(others)
        after = Layout(**names._asdict())
        assert after.size == before.size
        for old, new in zip(tables(before), tables(after), strict=True):
            assert dict(old).items() <= dict(new).items()
        cells = [cell for table in tables(after) for cell in table.values()]
        assert len(cells) == len({*cells})
        before = after


@given(CONFIGURED, SPARES, CONFIGURED)
def test_a_name_is_missing_only_where_there_is_no_room(
    first: LabelNames, spares: tuple[int, int, int, int, int], others: LabelNames
) -> None:
    """As many new names as there are spare places have a place, and nothing is displaced."""
    names = first.with_spares(spares).including(others)
    room = sum(
        max(0, len({*more} - {*known}) - spare) for known, spare, more in zip(first, spares, others, strict=True)
    )
    assert len(names.missing(others)) == room
    assert names.missing(first) == []
    assert names.including(others) == names


def test_a_spare_place_is_no_series() -> None:
    """Its cells exist, and nothing shows them."""
    names = LabelNames(("a",), ("file",), (), ("/keys",), ()).with_spares((2, 1, 1, 0, 0))
    found = Layout(**names._asdict())
    assert {service for service, _, _ in found.exchanges} == {"a", NO_SERVICE}
    assert found.size > Layout(services=("a",), sources=("file",), directories=(), keys=("/keys",), issuers=()).size


def test_a_metric_without_labels() -> None:
    """It has one cell."""
    assert Table("x", "", {}, 7).cell == 7
