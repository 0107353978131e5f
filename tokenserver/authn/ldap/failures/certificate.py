"""What a server's certificate says about the reason for which it is rejected: its names, its dates and its issuer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from cryptography import x509

from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryFailure
from tokenserver.documents.tls_files import UNREADABLE_CERTIFICATE

MAX_NAMES = 5
"""Names that are listed; the rest is counted."""


def explained(failure: DirectoryFailure, der: bytes, now: datetime) -> DirectoryFailure:
    """The failure with the facts of the rejected certificate, which is in DER (RFC 5280)."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        facts = _facts(certificate, now)
        is_valid = certificate.not_valid_after_utc > now
    except (*UNREADABLE_CERTIFICATE, x509.DuplicateExtension):
        return failure
    cause = failure.cause
    if cause is FailureCause.CERTIFICATE_EXPIRED and is_valid:
        cause = FailureCause.CA_EXPIRED
    return DirectoryFailure(cause, {**failure.facts, **facts})


def _facts(certificate: x509.Certificate, now: datetime) -> Mapping[str, str]:
    names = _names(certificate)
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return {
        "subject": _spelled(certificate.subject) or ", ".join(names[:1]),
        "issuer": _spelled(certificate.issuer),
        "names": ", ".join(names[:MAX_NAMES]) + more if names else "no host",
        "begin": _moment(certificate.not_valid_before_utc),
        "end": _moment(certificate.not_valid_after_utc),
        "now": _moment(now),
    }


def _names(certificate: x509.Certificate) -> list[str]:
    """The hosts that the certificate is for; its common name does not count (RFC 6125, appendix B.2)."""
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    hosts = alternatives.get_values_for_type(x509.DNSName)
    return [*hosts, *(str(address) for address in alternatives.get_values_for_type(x509.IPAddress))]


def _spelled(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
