"""The file of state keys: made once, private, read whole, and extended by new keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenserver.errors import LoadError
from tokenserver.storage.state_keys import (
    KEY_BYTES,
    MAX_KEYS,
    STATE_KEY,
    StateKey,
    add_state_key,
    init_state_keys,
    read_state_keys,
    remove_state_key,
)

LINE = f"1 {'ab' * 32}\n"


def write(folder: Path, text: str, mode: int = 0o600) -> None:
    """A file of state keys with this text."""
    (folder / STATE_KEY).write_text(text)
    (folder / STATE_KEY).chmod(mode)


def test_a_new_file_has_one_key(tmp_path: Path) -> None:
    """It is private, and a second call leaves it alone."""
    assert init_state_keys(tmp_path)
    content = (tmp_path / STATE_KEY).read_bytes()
    assert (tmp_path / STATE_KEY).stat().st_mode & 0o777 == 0o600
    assert not init_state_keys(tmp_path)
    assert (tmp_path / STATE_KEY).read_bytes() == content
    assert list(read_state_keys(tmp_path).by_number) == [1]


def test_derived_keys_differ_by_purpose_and_secret() -> None:
    """Who knows one of them knows no other."""
    one, two = StateKey.derived(1, bytes(KEY_BYTES)), StateKey.derived(1, b"x" * KEY_BYTES)
    assert len({one.pepper, one.seal, one.encryption, two.pepper, two.seal, two.encryption}) == 6
    assert one == StateKey.derived(1, bytes(KEY_BYTES))
    assert "pepper" not in repr(one)


def test_a_new_key_is_used_for_what_is_new(tmp_path: Path) -> None:
    """The one before stays."""
    init_state_keys(tmp_path)
    first = read_state_keys(tmp_path).newest
    assert add_state_key(tmp_path) == 2
    keys = read_state_keys(tmp_path)
    assert (keys.by_number[1], keys.newest.number) == (first, 2)
    assert keys.newest.seal != first.seal
    assert (tmp_path / STATE_KEY).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "mode", "fault"),
    [
        pytest.param("", 0o600, "has no key", id="empty"),
        pytest.param(LINE + "2 abcd\n", 0o600, "state.key:2: is no state key", id="short"),
        pytest.param(LINE + LINE, 0o600, "state.key:2: repeats key 1", id="twice"),
        pytest.param(f"0 {'ab' * 32}\n", 0o600, "state.key:1: is no state key", id="zero"),
        pytest.param(LINE, 0o644, "can be read by others", id="open"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, mode: int, fault: str) -> None:
    """Nothing of a line is repeated."""
    write(tmp_path, text, mode)
    with pytest.raises(LoadError, match=fault) as caught:
        read_state_keys(tmp_path)
    assert "abab" not in str(caught.value)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    """Or where to get it."""
    with pytest.raises(LoadError, match=r"does not exist; fix: tokenserver keys init, or copy it"):
        read_state_keys(tmp_path)


def test_a_full_file_takes_no_more(tmp_path: Path) -> None:
    """It is read at every start, so it has a limit."""
    write(tmp_path, "".join(f"{number} {'ab' * 32}\n" for number in range(1, MAX_KEYS + 1)))
    with pytest.raises(LoadError, match=f"has {MAX_KEYS} keys already"):
        add_state_key(tmp_path)


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    """The fault has the system's reason."""
    with pytest.raises(LoadError, match="cannot be written: No such file or directory"):
        init_state_keys(tmp_path / "none")


def test_a_key_is_deleted(tmp_path: Path) -> None:
    """Never the newest one, and none that is not there."""
    init_state_keys(tmp_path)
    add_state_key(tmp_path)
    newest = read_state_keys(tmp_path).newest
    for number, told in ((2, "key 2 is the newest one"), (3, "key 3 does not exist")):
        with pytest.raises(LoadError, match=told):
            remove_state_key(tmp_path, number)
    remove_state_key(tmp_path, 1)
    assert dict(read_state_keys(tmp_path).by_number) == {2: newest}
