"""Step-by-step diagnosis of an LDAP login for `tokenserver ldap test`: each step, its result, and what to change.

It uses the same functions as the backend, but tries every server, on separate connections.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from tokenserver.authn.ldap.backend import ANY_ENTRY, LdapDirectory
from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import SIZE_LIMIT_EXCEEDED, SUCCESS, Connection, Found
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline
from tokenserver.authn.ldap.diagnosis.groups import group_steps
from tokenserver.authn.ldap.diagnosis.ports import examined
from tokenserver.authn.ldap.diagnosis.steps import (
    DiagnosisStep,
    ListedName,
    StepFailed,
    connecting_step,
    failed_step,
    step_named,
)
from tokenserver.authn.ldap.diagnosis.tree import tree_steps
from tokenserver.authn.ldap.directory import Address
from tokenserver.authn.ldap.dn import fill
from tokenserver.authn.ldap.entry import Refused, account_problem, identity_of, raw_subject, refusal, wanted_attributes
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryFailure
from tokenserver.authn.ldap.failures.result_codes import bind_failure, search_failure
from tokenserver.credentials import Secret
from tokenserver.identity import Identity, spell_group


class Judged(NamedTuple):
    """An identity as seen by policies: its principals, as policies spell them, and why it is rejected."""

    principals: Iterable[str]
    problem: str | None = None


def unjudged(identity: Identity) -> Judged:
    """The groups of an identity, if there are no policies."""
    return Judged(f"group:{spell_group(name)}" for name in sorted(identity.groups))


def diagnose(
    source: LdapDirectory,
    user: str | None,
    password: Secret | None,
    judge: Callable[[Identity], Judged] = unjudged,
) -> Iterator[DiagnosisStep]:
    """Try every server; search for `user` if one is given, and bind if the password is given as well.

    `judge` returns the identity's principals in policies. A failing server does not keep the remaining ones from being
    tried. The user's password is tried once, on the first server that answers.
    """
    is_tried = False
    for address in source.directory.servers:
        yield DiagnosisStep("server", address.url)
        deadline = Deadline(source.directory.deadline)
        connection: Connection | None = None
        try:
            connection = _opened(source, address, deadline)
            yield _encryption(connection)
            if source.directory.bind is not None:
                yield _service_bind(source, connection, deadline)
                yield from tree_steps(source, connection, with_users=user is None)
            if user is not None and not is_tried:
                is_tried = True
                yield from _login_steps(source, connection, user, password, judge)
        except StepFailed as failed:
            yield failed.step
        finally:
            if connection is not None:
                connection.close()


def _opened(source: LdapDirectory, address: Address, deadline: Deadline) -> Connection:
    try:
        return source.servers.open(address, deadline)
    except ConnectionFailed as error:
        raise StepFailed(connecting_step(examined(source, address, error.failure))) from error


def _encryption(connection: Connection) -> DiagnosisStep:
    if connection.tls is None:
        return DiagnosisStep("tls", "none: passwords travel in clear text (insecure_plaintext)")
    certificate = connection.certificate
    subject = _name(certificate.get("subject", ())) or ", ".join(
        str(value) for _, value in certificate.get("subjectAltName", ())
    )
    issuer = _name(certificate.get("issuer", ()))
    return DiagnosisStep(
        "tls", f"{connection.tls}, certificate {subject} by {issuer}, until {certificate.get('notAfter')}"
    )


def _name(parts: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    pairs = [pair for part in parts for pair in part]
    return next((value for kind, value in reversed(pairs) if kind == "commonName"), "") or ", ".join(
        value for _, value in pairs
    )


def _service_bind(source: LdapDirectory, connection: Connection, deadline: Deadline) -> DiagnosisStep:
    assert source.directory.bind is not None  # noqa: S101 - checked by the caller
    dn = source.directory.bind[0]
    try:
        result = source.servers.bind_service(connection, deadline)
    except ConnectionFailed as error:
        raise StepFailed(failed_step("bind", examined(source, connection.address, error.failure), dn)) from error
    if result.code != SUCCESS:
        raise StepFailed(failed_step("bind", bind_failure(result, is_service=True), dn))
    return DiagnosisStep("bind", f"as {dn}")


def _login_steps(
    source: LdapDirectory,
    connection: Connection,
    user: str,
    password: Secret | None,
    judge: Callable[[Identity], Judged],
) -> Iterator[DiagnosisStep]:
    identity = yield from _user(source, connection, user, password, Deadline(source.directory.deadline))
    judged = judge(identity)
    principals = ["authenticated", f"user:{identity.subject}", *judged.principals]
    yield DiagnosisStep("policies", "match the user as", names=tuple(map(ListedName, principals)))
    if judged.problem is not None:
        yield failed_step("policies", DirectoryFailure(FailureCause.GROUPS_LOST, {"detail": judged.problem}))


def _user(
    source: LdapDirectory, connection: Connection, user: str, password: Secret | None, deadline: Deadline
) -> Generator[DiagnosisStep, None, Identity]:
    directory = source.directory
    template = directory.user_dn_template
    try:
        filled = fill(directory.user_filter if template is None else template, user, dn=template is not None)
    except ValueError as error:
        raise StepFailed(
            failed_step("search", DirectoryFailure(FailureCause.USER_NAME, {"detail": str(error)}))
        ) from error
    wanted = wanted_attributes(directory)
    if template is None:
        with step_named("search"):
            found = connection.search(directory.base, filled, wanted, deadline, limit=2)
        yield DiagnosisStep("search", f"{filled} below {directory.base}")
    else:
        yield _login(connection, filled, password, deadline)
        with step_named("search"):
            found = connection.search(filled, ANY_ENTRY, wanted, deadline, limit=2, is_read=True)
    return (yield from _entry_steps(source, connection, _single_entry(source, found), password, deadline))


def _single_entry(source: LdapDirectory, found: Found) -> SearchEntry:
    directory = source.directory
    dns = [entry.dn for entry in found.entries]
    if len(dns) > 1:
        failure = DirectoryFailure(FailureCause.AMBIGUOUS, {"names": " and ".join(dns)})
        raise StepFailed(failed_step("entry", failure))
    if found.result.code != SUCCESS:
        # With one entry, the directory's own limit: another entry may match.
        name = "entry" if found.result.code == SIZE_LIMIT_EXCEEDED else "search"
        raise StepFailed(failed_step(name, search_failure(found.result, base=directory.base)))
    if not dns:
        cause = FailureCause.NO_USER if directory.user_dn_template is None else FailureCause.OWN_ENTRY_HIDDEN
        raise StepFailed(failed_step("entry", DirectoryFailure(cause)))
    return found.entries[0]


def _entry_steps(
    source: LdapDirectory, connection: Connection, entry: SearchEntry, password: Secret | None, deadline: Deadline
) -> Generator[DiagnosisStep, None, Identity]:
    directory = source.directory
    with step_named("identity"):
        subject = raw_subject(entry, directory)
    yield DiagnosisStep("entry", f"{entry.dn}, {directory.subject} is {subject!r}")
    groups = yield from group_steps(source, connection, entry, deadline)
    # Before the bind: OpenLDAP reports a wrong password for a locked account, even if the password is right.
    problem = account_problem(entry, datetime.now(UTC))
    if problem is not None:
        raise StepFailed(failed_step("account", DirectoryFailure(problem)))
    if directory.user_dn_template is None:
        yield _user_bind(source, connection, entry, password)
    with step_named("identity"):
        identity = identity_of(entry, directory, groups.names, groups.lost)
    yield DiagnosisStep("identity", _summary(identity))
    return identity


def _user_bind(
    source: LdapDirectory, connection: Connection, entry: SearchEntry, password: Secret | None
) -> DiagnosisStep:
    if password is None:
        return DiagnosisStep("login", "not tried, no password was given")
    deadline = Deadline(source.directory.deadline)
    with_user = _opened(source, connection.address, deadline)
    try:
        return _login(with_user, entry.dn, password, deadline, entry)
    finally:
        with_user.close()


def _login(
    connection: Connection, dn: str, password: Secret | None, deadline: Deadline, entry: SearchEntry | None = None
) -> DiagnosisStep:
    about = f"as {dn}"
    with step_named("login", about):
        if password is None:
            raise Refused(FailureCause.PASSWORD_NEEDED)
        try:
            result = connection.bind(dn, password, deadline)
        except ValueError as error:
            raise Refused(FailureCause.EMPTY_PASSWORD) from error
        if result.code != SUCCESS:
            failure = bind_failure(result)
            raise Refused(failure if entry is None else refusal(entry, failure, datetime.now(UTC)))
    return DiagnosisStep("login", f"{about}: the password is right")


def _summary(identity: Identity) -> str:
    more = [identity.attributes[key] for key in ("display_name", "email") if key in identity.attributes]
    return identity.subject + (f" ({', '.join(more)})" if more else "")
