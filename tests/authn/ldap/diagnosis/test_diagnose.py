"""`ldap test`: each step with its result, and what to change where one fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from directory_entries import BASE
from rogue_directory import Answers, entry, message, result, rogue, source, tagged, text

from tokenserver.authn.ldap.diagnosis.diagnose import Judged, diagnose
from tokenserver.authn.ldap.diagnosis.steps import OMITTED, DiagnosisStep, ListedName
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.credentials import Secret
from tokenserver.documents.tls_files import ClientCertificate
from tokenserver.identity import NamespaceRule

SERVICE, USER = b"cn=reader", f"uid=ann,{BASE}".encode()
PASSWORD = Secret("correct horse")
ANN = entry(USER, {b"uid": [b"ann"], b"cn": [b"Ann"], b"mail": [b"ann@example.com"]})
BEN = entry(f"uid=ben,{BASE}".encode(), {b"uid": [b"ann"]})
WEB = entry(f"cn=web,{BASE}".encode(), {b"cn": [b"web"]})


def directory_of(
    *searches: list[bytes], bind: int = 0, login: int = 0, codes: dict[int, int] | None = None, data: bytes = b""
) -> Answers:
    """A directory that answers the binds of the service account and of users with these codes, and its searches with
    these entries; before them it has the base, and a group below it. `codes` are of searches that do not succeed, and
    `data` is the diagnostic message of binds.
    """
    found = [[entry(BASE.encode(), {})], [WEB], *searches]
    counts = {0x60: 0, 0x63: 0}

    def answers(number: int, tag: int) -> Iterator[bytes]:
        if tag not in counts:
            return
        at = counts[tag]
        counts[tag] += 1
        if tag == 0x60:
            yield message(number, result(0x61, bind if at == 0 else login, data))
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
    """Every step in the order of a login, none with advice; each name on a line of its own."""
    found = steps(directory_of([ANN], [WEB]))
    assert found == [
        DiagnosisStep("tls", "none: passwords travel in clear text (insecure_plaintext)"),
        DiagnosisStep("bind", "as cn=reader"),
        DiagnosisStep("base", BASE),
        DiagnosisStep("search", f"(uid=ann) below {BASE}"),
        DiagnosisStep("entry", f"uid=ann,{BASE}, uid is 'ann'"),
        DiagnosisStep(
            "groups", f"1 found by a search below {BASE} (member)", names=(ListedName("web", f"cn=web,{BASE}"),)
        ),
        DiagnosisStep("login", f"as uid=ann,{BASE}: the password is right"),
        DiagnosisStep("identity", "ann (Ann, ann@example.com)"),
        DiagnosisStep(
            "policies",
            "match the user as",
            names=(ListedName("authenticated"), ListedName("user:ann"), ListedName("group:web")),
        ),
    ]


RESTRICTED = {b"uid": [b"ann"], b"userAccountControl": [b"514"]}


@pytest.mark.parametrize(
    ("answers", "name", "told", "cause", "advice"),
    [
        pytest.param(
            directory_of(bind=49),
            "bind",
            "cn=reader: wrong password",
            FailureCause.WRONG_PASSWORD,
            "correct bind_dn and its password (bind_password_file)",
            id="the service account is rejected",
        ),
        pytest.param(
            directory_of(bind=49, data=b"AcceptSecurityContext error, data 533, v3839"),
            "bind",
            "cn=reader: the account is disabled",
            FailureCause.DISABLED,
            "enable the account of bind_dn in the directory",
            id="the service account is disabled",
        ),
        pytest.param(
            directory_of(bind=13),
            "bind",
            "cn=reader: the directory requires a confidential connection (LDAPS or StartTLS)",
            FailureCause.CONFIDENTIALITY,
            "use ldaps://, or add start_tls: true",
            id="TLS is demanded",
        ),
        pytest.param(
            directory_of(codes={0: 50}),
            "base",
            "the account may not do that",
            FailureCause.NOT_PERMITTED,
            f"grant bind_dn read access to {BASE} and everything below it",
            id="the base may not be read",
        ),
        pytest.param(
            directory_of([], codes={2: 18}),
            "search",
            "the filter uses a matching rule that the directory does not have",
            FailureCause.MATCHING_RULE,
            "correct user_filter",
            id="the search fails",
        ),
        pytest.param(
            directory_of([]),
            "entry",
            "no entry matches",
            FailureCause.NO_USER,
            "correct base, user_filter or the name",
            id="nobody is found",
        ),
        pytest.param(
            directory_of([ANN, BEN], codes={2: 4}),
            "entry",
            f"ambiguous: several entries match the user name: uid=ann,{BASE} and uid=ben,{BASE}",
            FailureCause.AMBIGUOUS,
            "make user_filter or base narrower",
            id="several are found",
        ),
        pytest.param(
            directory_of([ANN], codes={2: 4}),
            "entry",
            "the directory's size limit",
            FailureCause.SIZE_LIMIT,
            "raise the limit",
            id="one is found, and the directory would not return another",
        ),
        pytest.param(
            directory_of([entry(USER, {})]),
            "identity",
            "the entry has no usable values of uid; it must have one",
            FailureCause.NO_SUBJECT,
            "set subject to an attribute that every user has once",
            id="no subject",
        ),
        pytest.param(
            directory_of([ANN], [], codes={3: 4}),
            "groups",
            "the directory returns no more than 0 groups of the user",
            FailureCause.GROUPS_CUT_OFF,
            "raise the limit",
            id="the groups are cut off",
        ),
        pytest.param(
            directory_of([ANN], [], codes={3: 51}),
            "groups",
            "the directory is busy",
            FailureCause.BUSY,
            "retry later",
            id="the search for groups fails",
        ),
        pytest.param(
            directory_of([entry(USER, RESTRICTED)], [WEB]),
            "account",
            "the account is disabled",
            FailureCause.DISABLED,
            "nothing here; enable the account in the directory",
            id="a disabled account",
        ),
        pytest.param(
            directory_of([ANN], [WEB], login=49),
            "login",
            f"as uid=ann,{BASE}: wrong password",
            FailureCause.WRONG_PASSWORD,
            "type the password again; each failure may count towards the directory's lockout",
            id="a wrong password",
        ),
        pytest.param(
            directory_of([ANN], [WEB], login=49, data=b"data 775"),
            "login",
            f"as uid=ann,{BASE}: the account is locked",
            FailureCause.LOCKED,
            "nothing here; unlock the account",
            id="a locked account",
        ),
    ],
)
def test_a_step_that_fails(answers: Answers, name: str, told: str, cause: FailureCause, advice: str) -> None:
    """It is the last one, and the only one with advice, which follows from the cause."""
    *before, last = steps(answers)
    assert (last.name, last.failure is not None and last.failure.cause) == (name, cause)
    assert last.result.startswith(told)
    assert last.advice is not None
    assert last.advice.startswith(advice)
    assert [step for step in before if step.advice is not None] == []


def test_an_empty_base() -> None:
    """A base that is not there, and one that the account may not see, look alike."""

    def answers(number: int, tag: int) -> Iterator[bytes]:
        yield message(number, result(0x61) if tag == 0x60 else result(0x65, 32))

    last = steps(answers)[-1]
    assert (last.name, last.result, last.advice) == (
        "base",
        f"the base does not exist, or the account may not see it: {BASE}",
        "correct base, or grant bind_dn read access to it",
    )


@pytest.mark.parametrize(
    ("user", "password", "name", "told", "advice"),
    [
        pytest.param(
            "a\nb",
            PASSWORD,
            "search",
            "the user name contains a control character or a lone surrogate",
            "type the name as in the directory",
            id="no name",
        ),
        pytest.param(
            "ann",
            Secret(""),
            "login",
            f"as uid=ann,{BASE}: an empty DN or password would be an anonymous bind",
            "type a password",
            id="an empty password",
        ),
    ],
)
def test_what_cannot_be_tried(user: str, password: Secret, name: str, told: str, advice: str) -> None:
    """Only what a login would send is sent."""
    last = steps(directory_of([ANN], [WEB]), user, password)[-1]
    assert (last.name, last.result, last.advice) == (name, told, advice)


def test_without_a_password() -> None:
    """The user is looked up, with groups and policies, and nothing is bound as the user."""
    found = steps(directory_of([ANN], [WEB], login=49), "ann", None)
    assert DiagnosisStep("login", "not tried, no password was given") in found
    assert found[-1].name == "policies"


def test_a_template_needs_the_password() -> None:
    """Without a service account the bind is the first step, and without a password there is none."""
    template = {"bind": None, "user_dn_template": f"uid={{user}},{BASE}"}
    last = steps(directory_of(), "ann", None, **template)[-1]
    assert (last.name, last.result, last.advice) == (
        "login",
        f"as uid=ann,{BASE}: not tried, no password",
        "enter the user's password",
    )


def test_groups_that_no_policy_can_name() -> None:
    """Each is a step of its own; the judge decides whether the login is rejected for it."""

    def rejecting(_: object) -> Judged:
        return Judged([], "the rule no-push is about groups")

    nameless = entry(f"ou=x,{BASE}".encode(), {})
    found = steps(directory_of([ANN], [WEB, nameless]), judge=rejecting)
    assert DiagnosisStep(OMITTED, f"a group (ou=x,{BASE}): it has no readable cn") in found
    assert (found[-1].name, found[-1].result, found[-1].advice) == (
        "policies",
        "the login is refused, because not all groups are known: the rule no-push is about groups",
        "see the groups left out; correct groups.name, or the entries",
    )


def test_a_server_that_is_no_directory() -> None:
    """The answer is not LDAP: the advice is about the URL."""

    def answers(_number: int, _tag: int) -> Iterator[bytes]:
        yield b"HTTP/1.1 400 Bad Request\r\n"

    last = steps(answers)[-1]
    told = "cn=reader: the answer is not LDAP: it does not begin like an LDAP message"
    assert (last.name, last.result) == ("bind", told)
    assert last.advice is not None
    assert "check that url is that of an LDAP server" in last.advice


def test_a_server_that_is_down() -> None:
    """The step is the connection, with what to check."""
    with rogue(directory_of()) as server:
        asked = source(server)
    found = [*diagnose(asked, "ann", PASSWORD)]
    assert [step.name for step in found] == ["server", "connect"]
    assert (found[1].result, found[1].advice is not None) == ("connection refused", True)


@pytest.mark.parametrize(
    ("user", "told", "advice"),
    [
        pytest.param(
            "CORP\\jdoe",
            "no entry matches: the name has a domain before it; people type jdoe",
            "strip_domain: [CORP]",
            id="before",
        ),
        pytest.param(
            "jdoe@corp.example.com",
            "no entry matches: the name has a domain after it; people type jdoe",
            "strip_domain: [corp.example.com], or compare it in user_filter",
            id="after",
        ),
    ],
)
def test_a_domain_in_a_name_that_is_not_found(user: str, told: str, advice: str) -> None:
    """The name is the mistake, or the setting that takes domains off is missing."""
    last = steps(directory_of([]), user)[-1]
    assert (last.name, last.result) == ("entry", told)
    assert last.advice is not None
    assert last.advice.startswith(advice)


def test_a_domain_that_is_removed() -> None:
    """The step says which name is searched for."""
    found = steps(directory_of([ANN], [WEB]), "CORP\\ann", domains=("CORP",))
    assert found[3:5] == [
        DiagnosisStep("name", "ann, without its domain (strip_domain)"),
        DiagnosisStep("search", f"(uid=ann) below {BASE}"),
    ]
    assert found[-1].name == "policies"


def test_a_domain_in_the_name_of_a_direct_bind() -> None:
    """The directory only says that the login is wrong, so the domain is pointed out beforehand."""
    more: dict[str, Any] = {"bind": None, "user_dn_template": f"uid={{user}},{BASE}"}
    found = steps(directory_of(bind=49), "CORP\\ann", **more)
    assert found[1] == DiagnosisStep("name", "CORP is taken for a part of it; strip_domain lists what is not")
    assert (found[2].name, found[2].result) == ("login", f"as uid=CORP\\\\ann,{BASE}: wrong password")


def test_an_anonymous_search() -> None:
    """Nobody is bound before the user, and the fix for what is not visible is about anonymous clients."""
    more: dict[str, Any] = {"bind": None, "anonymous_search": True}
    found = steps(directory_of([ANN], [WEB]), **more)
    assert found[1] == DiagnosisStep("bind", "none: the directory is searched anonymously (anonymous_search)")
    assert found[-1].name == "policies"
    last = steps(directory_of(codes={0: 32}), **more)[-1]
    assert (last.name, last.advice) == ("base", "correct base, or grant anonymous clients read access to it")


def test_several_bases() -> None:
    """Each is looked at, and the user is searched for below all of them."""
    other = f"ou=ext,{BASE}"
    people = f"ou=people,{BASE}"

    def answers(number: int, tag: int) -> Iterator[bytes]:
        if tag == 0x60:
            yield message(number, result(0x61))
        else:
            yield message(number, entry(people.encode(), {}))
            yield message(number, result(0x65))

    found = steps(answers, "ann", None, bases=(people, other), groups=None)
    assert [step for step in found if step.name in ("base", "search")] == [
        DiagnosisStep("base", people),
        DiagnosisStep("base", other),
        DiagnosisStep("search", f"(uid=ann) below {people} and below {other}"),
    ]


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        pytest.param(0, b"dn:cn=reader", "as dn:cn=reader", id="an account"),
        pytest.param(0, b"", "as nobody", id="not mapped"),
        pytest.param(2, b"", "the directory does not say as whom", id="a server that cannot tell"),
    ],
)
def test_a_bind_with_the_certificate(code: int, value: bytes, expected: str) -> None:
    """As whom the directory knows the certificate, and which one it is."""
    others = directory_of([ANN], [WEB])

    def answers(number: int, tag: int) -> Iterator[bytes]:
        if tag == 0x77:
            identity = tagged(0x78, b"\x0a\x01" + bytes([code]) + text(b"") + text(b"") + tagged(0x8B, value))
            yield message(number, identity)
        else:
            yield from others(number, tag)

    ours = ClientCertificate("CN=us", datetime(2030, 1, 1, tzinfo=UTC))
    sealed: dict[str, Any] = {"bind": None, "sasl_external": True, "certificate": ours}
    bind = next(step for step in steps(answers, None, None, **sealed) if step.name == "bind")
    assert bind == DiagnosisStep("bind", f"{expected}, by SASL EXTERNAL with certificate CN=us")


def test_a_certificate_that_is_no_account() -> None:
    """The fix is in the directory's mapping."""
    ours = ClientCertificate("CN=us", datetime(2030, 1, 1, tzinfo=UTC))
    sealed: dict[str, Any] = {"bind": None, "sasl_external": True, "certificate": ours}
    last = steps(directory_of(bind=49), None, None, **sealed)[-1]
    assert (last.name, last.failure and last.failure.cause) == ("bind", FailureCause.EXTERNAL_REJECTED)


ANN_TOO = entry(f"uid=ann2,{BASE}".encode(), {b"uid": [b"ANN"]})


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param([ANN], "ann, which no other entry has", id="alone"),
        pytest.param([ANN, ANN_TOO], "ann: another entry has the same namespace", id="shared"),
        pytest.param([], "ann: a search for the namespace does not find the user", id="not searchable"),
    ],
)
def test_the_namespace(others: list[bytes], expected: str) -> None:
    """The step after the identity: what the namespace is, and that nobody else has it."""
    found = steps(directory_of([ANN], [WEB], [], [], others), namespace_rule=NamespaceRule.LOWER)
    (step,) = [one for one in found if one.name == "namespace"]
    assert step.result.startswith(expected), step.result


def test_no_namespace() -> None:
    """A name that is no segment in lower case; nobody is searched for."""
    found = steps(directory_of([entry(USER, {b"uid": [b"a@b"]})], [WEB]), namespace_rule=NamespaceRule.LOWER)
    assert DiagnosisStep("namespace", "none") in found
