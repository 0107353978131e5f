"""Finds out what a port speaks, where a connection failed in a way that a wrong scheme in `url` would explain.

Nothing secret is sent: one anonymous search for the root entry, or the beginning of a TLS handshake.
"""

from __future__ import annotations

from tokenserver.authn.ldap.backend import LdapDirectory
from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.directory import Address
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryError, DirectoryFailure
from tokenserver.authn.ldap.users.search import ANY_ENTRY

_SECONDS = 2.0
_WITH_TLS = frozenset({FailureCause.TLS_CLOSED, FailureCause.TLS_SILENT})
_WITHOUT = frozenset({FailureCause.CLOSED_PLAIN, FailureCause.SILENT})
_DEMANDING = frozenset({FailureCause.TLS_CLOSED, FailureCause.TLS_REFUSED, FailureCause.CLOSED_AFTER_TLS})


def examined(source: LdapDirectory, address: Address, failure: DirectoryFailure) -> DirectoryFailure:
    """The failure of the first request on a new connection, or that of the port itself if it explains it."""
    deadline = Deadline(_SECONDS)
    if address.is_ldaps and failure.cause in _WITH_TLS and _speaks_ldap(source, address, deadline):
        return DirectoryFailure(FailureCause.PLAIN_PORT)
    if not address.is_ldaps and failure.cause in _WITHOUT:
        is_tls = source.servers.first_flight(address, deadline, is_start_tls=False).is_tls
        return DirectoryFailure(FailureCause.TLS_PORT) if is_tls else failure
    if failure.cause in _DEMANDING:
        flight = source.servers.first_flight(address, deadline, is_start_tls=not address.is_ldaps)
        ours = source.directory.certificate
        if flight.is_certificate_requested and ours is not None:
            return DirectoryFailure(FailureCause.CLIENT_CERTIFICATE_REJECTED, {"detail": str(ours)})
        return DirectoryFailure(FailureCause.CLIENT_CERTIFICATE) if flight.is_certificate_requested else failure
    return failure


def _speaks_ldap(source: LdapDirectory, address: Address, deadline: Deadline) -> bool:
    try:
        connection = source.servers.connect(address, deadline)
        try:
            connection.search("", ANY_ENTRY, ["1.1"], deadline, limit=1, is_read=True)
        finally:
            connection.close()
    except DirectoryError:
        return False
    return True  # any result will do
