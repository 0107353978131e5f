"""Whose seals `tokenserver audit verify` trusts: token CAs and key sets, by its options or the configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography import x509

from tokenserver.config.load import load_settings
from tokenserver.documents.files import read_file
from tokenserver.documents.tls_files import UNREADABLE_CERTIFICATE
from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.audit_chain.seal_check import SealKeys
from tokenserver.keys.layout import KeyFolder


def trusted_keys(
    authorities: Sequence[Path], key_sets: Sequence[Path], folders: Sequence[Path], config: Path | None
) -> SealKeys:
    """The keys that these files and folders vouch for; without any, those of the configuration.

    Raises:
        LoadError: a file cannot be read, or has no certificate or key set.
    """
    if not (authorities or key_sets or folders):
        folders = [key_set.folder for key_set in load_settings(config).key_sets()]
    files = [*authorities, *(KeyFolder(folder).ca_certificate for folder in folders)]
    certificates = [certificate for file in files for certificate in _certificates(file)]
    return SealKeys(certificates, [name for file in key_sets for name in _thumbprints(file)])


def _certificates(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(read_file(file))
    except UNREADABLE_CERTIFICATE:
        message = "has no certificate in PEM; fix: name what the server serves at /ca.pem"
        raise LoadError([Fault(str(file), 0, "", message)]) from None


def _thumbprints(file: Path) -> Iterator[str]:
    try:
        keys = json.loads(read_file(file))["keys"]
        yield from [str(key["kid"]) for key in keys]
    except (ValueError, RecursionError, KeyError, TypeError):
        message = "is no key set; fix: name what the server serves at /.well-known/jwks.json"
        raise LoadError([Fault(str(file), 0, "", message)]) from None
