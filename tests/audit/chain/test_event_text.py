"""The text of an event is the same bytes, whatever wrapped it as text."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from audit_chains import chain, verify
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.audit.chain.event_text import BLOCK, MAX_LINE, ChainedEvent, EventTexts, LooseEvent, lines_of

LINES = chain(3)
LONG = [*LINES[:2]]


def text(line: bytes) -> str:
    return line.decode("ascii")


WRAPPERS: dict[str, Callable[[bytes], bytes]] = {
    "kubernetes": lambda line: b"2027-01-31T12:00:00.1Z stdout F " + line,
    "journald's export": lambda line: b"MESSAGE=" + line,
    "journald's JSON": lambda line: json.dumps({"MESSAGE": text(line), "_PID": "1"}).encode(),
    "docker": lambda line: json.dumps({"log": text(line) + "\n", "stream": "stdout", "time": "x"}).encode(),
    "Vector": lambda line: json.dumps({"message": text(line), "host": "h"}).encode(),
    "spaced": lambda line: json.dumps({"line": text(line)}, indent=None, separators=(" , ", " : ")).encode(),
    "CRLF": lambda line: line + b"\r",
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapped_chain_is_whole(wrapper: str) -> None:
    """What keeps the text of an event keeps its digest."""
    found = verify([WRAPPERS[wrapper](line) for line in LINES])
    assert (found.findings, found.notes, found.verifier.events) == ([], [], len(LINES))


@pytest.mark.parametrize(
    "encode",
    [
        pytest.param(json.dumps, id="with blanks"),
        pytest.param(lambda event: json.dumps({"host": "h", "message": event}), id="as an object in a wrapper"),
        pytest.param(lambda event: json.dumps(dict(sorted(event.items()))), id="in another order"),
    ],
)
def test_events_that_were_encoded_again(encode) -> None:  # type: ignore[no-untyped-def]
    """Their bytes are lost, and that is what is said of each."""
    found = verify([encode(json.loads(line)).encode() for line in LINES])
    assert [kind for kind, _ in found.told] == ["encoded again"] * len(LINES)


def cri(line: bytes, size: int) -> list[bytes]:
    """As container runtimes cut lines apart."""
    pieces = [line[start : start + size] for start in range(0, len(line), size)]
    return [b"t stdout P " + piece for piece in pieces[:-1]] + [b"t stdout F " + pieces[-1]]


def docker(line: bytes, size: int) -> list[bytes]:
    """As docker cuts lines apart: the last piece has the newline."""
    whole = text(line) + "\n"
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    return [json.dumps({"log": piece, "stream": "stdout"}).encode() for piece in pieces]


@pytest.mark.parametrize("cut", [cri, docker], ids=["kubernetes", "docker"])
@given(size=st.integers(20, 1500))
def test_lines_that_were_cut_apart(cut, size: int) -> None:  # type: ignore[no-untyped-def]
    """They are joined, wherever they were cut."""
    found = verify([piece for line in LINES for piece in cut(line, size)])
    assert (found.findings, found.verifier.events) == ([], len(LINES))


def test_a_piece_of_the_newline_alone() -> None:
    """Docker cuts anywhere."""
    found = verify([piece for line in LINES for piece in docker(line, len(line))])
    assert (found.findings, found.verifier.events) == ([], len(LINES))


def test_pieces_without_an_end_take_little_memory() -> None:
    """And what follows is read again."""
    texts = EventTexts()
    for _ in range(100):
        assert texts.read(b"t stdout P " + b"x" * 100_000) is None
    assert len(texts._pieces) <= MAX_LINE
    assert texts.read(b"t stdout F end") is None
    assert isinstance(texts.read(b"t stdout F " + LINES[0]), ChainedEvent)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        pytest.param(b'{"time":"t","event":"exchange"}', LooseEvent(False, False, "t"), id="an event without a link"),
        pytest.param(b'{"event":"exchange","time":"t"}', LooseEvent(False, True, "t"), id="in another order"),
        pytest.param(b'{"time":"t","event":"x","chain":"?"}', LooseEvent(True, False, "t"), id="no such link"),
        pytest.param(b'{"message":"hello"}', None, id="another line"),
        pytest.param(b'{"message":"{\\"time\\":\\"t\\"}"}', None, id="a text that is no event"),
        pytest.param(b"[1]", None, id="a list"),
        pytest.param(b"{", None, id="broken JSON"),
        pytest.param(b"[" * 100_000, None, id="deep JSON"),
        pytest.param(b'{"a":' * 100_000, None, id="a deep object"),
        pytest.param(b"\xff", None, id="no UTF-8"),
    ],
)
def test_other_lines(line: bytes, found: LooseEvent | None) -> None:
    """What is an event, and what is none."""
    assert EventTexts().read(line) == found


@given(st.binary(max_size=200))
def test_any_bytes_are_read(line: bytes) -> None:
    """Nothing raises."""
    assert not isinstance(EventTexts().read(line), ChainedEvent)


@given(st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")), max_size=20), st.integers(1, 50))
def test_lines_of_a_stream(lines: list[bytes], size: int) -> None:
    """However a stream hands out its bytes."""
    data = b"".join(line + b"\n" for line in lines)
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    assert list(lines_of(lambda _: blocks.pop(0) if blocks else b"")) == lines


def test_a_line_without_an_end() -> None:
    """It takes no more memory than a few blocks, and what follows its end is read."""
    blocks = [b"x" * BLOCK] * 20 + [b"\nnext\nlast"]
    found = list(lines_of(lambda _: blocks.pop(0) if blocks else b""))
    assert (len(found[0]) <= 2 * BLOCK, found[1:]) == (True, [b"next", b"last"])
