"""Converts a user's directory entry to an identity, and reads the state of the account (disabled, locked, expired)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from tokenserver.authn.ldap.accounts.notices import limited
from tokenserver.authn.ldap.accounts.password_policy import PolicyResponse
from tokenserver.authn.ldap.ber import SearchEntry
from tokenserver.authn.ldap.directory import Directory, GroupsBy, Primary
from tokenserver.authn.ldap.dn import NotADn, parse_dn, rdn_values
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryError, DirectoryFailure
from tokenserver.authn.ldap.users.password_changed import proof_in
from tokenserver.authn.usernames import canonical, name_problem
from tokenserver.identity import Identity, Kind, NamespaceRule, lower_namespace
from tokenserver.scopes import is_path_component

MAX_ATTRIBUTE = 255
"""Characters in a display name or an e-mail address; a longer one is dropped."""

ACCOUNT_STATE = (
    "userAccountControl",
    "accountExpires",
    "msDS-User-Account-Control-Computed",
    "pwdLastSet",
    "pwdAccountLockedTime",
    "pwdReset",
    "nsAccountLock",
    "krbPrincipalExpiration",
    "shadowExpire",
)
"""The attributes read by `account_problem`; a directory omits those that it does not have."""

_BY = {GroupsBy.MEMBEROF: ("memberOf",), GroupsBy.POSIX: ("uid", "gidNumber")}
_BY_PRIMARY = {Primary.SID: ("objectSid", "primaryGroupID"), Primary.NUMBER: ("gidNumber",)}
"""Attributes of a user's entry that lead to the groups. A posixGroup lists users by uid, whatever the subject is."""

_DISABLED = 0x2  # ADS_UF_ACCOUNTDISABLE, [MS-ADTS] 2.2.16
_LOCKED, _PASSWORD_EXPIRED = 0x10, 0x800000  # only in the computed attribute, [MS-ADTS] 3.1.1.4.5.17
_NEVER_SET = "0"  # pwdLastSet of a user who must change the password at the next logon
_NEVER = frozenset({0, 0x7FFFFFFFFFFFFFFF})
_FOR_EVER = "000001010000Z"  # draft-behera-ldap-password-policy-11, section 5.3.3
_1601 = datetime(1601, 1, 1, tzinfo=UTC)
_1970 = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"([0-9]{14})(?:[.,][0-9]+)?Z", re.ASCII)


MAX_SHOWN = 5
"""Values of an attribute that a reason repeats."""

_MAX_VALUE = 64


class Refused(DirectoryError):
    """The user is rejected; the text is the reason for the audit event."""


def wanted_attributes(directory: Directory) -> tuple[str, ...]:
    """The attributes to request, so that one search returns everything needed from the entry."""
    wanted = [directory.subject, directory.display_name, directory.email, *ACCOUNT_STATE]
    for more in (directory.namespace_attribute, directory.password_changed):
        if more is not None:
            wanted.append(more)
    if directory.bind_as is not None:
        wanted.append("objectSid")
    if directory.groups is not None:
        wanted += _BY.get(directory.groups.by, ())
    if directory.groups is not None and directory.groups.primary is not None:
        wanted += _BY_PRIMARY[directory.groups.primary]
    return tuple(dict.fromkeys(wanted))


def identity_of(
    entry: SearchEntry, directory: Directory, groups: Iterable[str], lost: tuple[str, ...] = ()
) -> Identity:
    """The identity of the user with this entry; `lost` are the DNs of further groups, whose names are unknown.

    Raises:
        Refused: the entry has no subject, several, or one that is not allowed as a name; or several namespaces.
    """
    subject = normalize_name(raw_subject(entry, directory), directory)
    problem = name_problem(subject)
    if problem is not None:
        raise Refused(FailureCause.SUBJECT_NOT_ALLOWED, attribute=directory.subject, detail=problem)
    attributes = _attributes(entry, directory)
    namespace = _namespace_of(entry, directory)
    return Identity(
        subject,
        Kind.PASSWORD,
        directory.name,
        frozenset(groups),
        attributes,
        lost=lost,
        namespace=namespace,
        proof=proof_in(entry, directory),
    )


def valid_identity(
    entry: SearchEntry,
    directory: Directory,
    groups: Iterable[str],
    lost: tuple[str, ...],
    *,
    policy: PolicyResponse,
    now: datetime,
) -> Identity:
    """As `identity_of`, valid until the account or its password expires; `policy` is what the bind said about it.

    Raises:
        Refused: as `identity_of`, or the account cannot be used at `now`.
    """
    problem = account_problem(entry, now)
    if problem is not None:
        raise Refused(problem)
    return limited(identity_of(entry, directory, groups, lost), policy, account_ends(entry), now)


def raw_subject(entry: SearchEntry, directory: Directory) -> str:
    """The directory's own value of the subject attribute, unchanged. Of several, the one in the entry's DN is the name,
    and the others are aliases: `uid=ann,…` with the values `ann` and `ann.smith`.

    Raises:
        Refused: there is none, or none of several is in the DN, or the entry has no usable DN.
    """
    try:
        has_dn = bool(parse_dn(entry.dn))
    except NotADn:
        has_dn = False
    if not has_dn:
        raise Refused(FailureCause.NO_DN)
    values = entry.attributes.get(directory.subject.lower(), ())
    texts = entry.texts(directory.subject)
    if len(values) == len(texts) == 1:
        return texts[0]
    in_dn = {canonical(value) for value in rdn_values(entry.dn, directory.subject)}
    named = [text for text in texts if canonical(text) in in_dn]
    if len(named) == 1:
        return named[0]
    facts = {"count": str(len(values) or "no"), "attribute": directory.subject}
    if len(texts) > 1:
        shown = [repr(text[:_MAX_VALUE]) for text in texts[:MAX_SHOWN]] + ["…"] * (len(texts) > MAX_SHOWN)
        facts["names"] = ", ".join(shown)
    raise Refused(FailureCause.NO_SUBJECT, **facts)


def namespace_attribute(directory: Directory) -> str:
    """The attribute that namespaces are made of."""
    return directory.namespace_attribute or directory.subject


def namespaces_in(entry: SearchEntry, directory: Directory) -> frozenset[str]:
    """Every namespace that a user with this entry may have, by each value of the attribute."""
    texts = entry.texts(namespace_attribute(directory))
    if directory.namespace_rule is None:
        texts = tuple(normalize_name(text, directory) for text in texts)
    if directory.namespace_rule is NamespaceRule.LOWER:
        texts = tuple(map(lower_namespace, texts))
    return frozenset(filter(is_path_component, texts))


def _namespace_of(entry: SearchEntry, directory: Directory) -> str | None:
    """The namespace of the user with this entry, empty if there is none; None if names are not mapped.

    Raises:
        Refused: the attribute has several values.
    """
    if directory.namespace_rule is None:
        return None
    if directory.namespace_rule is NamespaceRule.LOWER:
        return lower_namespace(raw_subject(entry, directory))
    attribute = namespace_attribute(directory)
    count = len(entry.attributes.get(attribute.lower(), ()))
    if count > 1:
        raise Refused(FailureCause.NAMESPACE_UNCLEAR, attribute=attribute, count=str(count))
    return next(iter(namespaces_in(entry, directory)), "")


def normalize_name(name: str, directory: Directory) -> str:
    """A name from the directory as used in policies: in NFC, and in lower case if the directory ignores case."""
    name = unicodedata.normalize("NFC", name)
    return unicodedata.normalize("NFC", name.lower()) if directory.lowercase else name


def account_problem(entry: SearchEntry, now: datetime) -> FailureCause | None:
    """Why the account cannot be used at `now`, even with the right password; None if it can.

    A value that cannot be parsed counts as a problem. A temporary lock (pwdAccountLockedTime in the past) is left to
    the directory's answer to the bind, because only the directory knows how long it lasts.
    """
    try:
        return _account_problem(entry, now)
    except (ValueError, OverflowError):
        return FailureCause.STATE_UNREADABLE


def refusal(entry: SearchEntry, reported: DirectoryFailure, now: datetime) -> DirectoryFailure:
    """Why the bind failed, given the `reported` failure: OpenLDAP reports a wrong password in every case."""
    if reported.cause is not FailureCause.WRONG_PASSWORD:
        return reported
    otherwise = FailureCause.MAYBE_LOCKED if entry.texts("pwdAccountLockedTime") else FailureCause.WRONG_PASSWORD
    return DirectoryFailure(account_problem(entry, now) or otherwise)


def _attributes(entry: SearchEntry, directory: Directory) -> Mapping[str, str]:
    found = {"dn": entry.dn}
    for key, attribute in (("display_name", directory.display_name), ("email", directory.email)):
        text = next(iter(entry.texts(attribute)), "")
        if text.isprintable() and 0 < len(text) <= MAX_ATTRIBUTE:
            found[key] = text
    return MappingProxyType(found)


def _account_problem(entry: SearchEntry, now: datetime) -> FailureCause | None:
    for text in entry.texts("userAccountControl"):
        if int(text) & _DISABLED:
            return FailureCause.DISABLED
    for text in entry.texts("msDS-User-Account-Control-Computed"):
        if int(text) & _LOCKED:
            return FailureCause.LOCKED
        if int(text) & _PASSWORD_EXPIRED:
            must_change = _NEVER_SET in entry.texts("pwdLastSet")
            return FailureCause.MUST_CHANGE if must_change else FailureCause.PASSWORD_EXPIRED
    for text in entry.texts("nsAccountLock"):
        if text.upper() != "FALSE":
            return FailureCause.DISABLED
    for text in entry.texts("pwdAccountLockedTime"):
        if text == _FOR_EVER or _time(text) > now:
            return FailureCause.LOCKED
    for text in entry.texts("pwdReset"):
        if text.upper() != "FALSE":
            return FailureCause.MUST_CHANGE
    if any(end <= now for end in account_ends(entry)):
        return FailureCause.EXPIRED
    return None


def account_ends(entry: SearchEntry) -> Iterable[datetime]:
    """When the account expires, of an entry in which `account_problem` finds no problem."""
    for text in entry.texts("accountExpires"):
        if int(text) not in _NEVER:  # in 100 ns since 1601
            yield _1601 + timedelta(microseconds=int(text) // 10)
    for text in entry.texts("krbPrincipalExpiration"):
        yield _time(text)
    for text in entry.texts("shadowExpire"):
        if int(text) >= 0:  # in days since 1970
            yield _1970 + timedelta(days=int(text))


def _time(text: str) -> datetime:
    """Parse a GeneralizedTime in UTC (RFC 4517, section 3.3.13)."""
    matched = _TIME.fullmatch(text)
    if matched is None:
        raise ValueError("is not a time")
    return datetime.strptime(matched[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
