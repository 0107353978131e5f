"""Finds out what a port speaks, where a connection failed in a way that a wrong scheme in `url` would explain.

Nothing secret is sent: one anonymous search for the root entry, or a TLS handshake.
"""

from __future__ import annotations

from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.diagnosis.handshake import requests_certificate
from tokenserver.authn.ldap.directory import Address
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.certificate import unverified_context
from tokenserver.authn.ldap.failures.failure import DirectoryError, DirectoryFailure
from tokenserver.authn.ldap.users.search import ANY_ENTRY

_SECONDS = 2.0
_WITH_TLS = frozenset({FailureCause.TLS_CLOSED, FailureCause.TLS_SILENT})
_WITHOUT = frozenset({FailureCause.CLOSED_PLAIN, FailureCause.SILENT})
_DEMANDING = frozenset({FailureCause.TLS_CLOSED, FailureCause.TLS_REFUSED, FailureCause.CLOSED_AFTER_TLS})


def examined(source: LdapDirectory, address: Address, failure: DirectoryFailure) -> DirectoryFailure:
    """The failure of the first request on a new connection, or that of the port itself if it explains it."""
    if address.is_ldaps and failure.cause in _WITH_TLS and _speaks_ldap(source, address):
        return DirectoryFailure(FailureCause.PLAIN_PORT)
    if not address.is_ldaps and failure.cause in _WITHOUT and _speaks_tls(source, address):
        return DirectoryFailure(FailureCause.TLS_PORT)
    if failure.cause in _DEMANDING and requests_certificate(address, Deadline(_SECONDS)):
        ours = source.directory.certificate
        if ours is not None:
            return DirectoryFailure(FailureCause.CLIENT_CERTIFICATE_REJECTED, {"detail": str(ours)})
        return DirectoryFailure(FailureCause.CLIENT_CERTIFICATE)
    return failure


def _speaks_ldap(source: LdapDirectory, address: Address) -> bool:
    deadline = Deadline(_SECONDS)
    try:
        connection = source.servers.connect(address, deadline)
        try:
            connection.search("", ANY_ENTRY, ["1.1"], deadline, limit=1, is_read=True)
        finally:
            connection.close()
    except DirectoryError:
        return False
    return True  # whatever the result is: it is one


def _speaks_tls(source: LdapDirectory, address: Address) -> bool:
    deadline = Deadline(_SECONDS)
    try:
        connection = source.servers.connect(address, deadline)
        try:
            connection.secure(unverified_context(), deadline)
        finally:
            connection.close()
    except DirectoryError:
        return False
    return True
