"""TLS on both sides: the files that the server shows to clients, and whom it believes when it is the client."""

from __future__ import annotations

import ssl
from pathlib import Path

from tokenserver.errors import Fault, LoadError
from tokenserver.files import read_file, read_text
from tokenserver.printable import shell_word


def check_server_files(certificate: Path, key: Path) -> None:
    """See that a server can be started with this certificate (chain) and its key.

    Raises:
        LoadError: a file is missing or unsafe, the key is not PKCS#8 (granian takes no other form), or they do not
            belong together.
    """
    faults: list[Fault] = []
    pem = b""
    try:
        read_file(certificate)
    except LoadError as error:
        faults.extend(error.faults)
    try:
        pem = read_file(key, private=True)
    except LoadError as error:
        faults.extend(error.faults)
    if faults:
        raise LoadError(faults)
    if b"-----BEGIN PRIVATE KEY-----" not in pem:
        mend = f"openssl pkcs8 -topk8 -nocrypt -in {shell_word(key)} -out NEW"
        raise LoadError([Fault(str(key), 0, "", f"must be an unencrypted PKCS#8 PEM key; convert it with: {mend}")])
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror
        raise LoadError([Fault(str(certificate), 0, "", f"does not work with {key}: {reason}")]) from error


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS that believes the authorities in the file and no others; without a file, those of the system.

    Raises:
        LoadError: the file is missing or unsafe, or holds no certificate.
    """
    if ca_file is None:
        return ssl.create_default_context()
    pem = read_text(ca_file)
    try:
        return ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        problem = "holds no certificates in PEM form, of the authority that signed the directory's certificate"
        raise LoadError([Fault(str(ca_file), 0, "", problem)]) from error
