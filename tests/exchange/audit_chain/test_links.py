"""The text of links."""

from __future__ import annotations

import pytest

from tokenserver.exchange.audit_chain.links import Link, link_text, read_link

D = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "link"),
    [
        pytest.param("abcd_-12:7", Link("abcd_-12", 7), id="a link"),
        pytest.param(f"abcd_-12:7:{D}", Link("abcd_-12", 7, D), id="with a digest"),
        pytest.param(f"abcd_-12:7:{D}:2", Link("abcd_-12", 7, D, 2), id="after two lines that were cut off"),
        pytest.param("abcd_-12:07", None, id="a leading zero"),
        pytest.param("abcd_-12:0", None, id="number zero"),
        pytest.param("abcd_-1:7", None, id="a short chain id"),
        pytest.param(f"abcd_-12:7:{D}0", None, id="a long digest"),
        pytest.param(f"abcd_-12:7:{D.upper()}", None, id="a digest in capitals"),
        pytest.param("abcd_-12:7:2", None, id="no digest"),
        pytest.param(f"abcd_-12:7:{D}:0", None, id="after no lines that were cut off"),
        pytest.param("abcd_-12:7\n", None, id="a newline"),
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
