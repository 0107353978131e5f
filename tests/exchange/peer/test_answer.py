"""Answers of the peer: what a token grants, however it is spelled, and nothing from what is no answer."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from fake_peer import body, encoded, entry, jwt
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.exchange.peer.answer import MAX_ENTRIES, MAX_TEXT, NoPeerAnswer, grants_of, read_answer
from tokenserver.scopes import ACTIONS, Resource


def granted(content: bytes, status: int = 200) -> dict[str, set[str]] | None:
    """What an answer grants, as texts."""
    grants = read_answer(status, content, is_cut=False)
    return None if grants is None else {str(resource): set(actions) for resource, actions in grants.items()}


ALL = {"repository:a": {"pull", "push", "delete"}}


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param(None, {}, id="null"),
        pytest.param([entry("a", "push", "pull")], {"repository:a": {"pull", "push"}}, id="any order"),
        pytest.param([entry("a")], {}, id="an entry without actions"),
        pytest.param([{**entry("a"), "actions": None}], {}, id="null actions"),
        pytest.param([entry("a", "pull"), entry("a", "push", "pull")], {"repository:a": {"pull", "push"}}, id="twice"),
        pytest.param([{**entry("a", "pull"), "class": "plugin"}], {"repository:a": {"pull"}}, id="a class beside"),
        pytest.param([entry("a", "pull", kind="repository(plugin)")], {"repository:a": {"pull"}}, id="a class within"),
        pytest.param([entry("a", "*")], ALL, id="a star"),
        pytest.param([entry("a", "*", "pull")], ALL, id="a star and more"),
        pytest.param([entry("catalog", "*", kind="registry")], {"registry:catalog": {"*"}}, id="the catalog"),
        pytest.param([entry("a", "pull", "manage", "PULL")], {"repository:a": {"pull"}}, id="unknown actions"),
        pytest.param([{**entry("a"), "actions": ["pull", 1, None]}], {"repository:a": {"pull"}}, id="odd actions"),
        pytest.param(
            [entry("a", "pull"), entry("b", "pull")], {"repository:a": {"pull"}, "repository:b": {"pull"}}, id="2"
        ),
    ],
)
def test_access(access: object, expected: dict[str, set[str]]) -> None:
    """What registries make of it."""
    assert granted(body(access)) == expected


def test_either_member() -> None:
    """`token`, and `access_token` where it is the only one."""
    assert granted(json.dumps({"access_token": jwt([entry("a", "pull")])}).encode()) == {"repository:a": {"pull"}}
    assert granted(json.dumps({"token": f"{encoded({})}.{encoded({'sub': ''})}.x"}).encode()) == {}


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_login(status: int) -> None:
    """Whatever the body is."""
    assert granted(b"no json", status) is None


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        pytest.param(302, b"", "answers with status 302; redirects are not followed", id="a redirect"),
        pytest.param(404, b"", "answers with status 404", id="404"),
        pytest.param(500, body([]), "answers with status 500", id="500"),
        pytest.param(204, b"", "answers with status 204", id="204"),
        pytest.param(200, b"<html>", "its answer is not JSON", id="HTML"),
        pytest.param(200, b"\xff", "its answer is not UTF-8 text", id="bytes"),
        pytest.param(200, b"[]", "its answer is not a JSON object", id="a list"),
        pytest.param(200, b'{"token":"a.b.c","token":"a.b.c"}', "its answer has a duplicate member", id="twice"),
        pytest.param(200, b"{" + b'"a":{' * 100_000, "its answer ", id="deep"),
        pytest.param(200, b"{}", "its answer has no token", id="no token"),
        pytest.param(200, b'{"token": 1}', "its answer has no token", id="a number"),
        pytest.param(200, b'{"token": "opaque"}', "its token is not a JWT", id="opaque"),
        pytest.param(200, b'{"token": "a.b.c.d"}', "its token is not a JWT", id="four parts"),
        pytest.param(200, b'{"token": "a.!.c"}', "a payload that is not base64url", id="no base64url"),
        pytest.param(200, '{"token": "a.ü.c"}'.encode(), "a payload that is not base64url", id="no ASCII"),
        pytest.param(200, b'{"token": "a.AAAA.c"}', "its token has a payload that is not JSON", id="no payload"),
        pytest.param(200, body({}), "access in its token is not a list", id="no list"),
        pytest.param(200, body([entry("a")] * (MAX_ENTRIES + 1)), "access in its token is not a list of", id="long"),
        pytest.param(200, body(["a"]), "an entry without type, name and actions", id="no entry"),
        pytest.param(
            200, body([{**entry("a"), "name": 1}]), "an entry without type, name", id="a name of another type"
        ),
        pytest.param(200, body([{**entry("a"), "type": []}]), "an entry without type, name", id="a type that is none"),
        pytest.param(200, body([{**entry("a"), "actions": "pull"}]), "an entry without", id="actions that are text"),
        pytest.param(200, body([entry("a" * (MAX_TEXT + 1))]), "a type or name of more than", id="a long name"),
        pytest.param(200, body([entry("a", kind="a" * (MAX_TEXT + 1))]), "a type or name of more", id="a long type"),
    ],
)
def test_no_answer(status: int, content: bytes, reason: str) -> None:
    """The reason says why, and repeats nothing."""
    with pytest.raises(NoPeerAnswer) as caught:
        granted(content, status)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 120


def test_a_long_answer() -> None:
    """Not even if its beginning is a token."""
    with pytest.raises(NoPeerAnswer, match="more than 3 bytes"):
        read_answer(200, b"abc", is_cut=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.lists(st.fixed_dictionaries({"type": JSON, "name": JSON, "actions": JSON}) | JSON, max_size=4)


@given(st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()) | ENTRIES.map(body))
def test_any_answer(content: bytes) -> None:
    """Grants or a reason, and no other error."""
    try:
        grants = read_answer(200, content, is_cut=False)
    except NoPeerAnswer:
        return
    assert grants is not None
    assert all(actions and actions <= {*ACTIONS} for actions in grants.values())


RESOURCES = st.sampled_from([Resource("repository", "a"), Resource("repository", "b"), Resource("registry", "catalog")])
GRANTED = st.lists(st.tuples(RESOURCES, st.lists(st.sampled_from([*ACTIONS, "manage", ""]))), max_size=6)


@given(GRANTED, st.randoms(use_true_random=False))
def test_the_form_is_the_same_for_equal_grants(entries: list[tuple[Any, list[str]]], order: random.Random) -> None:
    """Order, splits and repetitions mean nothing."""
    pieces = [(resource, [action]) for resource, actions in entries for action in actions]
    again = [*pieces, *pieces]
    order.shuffle(again)
    assert grants_of(again) == grants_of(entries)
