"""PEM as Go reads it; e2e/test_doctor_bundles.py compares the same damage with what real registries do."""

from __future__ import annotations

import base64
import time

import pytest
from damaged_pem import DAMAGE, HARMLESS
from doctor_worlds import ring_of
from hypothesis import given
from hypothesis import strategies as st
from self_signed import of_version

from tokenserver.doctor.registry.pem import PemBlock, damage, lost_certificates, pem_blocks
from tokenserver.doctor.registry.trust_files import read_bundle
from tokenserver.doctor.registry.verifiers import trusted_files

WHOLE = ring_of().ca_certificate_pem.encode()


def block(name: str, content: bytes) -> bytes:
    text = base64.encodebytes(content)
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (name.encode(), text, name.encode())


def test_a_whole_file() -> None:
    """Each block with its type and content; nothing is lost."""
    (found,) = pem_blocks(WHOLE)
    assert found.type == "CERTIFICATE"
    assert b"".join(block("CERTIFICATE", found.content).split()) == b"".join(WHOLE.split())
    assert lost_certificates(WHOLE * 3) == 0


@pytest.mark.parametrize("case", HARMLESS)
def test_what_registries_read_all_the_same(case: str) -> None:
    """One certificate, as in the whole file."""
    text = HARMLESS[case](WHOLE)
    assert list(pem_blocks(text))[-1:] == list(pem_blocks(WHOLE))
    assert lost_certificates(text) == 0


@pytest.mark.parametrize("case", DAMAGE)
def test_what_registries_do_not_read(case: str) -> None:
    """No certificate, and the reason."""
    make, reason = DAMAGE[case]
    text = make(WHOLE)
    assert [one for one in pem_blocks(text) if one.type == "CERTIFICATE"] == []
    assert reason in str(damage(text))


@pytest.mark.parametrize("case", ["byte order mark", "two files joined", "text after END"])
def test_some_of_several(case: str) -> None:
    """The certificates around the damaged one are read, and that one is counted."""
    text = WHOLE + DAMAGE[case][0](WHOLE) + WHOLE
    assert lost_certificates(text) >= 1
    assert len(list(pem_blocks(text))) >= 1


def test_what_is_no_file_of_certificates() -> None:
    """There is no reason to give for what never was one."""
    assert damage(b"hello") is None
    assert damage(b"A" * 80) is None
    assert damage(b"A" * 81) is None
    assert damage(b"0\x82garbage") is None


@given(st.lists(st.tuples(st.sampled_from(["CERTIFICATE", "PUBLIC KEY", "X"]), st.binary(max_size=200)), max_size=5))
def test_written_blocks_are_read(blocks: list[tuple[str, bytes]]) -> None:
    """Whatever is between them, as long as it ends its line."""
    text = b"# note\n".join(block(name, content) for name, content in blocks)
    assert list(pem_blocks(text)) == [PemBlock(name, content) for name, content in blocks]


MARKS = [b"-----BEGIN X-----", b"-----END X-----", b"\n", b"\r\n", b"QUJD", b" ", b"a: b", b"-----", b"\xef\xbb\xbf"]


@given(st.lists(st.sampled_from(MARKS), max_size=30).map(b"".join))
def test_anything_is_read(text: bytes) -> None:
    """No text stops the reader, and what it finds stands between a BEGIN and an END."""
    found = list(pem_blocks(text))
    assert len(found) <= text.count(b"-----BEGIN X-----")
    damage(text)


def test_a_hostile_file_costs_little() -> None:
    """Four megabytes of markers, each of which could begin a search of the rest."""
    for text in (b"\n-----END X-----" * 250_000, b"\n-----BEGIN X-----" * 220_000, b"-----BEGIN CERTIFICATE" * 180_000):
        start = time.process_time()
        list(pem_blocks(text))
        damage(text)
        assert time.process_time() - start < 10


def test_a_certificate_of_a_version_that_does_not_exist() -> None:
    """Registries do not read it either, so it is none of the lost ones and none of the trusted ones."""
    (found,) = pem_blocks(WHOLE)
    odd = block("CERTIFICATE", of_version(found.content, 73))
    assert lost_certificates(odd) == 0
    assert read_bundle(odd, "bundle").problem == "holds a block CERTIFICATE (the 1.) that cannot be read"
    assert trusted_files(odd, None).certificates == ()
