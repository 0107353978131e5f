"""Pages as they read on a terminal."""

from __future__ import annotations

import re

import pytest

from tokenserver.cli.help.pages import plain, title_of, topics


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        pytest.param("[Keys](keys.md) and more", "Keys (help keys) and more", id="link-to-a-page"),
        pytest.param("[leaked](keys.md#a-key-has-leaked)", "leaked (help keys)", id="link-to-a-section"),
        pytest.param("[below](#below)", "below", id="link-on-the-page"),
        pytest.param("[code](../tokenserver/scopes.py)", "code", id="link-to-a-file"),
        pytest.param("[RFC 7517](https://example.com/rfc)", "RFC 7517 (https://example.com/rfc)", id="link-outside"),
        pytest.param("[https://example.com](https://example.com)", "https://example.com", id="address"),
        pytest.param("[a [b] c](keys.md)", "a [b] c (help keys)", id="brackets-in-the-text"),
        pytest.param("<!-- test: demo -->\n```sh\nmake\n```", "```sh\nmake\n```", id="comment"),
        pytest.param('| <a id="x"></a>`key` |', "| `key` |", id="anchor"),
        pytest.param("```\n[a](keys.md) <!-- b -->\n```", "```\n[a](keys.md) <!-- b -->\n```", id="code"),
    ],
)
def test_plain(markdown: str, shown: str) -> None:
    """Comments, anchors and targets go; words and code stay."""
    assert plain(markdown) == shown


@pytest.mark.parametrize("topic", topics())
def test_every_page_reads_well(topic: str) -> None:
    """A title, and outside of code neither a comment nor a link."""
    path = topics()[topic]
    assert title_of(path)
    text = plain(path.read_text("utf-8"))
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"<!--|<a id|\]\([a-z./#]", prose) == []
