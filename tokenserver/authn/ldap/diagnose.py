"""Step-by-step diagnosis of an LDAP login for `tokenserver ldap test`: each step, its result, and what to change.

It uses the same functions as the backend, but tries every server, on separate connections.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from tokenserver.authn.domains import without_domains
from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.connection import NO_SUCH_OBJECT, SUCCESS, Connection
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline, Unanswerable
from tokenserver.authn.ldap.directory import Address, GroupsBy
from tokenserver.authn.ldap.entry import Refused, account_problem, identity_of, raw_subject, refusal
from tokenserver.authn.ldap.group_names import ResolvedGroups
from tokenserver.authn.ldap.groups import resolution
from tokenserver.authn.ldap.result_codes import describe, describe_search
from tokenserver.authn.ldap.users.direct import NO_OWN_ENTRY, bind_name, own_entry
from tokenserver.authn.ldap.users.domain_hints import domain_hint
from tokenserver.authn.ldap.users.search import find_user, look_at_base, spell_bases, user_filter
from tokenserver.credentials import Secret
from tokenserver.identity import Identity, spell_group

_ADVICE = {
    "resolve": "correct the host name in url",
    "connect": "check that the server runs, that url has its port, and that no firewall blocks it",
    "tls": "put the certificate's CA in ca_file, and use the host name of the certificate in url",
    "send": "see the directory's log",
    "answer": "check that url is that of an LDAP server (ldaps:// with its TLS port), and see the directory's log",
}


OMITTED = "left out"
"""The name of a step that reports a group without a usable name."""


@dataclass(frozen=True, slots=True)
class DiagnosisStep:
    """One step of the diagnosis. `advice` is what to change if it failed; None if it succeeded."""

    name: str
    result: str
    advice: str | None = None


class Judged(NamedTuple):
    """An identity as seen by policies: its principals, as policies spell them, and why it is rejected."""

    principals: Iterable[str]
    problem: str | None = None


class _Failed(Exception):
    """A step failed, so the steps after it are skipped."""

    def __init__(self, step: DiagnosisStep) -> None:
        self.step = step
        super().__init__(step.result)


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

    `judge` returns the identity's principals in policies. The last step of a failing server has advice; the remaining
    servers are still tried. The user's password is tried once, on the first server that answers.
    """
    is_tried = False
    for address in source.directory.servers:
        yield DiagnosisStep("server", address.url)
        deadline = Deadline(source.directory.deadline)
        connection: Connection | None = None
        try:
            connection = _opened(source, address, deadline)
            yield _encryption(connection)
            if source.directory.is_searchable:
                yield _service_bind(source, connection, deadline)
                for base in source.directory.bases:
                    yield _base(source, connection, base, deadline)
            if user is not None and not is_tried:
                is_tried = True
                identity = yield from _user(source, connection, user, password, deadline)
                judged = judge(identity)
                yield DiagnosisStep(
                    "policies", ", ".join(["authenticated", f"user:{identity.subject}", *judged.principals])
                )
                if judged.problem is not None:
                    yield DiagnosisStep(
                        "policies", judged.problem, "see the groups left out; correct groups.name, or the entries"
                    )
        except _Failed as failed:
            yield failed.step
        except Unanswerable as error:
            yield DiagnosisStep("answer", error.reason, error.advice)
        except ConnectionFailed as error:
            yield DiagnosisStep("answer", error.reason, _ADVICE[error.step])
        finally:
            if connection is not None:
                connection.close()


def _opened(source: LdapDirectory, address: Address, deadline: Deadline) -> Connection:
    try:
        return source.servers.open(address, deadline)
    except ConnectionFailed as error:
        name = "connect" if error.step in ("resolve", "connect") else "tls"
        raise _Failed(DiagnosisStep(name, error.reason, _ADVICE[error.step])) from error


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
    if source.directory.bind is None:
        return DiagnosisStep("bind", "none: the directory is searched anonymously (anonymous_search)")
    dn = source.directory.bind[0]
    result = source.servers.bind_service(connection, deadline)
    if result.code != SUCCESS:
        advice = "correct bind_dn and its password (bind_password_file)"
        raise _Failed(DiagnosisStep("bind", f"{dn}: {describe(result).text}", advice))
    return DiagnosisStep("bind", f"as {dn}")


def _base(source: LdapDirectory, connection: Connection, base: str, deadline: Deadline) -> DiagnosisStep:
    found = look_at_base(connection, source.directory, base, deadline)
    searcher = "an anonymous client" if source.directory.anonymous_search else "bind_dn"
    if found.result.code not in (SUCCESS, NO_SUCH_OBJECT):
        advice = f"check what {searcher} may read"
        if source.directory.anonymous_search:
            advice += "; or use bind_dn instead of anonymous_search"
        raise _Failed(DiagnosisStep("base", f"{spell_bases([base])}: {describe_search(found.result)}", advice))
    if not base and found.result.code == NO_SUCH_OBJECT:
        advice = (
            "use the port of a global catalog (ldaps://…:3269 in Active Directory), or set base to a DN, or several"
        )
        raise _Failed(DiagnosisStep("base", f"{spell_bases([base])} cannot be searched on this server", advice))
    if base and not found.entries:
        advice = f"correct base, or grant {searcher} read access"
        if len(source.directory.bases) > 1:
            advice += "; in a list, quote each DN, because YAML separates it at its commas"
        raise _Failed(DiagnosisStep("base", f"{base} does not exist, or {searcher} may not see it", advice))
    return DiagnosisStep("base", spell_bases([base]))


def _user(
    source: LdapDirectory, connection: Connection, user: str, password: Secret | None, deadline: Deadline
) -> Generator[DiagnosisStep, None, Identity]:
    directory = source.directory
    try:
        known = without_domains(user, directory.domains)
        if known != user:
            yield DiagnosisStep("name", f"{known}, without the domain (strip_domain)")
        if directory.is_searchable:
            search_filter = user_filter(directory, user)
            found = find_user(connection, directory, search_filter, deadline)
            yield DiagnosisStep("search", f"{search_filter} below {spell_bases(directory.bases)}")
        else:
            name = bind_name(directory, user)
            if password is None:
                raise _Failed(DiagnosisStep("login", f"as {name}: not tried, no password", "enter the user's password"))
            try:
                yield _login(connection, name, password, deadline)
            except _Failed as failed:
                hint = domain_hint(directory, user) or failed.step.advice
                raise _Failed(DiagnosisStep("login", failed.step.result, hint)) from failed
            found = own_entry(connection, directory, name, user, deadline)
    except Refused as refused:
        raise _Failed(DiagnosisStep("entry", str(refused), "correct user_filter, or the account's names")) from refused
    except ValueError as error:
        raise _Failed(DiagnosisStep("search", f"the user name {error}", "type the name as in the directory")) from error
    if found.result.code != SUCCESS and not found.entries:
        raise _Failed(DiagnosisStep("search", describe_search(found.result), "correct base and user_filter"))
    if len(found.entries) != 1:
        problem = "several entries match, so this user cannot log in" if found.entries else "no entry matches"
        advice = "make user_filter narrower"
        if not found.entries:
            problem = problem if directory.is_searchable else NO_OWN_ENTRY
            advice = domain_hint(directory, user) or "correct base, user_filter or the name"
        raise _Failed(DiagnosisStep("entry", problem, advice))
    return (yield from _entry_identity(source, connection, found.entries[0], password, deadline))


def _entry_identity(
    source: LdapDirectory, connection: Connection, entry: SearchEntry, password: Secret | None, deadline: Deadline
) -> Generator[DiagnosisStep, None, Identity]:
    directory = source.directory
    try:
        subject = raw_subject(entry, directory)
        yield DiagnosisStep("entry", f"{entry.dn}, {directory.subject} is {subject!r}")
        groups = yield from _groups(source, connection, entry, deadline)
        # Before the bind: OpenLDAP reports a wrong password for a locked account, even if the password is right.
        problem = account_problem(entry, datetime.now(UTC))
        if problem is not None:
            raise _Failed(DiagnosisStep("account", problem, "nothing here; enable the account in the directory"))
        if directory.is_searchable:
            yield _user_bind(source, connection, entry, password, deadline)
        identity = identity_of(entry, directory, groups.names, groups.lost)
    except Refused as refused:
        advice = refused.advice or "correct subject or groups, or the entry in the directory"
        raise _Failed(DiagnosisStep("identity", str(refused), advice)) from refused
    yield DiagnosisStep("identity", _summary(identity))
    return identity


def _user_bind(
    source: LdapDirectory, connection: Connection, entry: SearchEntry, password: Secret | None, deadline: Deadline
) -> DiagnosisStep:
    if password is None:
        return DiagnosisStep("login", "not tried, no password was given")
    with_user = _opened(source, connection.address, deadline)
    try:
        return _login(with_user, entry.dn, password, deadline, entry)
    finally:
        with_user.close()


def _login(
    connection: Connection, dn: str, password: Secret, deadline: Deadline, entry: SearchEntry | None = None
) -> DiagnosisStep:
    try:
        result = connection.bind(dn, password, deadline)
    except ValueError as error:
        raise _Failed(DiagnosisStep("login", str(error), "type a password")) from error
    if result.code != SUCCESS:
        advice = "type the password again; each failure may count towards the directory's lockout"
        reason = describe(result).text
        if entry is not None:
            reason = refusal(entry, reason, datetime.now(UTC))
        raise _Failed(DiagnosisStep("login", f"as {dn}: {reason}", advice))
    return DiagnosisStep("login", f"as {dn}: the password is right")


def _groups(
    source: LdapDirectory, connection: Connection, entry: SearchEntry, deadline: Deadline
) -> Generator[DiagnosisStep, None, ResolvedGroups]:
    directory, groups = source.directory, source.directory.groups
    if groups is None:
        yield DiagnosisStep("groups", "not searched (groups are not configured)")
        return ResolvedGroups()
    try:
        found = resolution.resolve(
            connection, resolution.ask(connection, entry, directory, deadline), entry, directory, deadline
        )
    except Unanswerable as error:
        raise _Failed(DiagnosisStep("groups", error.reason, error.advice)) from error
    if groups.by is GroupsBy.MEMBEROF:
        how = f"{len(entry.attributes.get('memberof', ()))} values of memberOf in the entry"
    else:
        method = "the directory's matching rule" if groups.by_rule and groups.by is GroupsBy.NESTED else groups.by.value
        how = f"a search below {spell_bases(groups.bases)} ({method})"
    kept = "" if groups.allow is None else f", kept if they match {', '.join(groups.allow)}"
    names = ", ".join(map(spell_group, sorted(found.names)))
    yield DiagnosisStep("groups", f"{names or 'none'}; found by {how}{kept}")
    for one in found.omitted:
        yield DiagnosisStep(OMITTED, str(one))
    return found


def _summary(identity: Identity) -> str:
    more = [identity.attributes[key] for key in ("display_name", "email") if key in identity.attributes]
    return identity.subject + (f" ({', '.join(more)})" if more else "")
