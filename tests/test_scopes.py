"""Scopes: the fixed cases of corpus/scopes.yaml, the reference grammar written down a second time, and properties."""

from __future__ import annotations

import string
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tokenserver.errors import TokenserverError, TooManyScopes
from tokenserver.scopes import (
    ACTIONS,
    DEFAULT_LIMITS,
    MAX_NAME_LENGTH,
    TYPES,
    Access,
    RejectedScope,
    Resource,
    Scope,
    ScopeLimits,
    ScopeRequest,
    ScopeSyntaxError,
    in_order,
    is_path_component,
    is_repository_name,
    mark_new,
    parse_scope,
    parse_scopes,
)

if TYPE_CHECKING:
    from _typeshed import TraceFunction

CORPUS = yaml.safe_load((Path(__file__).parent / "corpus" / "scopes.yaml").read_text(encoding="utf-8"))

Case = dict[str, Any]


def _values(case: Case) -> list[str]:
    if "repeat" in case:
        repeat = case["repeat"]
        return [repeat["before"] + repeat["text"] * repeat["times"] + repeat["after"]]
    return list(case["values"])


def _asked(case: Case) -> list[tuple[str, str, list[str]]]:
    if "asked_repeat" in case:
        repeat = case["asked_repeat"]
        return [(repeat["type"], repeat["text"] * repeat["times"], repeat["actions"])]
    return [(entry["type"], entry["name"], entry["actions"]) for entry in case.get("asked", [])]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CORPUS])
def test_corpus(case: Case) -> None:
    """Each case of the corpus asks for exactly what it says, and rejects exactly what it says."""
    result = parse_scopes(_values(case))
    asked = [(scope.resource.type, scope.resource.name, in_order(scope.actions)) for scope in result.scopes]
    assert asked == _asked(case)
    assert [rejected.reason for rejected in result.rejected] == case.get("rejected", [])


def test_corpus_ids_differ() -> None:
    """Each case has a name of its own."""
    ids = [case["id"] for case in CORPUS]
    assert sorted(set(ids)) == sorted(ids)


# --- the reference grammar, written down a second time ---------------------------------------------------------------
# A hand-written matcher of the "Resource Scope Grammar" (no regular expression, so that it shares no mistake with the
# parser), with the narrowings that `scopes` documents: names in lower case, a host only with a port of one to five
# digits, 255 characters, the two known types.

LOWER_OR_DIGIT = frozenset(string.ascii_lowercase + string.digits)


def _is_run(text: str, alphabet: frozenset[str]) -> bool:
    return text != "" and all(character in alphabet for character in text)


def _is_component(text: str) -> bool:
    """alpha-numeric [separator alpha-numeric]*, where a separator is one of `_`, `.`, `__` or a run of `-`."""
    separator = ""
    previous_was_word = False
    for character in text:
        if character in LOWER_OR_DIGIT:
            if separator and separator not in (".", "_", "__") and set(separator) != {"-"}:
                return False
            separator, previous_was_word = "", True
        elif character in "._-" and previous_was_word:
            separator += character
        else:
            return False
    return previous_was_word and separator == ""


def _is_host_component(text: str) -> bool:
    """A letter or digit at both ends, letters, digits and dashes between them."""
    inside = LOWER_OR_DIGIT | {"-"}
    return _is_run(text, inside) and text[0] != "-" and text[-1] != "-"


def _is_host_and_port(text: str) -> bool:
    host, colon, port = text.partition(":")
    is_port = colon == ":" and 1 <= len(port) <= 5 and _is_run(port, frozenset(string.digits))
    return is_port and all(_is_host_component(label) for label in host.split("."))


def _is_resource_name(text: str) -> bool:
    """[hostname '/'] component ['/' component]*."""
    if len(text) > 255:
        return False
    first, *others = text.split("/")
    if others and _is_host_and_port(first):
        return all(_is_component(other) for other in others)
    return all(_is_component(component) for component in [first, *others])


def _is_type(text: str) -> bool:
    """A value, then perhaps a class in parentheses."""
    value, parenthesis, kind = text.partition("(")
    if parenthesis and not (kind.endswith(")") and _is_run(kind[:-1], LOWER_OR_DIGIT)):
        return False
    return _is_run(value, LOWER_OR_DIGIT) and value in ("repository", "registry")


def _is_action_list(text: str) -> bool:
    allowed = frozenset(string.ascii_lowercase + "*")
    return all(action == "" or _is_run(action, allowed) for action in text.split(","))


def reference_grammar(text: str) -> bool:
    """Whether `text` is one scope, tried with every way to cut it at two colons."""
    colons = [index for index, character in enumerate(text) if character == ":"]
    return any(
        _is_type(text[:first]) and _is_resource_name(text[first + 1 : last]) and _is_action_list(text[last + 1 :])
        for first in colons
        for last in colons
        if first < last
    )


def _parses(text: str) -> bool:
    try:
        parse_scope(text)
    except ScopeSyntaxError:
        return False
    return True


# Small alphabets, so that near misses of the grammar are frequent.
near_scopes = st.one_of(
    st.text(alphabet="ab0:/.-_,*() A\n", max_size=24),
    st.builds(
        "{}:{}:{}".format,
        st.sampled_from(["repository", "registry", "repository(plugin)", "repository()", "", "repo", "Registry"]),
        st.text(alphabet="ab0:/.-_A", max_size=20),
        st.text(alphabet="pul,*P ", max_size=8),
    ),
    st.builds(
        "repository:{}:{}/{}:pull".format,
        st.text(alphabet="a0.-", max_size=6),
        st.text(alphabet="05a", max_size=6),
        st.text(alphabet="a/._-", max_size=6),
    ),
    st.text(max_size=40),
)


@settings(max_examples=4 * settings().max_examples, deadline=None)
@given(near_scopes)
@example("repository:a..b:5000/x:pull")
@example("repository:a.-b:5000/x:pull")
@example("repository:foo:pull\n")
@example("repository:a---b:pull")
@example("repository:a:5000:pull")
def test_parser_and_reference_grammar_agree(text: str) -> None:
    """What parses is what the reference grammar, narrowed as documented, allows."""
    assert _parses(text) == reference_grammar(text)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CORPUS if len(_values(case)) == 1])
def test_reference_grammar_agrees_with_the_corpus(case: Case) -> None:
    """The second transcription finds the corpus's single scopes right as well: it is no weaker than the table."""
    (value,) = _values(case)
    if value.strip(" ") != "" and " " not in value:
        assert reference_grammar(value) == ("asked" in case or "asked_repeat" in case)


# --- well-formed scopes ----------------------------------------------------------------------------------------------

words = st.text(alphabet="abz019", min_size=1, max_size=5)
components = st.builds(
    lambda first, rest: first + "".join(separator + word for separator, word in rest),
    words,
    st.lists(st.tuples(st.sampled_from([".", "_", "__", "-", "--"]), words), max_size=2),
)
hosts = st.builds("{}.{}:{}/".format, words, words, st.integers(1, 65535))
names = st.builds(
    lambda host, parts: host + "/".join(parts), st.just("") | hosts, st.lists(components, min_size=1, max_size=4)
)
resources = st.builds(Resource, st.sampled_from(TYPES), names)
action_sets = st.frozensets(st.sampled_from(ACTIONS))
well_formed = st.builds(Scope, resources, action_sets)


@given(well_formed)
def test_a_scope_survives_its_own_text(scope: Scope) -> None:
    """parse(str(scope)) == scope."""
    assert parse_scope(str(scope)) == scope


@given(well_formed)
def test_access_prints_like_the_scope(scope: Scope) -> None:
    """What is granted is spelled like what was asked, and is yet no Scope."""
    access: object = Access(scope.resource, scope.actions)
    assert str(access) == str(scope)
    assert access != scope


@given(names, st.integers(0, 40))
def test_is_repository_name_holds_for_what_parses(name: str, cut: int) -> None:
    """A name is legal alone exactly where it is legal in a scope."""
    piece = name[: cut or None]
    assert is_repository_name(piece) == _parses(f"repository:{piece}:pull")


@settings(deadline=None)
@given(st.lists(well_formed, max_size=8), st.data())
def test_any_split_and_order_asks_for_the_same(asked: list[Scope], data: st.DataObject) -> None:
    """Repeated parameters, one list, any mix, any order, actions one by one: the same access set."""
    pieces = [f"{scope.resource}:{action}" for scope in asked for action in in_order(scope.actions) or [""]]
    shuffled = data.draw(st.permutations(pieces))
    groups: list[list[str]] = [[]]
    for piece in shuffled:
        if data.draw(st.booleans()):
            groups.append([])
        groups[-1].append(piece)
    expected = {scope.resource: scope.actions for scope in parse_scopes(map(str, asked)).scopes}
    result = parse_scopes(" ".join(group) for group in groups)
    assert {scope.resource: scope.actions for scope in result.scopes} == expected
    assert result.rejected == ()


@given(st.lists(well_formed, min_size=1, max_size=5), st.integers(0, 5))
def test_one_malformed_scope_touches_no_other(asked: list[Scope], position: int) -> None:
    """Whatever stands wrong among them, the others ask for what they ask for alone."""
    values = [str(scope) for scope in asked]
    values.insert(position, "repository:Wrong:pull")
    assert parse_scopes(values).scopes == parse_scopes(map(str, asked)).scopes
    assert parse_scopes(values).rejected == (RejectedScope("repository:Wrong:pull", "malformed name"),)


@settings(deadline=None)
@given(st.lists(st.text(st.characters(), max_size=60) | near_scopes, max_size=10))
@example(["repository:\ud800:pull"])
@example(["\ud800"])
def test_any_text_gives_a_result_or_the_documented_error(values: list[str]) -> None:
    """Never anything but a ScopeRequest or TooManyScopes; only known actions and types; each resource once."""
    try:
        result = parse_scopes(values)
    except TooManyScopes:
        return
    assert all(scope.resource.type in TYPES for scope in result.scopes)
    assert all(scope.actions <= set(ACTIONS) for scope in result.scopes)
    assert len({scope.resource for scope in result.scopes}) == len(result.scopes)
    pieces = [piece for value in values for piece in value.split(" ") if piece]
    assert all(rejected.text in pieces for rejected in result.rejected)


@given(st.text(max_size=80))
def test_a_syntax_error_does_not_repeat_the_text(text: str) -> None:
    """The reason is one of a closed set, so that nothing of the client's gets into a log by it."""
    known = {"", "not type:name:actions", "malformed type", "unknown type", "malformed name", "malformed action"}
    reason = ""
    try:
        parse_scope(text)
    except ScopeSyntaxError as error:
        reason = str(error)
    assert reason in known


# --- limits ----------------------------------------------------------------------------------------------------------


def test_the_most_resources_are_taken() -> None:
    """The limit itself is allowed."""
    values = [f"repository:r{index}:pull" for index in range(DEFAULT_LIMITS.scopes)]
    assert len(parse_scopes(values).scopes) == 1000


RESOURCES = [f"repository:r{index}:pull" for index in range(1000)]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([*RESOURCES, "repository:one-more:pull"], id="as-parameters"),
        pytest.param([" ".join([*RESOURCES, "repository:one-more:pull"])], id="as-one-list"),
        pytest.param([*RESOURCES[:999], "repository:a(b):pull", "x"], id="one-of-them-malformed"),
        pytest.param([" ".join(f"x{index}" for index in range(1001))], id="all-of-them-malformed"),
        pytest.param([f"repository:a:{index}" for index in range(1001)], id="malformed-actions-of-one"),
    ],
)
def test_one_resource_more_is_too_much(values: list[str]) -> None:
    """It is refused as a whole, with the limit and the setting; each malformed text counts as a resource."""
    with pytest.raises(TooManyScopes, match=r"more than 1000 distinct resources .* raise limits\.scopes "):
        parse_scopes(values)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(["repository:same:pull"] * 2000, id="the-same-one"),
        pytest.param([*RESOURCES, *RESOURCES], id="each-twice"),
        pytest.param([" ".join(RESOURCES), *(one.replace(":pull", ":push") for one in RESOURCES)], id="other-actions"),
        pytest.param([*RESOURCES, *(one.replace("y:", "y(plugin):") for one in RESOURCES)], id="with-a-class"),
        pytest.param(["x"] * 2000, id="the-same-malformed-one"),
        pytest.param([one.replace(":pull", ":fly") for one in RESOURCES], id="unknown-actions"),
    ],
)
def test_repetition_does_not_count(values: list[str]) -> None:
    """imgpkg sends 65 scopes for 24 resources, and regctl each of its own beside the registry's challenge."""
    found = parse_scopes(values)
    assert len(found.scopes) + len(found.rejected) <= 2000
    assert len({scope.resource for scope in found.scopes}) == len(found.scopes) <= 1000


def test_what_repeats_is_rejected_once() -> None:
    """A text is listed once, so that what is audited about it is bounded by the text of the request."""
    found = parse_scopes(["x repository:a:fly x", "x", "repository:a:fly"])
    assert found.rejected == (
        RejectedScope("x", "not type:name:actions"),
        RejectedScope("repository:a:fly", "unknown action"),
    )


@pytest.mark.parametrize(
    ("count", "limits", "key"),
    [
        pytest.param(2, ScopeLimits(2, 512), None, id="at-both"),
        pytest.param(3, ScopeLimits(2, 512), "scopes", id="one-resource-more"),
        pytest.param(50, ScopeLimits(60, 512), "scope_bytes", id="more-text"),
        pytest.param(5000, ScopeLimits(5000, 128 * 1024), None, id="raised"),
    ],
)
def test_limits_are_given(count: int, limits: ScopeLimits, key: str | None) -> None:
    """Short requests, which are remembered, and long ones; the message has the setting that would allow it."""
    values = [f"repository:r{index}:pull" for index in range(count)]
    parse_scopes(values, ScopeLimits(10_000, 256 * 1024))
    if key is None:
        assert len(parse_scopes(values, limits).scopes) == count
        return
    with pytest.raises(TooManyScopes, match=rf"more than {getattr(limits, key)} .* raise limits\.{key} "):
        parse_scopes(values, limits)


PIECES = st.sampled_from(
    ["repository:a", "repository:b/c", "repository(p):b/c", "repository:a:5000/x", "registry:catalog", "x", "x(p)", "Y"]
)


@given(
    st.lists(st.lists(st.tuples(PIECES, st.sampled_from(["pull", "push", "fly", ""])), max_size=4), max_size=6),
    st.integers(1, 6),
    st.integers(20, 200),
)
def test_what_counts(lists: list[list[tuple[str, str]]], most: int, most_bytes: int) -> None:
    """Bytes of everything, then distinct resources and malformed texts: over a limit there is no result, else all."""
    values = [" ".join(f"{name}:{actions}" for name, actions in pairs) for pairs in lists]
    pieces = {piece for value in values for piece in value.split()}
    malformed = {piece for piece in pieces if piece[0] in "xY"}
    resources = {piece.rpartition(":")[0].replace("(p)", "") for piece in pieces - malformed}
    limits = ScopeLimits(most, most_bytes)
    if len("".join(values)) > most_bytes:
        with pytest.raises(TooManyScopes, match=r"limits\.scope_bytes"):
            parse_scopes(values, limits)
    elif len(resources) + len(malformed) > most:
        with pytest.raises(TooManyScopes, match=r"limits\.scopes"):
            parse_scopes(values, limits)
    else:
        found = parse_scopes(values, limits)
        assert {str(scope.resource) for scope in found.scopes} == resources
        assert malformed <= {one.text for one in found.rejected} <= pieces


def steps_of(count: int, *, repeated: int = 1) -> int:
    """How many lines of the parser run for so many scopes; a measure of time that no other load disturbs."""
    values = [f"repository:team-{index % 50}/app-{index}:pull,push" for index in range(count)] * repeated
    counted = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> TraceFunction:
        nonlocal counted
        counted += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(TooManyScopes):
            parse_scopes(values)
    finally:
        sys.settrace(before)
    return counted


def test_ten_times_the_scopes_are_ten_times_the_work() -> None:
    """Parsing grows linearly, and repetition costs less than another resource."""
    few, many = steps_of(100), steps_of(1000)
    assert 9 * few < many < 11 * few
    assert steps_of(500, repeated=2) < 2 * steps_of(500)


def test_too_many_are_refused_without_parsing_them() -> None:
    """Half as many again as the limit are less than half of the work that the limit itself is."""
    assert 2 * steps_of(1500) < steps_of(1000)


def _of_size(size: int) -> str:
    scope = "repository:a:"
    return scope + "," * (size - len(scope))


def test_64_kib_are_taken() -> None:
    """The limit itself is allowed."""
    expected = ScopeRequest((Scope(Resource("repository", "a"), frozenset()),))
    assert parse_scopes([_of_size(DEFAULT_LIMITS.scope_bytes)]) == expected


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([_of_size(64 * 1024 + 1)], id="one-value"),
        pytest.param([" " * 32_769, " " * 32_768], id="blanks-in-two-values"),
        pytest.param(["é" * 32_769], id="counted-in-bytes"),
        pytest.param(["\ud800" * 24_000], id="lone-surrogates"),
    ],
)
def test_over_64_kib_is_too_much(values: list[str]) -> None:
    """The text of all values together counts, in bytes."""
    with pytest.raises(TooManyScopes, match=r"more than 65536 bytes .* raise limits\.scope_bytes "):
        parse_scopes(values)


def test_limits_are_those_of_the_contract() -> None:
    """The limits (docs/design/protocol.md#scopes): 1,000 resources, 64 KiB, names of 255 characters, four actions."""
    assert (*DEFAULT_LIMITS, MAX_NAME_LENGTH) == (1000, 65536, 255)
    assert ACTIONS == ("pull", "push", "delete", "*")


def test_values_may_come_from_an_iterator() -> None:
    """The values are counted and then parsed: an iterator must not be empty the second time."""
    assert len(parse_scopes(iter(["repository:a:pull", "repository:b:pull"])).scopes) == 2


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a" * 254 + "!", id="letters"),
        pytest.param("a-" * 127 + "!", id="dashes"),
        pytest.param("a" + "-" * 253 + "!", id="one-run-of-dashes"),
        pytest.param("a." * 127 + "!", id="labels"),
        pytest.param("a/" * 127 + "!", id="components"),
        pytest.param("a." * 120 + ":5000!", id="host"),
        pytest.param("a__" * 84 + "!", id="underscores"),
    ],
)
def test_no_name_is_slow_to_refuse(name: str) -> None:
    """The longest near misses are refused in less than 5 ms, because nothing matches in two ways.

    See docs/design/threats.md#threat-44.
    """
    assert min(_seconds_to_refuse(name) for _ in range(3)) < 0.005


def _seconds_to_refuse(name: str) -> float:
    started = time.thread_time()
    assert is_repository_name(name) is False
    return time.thread_time() - started


# --- the small ones --------------------------------------------------------------------------------------------------


def test_in_order_sorts_and_drops() -> None:
    """Known actions in the order of answers, each once; unknown ones are gone."""
    assert in_order(["*", "push", "admin", "pull", "push"]) == ["pull", "push", "*"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a", True, id="letter"),
        pytest.param("a.b_c__d-e--f", True, id="every-separator"),
        pytest.param("", False, id="empty"),
        pytest.param("a/b", False, id="slash"),
        pytest.param("a\n", False, id="newline"),
        pytest.param("..", False, id="dots"),
        pytest.param("A", False, id="capital"),
        pytest.param("*", False, id="star"),
    ],
)
def test_is_path_component(text: str, expected: bool) -> None:
    """What may stand between two slashes, whole and anchored."""
    assert is_path_component(text) is expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Resource("repository", "a"), id="resource"),
        pytest.param(Scope(Resource("repository", "a"), frozenset({"pull"})), id="scope"),
        pytest.param(Access(Resource("repository", "a"), frozenset({"pull"})), id="access"),
        pytest.param(RejectedScope("x", "y"), id="rejected"),
        pytest.param(ScopeRequest(), id="request"),
    ],
)
def test_types_are_frozen(value: object) -> None:
    """Nothing on the path can be changed after it was parsed."""
    field = next(iter(value.__dataclass_fields__))  # type: ignore[attr-defined]  # every row is a dataclass
    with pytest.raises(AttributeError):
        setattr(value, field, "other")
    with pytest.raises((AttributeError, TypeError)):
        value.extra = "x"  # type: ignore[attr-defined]  # that is the test


def test_syntax_error_is_ours() -> None:
    """The error stands in the one error tree."""
    assert issubclass(ScopeSyntaxError, TokenserverError)


@pytest.mark.parametrize(
    ("piece", "reason"),
    [
        pytest.param("repository", "not type:name:actions", id="no-colon"),
        pytest.param("repository:web", "not type:name:actions", id="one-colon"),
        pytest.param("Repository:web:pull", "malformed type", id="type"),
        pytest.param("volume:web:pull", "unknown type", id="unknown-type"),
        pytest.param("repository:Web:pull", "malformed name", id="name"),
        pytest.param("repository:" + "a" * 256 + ":pull", "malformed name", id="long-name"),
        pytest.param("repository:web:Pull", "malformed action", id="action"),
        pytest.param("repository:web:fetch", "unknown action", id="unknown-action"),
        pytest.param("repository:web:pull\trepository:x:pull", "malformed name", id="a-tab-is-no-blank"),
    ],
)
def test_what_is_rejected_says_why_and_hides_nothing(piece: str, reason: str) -> None:
    """The text as it came, with its reason; what stands before and behind it is served."""
    found = parse_scopes([f"repository:before:pull {piece} repository:behind:push"])
    assert found.rejected == (RejectedScope(piece, reason),)
    served = [str(scope) for scope in found.scopes if scope.actions]
    assert served == ["repository:before:pull", "repository:behind:push"]


def test_the_longest_name() -> None:
    """As long as Distribution's, and no longer."""
    assert is_repository_name("a" * 255)
    assert not is_repository_name("a" * 256)


def test_what_was_asked_is_looked_up_by_its_hash() -> None:
    """Equal requests are found again, others are told apart; it is there once for each."""
    one, same, other = (parse_scopes([f"repository:{name}:pull bad"]) for name in ("a", "a", "b"))
    assert hash(one) == hash(same) == hash(ScopeRequest(one.scopes, one.rejected))
    assert len({one, same, other}) == 2
    assert len({hash(parse_scopes([f"repository:a{number}:pull"])) for number in range(20)}) > 1


def test_a_request_becomes_new() -> None:
    """It is the same request in every other way, also by its hash."""
    request, other = (ScopeRequest((parse_scope("repository:a:pull"),)) for _ in range(2))
    mark_new(request)
    assert (request.is_repeated, other.is_repeated) == (False, True)
    assert (request, hash(request)) == (other, hash(other))
