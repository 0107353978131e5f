"""The signing key of a docker_auth installation in a new key folder, so that its registries keep their trust."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from tokenserver.documents.files import read_file
from tokenserver.errors import LoadError
from tokenserver.importers.docker_auth.model import DockerAuthConfig
from tokenserver.importers.new_folder import NewFile, secret_file
from tokenserver.importers.report import Construct, Verdict
from tokenserver.keys.certificates import generate_p256, issue_certificate, make_ca, new_key_id, private_pem
from tokenserver.keys.layout import KeyFolder
from tokenserver.keys.ring import Algorithm, PrivateKey
from tokenserver.keys.ring_file import RingEntry, write_entries
from tokenserver.keys.validation import UnfitKey, belongs_to, parse_certificate, parse_private_key, signing_algorithm

UNIVERSAL, DISTRIBUTION2, DISTRIBUTION3 = "universal", "distribution2", "distribution3"

_LIMIT = 64 * 1024
_NEW_KEYS = (
    "new keys are made; copy DIR/keys/token-ca.pem to every registry, and name it as auth.token.rootcertbundle there"
)


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """The files of a key folder; none where new keys are made. `compat` is how registries know the key."""

    files: dict[str, NewFile] = field(repr=False)
    compat: str
    construct: Construct


def take_keys(config: DockerAuthConfig, base: Path, now: datetime, lifetime: timedelta) -> KeyMaterial:
    """The key that docker_auth signs with, with a new certificate by a new token CA; `base` is for relative paths.

    Registries that know the key by its id go on knowing it, whatever certificate it has.
    """
    token, server = config.token, config.server
    section, line = ("token", token.line) if token.key else ("server", server.line)
    certificate, key = (token.certificate, token.key) if token.key else (server.certificate, server.key)
    place, text = f"{config.file}:{line}", f"{section}.key: {key}"
    if not key or not certificate:
        note = "there is no signing key in the configuration, so docker_auth does not start"
        return KeyMaterial({}, UNIVERSAL, Construct(place, text, Verdict.NOT_TRANSLATED, note, _NEW_KEYS))
    try:
        private = parse_private_key(read_file(base / key, limit=_LIMIT))
        public = parse_certificate(read_file(base / certificate, limit=_LIMIT))
        algorithm = signing_algorithm(private)
    except UnfitKey as error:
        return KeyMaterial({}, UNIVERSAL, Construct(place, text, Verdict.NOT_TRANSLATED, f"it {error}", _NEW_KEYS))
    except LoadError as error:
        note = f"cannot be read: {error.faults[0].message}"
        instead = f"{_NEW_KEYS}; or make the file readable here, and import again"
        return KeyMaterial({}, UNIVERSAL, Construct(place, text, Verdict.NOT_TRANSLATED, note, instead))
    if not belongs_to(public, private):
        note = "the certificate does not belong to the key, so registries reject every token"
        return KeyMaterial({}, UNIVERSAL, Construct(place, text, Verdict.NOT_TRANSLATED, note, _NEW_KEYS))
    compat = DISTRIBUTION3 if token.disable_legacy_key_id else DISTRIBUTION2
    files = _folder(private, token.issuer or "tokenserver", now, lifetime)
    is_odd = token.disable_legacy_key_id and algorithm is not Algorithm.RS256
    if is_odd:
        note = (
            "the key is taken over, but docker_auth computes one and the same id for every EC key; tokens here have"
            " the right one (RFC 7638), which Distribution 3.1 and later expect, and 3.0.0 does not"
        )
        instead = "for Distribution 3.0.0, set compat: universal, and use keys/token-ca.pem as rootcertbundle"
        construct = Construct(place, text, Verdict.DIFFERENT, note, instead, became=("keys",))
        return KeyMaterial(files, compat, construct)
    note = (
        f"tokens are signed by the same key, under the same id (compat: {compat}), so registries need no change;"
        " to rotate keys, first give them keys/token-ca.pem beside the old certificate, and set compat: universal"
    )
    return KeyMaterial(files, compat, Construct(place, text, Verdict.EXACT, note, became=("keys",)))


def _folder(private: PrivateKey, issuer: str, now: datetime, lifetime: timedelta) -> dict[str, NewFile]:
    """The files of a key folder in which the key is active."""
    ca_key = generate_p256()
    ca = make_ca(ca_key, issuer=issuer, now=now)
    certificate = issue_certificate(private, ca=ca, ca_key=ca_key, issuer=issuer, now=now, lifetime=lifetime)
    key_id = new_key_id(certificate, now)
    place = KeyFolder(Path("keys"))
    ring = write_entries([RingEntry(id=key_id, state="active", since=now)])
    return {
        str(place.private_key(key_id)): secret_file(private_pem(private)),
        str(place.certificate(key_id)): NewFile(certificate.public_bytes(Encoding.PEM)),
        str(place.ca_key): secret_file(private_pem(ca_key)),
        str(place.ca_certificate): NewFile(ca.public_bytes(Encoding.PEM)),
        str(place.ring): NewFile(ring),
    }
