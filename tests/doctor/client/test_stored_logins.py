"""Files of stored logins: read as docker and podman read them, and no secret in a message."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenserver.doctor.client.stored_logins import (
    HUB_KEY,
    ClientFile,
    ClientKind,
    HelperOutcome,
    StoredEntry,
    near_miss,
    parse_client_file,
    parse_entry,
    parse_helper_answer,
    stored_key,
    without_scheme,
)

DOCKER, PODMAN, VARIABLE = ClientKind.DOCKER, ClientKind.PODMAN, ClientKind.VARIABLE
SECRET = "canary-4711-secret"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def basic(text: str | bytes) -> str:
    """Base64, as an `auth` has it."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def parsed(value: object, kind: ClientKind = DOCKER) -> ClientFile:
    """A file with this content."""
    return parse_client_file(json.dumps(value, indent=1), "config.json", kind)


def revealed(entry: StoredEntry) -> tuple[str | None, str | None, str | None]:
    """The user, the password and the problem of an entry."""
    return entry.user, None if entry.password is None else entry.password.reveal(), entry.problem


@pytest.mark.parametrize(
    ("entry", "kind", "expected"),
    [
        pytest.param({"auth": basic("ann:x:y")}, DOCKER, ("ann", "x:y", None), id="auth"),
        pytest.param({"auth": basic("ann:x\0\0")}, DOCKER, ("ann", "x", None), id="NUL at the end, as docker trims"),
        pytest.param({"auth": basic("ann:pä")}, PODMAN, ("ann", "pä", None), id="UTF-8"),
        pytest.param({"auth": basic(b"ann:p\xe4")}, PODMAN, ("ann", "pä", None), id="Latin-1"),
        pytest.param(
            {"auth": f"{basic('ann:x')[:4]}\r\n{basic('ann:x')[4:]}"}, DOCKER, ("ann", "x", None), id="folded"
        ),
        pytest.param({"AUTH": basic("ann:x")}, DOCKER, ("ann", "x", None), id="another case, as Go reads it"),
        pytest.param(
            {"auth": basic("ann:x"), "username": "eve", "password": "y"}, DOCKER, ("ann", "x", None), id="auth wins"
        ),
        pytest.param({"username": "ann", "password": "x"}, DOCKER, ("ann", "x", None), id="spelled out"),
        pytest.param(
            {"username": "ann", "password": "x"},
            PODMAN,
            (None, None, "has no auth; podman reads neither username nor password"),
            id="spelled out for podman",
        ),
        pytest.param(
            {"password": "x"}, DOCKER, ("", "x", "has a password without a username"), id="password without user"
        ),
        pytest.param({"username": "ann"}, DOCKER, ("ann", "", "has an empty password"), id="user without password"),
        pytest.param({"auth": "ann:x"}, DOCKER, (None, None, "has an auth that is not base64"), id="plain"),
        pytest.param({"auth": "YW5u_Q=="}, DOCKER, (None, None, "has an auth that is not base64"), id="for URLs"),
        pytest.param({"auth": "YW5uOg"}, DOCKER, (None, None, "has an auth that is not base64"), id="not padded"),
        pytest.param({"auth": "é"}, DOCKER, (None, None, "has an auth that is not base64"), id="not ASCII"),
        pytest.param(
            {"auth": basic("ann")},
            DOCKER,
            (None, None, "has an auth without a colon between user and password"),
            id="no colon",
        ),
        pytest.param({"auth": basic(":x")}, DOCKER, (None, None, "has an auth without a user"), id="no user"),
        pytest.param({"auth": basic("ann:")}, DOCKER, ("ann", "", "has an empty password"), id="no password"),
        pytest.param(
            {"auth": basic("ann:x\n")},
            DOCKER,
            ("ann", "x\n", "has a password that ends with a line break, as `echo` adds one"),
            id="echo",
        ),
        pytest.param({}, DOCKER, (None, None, None), id="empty"),
        pytest.param({"auth": None}, DOCKER, (None, None, None), id="null"),
        pytest.param({"auth": ""}, PODMAN, (None, None, None), id="empty text"),
        pytest.param({"auth": basic("ann:x")}, VARIABLE, ("ann", "x", None), id="variable"),
        pytest.param(
            {"auth": basic("ann:x"), "email": "a"},
            VARIABLE,
            ("ann", "x", "has something else than an auth"),
            id="more in a variable",
        ),
        pytest.param({}, VARIABLE, (None, None, "has something else than an auth"), id="nothing in a variable"),
        pytest.param([], DOCKER, (None, None, "is not an object"), id="a list"),
    ],
)
def test_entries(entry: object, kind: ClientKind, expected: tuple[str | None, str | None, str | None]) -> None:
    """What a login is read as, and what is wrong with it."""
    assert revealed(parse_entry("x", entry, kind)) == expected


@pytest.mark.parametrize(
    ("entry", "kind", "expected"),
    [
        pytest.param({"auth": "%"}, DOCKER, True, id="docker"),
        pytest.param([], DOCKER, True, id="no object"),
        pytest.param({"auth": "%"}, PODMAN, False, id="podman"),
        pytest.param([], PODMAN, False, id="no object for podman"),
        pytest.param({"auth": basic("ann:")}, DOCKER, False, id="an empty password"),
        pytest.param({"auth": basic("ann:x"), "email": ""}, VARIABLE, True, id="more in a variable"),
        pytest.param({"auth": basic("ann:x\n")}, VARIABLE, False, id="a line break in a variable"),
    ],
)
def test_entries_that_stop_docker(entry: object, kind: ClientKind, expected: bool) -> None:
    """It reads all entries of a file first, and nothing of a file in which one is broken."""
    assert parse_entry("x", entry, kind).stops_docker == expected


def test_tokens_in_place_of_a_password() -> None:
    """An empty password next to an identity token is as it should be."""
    entry = parse_entry("x", {"auth": basic("ann:"), "identitytoken": SECRET, "registrytoken": SECRET}, DOCKER)
    assert (entry.problem, entry.has_identity, entry.has_bearer, entry.is_empty) == (None, True, True, False)
    assert parse_entry("x", {}, DOCKER).is_empty


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        pytest.param('{\n"auths": {\n}', "is not JSON: Expecting ',' delimiter", 3, id="cut"),
        pytest.param('{"auths": NaN}', "is not JSON", 0, id="not in JSON"),
        pytest.param("[" * 100_000, "is not JSON", 0, id="deep"),
        pytest.param("\ufeff{}", "is not JSON: Unexpected UTF-8 BOM (decode using utf-8-sig)", 1, id="mark"),
        pytest.param("[]", "is not a JSON object", 0, id="a list"),
        pytest.param('{\n"auths": []}', "has auths that is not an object", 2, id="auths"),
        pytest.param('{\n\n"credhelpers": 1}', "has credHelpers that is not an object", 3, id="credHelpers"),
        pytest.param('{"credsStore": 1}', "has a credsStore that is no text", 1, id="credsStore"),
        pytest.param('{"\\u0061uths": []}', "has auths that is not an object", 0, id="a name in escapes"),
    ],
)
def test_files_that_cannot_be_read(text: str, problem: str, line: int) -> None:
    """Each with the line, as far as it is known."""
    found = parse_client_file(text, "config.json", DOCKER)
    assert (found.problem, found.line) == (problem, line)


@pytest.mark.parametrize("text", ["", " \n", "{}", '{"auths": null}'])
def test_files_without_logins(text: str) -> None:
    """Also empty ones are well."""
    assert parse_client_file(text, "config.json", PODMAN) == ClientFile("config.json", PODMAN)


def test_helpers() -> None:
    """The one for the host, else the one for all; podman has none for all."""
    value = {"credHelpers": {"a.example.com": "ecr", "b": "", "c": 1}, "credsStore": "pass", "proxies": {"default": {}}}
    docker, podman = parsed(value), parsed(value, PODMAN)
    assert [docker.helper_of(host) for host in ("a.example.com", "b", "c")] == ["ecr", None, "pass"]
    assert [podman.helper_of(host) for host in ("a.example.com", "b")] == ["ecr", None]
    assert docker.has_proxies


@pytest.mark.parametrize(
    ("key", "host", "docker", "podman"),
    [
        pytest.param("a.example.com", "a.example.com", True, True, id="itself"),
        pytest.param("https://a.example.com", "a.example.com", True, True, id="https"),
        pytest.param("http://a.example.com/v2/", "a.example.com", True, True, id="URL"),
        pytest.param("a.example.com/", "a.example.com", True, False, id="slash"),
        pytest.param("a.example.com/team", "a.example.com", True, True, id="namespace"),
        pytest.param("https://a.example.com:443", "a.example.com", False, False, id="port"),
        pytest.param("A.example.com", "a.example.com", False, False, id="case"),
        pytest.param("b.example.com", "a.example.com", False, False, id="another"),
        pytest.param("docker.io", "docker.io", True, True, id="Docker Hub"),
        pytest.param(HUB_KEY, "docker.io", True, False, id="Docker Hub's key"),
    ],
)
def test_lookups(key: str, host: str, docker: bool, podman: bool) -> None:
    """As docker finds a login, and as containers/image does."""
    value = {"auths": {key: {"auth": basic("ann:x")}}}
    assert bool(parsed(value).logins_of(host)) == docker
    assert bool(parsed(value, PODMAN).logins_of(host)) == podman


def test_a_variable_is_exact() -> None:
    """Docker reads no URLs there."""
    text = json.dumps({"auths": {"https://a.example.com": {"auth": basic("ann:x")}}})
    assert parse_client_file(text, "$X", VARIABLE).logins_of("a.example.com") == []


def test_several_entries() -> None:
    """The exact one wins; podman's namespaces follow."""
    keys = ["https://a.example.com", "a.example.com", "a.example.com/team"]
    value = {"auths": {key: {"auth": basic("ann:x")} for key in keys}}
    assert [one.key for one in parsed(value).logins_of("a.example.com")] == ["a.example.com"]
    assert [one.key for one in parsed(value, PODMAN).logins_of("a.example.com")] == keys[1:]


@pytest.mark.parametrize(
    ("key", "host", "reason"),
    [
        pytest.param("A.example.com", "a.example.com", "case counts", id="case"),
        pytest.param(
            "a.example.com:443", "a.example.com", "it has the port 443, and clients compare it as text", id="443"
        ),
        pytest.param("a.example.com:5000", "a.example.com", "it has the port 5000, and images have none", id="a port"),
        pytest.param("a.example.com", "a.example.com:5000", "it lacks the port 5000", id="no port"),
        pytest.param(
            "https://a.example.com:5001/v2/", "a.example.com:5000", "it has the port 5001, not 5000", id="other"
        ),
        pytest.param("a.example.com.", "a.example.com", "it ends with a dot, or lacks one", id="dot"),
        pytest.param("https://a.example.com", "a.example.com", "it has a scheme", id="scheme"),
        pytest.param("a.example.com/v2/", "a.example.com", "it has a path", id="path"),
        pytest.param("a.example.com", "a.example.com", None, id="itself"),
        pytest.param("b.example.com", "a.example.com", None, id="another"),
    ],
)
def test_near_misses(key: str, host: str, reason: str | None) -> None:
    """Keys that look like the host and are not found by clients."""
    assert near_miss(key, host) == reason


def test_keys() -> None:
    """Docker Hub has one of its own."""
    assert [stored_key(host, DOCKER) for host in ("docker.io", "a.example.com:5000")] == [HUB_KEY, "a.example.com:5000"]
    assert stored_key("index.docker.io", PODMAN) == "docker.io"
    assert [without_scheme(key) for key in ("https://a/", "http://a", "a")] == ["a/", "a", "a"]


@pytest.mark.parametrize(
    ("code", "output", "outcome"),
    [
        pytest.param(0, b'{"Username":"ann","Secret":"x"}\n', HelperOutcome.ANSWERED, id="a login"),
        pytest.param(0, b'{"ServerURL":"a","username":"<token>","secret":"x"}', HelperOutcome.ANSWERED, id="a token"),
        pytest.param(1, b"credentials not found in native keychain\n", HelperOutcome.NOT_FOUND, id="none"),
        pytest.param(1, f"error: {SECRET}".encode(), HelperOutcome.FAILED, id="an error"),
        pytest.param(-9, b"", HelperOutcome.FAILED, id="killed"),
        pytest.param(0, b"", HelperOutcome.UNREADABLE, id="nothing"),
        pytest.param(0, b"\xff", HelperOutcome.UNREADABLE, id="bytes"),
        pytest.param(0, b"[1]", HelperOutcome.UNREADABLE, id="a list"),
        pytest.param(0, b'{"Username":"","Secret":"x"}', HelperOutcome.UNREADABLE, id="no user"),
        pytest.param(0, b'{"Username":"ann"}', HelperOutcome.UNREADABLE, id="no secret"),
    ],
)
def test_helper_answers(code: int, output: bytes, outcome: HelperOutcome) -> None:
    """By exit code and text; the text itself is kept nowhere but in a Secret."""
    answer = parse_helper_answer(code, output)
    assert answer.outcome is outcome
    assert answer.is_identity == (b"<token>" in output)
    assert SECRET not in repr(answer)


@given(st.text() | JSON.map(json.dumps), st.sampled_from(ClientKind))
def test_any_text(text: str, kind: ClientKind) -> None:
    """No text stops it."""
    file = parse_client_file(text, "x", kind)
    for host in ("", "a.example.com", text):
        file.helper_of(host)
        file.logins_of(host)


@given(
    st.dictionaries(st.sampled_from(["auth", "username", "password", "identitytoken", "registrytoken", "x"]), JSON),
    st.sampled_from(ClientKind),
)
@example({"auth": basic(SECRET)}, DOCKER)
@example({"auth": SECRET}, DOCKER)
@example({"auth": basic(f":{SECRET}")}, DOCKER)
@example({"username": "ann", "password": SECRET}, PODMAN)
@example({"password": SECRET, "identitytoken": SECRET, "registrytoken": SECRET}, DOCKER)
def test_no_secret_shows(entry: object, kind: ClientKind) -> None:
    """Neither in the problem nor in what prints of an entry, also not in base64."""
    found = parse_entry("x", entry, kind)
    assert all(text not in repr(found) for text in (SECRET, basic(SECRET), basic(f":{SECRET}")))


@given(st.text(), st.text())
def test_no_key_stops_it(key: str, host: str) -> None:
    """Whatever a file has for a host."""
    assert isinstance(near_miss(key, host), str | None)


@given(st.integers(-20, 255), st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_answer(code: int, output: bytes) -> None:
    """No answer of a helper stops it."""
    assert parse_helper_answer(code, output).outcome in HelperOutcome
