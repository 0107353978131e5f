"""The causes of failures at a directory: what was observed, as one closed list."""

from __future__ import annotations

from enum import StrEnum


class FailureCause(StrEnum):
    """What was observed. The values are stable names for programs (`ldap test --json`)."""

    # The connection
    NAME_UNKNOWN = "name-unknown"
    NAME_SILENT = "name-silent"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CONNECT_SILENT = "connect-silent"
    # TLS
    CERTIFICATE_EXPIRED = "certificate-expired"
    CA_EXPIRED = "ca-expired"
    CERTIFICATE_NOT_YET_VALID = "certificate-not-yet-valid"
    UNKNOWN_CA = "unknown-ca"
    SELF_SIGNED = "self-signed"
    WRONG_HOST = "wrong-host"
    CERTIFICATE_REJECTED = "certificate-rejected"
    PLAIN_PORT = "plain-port"
    TLS_PORT = "tls-port"
    TLS_SILENT = "tls-silent"
    TLS_CLOSED = "tls-closed"
    TLS_REFUSED = "tls-refused"
    TLS_MISMATCH = "tls-mismatch"
    TLS_FAILED = "tls-failed"
    CLIENT_CERTIFICATE = "client-certificate"
    CLIENT_CERTIFICATE_REJECTED = "client-certificate-rejected"
    START_TLS_REFUSED = "start-tls-refused"
    START_TLS_INJECTION = "start-tls-injection"
    NOT_ENCRYPTED = "not-encrypted"
    # Answers
    SILENT = "silent"
    CLOSED = "closed"
    CLOSED_PLAIN = "closed-plain"
    CLOSED_AFTER_TLS = "closed-after-tls"
    LOST = "lost"
    SESSION_ENDED = "session-ended"
    NOT_LDAP = "not-ldap"
    WRONG_ANSWER = "wrong-answer"
    NOT_ENCODABLE = "not-encodable"
    ENTRY_TOO_LARGE = "entry-too-large"
    ANSWER_TOO_LARGE = "answer-too-large"
    # An account, the user's or the service account
    WRONG_PASSWORD = "wrong-password"  # noqa: S105 - no password
    NO_SUCH_USER = "no-such-user"
    DISABLED = "disabled"
    LOCKED = "locked"
    MAYBE_LOCKED = "maybe-locked"
    EXPIRED = "expired"
    PASSWORD_EXPIRED = "password-expired"  # noqa: S105 - no password
    MUST_CHANGE = "must-change"
    WRONG_HOUR = "wrong-hour"
    WRONG_WORKSTATION = "wrong-workstation"
    TOKEN_TOO_LARGE = "token-too-large"  # noqa: S105 - no password
    NO_ENTRY = "no-entry"
    INVALID_DN = "invalid-dn"
    NO_PASSWORD = "no-password"  # noqa: S105 - no password
    UNWILLING = "unwilling"
    STATE_UNREADABLE = "state-unreadable"
    PASSWORD_POLICY = "password-policy"  # noqa: S105 - no password
    # What the directory demands or lacks
    EXTERNAL_REJECTED = "external-rejected"
    STRONGER_AUTHENTICATION = "stronger-authentication"
    CONFIDENTIALITY = "confidentiality"
    SIMPLE_BIND_DISALLOWED = "simple-bind-disallowed"
    BIND_REQUIRED = "bind-required"
    ANONYMOUS_DISALLOWED = "anonymous-disallowed"
    OPERATIONS_ERROR = "operations-error"
    REFERRAL = "referral"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    TIME_LIMIT = "time-limit"
    SIZE_LIMIT = "size-limit"
    ADMINISTRATIVE_LIMIT = "administrative-limit"
    MATCHING_RULE = "matching-rule"
    NO_MATCHING_RULE = "no-matching-rule"
    NOT_PERMITTED = "not-permitted"
    NO_BASE = "no-base"
    NO_EMPTY_BASE = "no-empty-base"
    BOUND_UNKNOWN = "bound-unknown"
    OTHER_RESULT = "other-result"
    # Users and groups
    NO_USERS = "no-users"
    NO_USER = "no-user"
    TYPED_DOMAIN = "typed-domain"
    OTHER_ACCOUNT = "other-account"
    AMBIGUOUS = "ambiguous"
    OWN_ENTRY_HIDDEN = "own-entry-hidden"
    NO_DN = "no-dn"
    NO_SUBJECT = "no-subject"
    SUBJECT_NOT_ALLOWED = "subject-not-allowed"
    NAMESPACE_SHARED = "namespace-shared"
    NAMESPACE_UNCLEAR = "namespace-unclear"
    NAMESPACE_UNSEARCHABLE = "namespace-unsearchable"
    USER_NAME = "user-name"
    PASSWORD_NEEDED = "password-needed"  # noqa: S105 - no password
    EMPTY_PASSWORD = "empty-password"  # noqa: S105 - no password
    TOO_MANY_GROUPS = "too-many-groups"
    TOO_DEEP = "too-deep"
    GROUPS_CUT_OFF = "groups-cut-off"
    GROUPS_BY_ANOTHER_WAY = "groups-by-another-way"
    GROUPS_LOST = "groups-lost"
    GROUPS_HIDDEN = "groups-hidden"
