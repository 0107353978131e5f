"""Key pairs for transfer: files that are no pair, unfit CAs, and nothing of a key in print."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from key_operations import DAY, HOUR, NOW, carried

from tokenserver.errors import LoadError
from tokenserver.keys.certificates import generate_p256, issue_certificate, make_ca
from tokenserver.keys.key_pair import KeyPair, issue_pair, read_pair
from tokenserver.keys.layout import KeyFolder
from tokenserver.keys.ring import Algorithm


def foreign(folder: Path, pair: KeyPair) -> KeyPair:
    ca_key = generate_p256()
    ca = make_ca(ca_key, issuer="b", now=NOW)
    certificate = issue_certificate(pair.private_key, ca=ca, ca_key=ca_key, issuer="b", now=NOW)
    return replace(pair, certificate=certificate)


def expired(folder: Path, pair: KeyPair) -> KeyPair:
    return issue_pair(KeyFolder(folder), issuer="a", algorithm=Algorithm.ES256, lifetime=-HOUR / 2, now=NOW)


def half(folder: Path, pair: KeyPair) -> KeyPair:
    return replace(pair, private_key=generate_p256())


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        pytest.param(foreign, "was not issued by the token CA", id="of a foreign CA"),
        pytest.param(expired, "expired on 2027-01-31", id="expired"),
        pytest.param(half, "does not match its key", id="two halves"),
    ],
)
def test_unfit_keys_do_not_come_in(
    folder: Path, pair: KeyPair, tmp_path: Path, harm: Callable[[Path, KeyPair], KeyPair], told: str
) -> None:
    """What could not sign here is refused at the door, with the reason."""
    path = carried(harm(folder, pair), tmp_path / "new.pem")
    with pytest.raises(LoadError, match=told):
        read_pair(path, KeyFolder(folder), NOW)


BOTH = "must contain one private key and one certificate in PEM"


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        pytest.param(lambda pair: pair.key_pem, 0o600, BOTH, id="the key alone"),
        pytest.param(lambda pair: pair.certificate_pem, 0o600, BOTH, id="the certificate alone"),
        pytest.param(lambda pair: pair.key_pem * 2 + pair.certificate_pem, 0o600, BOTH, id="two keys"),
        pytest.param(lambda pair: pair.key_pem[:0], 0o600, BOTH, id="empty"),
        pytest.param(lambda pair: (pair.key_pem + pair.certificate_pem)[:-30], 0o600, BOTH, id="cut short"),
        pytest.param(
            lambda pair: pair.key_pem.replace(b"M", b"N") + pair.certificate_pem,
            0o600,
            "is not a private",
            id="garbled",
        ),
        pytest.param(lambda pair: pair.key_pem + pair.certificate_pem, 0o644, "can be read by others", id="open"),
    ],
)
def test_files_that_are_no_pair(
    folder: Path, pair: KeyPair, tmp_path: Path, content: Callable[[KeyPair], bytes], mode: int, told: str
) -> None:
    """Incomplete files, several pairs, and files that others could read are rejected; content is not repeated."""
    path = tmp_path / "new.pem"
    path.write_bytes(content(pair))
    path.chmod(mode)
    with pytest.raises(LoadError, match=told) as error:
        read_pair(path, KeyFolder(folder), NOW)
    assert not [line for line in pair.key_pem.decode().splitlines()[1:-1] if line in str(error.value)]


def test_no_key_comes_where_the_ca_is_unfit(folder: Path, pair: KeyPair, tmp_path: Path) -> None:
    """An expired CA is reported as such."""
    with pytest.raises(LoadError, match=r"token-ca\.pem: expired on"):
        read_pair(carried(pair, tmp_path / "new.pem"), KeyFolder(folder), NOW + 3651 * DAY)


def test_printing_a_pair_shows_no_key(pair: KeyPair) -> None:
    """As with every type that holds one."""
    assert repr(pair) == f"KeyPair(id='{pair.id}')"
