"""What to do where a directory cannot be reached, where TLS fails, and where no usable answer arrives."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tokenserver.authn.ldap.failures.advice import SEE_LOG, Advice
from tokenserver.authn.ldap.failures.causes import FailureCause as Cause

CONNECTION: Mapping[Cause, Advice] = MappingProxyType(
    {
        Cause.NAME_UNKNOWN: Advice(
            "the name cannot be resolved",
            "correct the host name in url, or the name servers of this machine",
            (": {detail}",),
        ),
        Cause.NAME_SILENT: Advice("the name was not resolved in time", "check the name servers of this machine"),
        Cause.REFUSED: Advice(
            "connection refused", "check that the directory runs, and correct the host and the port in url"
        ),
        Cause.UNREACHABLE: Advice(
            "the server is unreachable", "check the route and the firewall between here and {host}", (": {detail}",)
        ),
        Cause.CONNECT_SILENT: Advice(
            "no answer in time to the connection",
            "correct the host and the port in url, or open the firewall between here and {host}",
        ),
        Cause.CERTIFICATE_EXPIRED: Advice(
            "the server's certificate has expired", "renew the directory's certificate", (": it ended {end}",)
        ),
        Cause.CA_EXPIRED: Advice(
            "a CA certificate above the server's certificate has expired",
            "renew the certificate of {issuer}, in the directory and in ca_file",
        ),
        Cause.CERTIFICATE_NOT_YET_VALID: Advice(
            "the server's certificate is not valid yet",
            "set the clock of this machine, or of the CA that issued the certificate",
            (": it begins {begin}", ", and it is {now} on this machine"),
        ),
        Cause.UNKNOWN_CA: Advice(
            "the server's certificate was issued by an unknown CA",
            "put the certificate of {issuer} into ca_file",
            (": {issuer}",),
        ),
        Cause.SELF_SIGNED: Advice(
            "the server's certificate is self-signed",
            "put this certificate into ca_file, or let your CA issue one for the directory",
            (": {subject}",),
        ),
        Cause.WRONG_HOST: Advice(
            "the server's certificate is for another host",
            "use a name of the certificate in url or as certificate_name, or issue a certificate for {host}",
            (": it is for {names}", ", not for {host}"),
        ),
        Cause.CERTIFICATE_REJECTED: Advice(
            "the server's certificate is rejected",
            "replace the directory's certificate with one that has no such fault",
            (": {detail}",),
        ),
        Cause.PLAIN_PORT: Advice(
            "the port does not speak TLS",
            "use ldap:// with start_tls: true, or the port for ldaps:// (636)",
            (" ({detail})",),
        ),
        Cause.TLS_PORT: Advice(
            "the port speaks TLS only", "use ldaps:// in url, without start_tls, or the port for ldap:// (389)"
        ),
        Cause.TLS_SILENT: Advice(
            "no answer to the TLS handshake in time",
            "check that the directory does not hang; if its port does not speak TLS: ldap:// with start_tls: true",
        ),
        Cause.TLS_CLOSED: Advice(
            "the server closed the connection during the TLS handshake",
            "if the port does not speak TLS, use ldap:// with start_tls: true; if the server demands a client "
            f"certificate, set client_certificate and client_key; if neither, {SEE_LOG}",
        ),
        Cause.TLS_REFUSED: Advice(
            "the server refuses the TLS handshake",
            "if it demands a client certificate, set client_certificate and client_key to one that it trusts; "
            "if not, enable TLS 1.2 or 1.3",
            (" ({detail})",),
        ),
        Cause.TLS_MISMATCH: Advice(
            "the server and this machine have no TLS version or cipher in common",
            "enable TLS 1.2 or 1.3 in the directory",
            (" ({detail})",),
        ),
        Cause.TLS_FAILED: Advice("the TLS handshake failed", SEE_LOG, (": {detail}",)),
        Cause.CLIENT_CERTIFICATE: Advice(
            "the server demands a client certificate", "set client_certificate and client_key"
        ),
        Cause.CLIENT_CERTIFICATE_REJECTED: Advice(
            "the server rejects the client certificate",
            "use a client_certificate that is valid, and issued by a CA that the directory trusts",
            (": {detail}",),
        ),
        Cause.START_TLS_REFUSED: Advice(
            "StartTLS is rejected", "use ldaps://, or enable TLS in the directory", (": {detail}",)
        ),
        Cause.START_TLS_INJECTION: Advice(
            "the server sent data between StartTLS and TLS",
            "use ldaps://; somebody between here and {host} may be changing the data",
        ),
        Cause.NOT_ENCRYPTED: Advice("the connection is not encrypted", "use ldaps://, or add start_tls: true"),
        Cause.SILENT: Advice(
            "no answer in time",
            "find out why the directory accepts connections and does not answer: see its log and its load",
            (" to the {request}",),
        ),
        Cause.CLOSED: Advice("the server closed the connection without an answer", SEE_LOG),
        Cause.CLOSED_PLAIN: Advice(
            "the server closed the connection without an answer",
            f"use ldaps:// if the port speaks TLS only; if not, {SEE_LOG}",
        ),
        Cause.CLOSED_AFTER_TLS: Advice(
            "the server closed the connection after the TLS handshake",
            "if it demands a client certificate, set client_certificate and client_key to one that it trusts; "
            f"if not, {SEE_LOG}",
        ),
        Cause.LOST: Advice("the connection was lost", SEE_LOG, (": {detail}",)),
        Cause.SESSION_ENDED: Advice("the server ended the session", SEE_LOG, (": {detail}",)),
        Cause.NOT_LDAP: Advice(
            "the answer is not LDAP", "check that url is that of an LDAP server", (": it {detail}",)
        ),
        Cause.WRONG_ANSWER: Advice("the answer does not match the request", SEE_LOG, (": {detail}",)),
        Cause.NOT_ENCODABLE: Advice(
            "the request cannot be encoded", "correct user_filter and the names of attributes", (": {detail}",)
        ),
        Cause.ENTRY_TOO_LARGE: Advice(
            "an entry contains too many values", "make the entry smaller", (": it {detail}",)
        ),
        Cause.ANSWER_TOO_LARGE: Advice(
            "the answer is larger than a login may cost",
            "make user_filter and groups.base narrower, or the entry smaller",
            (" ({detail})",),
        ),
    }
)
