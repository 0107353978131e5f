"""The ring's types: nothing of them prints a key."""

from __future__ import annotations

import base64
import copy
import pickle
import ssl
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tokenserver.keys.certificates import private_pem
from tokenserver.keys.ring import Algorithm, KeyRing


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, "{!r}".format, "%s".__mod__], ids=["repr", "str", "{}", "{!r}", "%s"]
)
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_printing_shows_no_key_material(
    rings: dict[Algorithm, KeyRing], algorithm: Algorithm, show: Callable[[object], str]
) -> None:
    """Neither a ring nor a key prints a line of its PEM, its certificate or its private number."""
    ring = rings[algorithm]
    pem = private_pem(ring.active.private_key).decode().splitlines()[1:-1]
    secrets = [*pem, *ring.ca_certificate_pem.splitlines()[1:-1], *ring.active.x5c]
    shown = show(ring) + show(ring.active)
    assert [secret for secret in secrets if secret in shown] == []
    assert ring.active.id in shown


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_signing_key_is_not_pickled(rings: dict[Algorithm, KeyRing], leak: Callable[[object], object]) -> None:
    """A key leaves the process in no other way than by `private_pem`."""
    with pytest.raises(TypeError, match="not pickled"):
        leak(rings[Algorithm.ES256].active)


def test_x5c_is_standard_base64_of_the_certificate(rings: dict[Algorithm, KeyRing]) -> None:
    """RFC 7515, section 4.1.6: not the URL-safe alphabet; one certificate, which is the one in PEM too."""
    key = rings[Algorithm.RS256].active
    [text] = key.x5c
    certificate = x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
    assert certificate.public_key() == key.public_key
    assert certificate.public_bytes(Encoding.DER) == ssl.PEM_cert_to_DER_cert(key.certificate_pem)


def test_published_has_every_state_and_the_active_key_first(rings: dict[Algorithm, KeyRing]) -> None:
    """Verifiers must know the key that will sign, the one that signs, and those whose tokens still live."""
    wanted = (Algorithm.ES256, Algorithm.RS256, Algorithm.EdDSA)
    es256, rs256, eddsa = (rings[algorithm].active for algorithm in wanted)
    ring = KeyRing("", es256.not_after, active=es256, next=(eddsa,), retired=(rs256,))
    assert ring.published() == (es256, eddsa, rs256)
