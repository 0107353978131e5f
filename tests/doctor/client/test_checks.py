"""Checks of the client's side: what each situation is reported as, and the command that fixes it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.credentials import Secret
from tokenserver.doctor.client.checks import (
    ClientTarget,
    HeldLogin,
    check_client_file,
    check_entry,
    check_helper,
    check_missing,
    check_proxies,
    check_proxies_section,
    check_stored_password,
)
from tokenserver.doctor.client.proxies import proxy_variables
from tokenserver.doctor.client.stored_logins import (
    HUB_KEY,
    ClientFile,
    ClientKind,
    HelperAnswer,
    HelperOutcome,
    parse_client_file,
)
from tokenserver.doctor.findings import Finding
from tokenserver.doctor.http import FailureReason, FetchFailure, HttpAnswer

DOCKER, PODMAN, HELM = ClientKind.DOCKER, ClientKind.PODMAN, ClientKind.HELM
SECRET = "canary-4711-secret"
HOST = "registry.example.com"
TARGET = ClientTarget(HOST, f"https://{HOST}/v2/", "registry.example.com")
REALM = "https://auth.example.com/token"
GOOD = {"auth": base64.b64encode(f"ann:{SECRET}".encode()).decode()}
LOGIN = HeldLogin("/home/ann/.docker/config.json", DOCKER, "ann", Secret(SECRET), datetime(2026, 3, 1, tzinfo=UTC))


def file_of(auths: Mapping[str, object], kind: ClientKind = DOCKER, **more: Any) -> ClientFile:
    """A file with these logins, and more sections."""
    return parse_client_file(json.dumps({"auths": auths, **more}), "config.json", kind)


def told(found: Sequence[Finding]) -> list[tuple[str, bool | None, str | None]]:
    """What was found: check, result and fix."""
    return [(one.check, one.ok, one.fix) for one in found]


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_broken_file() -> None:
    """With its line."""
    (finding,) = check_client_file(parse_client_file('{\n"auths": {', "config.json", DOCKER))
    assert (finding.check, finding.ok) == ("client file", False)
    assert finding.message.startswith("config.json:2: is not JSON: ")


@pytest.mark.parametrize(("kind", "count"), [(DOCKER, 1), (PODMAN, 0)])
def test_one_broken_entry(kind: ClientKind, count: int) -> None:
    """It stops docker for all registries; podman reads only the entry that it needs."""
    found = check_client_file(file_of({"other.example.com": {"auth": "%"}, HOST: GOOD}, kind))
    assert len(found) == count
    assert all("so docker reads nothing of config.json" in one.message for one in found)


@pytest.mark.parametrize(
    ("mode", "auths", "is_reported"),
    [
        pytest.param(0o100644, {HOST: GOOD}, True, id="others"),
        pytest.param(0o100640, {HOST: GOOD}, True, id="group"),
        pytest.param(0o100600, {HOST: GOOD}, False, id="nobody else"),
        pytest.param(0o100644, {HOST: {}}, False, id="nothing in it"),
        pytest.param(None, {HOST: GOOD}, False, id="unknown"),
    ],
)
def test_files_that_others_can_read(mode: int | None, auths: Mapping[str, object], is_reported: bool) -> None:
    """A warning with the command, where there is something to read."""
    file = ClientFile("a b.json", DOCKER, entries=file_of(auths).entries, mode=mode)
    expected = [("client file", None, "chmod 600 'a b.json'")] if is_reported else []
    assert told(check_client_file(file)) == expected


def test_the_section_proxies() -> None:
    """It is for containers, not for the client."""
    (finding,) = check_proxies_section(file_of({}, proxies={"default": {"httpProxy": "http://proxy:1"}}))
    assert (finding.check, finding.ok, finding.fix) == ("client proxy", None, None)
    assert check_proxies_section(file_of({})) == []


# --- entries ---------------------------------------------------------------------------------------------------------

CORRECT = f"correct the login for {HOST} where DOCKER_AUTH_CONFIG is set: docker login does not change the variable"
AGAIN = f"docker login {HOST}"


@pytest.mark.parametrize(
    ("key", "entry", "kind", "expected"),
    [
        pytest.param(HOST, GOOD, DOCKER, [("stored login", True, None)], id="well"),
        pytest.param(f"{HOST}/team", GOOD, PODMAN, [("stored login", True, None)], id="namespace"),
        pytest.param(
            f"https://{HOST}/v2/", GOOD, DOCKER, [("stored login", True, None), ("stored login", None, None)], id="URL"
        ),
        pytest.param(
            HOST,
            {"auth": "YW5uOg==", "identitytoken": SECRET},
            DOCKER,
            [("identity token", False, f"docker logout {HOST}, then docker login {HOST}")],
            id="identity token",
        ),
        pytest.param(
            HOST,
            {"identitytoken": SECRET},
            PODMAN,
            [("identity token", False, f"podman logout {HOST}, then podman login {HOST}")],
            id="identity token of podman",
        ),
        pytest.param(HOST, {"auth": "%"}, HELM, [("stored login", False, f"helm registry login {HOST}")], id="helm"),
        pytest.param(
            HOST,
            {"auth": "YW5uOg=="},
            ClientKind.VARIABLE,
            [("stored login", False, CORRECT)],
            id="variable",
        ),
        pytest.param(HOST, {"registrytoken": SECRET}, DOCKER, [("stored login", False, AGAIN)], id="registrytoken"),
        pytest.param(HOST, {"auth": "YW5uOg=="}, DOCKER, [("stored login", False, AGAIN)], id="empty password"),
        pytest.param(HOST, {"auth": "%"}, PODMAN, [("stored login", False, f"podman login {HOST}")], id="broken"),
        pytest.param(HOST, {"auth": "%"}, DOCKER, [], id="broken, which is reported for the file"),
        pytest.param(
            HOST,
            {},
            DOCKER,
            [("stored login", False, f"set credsStore or credHelpers there, or log in again: {AGAIN}")],
            id="empty",
        ),
    ],
)
def test_entries(
    key: str, entry: object, kind: ClientKind, expected: list[tuple[str, bool | None, str | None]]
) -> None:
    """Each kind of login, without a secret in what is said."""
    file = file_of({key: entry}, kind)
    found = check_entry(file.entries[key], file, TARGET)
    assert told(found) == expected
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("auths", "message"),
    [
        pytest.param({}, f"neither docker nor podman nor helm has a login for {HOST}", id="nothing"),
        pytest.param(
            {HUB_KEY: GOOD}, "there is one for Docker Hub, which a login without a host makes", id="Docker Hub"
        ),
        pytest.param(
            {"registy.example.com": GOOD}, "there is one for registy.example.com: check which of the two", id="misspelt"
        ),
        pytest.param({f"{HOST}:443": GOOD}, f"a login for {HOST}:443, which clients do not use for {HOST}", id="port"),
        pytest.param(
            {f"{HOST}:443": {}},
            f"neither docker nor podman nor helm has a login for {HOST}",
            id="an empty one counts for nothing",
        ),
    ],
)
def test_no_login(auths: Mapping[str, object], message: str) -> None:
    """What is there instead."""
    found = check_missing(TARGET, [file_of(auths)], (), is_asked=True)
    assert (found.check, found.ok, found.fix) == ("stored login", False, f"docker login {HOST}")
    assert message in found.message


def test_no_login_in_a_helper() -> None:
    """Docker leaves an empty entry for what a helper holds, so a wrong name shows there as well."""
    found = check_missing(TARGET, [file_of({f"{HOST}:443": {}}, credsStore="pass")], (), is_asked=True)
    assert found.theirs == f"{HOST}:443"


def test_no_file_at_all() -> None:
    """The advice is docker's."""
    assert check_missing(TARGET, [], (), is_asked=True).fix == f"docker login {HOST}"


def test_registries_that_nobody_uses_from_here() -> None:
    """Without a question about it, no login is no fault; nor is one for another registry on the same host."""
    other = f"{HOST}:5001"
    assert check_missing(TARGET, [file_of({other: GOOD})], (other,), is_asked=False).fix is None
    assert check_missing(TARGET, [file_of({other: GOOD})], (), is_asked=False).ok is False
    assert check_missing(TARGET, [file_of({other: GOOD})], (other,), is_asked=True).ok is False


# --- helpers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "check", "ok", "message"),
    [
        pytest.param(HelperAnswer(HelperOutcome.MISSING), "helper", False, "which is not on the PATH", id="missing"),
        pytest.param(HelperAnswer(HelperOutcome.NOT_RUN), "helper", False, "so it was not run", id="not run"),
        pytest.param(HelperAnswer(HelperOutcome.HANGS), "helper", False, "does not answer in 10 s", id="hangs"),
        pytest.param(HelperAnswer(HelperOutcome.NOT_FOUND), "helper", False, "which holds none", id="holds none"),
        pytest.param(HelperAnswer(HelperOutcome.FAILED, code=3), "helper", False, "with exit code 3", id="fails"),
        pytest.param(
            HelperAnswer(HelperOutcome.UNREADABLE), "helper", False, "has no user and secret", id="unreadable"
        ),
        pytest.param(
            HelperAnswer(HelperOutcome.ANSWERED, "<token>", Secret(SECRET)),
            "identity token",
            False,
            "docker-credential-x holds an identity token",
            id="token",
        ),
        pytest.param(
            HelperAnswer(HelperOutcome.ANSWERED, "ann", Secret(SECRET)), "helper", True, "holds a login", id="well"
        ),
    ],
)
def test_helpers(answer: HelperAnswer, check: str, ok: bool, message: str) -> None:
    """Each ending of a call, without the secret."""
    found = check_helper("x", answer, file_of({}, credsStore="x"), TARGET)
    assert (found.check, found.ok, message in found.message, SECRET in repr(found)) == (check, ok, True, False)


def test_a_helper_before_the_entries() -> None:
    """Docker does not use the login in the file where a helper is configured."""
    found = check_helper("x", HelperAnswer(HelperOutcome.NOT_FOUND), file_of({HOST: GOOD}), TARGET, is_shadowing=True)
    assert "the one in the file itself is not used" in found.message


def test_commands_are_quoted() -> None:
    """Names come from files."""
    target = ClientTarget("a b;c", "https://a/v2/", None)
    found = check_helper("x;y", HelperAnswer(HelperOutcome.FAILED, code=1), file_of({}), target)
    assert found.fix == "to see what it says: printf %s 'a b;c' | 'docker-credential-x;y' get"


# --- one login -------------------------------------------------------------------------------------------------------


def answer(status: int, body: object = None, **headers: str) -> HttpAnswer:
    """An answer of the token endpoint."""
    found = {name.replace("_", "-"): (value,) for name, value in headers.items()}
    return HttpAnswer(status, found, b"" if body is None else json.dumps(body).encode(), 0.0)


WRONG = {"details": "wrong user name or password"}


@pytest.mark.parametrize(
    ("outcome", "expected", "message"),
    [
        pytest.param(answer(200, {"token": "x"}), ("stored login", True), "accepts the stored login", id="well"),
        pytest.param(
            answer(401, WRONG),
            ("stored login", False),
            "rejects the stored login for registry.example.com in /home/ann/.docker/config.json, last changed on"
            " 2026-03-01: wrong user name or password",
            id="stale",
        ),
        pytest.param(answer(401, []), ("stored login", False), "2026-03-01: status 401", id="no text"),
        pytest.param(answer(401, {"details": 1}), ("stored login", False), "status 401", id="no text either"),
        pytest.param(HttpAnswer(401, {}, b"{", 0.0), ("stored login", False), "status 401", id="no JSON"),
        pytest.param(answer(401, {"details": f"no {SECRET}"}), ("stored login", False), "status 401", id="an echo"),
        pytest.param(answer(401, {"details": GOOD["auth"]}), ("stored login", False), "status 401", id="a coded echo"),
        pytest.param(answer(429, {"details": "later"}), ("stored login", None), "cannot check", id="throttled"),
        pytest.param(answer(400, {"details": "no"}), ("stored login", False), "rejects the request", id="another"),
        pytest.param(FetchFailure(FailureReason.REFUSED, "refused"), ("server", False), "", id="nobody there"),
        pytest.param(answer(401, None, server="nginx"), ("proxy", False), "in front of it (nginx)", id="a proxy"),
    ],
)
def test_logins(outcome: HttpAnswer | FetchFailure, expected: tuple[str, bool | None], message: str) -> None:
    """What the server says to one login, and since when it is stored. No answer makes it print the password."""
    found = check_stored_password(outcome, REALM, LOGIN, TARGET)
    assert (found.check, found.ok) == expected
    assert message in found.message
    assert SECRET not in repr(found)
    assert GOOD["auth"] not in repr(found)


def test_what_makes_two_logins_equal() -> None:
    """Not where they are stored."""
    assert LOGIN.pair == HeldLogin("docker-credential-x", PODMAN, "ann", Secret(SECRET)).pair
    assert LOGIN.pair != HeldLogin(LOGIN.place, DOCKER, "ann", Secret("another")).pair


def test_a_login_without_a_date() -> None:
    """Helpers do not say since when they hold one."""
    login = HeldLogin("docker-credential-x", PODMAN, "ann", Secret(SECRET))
    found = check_stored_password(answer(401, WRONG), REALM, login, TARGET)
    assert f"for {HOST} in docker-credential-x: wrong user" in found.message
    assert found.fix == f"log in with the password of today: podman login {HOST}"


# --- proxies ---------------------------------------------------------------------------------------------------------


def proxies(environment: Mapping[str, str], *urls: str) -> list[Finding]:
    """The findings about these variables, for the registry and the token server."""
    return check_proxies(proxy_variables(environment), urls or (TARGET.url, REALM))


def test_no_proxy_in_the_way() -> None:
    """None at all, or one that is not used for these hosts."""
    assert proxies({}) == []
    assert proxies({"HTTP_PROXY": "proxy:1"}) == []
    assert proxies({"HTTPS_PROXY": "proxy:1", "NO_PROXY": ".example.com"}) == []
    assert proxies({"HTTPS_PROXY": "proxy:1", "no_proxy": f"auth.example.com,{HOST}"}) == []


def test_a_proxy_in_the_way() -> None:
    """For each host: the variable, the proxy without its password, and how to try without."""
    found = proxies({"HTTPS_PROXY": f"http://ann:{SECRET}@proxy:1", "NO_PROXY": "a b"})
    assert [(one.check, one.ok, one.theirs) for one in found] == [("client proxy", None, "http://proxy:1")] * 2
    assert f"requests to {HOST} go through a proxy (HTTPS_PROXY)" in found[0].message
    assert f"export NO_PROXY='a b,{HOST}'; " in (found[0].fix or "")
    assert SECRET not in repr(found)


def test_a_proxy_for_one_host() -> None:
    """The token server alone."""
    (found,) = proxies({"https_proxy": "proxy:1", "no_proxy": HOST})
    assert "requests to auth.example.com go through" in found.message
    assert f"export no_proxy={HOST},auth.example.com; " in (found.fix or "")


def test_an_entry_that_does_not_match() -> None:
    """A URL in NO_PROXY is no host."""
    found = proxies({"HTTPS_PROXY": "proxy:1", "NO_PROXY": f"https://{HOST}"}, TARGET.url)
    assert f"NO_PROXY has https://{HOST}, which does not match" in found[0].message


def test_spellings_that_differ() -> None:
    """Clients do not agree on which one counts, so both are tried, and shown."""
    found = proxies({"HTTPS_PROXY": "proxy:1", "https_proxy": "proxy:2", "no_proxy": "b"}, TARGET.url)
    assert [(one.check, one.fix is None) for one in found] == [("client proxy", False), ("client proxy", True)]
    assert found[1].ours == "upper: -, http://proxy:1, b"
    assert found[1].theirs == "lower: -, http://proxy:2, b"
    exempt = {"HTTPS_PROXY": "proxy:1", "NO_PROXY": "*", "no_proxy": "b"}
    assert [one.check for one in proxies(exempt, TARGET.url)] == ["client proxy"] * 2
    assert proxies({"HTTPS_PROXY": "proxy:1", "NO_PROXY": "*", "no_proxy": HOST}, TARGET.url) == []


def test_a_cgi_program() -> None:
    """Go refuses the variable there."""
    (found,) = proxies({"HTTP_PROXY": "proxy:1", "REQUEST_METHOD": "GET"}, f"http://{HOST}/v2/")
    assert (found.check, found.ok) == ("client proxy", False)


@given(
    st.dictionaries(st.sampled_from(["HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "NO_PROXY", "no_proxy"]), st.text())
)
def test_any_variables(environment: dict[str, str]) -> None:
    """Nothing stops it, and whatever is printed is on one line."""
    for finding in proxies(environment):
        assert "\n" not in finding.message + (finding.fix or "")
