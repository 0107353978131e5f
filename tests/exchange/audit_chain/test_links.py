"""The text of links, and the digest of a line."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tokenserver.exchange.audit_chain.links import Link, digest_of, link_text, read_link

D = "A" * 32


@pytest.mark.parametrize(
    ("text", "link"),
    [
        pytest.param(f"abcd_-12:7:{D}", Link("abcd_-12", 7, D), id="a link"),
        pytest.param(f"abcd_-12:7:{D}:2:{D}", Link("abcd_-12", 7, D, 2, D), id="after two lines that were cut off"),
        pytest.param(f"abcd_-12:07:{D}", None, id="a leading zero"),
        pytest.param(f"abcd_-12:0:{D}", None, id="number zero"),
        pytest.param(f"abcd_-1:7:{D}", None, id="a short chain id"),
        pytest.param(f"abcd_-12:7:{D}A", None, id="a long digest"),
        pytest.param(f"abcd_-12:7:{D}:2", None, id="no base"),
        pytest.param(f"abcd_-12:7:{D}\n", None, id="a newline"),
        pytest.param("", None, id="empty"),
    ],
)
def test_links(text: str, link: Link | None) -> None:
    """What is a link, and what is none."""
    assert read_link(text) == link


@pytest.mark.parametrize(
    ("line", "text"),
    [
        pytest.param(b'{"event":"x","chain":"a:1:b"}', "a:1:b", id="the last member"),
        pytest.param(b'{"chain":"a:1:b","event":"x"}', None, id="not the last member"),
        pytest.param(b'{"event":"x"}', None, id="none"),
        pytest.param(b'{"event":"x","chain":"a:1:b"', None, id="cut off"),
        pytest.param(b'{"event":"x","chain":"\xff"}', None, id="no ASCII"),
        pytest.param(b'{"event":"x","chain":"' + b"a" * 200 + b'"}', None, id="too long"),
    ],
)
def test_the_link_of_a_line(line: bytes, text: str | None) -> None:
    """It is found at the end alone."""
    assert link_text(line) == text


def test_a_digest_can_be_computed_by_hand() -> None:
    """`b2sum -l 192` gives the same, in hexadecimal."""
    line = b'{"event":"x"}\n'
    assert base64.b64decode(digest_of(line)) == hashlib.blake2b(line, digest_size=24).digest()
