"""What to do where a directory rejects an account or a request, and where users or groups are not found."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tokenserver.authn.ldap.directory import IN_CHAIN, MAX_GROUPS, MAX_NESTING
from tokenserver.authn.ldap.failures.advice import SEE_LOG, Advice
from tokenserver.authn.ldap.failures.causes import FailureCause as Cause

_ENCRYPT = "use ldaps://, or add start_tls: true"
_RAISE = (
    "raise the limit for the account that searches (OpenLDAP: limits dn.exact=… size=unlimited; "
    "389 Directory Server and FreeIPA: nsSizeLimit; Active Directory: MaxPageSize)"
)
_IN_DIRECTORY = "nothing here; the directory does not let this account log in"

LOGIN: Mapping[Cause, Advice] = MappingProxyType(
    {
        Cause.WRONG_PASSWORD: Advice(
            "wrong password",
            "type the password again; each failure may count towards the directory's lockout",
            service_fix="correct bind_dn and its password (bind_password_file)",
        ),
        Cause.NO_SUCH_USER: Advice(
            "no such user", "correct the name", service_fix="correct bind_dn; the directory has no such account"
        ),
        Cause.DISABLED: Advice(
            "the account is disabled",
            "nothing here; enable the account in the directory",
            service_fix="enable the account of bind_dn in the directory",
        ),
        Cause.LOCKED: Advice(
            "the account is locked",
            "nothing here; unlock the account in the directory, or wait until its lock ends",
            service_fix="unlock the account of bind_dn in the directory, and correct the password wherever it is used",
        ),
        Cause.MAYBE_LOCKED: Advice(
            "wrong password, or the account is temporarily locked",
            "type the password again after the directory's lockout; each failure may count towards it",
            service_fix="correct bind_dn and its password, or unlock its account in the directory",
        ),
        Cause.EXPIRED: Advice(
            "the account has expired",
            f"{_IN_DIRECTORY}: extend it there",
            service_fix="extend the account of bind_dn in the directory",
        ),
        Cause.PASSWORD_EXPIRED: Advice(
            "the password has expired",
            "change the password in the directory, and log in with the new one",
            service_fix="set a new password for bind_dn in the directory, and put it into bind_password_file",
        ),
        Cause.MUST_CHANGE: Advice(
            "the password must be changed first",
            "change the password in the directory, and log in with the new one",
            service_fix="set a new password for bind_dn in the directory, and put it into bind_password_file",
        ),
        Cause.WRONG_HOUR: Advice(
            "not permitted to log in at this time",
            f"{_IN_DIRECTORY} at this hour",
            service_fix="permit the account of bind_dn to log in at all hours",
        ),
        Cause.WRONG_WORKSTATION: Advice(
            "not permitted to log in from here",
            f"{_IN_DIRECTORY} from this machine",
            service_fix="permit the account of bind_dn to log in from this machine",
        ),
        Cause.TOKEN_TOO_LARGE: Advice(
            "the user is in too many groups",
            "take the user out of groups: Active Directory permits 1,015",
            service_fix="take the account of bind_dn out of groups: Active Directory permits 1,015",
        ),
        Cause.NO_ENTRY: Advice("no entry has that DN", "correct user_dn_template", service_fix="correct bind_dn"),
        Cause.INVALID_DN: Advice("the DN is not valid", "correct user_dn_template", service_fix="correct bind_dn"),
        Cause.NO_PASSWORD: Advice(
            "the entry has no password to bind with",
            "nothing here; set a password for the account in the directory",
            service_fix="set a password for bind_dn in the directory",
        ),
        Cause.UNWILLING: Advice(
            "the directory is unwilling (a locked or disabled account?)",
            "look at the state of the account in the directory",
            (": {said}",),
            service_fix="look at the state of bind_dn's account in the directory",
        ),
        Cause.PASSWORD_POLICY: Advice(
            "the directory's password policy reports an error",
            "set a new password in the directory; see its log",
            (": {code}",),
            service_fix="set a new password for bind_dn in the directory, and put it into bind_password_file",
        ),
        Cause.STATE_UNREADABLE: Advice(
            "the state of the account cannot be read",
            "correct the attributes of the account's state in the directory; see its log",
        ),
        Cause.EXTERNAL_REJECTED: Advice(
            "the directory does not accept the client certificate as an account",
            "map its subject to an account in the directory (OpenLDAP: olcTLSVerifyClient and olcAuthzRegexp; 389 "
            "Directory Server: certmap.conf), or use bind_dn and bind_password_file instead of sasl_external",
            (": {subject}", " ({said})"),
        ),
        Cause.STRONGER_AUTHENTICATION: Advice(
            "the directory requires stronger authentication (LDAPS or StartTLS)", _ENCRYPT
        ),
        Cause.CONFIDENTIALITY: Advice("the directory requires a confidential connection (LDAPS or StartTLS)", _ENCRYPT),
        Cause.SIMPLE_BIND_DISALLOWED: Advice(
            "the directory does not accept binds with a password",
            "allow simple binds in the directory, at least over TLS, or set client_certificate",
        ),
        Cause.BIND_REQUIRED: Advice(
            "the directory requires a bind before a search", "set bind_dn and bind_password_file"
        ),
        Cause.ANONYMOUS_DISALLOWED: Advice(
            "the directory does not accept anonymous binds", "set bind_dn and bind_password_file"
        ),
        Cause.OPERATIONS_ERROR: Advice(
            "operations error (a bind is required before a search?)",
            "correct bind_dn and base; Active Directory reports this for a base of another domain as well",
            (": {said}",),
        ),
        Cause.REFERRAL: Advice(
            "the directory refers to another server; referrals are not followed",
            "correct {key}, or use the URL of the server that holds it",
            (": {said}",),
        ),
        Cause.BUSY: Advice("the directory is busy", "retry later, or add a second server to url"),
        Cause.UNAVAILABLE: Advice("the directory is unavailable", f"{SEE_LOG}, or add a second server to url"),
        Cause.TIME_LIMIT: Advice(
            "the directory's time limit",
            "raise the directory's time limit, or index the attributes of the filter",
        ),
        Cause.SIZE_LIMIT: Advice("the directory's size limit", _RAISE),
        Cause.ADMINISTRATIVE_LIMIT: Advice(
            "the directory's administrative limit",
            "index the attributes of the filter in the directory, or raise its limit",
        ),
        Cause.MATCHING_RULE: Advice(
            "the filter uses a matching rule that the directory does not have",
            "correct user_filter, or the preset: by: nested of active_directory needs Active Directory or Samba",
        ),
        Cause.NO_MATCHING_RULE: Advice(
            f"the directory does not have the matching rule {IN_CHAIN}, which finds nested groups",
            "use the preset of this kind of directory (openldap, freeipa), or groups: {{by: member}}",
        ),
        Cause.NOT_PERMITTED: Advice(
            "the account may not do that", "grant {account} read access to {base} and everything below it"
        ),
        Cause.NO_BASE: Advice(
            "the base does not exist, or the account may not see it",
            "correct {key}, or grant {account} read access to it",
            (": {base}",),
        ),
        Cause.OTHER_RESULT: Advice("the directory reports an error", SEE_LOG, (": result {code}", " ({said})")),
        Cause.NO_EMPTY_BASE: Advice(
            "this server does not search below an empty base",
            "use the port of a global catalog (Active Directory: ldaps://…:3269), or set {key} to one or more DNs",
        ),
        Cause.BOUND_UNKNOWN: Advice(
            "the directory does not say which account is bound (its root entry has no tokenGroups)",
            "outside of Active Directory, set user_dn_template to a DN, or use bind_dn",
        ),
        Cause.NO_USERS: Advice(
            "no user is visible",
            "correct base or user_filter, or grant {account} read access to users",
            (" below {base}", ": nothing matches {detail}"),
        ),
        Cause.NO_USER: Advice("no entry matches", "correct base, user_filter or the name"),
        Cause.TYPED_DOMAIN: Advice(
            "no entry matches: the name has a domain {place} it; people type {user}", "strip_domain: [{domains}]{other}"
        ),
        Cause.OTHER_ACCOUNT: Advice(
            "the entry that matches the name is of another account than the one that logged in",
            "correct user_filter, or the userPrincipalName of one of the accounts",
            (": {names}",),
        ),
        Cause.AMBIGUOUS: Advice(
            "ambiguous: several entries match the user name", "make user_filter or base narrower", (": {names}",)
        ),
        Cause.OWN_ENTRY_HIDDEN: Advice(
            "the user may not read their own entry", "grant users read access to their own entries, or correct base"
        ),
        Cause.NO_DN: Advice("the directory returned an entry without a usable DN", SEE_LOG),
        Cause.NO_SUBJECT: Advice(
            "the entry has {count} usable values of {attribute}; it must have one",
            "set subject to an attribute that every user has once, or correct the entry in the directory",
            (", or one of them in its DN: {names}",),
        ),
        Cause.SUBJECT_NOT_ALLOWED: Advice(
            "the value of {attribute} cannot be a subject",
            "set subject to another attribute, or rename the user in the directory",
            (": {detail}",),
        ),
        Cause.NAMESPACE_SHARED: Advice(
            "another entry has the same namespace",
            "give each of them its own value of {attribute}, or remove the entry that is no longer needed",
            (": {namespace}", ", {names}"),
        ),
        Cause.NAMESPACE_UNCLEAR: Advice(
            "the attribute of the namespace has {count} values",
            "leave one value of {attribute}, or set names: attribute to an attribute with one value",
        ),
        Cause.NAMESPACE_UNSEARCHABLE: Advice(
            "a search for the namespace does not find the user, so it would not find others with the same one either",
            "let the account that searches use {attribute} in filters; with namespace: lower, the directory must"
            " ignore case in it",
            (": {namespace}",),
        ),
        Cause.USER_NAME: Advice("the user name {detail}", "type the name as in the directory"),
        Cause.PASSWORD_NEEDED: Advice("not tried, no password", "enter the user's password"),
        Cause.EMPTY_PASSWORD: Advice("an empty DN or password would be an anonymous bind", "type a password"),
        Cause.TOO_MANY_GROUPS: Advice(
            f"the user is in more than {MAX_GROUPS} groups",
            "set groups.base to a subtree with fewer groups, or take the user out of some",
        ),
        Cause.TOO_DEEP: Advice(
            f"the groups are nested more than {MAX_NESTING} deep",
            "set groups.base to a subtree with fewer levels, or nest the groups less deep",
        ),
        Cause.GROUPS_CUT_OFF: Advice(
            "the directory returns no more than {count} groups of the user",
            f"{_RAISE}, or use by: memberof",
            (" ({detail})",),
        ),
        Cause.GROUPS_BY_ANOTHER_WAY: Advice(
            "no groups are found this way, but by another", "set groups: {{by: {way}}}", (": {detail}",)
        ),
        Cause.GROUPS_LOST: Advice(
            "the login is refused, because not all groups are known",
            "see the groups left out; correct groups.name, or the entries",
            (": {detail}",),
        ),
        Cause.GROUPS_HIDDEN: Advice(
            "no group is visible below groups.base",
            "correct groups.base, or grant {account} read access to the groups and their members",
            (": {base}",),
        ),
    }
)
