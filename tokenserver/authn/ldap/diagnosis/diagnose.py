"""Step-by-step diagnosis of an LDAP login for `tokenserver ldap test`: each step, its result, and what to change.

It uses the same functions as the backend, but tries every server, on separate connections.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from tokenserver.authn.domains import plausible_domain, without_domains
from tokenserver.authn.ldap.accounts.notices import remarked
from tokenserver.authn.ldap.backend import LdapDirectory
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
from tokenserver.authn.ldap.directory import Address, Directory
from tokenserver.authn.ldap.entry import Refused, account_problem, identity_of, raw_subject, refusal
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryFailure
from tokenserver.authn.ldap.failures.result_codes import bind_failure, search_failure, service_failure
from tokenserver.authn.ldap.users.direct import bind_name, own_entry
from tokenserver.authn.ldap.users.domain_hints import not_found
from tokenserver.authn.ldap.users.namespaces import require_sole_owner
from tokenserver.authn.ldap.users.search import find_user, spell_bases, user_filter
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
            yield _encryption(connection, source.directory)
            if source.directory.is_searchable:
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


def _encryption(connection: Connection, directory: Directory) -> DiagnosisStep:
    if connection.tls is None:
        return DiagnosisStep("tls", "none: passwords travel in clear text (insecure_plaintext)")
    certificate = connection.certificate
    subject = _name(certificate.get("subject", ())) or ", ".join(
        str(value) for _, value in certificate.get("subjectAltName", ())
    )
    issuer = _name(certificate.get("issuer", ()))
    ours = "" if directory.certificate is None else f"; client certificate {directory.certificate}"
    return DiagnosisStep(
        "tls", f"{connection.tls}, certificate {subject} by {issuer}, until {certificate.get('notAfter')}{ours}"
    )


def _name(parts: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    pairs = [pair for part in parts for pair in part]
    return next((value for kind, value in reversed(pairs) if kind == "commonName"), "") or ", ".join(
        value for _, value in pairs
    )


def _service_bind(source: LdapDirectory, connection: Connection, deadline: Deadline) -> DiagnosisStep:
    directory = source.directory
    if directory.anonymous_search:
        return DiagnosisStep("bind", "none: the directory is searched anonymously (anonymous_search)")
    about = directory.account
    try:
        result = source.servers.bind_service(connection, deadline)
    except ConnectionFailed as error:
        raise StepFailed(failed_step("bind", examined(source, connection.address, error.failure), about)) from error
    if not result.is_accepted:
        raise StepFailed(failed_step("bind", service_failure(result, directory), about))
    if directory.sasl_external:
        with step_named("bind", about):
            identity = connection.who_am_i(deadline)
        known = "the directory does not say as whom" if identity is None else f"as {identity or 'nobody'}"
        return DiagnosisStep("bind", remarked(f"{known}, by SASL EXTERNAL with {about}", result.policy))
    return DiagnosisStep("bind", remarked(f"as {about}", result.policy))


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
    name = without_domains(user, directory.domains)
    if name != user:
        yield DiagnosisStep("name", f"{name}, without its domain (strip_domain)")
    try:
        filled = user_filter(directory, user) if directory.is_searchable else bind_name(directory, user)
    except ValueError as error:
        raise StepFailed(
            failed_step("search", DirectoryFailure(FailureCause.USER_NAME, {"detail": str(error)}))
        ) from error
    if directory.is_searchable:
        with step_named("search"):
            found = find_user(connection, directory, filled, deadline)
        yield DiagnosisStep("search", f"{filled} below {spell_bases(directory.bases)}")
    else:
        typed = plausible_domain(name)
        if typed is not None:
            yield DiagnosisStep("name", f"{typed.domain} is taken for a part of it; strip_domain lists what is not")
        yield _login(connection, filled, password, deadline)
        with step_named("entry"):
            found = own_entry(connection, directory, filled, user, deadline)
    return (yield from _entry_steps(source, connection, _single_entry(source, user, found), password, deadline))


def _single_entry(source: LdapDirectory, user: str, found: Found) -> SearchEntry:
    directory = source.directory
    dns = [entry.dn for entry in found.entries]
    if len(dns) > 1:
        failure = DirectoryFailure(FailureCause.AMBIGUOUS, {"names": " and ".join(dns)})
        raise StepFailed(failed_step("entry", failure))
    if found.result.code != SUCCESS:
        # With one entry, the directory's own limit: another entry may match.
        name = "entry" if found.result.code == SIZE_LIMIT_EXCEEDED else "search"
        raise StepFailed(failed_step(name, search_failure(found.result, base=spell_bases(directory.bases))))
    if not dns:
        hidden = DirectoryFailure(FailureCause.OWN_ENTRY_HIDDEN)
        raise StepFailed(failed_step("entry", not_found(directory, user) if directory.is_searchable else hidden))
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
    if directory.is_searchable:
        yield _user_bind(source, connection, entry, password)
    with step_named("identity"):
        identity = identity_of(entry, directory, groups.names, groups.lost)
    yield DiagnosisStep("identity", _summary(identity))
    if identity.namespace is not None:
        with step_named("namespace", identity.namespace):
            require_sole_owner(directory, entry, identity, connection, Deadline(directory.deadline))
        alone = f"{identity.namespace}, which no other entry has" if identity.namespace else "none"
        yield DiagnosisStep("namespace", alone)
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
        if not result.is_accepted:
            failure = bind_failure(result)
            raise Refused(failure if entry is None else refusal(entry, failure, datetime.now(UTC)))
    return DiagnosisStep("login", remarked(f"{about}: the password is right", result.policy))


def _summary(identity: Identity) -> str:
    more = [identity.attributes[key] for key in ("display_name", "email") if key in identity.attributes]
    return identity.subject + (f" ({', '.join(more)})" if more else "")
