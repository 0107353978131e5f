"""Text for a terminal and for a shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.printable import cut, one_line, printable, shell_word

CONTROL = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff",
    "\udc80",
    "\ud800",
    "\U000e0041",
]


@pytest.mark.parametrize("character", CONTROL, ids=[f"U+{ord(one):04X}" for one in CONTROL])
def test_no_control_character_is_printed(character: str) -> None:
    """C0, DEL, C1, what changes direction, separators of lines, halves of pairs: each as an escape in ASCII."""
    shown = one_line(f"a{character}b")
    assert shown.isascii()
    assert shown.startswith("a\\")
    assert shown.isprintable()
    layout = printable(f"a{character}b")
    assert layout == (f"a{character}b" if character in "\n\t" else shown)


@pytest.mark.parametrize("text", ["müller", "王", "שלום", "नमस्ते", "नि\u200cचित", "👩\u200d🚀", "a b", "a\\b", "…"])
def test_words_stay_as_they_are(text: str) -> None:
    """In every script, also where it joins its letters."""
    assert one_line(text) == printable(text) == text


def test_the_ends_of_lines() -> None:
    """CSV has lines that end with CR and LF; a CR by itself would overwrite the line."""
    assert printable("a\r\nb\rc") == "a\r\nb\\rc"


def test_what_is_cut_says_so() -> None:
    """By a mark that counts."""
    assert (cut("abcd", 4), cut("abcde", 4)) == ("abcd", "abc…")


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30) | st.just("\udcff\x1b'\\\n7"))
def test_a_shell_reads_the_word_as_it_was(text: str) -> None:
    """Whatever it holds, and what is printed of it is fit for a terminal."""
    word = shell_word(text)
    assert one_line(word) == word
    run = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert run.stdout == text.encode("utf-8", "surrogateescape")


def test_a_path_is_no_option() -> None:
    """A file that is called like one is named with its folder."""
    assert shell_word(Path("-rf")) == "./-rf"
    assert shell_word("-rf") == "-rf"
    assert shell_word(Path("a b")) == "'a b'"
