"""Paths and queries of the API, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.web.api.faults import BadRequest, MethodNotOffered, UnknownPath
from tokenserver.web.api.operation import QueryParameter, Router, read_query
from tokenserver.web.api.operations.table import OPERATIONS

ROUTER = Router(OPERATIONS)


@pytest.mark.parametrize(
    ("method", "path", "name", "values"),
    [
        pytest.param("GET", "/access-keys", "listAccessKeys", {}, id="list"),
        pytest.param("HEAD", "/access-keys/a", "getAccessKey", {"id": "a"}, id="head"),
        pytest.param(
            "POST", "/robots/ci/secrets/a/rotate", "rotateRobotSecret", {"name": "ci", "id": "a"}, id="two values"
        ),
        pytest.param(
            "POST",
            "/people/workload:ci:repo:o/web/end-logins",
            "endLogins",
            {"subject": "workload:ci:repo:o/web"},
            id="slashes",
        ),
    ],
)
def test_paths(method: str, path: str, name: str, values: dict[str, str]) -> None:
    """The operation with the values in its path."""
    operation, found = ROUTER.find(method, path)
    assert (operation.name, found) == (name, values)


@given(path=st.text(alphabet="/abc{}.\n%", max_size=30))
def test_any_path(path: str) -> None:
    """There is an operation, or none; values are never empty and have no slash unless they may."""
    try:
        operation, values = ROUTER.find("GET", path)
    except (UnknownPath, MethodNotOffered):
        return
    rebuilt = operation.path
    for name, value in values.items():
        assert value
        rebuilt = rebuilt.replace(f"{{{name}}}", value, 1)
    assert rebuilt == path


def test_names_and_paths_differ() -> None:
    """Nothing is offered twice."""
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)
    assert len({(one.method, one.path) for one in OPERATIONS}) == len(OPERATIONS)


def test_repeated_parameters() -> None:
    """Only where that has a meaning; in their order."""
    scope = QueryParameter("scope", "", may_repeat=True, is_required=True)
    assert read_query((scope,), [("scope", "a"), ("scope", "b")]) == ({"scope": "a"}, {"scope": ["a", "b"]})
    with pytest.raises(BadRequest) as refused:
        read_query((scope, QueryParameter("user", "")), [("user", "a"), ("user", "b")])
    assert {fault.place: fault.message for fault in refused.value.faults} == {
        "query.user": "is given twice",
        "query.scope": "is missing",
    }


@pytest.mark.parametrize("value", ["", "0", "-1", "1.0", "٣", "1001", "9" * 10_000, " 1"])
def test_numbers(value: str) -> None:
    """Decimal digits within the limits."""
    with pytest.raises(BadRequest):
        read_query((QueryParameter("limit", "", True, 1000),), [("limit", value)])
