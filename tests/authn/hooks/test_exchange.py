"""Questions to hooks and their answers: every shape of an answer, and any bytes at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.hooks.exchange import (
    MAX_GROUPS,
    MAX_PROOF,
    HookAnswer,
    HookQuestion,
    HookResult,
    HookUser,
    UnusableHookAnswer,
    labelled_answer,
    line_answer,
    question_body,
    user_answer,
)
from tokenserver.credentials import Secret

ANN = {"subject": "ann", "groups": ["web"]}


@pytest.mark.parametrize(
    ("question", "number", "expected"),
    [
        pytest.param(
            HookQuestion("ann", Secret("pw"), "10.0.0.1"),
            None,
            {"version": 1, "user": "ann", "password": "pw", "client": "10.0.0.1"},
            id="login",
        ),
        pytest.param(
            HookQuestion("ann", Secret("pw")),
            "7",
            {"version": 1, "id": "7", "user": "ann", "password": "pw", "client": ""},
            id="login with an id",
        ),
        pytest.param(HookQuestion("ann", None), "7", {"version": 1, "id": "7", "user": "ann", "find": True}, id="find"),
    ],
)
def test_questions(question: HookQuestion, number: str | None, expected: dict[str, Any]) -> None:
    """The members that docs/login-hooks.md lists, and nothing else."""
    assert json.loads(question_body(question, number)) == expected


@given(user=st.text(), password=st.text())
def test_a_question_is_one_line(user: str, password: str) -> None:
    """Whatever the name and the password are, neither ends the line or is read as another one."""
    body = question_body(HookQuestion(user, Secret(password)), "7")
    assert body.isascii()
    assert b"\n" not in body
    assert (json.loads(body)["user"], json.loads(body)["password"]) == (user, password)


@pytest.mark.parametrize(
    ("answer", "user"),
    [
        pytest.param(ANN, HookUser("ann", ("web",)), id="least"),
        pytest.param({"subject": "ann", "groups": []}, HookUser("ann", ()), id="no groups"),
        pytest.param({**ANN, "proof": "x"}, HookUser("ann", ("web",), "x"), id="proof"),
    ],
)
def test_users(answer: dict[str, Any], user: HookUser) -> None:
    """A user, in both protocols."""
    assert user_answer(json.dumps(answer).encode()) == HookAnswer(HookResult.OK, user)
    line = json.dumps({"id": "7", "result": "ok", **answer}).encode()
    assert line_answer(line, "7") == HookAnswer(HookResult.OK, user)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param({"groups": []}, "no subject", id="no subject"),
        pytest.param({"subject": 7, "groups": []}, "no subject", id="number as subject"),
        pytest.param({"subject": "ann"}, "no groups", id="no groups"),
        pytest.param({"subject": "ann", "groups": "web"}, "no list of texts", id="one group"),
        pytest.param({"subject": "ann", "groups": [1]}, "no list of texts", id="number as group"),
        pytest.param({"subject": "ann", "groups": None}, "no list of texts", id="null as groups"),
        pytest.param({"subject": "ann", "groups": ["g"] * (MAX_GROUPS + 1)}, "more than 1000", id="too many groups"),
        pytest.param({**ANN, "group": ["web"]}, "none of groups, proof, subject", id="unknown member"),
        pytest.param({**ANN, "proof": 1}, "proof", id="number as proof"),
        pytest.param({**ANN, "proof": "x" * (MAX_PROOF + 1)}, "proof", id="long proof"),
    ],
)
def test_users_that_are_none(answer: dict[str, Any], problem: str) -> None:
    """Nothing is guessed: what is missing could be a group that a rule denies something to."""
    with pytest.raises(UnusableHookAnswer, match=problem):
        user_answer(json.dumps(answer).encode())
    with pytest.raises(UnusableHookAnswer, match=problem):
        line_answer(json.dumps({"id": "7", "result": "ok", **answer}).encode(), "7")


@pytest.mark.parametrize("result", [HookResult.WRONG, HookResult.UNKNOWN, HookResult.UNSUPPORTED])
def test_results_without_a_user(result: HookResult) -> None:
    """Such an answer has an id and a result alone."""
    assert line_answer(json.dumps({"id": "7", "result": result}).encode(), "7") == HookAnswer(result)
    with pytest.raises(UnusableHookAnswer, match="members besides"):
        line_answer(json.dumps({"id": "7", "result": result, **ANN}).encode(), "7")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b"[]", "not a JSON object", id="list"),
        pytest.param(b"{}", "another", id="empty"),
        pytest.param(b'{"id":"8","result":"wrong"}', "another", id="another id"),
        pytest.param(b'{"id":7,"result":"wrong"}', "another", id="number as id"),
        pytest.param(b'{"id":"7"}', "no result", id="no result"),
        pytest.param(b'{"id":"7","result":"yes"}', "no result", id="unknown result"),
        pytest.param(b'{"id":"7","result":["ok"]}', "no result", id="list as result"),
        pytest.param(b'{"id":"7","result":"wrong","result":"ok"}', "duplicate", id="duplicate member"),
    ],
)
def test_lines_that_are_none(line: bytes, problem: str) -> None:
    """An answer to another question is none (docs/design/threats.md#threat-208)."""
    with pytest.raises(UnusableHookAnswer, match=problem):
        line_answer(line, "7")


@pytest.mark.parametrize(
    ("output", "groups"),
    [
        pytest.param(b"", (), id="nothing"),
        pytest.param(b"\n", (), id="blank"),
        pytest.param(b"{}", (), id="no labels"),
        pytest.param(b'{"labels":null}', (), id="null"),
        pytest.param(b'{"labels":{"team":["web","ops"]}}', ("team=web", "team=ops"), id="two values"),
        pytest.param(b'{"labels":{"team":[],"x":["1"]}}', ("x=1",), id="no value"),
        pytest.param(b'{"Labels":{"team":["a:b"]},"other":1}', ("team=a:b",), id="as Go reads it"),
    ],
)
def test_labels(output: bytes, groups: tuple[str, ...]) -> None:
    """A label with a value is the group `LABEL=VALUE`, or the value alone for some labels."""
    assert labelled_answer(output, "ann") == HookAnswer(HookResult.OK, HookUser("ann", groups))
    values = tuple(group.removeprefix("team=") for group in groups)
    assert labelled_answer(output, "ann", ["team"]) == HookAnswer(HookResult.OK, HookUser("ann", values))


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        pytest.param(b"ok", "not JSON", id="text"),
        pytest.param(b'{"labels":["web"]}', "no object", id="list"),
        pytest.param(b'{"labels":{"team":"web"}}', "no list", id="text as values"),
        pytest.param(b'{"labels":{"a=b":["c"]}}', "'='", id="equals sign in a label"),
        pytest.param(b'{"labels":{},"LABELS":{"team":["web"]}}', "twice", id="two spellings"),
        pytest.param(json.dumps({"labels": {"x": ["1"] * (MAX_GROUPS + 1)}}).encode(), "more than", id="too many"),
    ],
)
def test_labels_that_are_none(output: bytes, problem: str) -> None:
    """Two labels never yield one group, and no label is lost."""
    with pytest.raises(UnusableHookAnswer, match=problem):
        labelled_answer(output, "ann")


_KEYS = st.sampled_from(["id", "result", "subject", "groups", "proof", "labels", "x"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=8,
)


@given(st.binary(max_size=50) | _VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_answer(answer: bytes) -> None:
    """Any bytes are an answer or an `UnusableHookAnswer`; a user comes with `ok` and never otherwise."""
    for read in (user_answer, lambda line: line_answer(line, "7"), lambda line: labelled_answer(line, "ann")):
        try:
            found = read(answer)
        except UnusableHookAnswer:
            continue
        assert (found.result is HookResult.OK) == (found.user is not None)
