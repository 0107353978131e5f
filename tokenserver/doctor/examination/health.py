"""Health check of the server on this machine: one request to its own listener, over http or https."""

from __future__ import annotations

import ssl
from ipaddress import ip_address
from pathlib import Path

from cryptography.x509 import DNSName, IPAddress, SubjectAlternativeName, load_pem_x509_certificates
from cryptography.x509.extensions import ExtensionNotFound

from tokenserver.doctor.examination.fetch import fetch
from tokenserver.doctor.http import Outcome
from tokenserver.documents.files import read_file
from tokenserver.documents.tls_files import UNREADABLE_CERTIFICATE
from tokenserver.errors import Fault, LoadError

DEADLINE = 4.0
"""Seconds for the whole check; container engines and orchestrators give it five or more."""


def ask_server(address: tuple[str, int], certificate: Path | None, path: str, *, deadline: float = DEADLINE) -> Outcome:
    """GET `path` from the server that listens on `address`; a wildcard address is asked over loopback, and within
    `deadline` seconds.

    With `certificate`, the file of `server.tls`, the server must present it, or one issued by a CA in it. Its names are
    not compared with anything: the connection goes to this machine, whatever clients call it.

    Raises:
        LoadError: the certificate file is missing, unsafe or not a certificate.
    """
    host = ip_address(address[0])
    if host.is_unspecified:
        host = ip_address("127.0.0.1" if host.version == 4 else "::1")
    target = (str(host), address[1])
    if certificate is None:
        name = f"[{host}]" if host.version == 6 else str(host)
        return fetch(f"http://{name}:{address[1]}{path}", context=ssl.create_default_context(), deadline=deadline)
    context, name = _context(certificate)
    return fetch(f"https://{name}:{address[1]}{path}", context=context, deadline=deadline, address=target)


def _context(file: Path) -> tuple[ssl.SSLContext, str]:
    """A context that trusts exactly the certificates in the file, and a host name that the first of them is for."""
    pem = read_file(file)
    try:
        name = _name(pem)
        context = ssl.create_default_context(cadata=pem.decode("ascii", "replace"))
    except (*UNREADABLE_CERTIFICATE, ssl.SSLError) as error:
        raise LoadError([Fault(str(file), 0, "", "is not a PEM certificate that a server can present")]) from error
    # The server's own certificate is enough of a chain; its CA need not be in the file.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context, name


def _name(pem: bytes) -> str:
    """A name or an address that the certificate is for.

    Raises:
        ValueError: it has none, or is no certificate.
    """
    certificate = load_pem_x509_certificates(pem)[0]
    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound as error:
        raise ValueError("no subjectAltName") from error
    for name in names.get_values_for_type(DNSName):
        return name.replace("*", "any", 1)
    for one in names.get_values_for_type(IPAddress):
        return f"[{one}]" if one.version == 6 else str(one)
    raise ValueError("no DNS name and no address")
