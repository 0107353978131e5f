"""`ldap test`: each step with its result, and what to change where one fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from directory_entries import BASE
from rogue_directory import Answers, entry, message, result, rogue, source

from tokenserver.authn.ldap.diagnose import OMITTED, DiagnosisStep, Judged, diagnose
from tokenserver.authn.ldap.directory import GroupsBy, GroupSettings
from tokenserver.credentials import Secret

SERVICE, USER = b"cn=reader", f"uid=ann,{BASE}".encode()
PASSWORD = Secret("correct horse")
ANN = entry(USER, {b"uid": [b"ann"], b"cn": [b"Ann"], b"mail": [b"ann@example.com"]})
WEB = entry(f"cn=web,{BASE}".encode(), {b"cn": [b"web"]})


def directory_of(*searches: list[bytes], bind: int = 0, login: int = 0, codes: dict[int, int] | None = None) -> Answers:
    """A directory that answers the binds of the service account and of users with these codes, and its searches, the
    first of which reads the base, with these entries; `codes` are of searches that do not succeed.
    """
    found = [[entry(BASE.encode(), {})], *searches]
    counts = {0x60: 0, 0x63: 0}

    def answers(number: int, tag: int) -> Iterator[bytes]:
        if tag not in counts:
            return
        at = counts[tag]
        counts[tag] += 1
        if tag == 0x60:
            yield message(number, result(0x61, bind if at == 0 else login))
            return
        for one in found[at] if at < len(found) else []:
            yield message(number, one)
        yield message(number, result(0x65, (codes or {}).get(at, 0)))

    return answers


def steps(
    answers: Answers, user: str | None = "ann", password: Secret | None = PASSWORD, **more: Any
) -> list[DiagnosisStep]:
    """The diagnosis of a directory with these answers, without its first step, which names the server."""
    judge = {"judge": more.pop("judge")} if "judge" in more else {}
    with rogue(answers) as server:
        found = [*diagnose(source(server, **more), user, password, **judge)]
        assert found[0] == DiagnosisStep("server", f"ldap://127.0.0.1:{server.port}")
    assert all(PASSWORD.reveal() not in str(step) for step in found)
    return found[1:]


def test_a_login_that_works() -> None:
    """Every step in the order of a login, none with advice."""
    found = steps(directory_of([ANN], [WEB]))
    assert found == [
        DiagnosisStep("tls", "none: passwords travel in clear text (insecure_plaintext)"),
        DiagnosisStep("bind", "as cn=reader"),
        DiagnosisStep("base", BASE),
        DiagnosisStep("search", f"(uid=ann) below {BASE}"),
        DiagnosisStep("entry", f"uid=ann,{BASE}, uid is 'ann'"),
        DiagnosisStep("groups", f"web; found by a search below {BASE} (member)"),
        DiagnosisStep("login", f"as uid=ann,{BASE}: the password is right"),
        DiagnosisStep("identity", "ann (Ann, ann@example.com)"),
        DiagnosisStep("policies", "authenticated, user:ann, group:web"),
    ]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param(
            directory_of(bind=49),
            DiagnosisStep("bind", "cn=reader: wrong password", "correct bind_dn and its password (bind_password_file)"),
            id="the service account is rejected",
        ),
        pytest.param(
            directory_of(codes={0: 50}),
            DiagnosisStep("base", f"{BASE}: the account may not do that", "check what bind_dn may read"),
            id="the base may not be read",
        ),
        pytest.param(
            directory_of([], codes={1: 18}),
            DiagnosisStep(
                "search",
                "the filter uses a matching rule that the directory does not have",
                "correct base and user_filter",
            ),
            id="the search fails",
        ),
        pytest.param(
            directory_of([]),
            DiagnosisStep("entry", "no entry matches", "correct base, user_filter or the name"),
            id="nobody is found",
        ),
        pytest.param(
            directory_of([ANN, ANN], codes={1: 4}),
            DiagnosisStep("entry", "several entries match, so this user cannot log in", "make user_filter narrower"),
            id="several are found",
        ),
        pytest.param(
            directory_of([entry(USER, {})]),
            DiagnosisStep(
                "identity",
                "the entry has no usable values of uid; it must have one",
                "set subject to another attribute, of which each entry has one value, or correct the entry",
            ),
            id="no subject",
        ),
        pytest.param(
            directory_of([ANN], [], codes={2: 4}),
            DiagnosisStep("groups", "the directory returns no more than 0 groups of the user", "raise the limit"),
            id="the groups are cut off",
        ),
        pytest.param(
            directory_of([entry(USER, {b"uid": [b"ann"], b"userAccountControl": [b"514"]})]),
            DiagnosisStep("account", "the account is disabled", "nothing here; enable the account in the directory"),
            id="a disabled account",
        ),
        pytest.param(
            directory_of([ANN], login=49),
            DiagnosisStep(
                "login",
                f"as uid=ann,{BASE}: wrong password",
                "type the password again; each failure may count towards the directory's lockout",
            ),
            id="a wrong password",
        ),
    ],
)
def test_a_step_that_fails(answers: Answers, expected: DiagnosisStep) -> None:
    """It is the last one, and the only one with advice."""
    *before, last = steps(answers)
    assert last.name == expected.name
    assert last.result.startswith(expected.result)
    assert last.advice is not None
    assert expected.advice is not None
    assert last.advice.startswith(expected.advice)
    assert [step for step in before if step.advice is not None] == []


def test_an_empty_base() -> None:
    """A base that is not there, and one that the account may not see, look alike."""

    def answers(number: int, tag: int) -> Iterator[bytes]:
        yield message(number, result(0x61) if tag == 0x60 else result(0x65, 32))

    assert steps(answers)[-1] == DiagnosisStep(
        "base", f"{BASE} does not exist, or bind_dn may not see it", "correct base, or grant bind_dn read access"
    )


@pytest.mark.parametrize(
    ("user", "password", "last"),
    [
        pytest.param(None, None, DiagnosisStep("base", BASE), id="nobody: the service account alone"),
        pytest.param(
            "a\nb",
            PASSWORD,
            DiagnosisStep(
                "search",
                "the user name contains a control character or a lone surrogate",
                "type the name as in the directory",
            ),
            id="no name",
        ),
        pytest.param(
            "ann",
            Secret(""),
            DiagnosisStep("login", "an empty DN or password would be an anonymous bind", "type a password"),
            id="an empty password",
        ),
    ],
)
def test_what_is_tried(user: str | None, password: Secret | None, last: DiagnosisStep) -> None:
    """Only what the caller gave."""
    assert steps(directory_of([ANN], [WEB]), user, password)[-1] == last


def test_without_a_password() -> None:
    """The user is looked up, with groups and policies, and nothing is bound as the user."""
    found = steps(directory_of([ANN], [WEB], login=49), "ann", None)
    assert DiagnosisStep("login", "not tried, no password was given") in found
    assert found[-1].name == "policies"


def test_a_template_needs_the_password() -> None:
    """Without a service account the bind is the first step, and without a password there is none."""
    template = {"bind": None, "user_dn_template": f"uid={{user}},{BASE}"}
    assert steps(directory_of(), "ann", None, **template)[-1] == DiagnosisStep(
        "login", f"as uid=ann,{BASE}: not tried, no password", "enter the user's password"
    )


def test_groups_that_no_policy_can_name() -> None:
    """Each is a step of its own; the judge decides whether the login is rejected for it."""

    def rejecting(_: object) -> Judged:
        return Judged([], "the groups are incomplete")

    nameless = entry(f"ou=x,{BASE}".encode(), {})
    found = steps(directory_of([ANN], [WEB, nameless]), judge=rejecting)
    assert DiagnosisStep(OMITTED, f"a group (ou=x,{BASE}): it has no readable cn") in found
    assert found[-1] == DiagnosisStep(
        "policies", "the groups are incomplete", "see the groups left out; correct groups.name, or the entries"
    )


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param(None, "not searched (groups are not configured)", id="none"),
        pytest.param(
            GroupSettings(GroupsBy.MEMBER, (BASE,), allow=("reg-*", "x")),
            f"none; found by a search below {BASE} (member), kept if they match reg-*, x",
            id="allow-list",
        ),
        pytest.param(
            GroupSettings(GroupsBy.NESTED, (BASE,), by_rule=True),
            f"web; found by a search below {BASE} (the directory's matching rule)",
            id="matching rule",
        ),
        pytest.param(
            GroupSettings(GroupsBy.MEMBEROF, (BASE,)), "none; found by 0 values of memberOf in the entry", id="memberOf"
        ),
    ],
)
def test_how_groups_were_found(groups: GroupSettings | None, expected: str) -> None:
    """With the names that are left."""
    found = {step.name: step.result for step in steps(directory_of([ANN], [WEB]), groups=groups)}
    assert found["groups"] == expected


def test_a_server_that_is_no_directory() -> None:
    """The answer is not LDAP: the advice is about the URL."""

    def answers(_number: int, _tag: int) -> Iterator[bytes]:
        yield b"HTTP/1.1 400 Bad Request\r\n"

    last = steps(answers)[-1]
    assert (last.name, last.result) == ("answer", "the answer is not LDAP: it does not begin like an LDAP message")
    assert last.advice is not None
    assert "check that url is that of an LDAP server" in last.advice


def test_a_server_that_is_down() -> None:
    """The step is the connection, with what to check."""
    with rogue(directory_of()) as server:
        asked = source(server)
    found = [*diagnose(asked, "ann", PASSWORD)]
    assert [step.name for step in found] == ["server", "connect"]
    assert (found[1].result, found[1].advice is not None) == ("connection refused", True)
