"""Snapshot composition: which parts can go live together, if each is valid by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_web_server import make_server, server_folder

from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.htpasswd.file import HtpasswdEntry
from tokenserver.config.load import load_settings
from tokenserver.credentials import Secret
from tokenserver.errors import LoadError
from tokenserver.server.compose import load_snapshot, watched_parts
from tokenserver.server.snapshots import Composer, Values

__all__ = ["server_folder"]

BCRYPT = "$2b$04$" + "." * 53
_KNOWN: dict[tuple[str, str], Htpasswd] = {}


def source(name: str, users: str) -> Htpasswd:
    """A file with a user for each letter; the same object for the same users."""
    entries = [HtpasswdEntry(user, line, Secret(BCRYPT)) for line, user in enumerate(sorted(set(users)), 1)]
    return _KNOWN.setdefault((name, "".join(sorted(set(users)))), Htpasswd(name, name, entries))


def values(sources: Mapping[str, str]) -> Values:
    """Parts: users by source."""
    return {("users", name): source(name, users) for name, users in sources.items()}


def spelled(chosen: Values) -> dict[str, str]:
    """The other way round."""
    return {name: "".join(sorted(value.users)) for (_, name), value in chosen.items() if isinstance(value, Htpasswd)}


@pytest.fixture(scope="module")
def composer(server_folder: Path) -> Composer:
    """Of the session's server."""
    make_server(server_folder)
    return Composer(load_settings(server_folder / "tokenserver-True-1.yaml", {}))


ROWS = [
    pytest.param({"A": "a", "B": "b"}, {"A": "x", "B": "y"}, {"A": "x", "B": "y"}, id="no overlap"),
    pytest.param({"A": "a", "B": "be"}, {"A": "ab", "B": "b"}, {"A": "a", "B": "b"}, id="one adds, one removes"),
    pytest.param({"A": "a", "B": "be"}, {"A": "b", "B": "be"}, {"A": "a", "B": "be"}, id="the one that changed waits"),
    pytest.param({"A": "a", "B": "b"}, {"A": "b", "B": "a"}, {"A": "b", "B": "a"}, id="swapped"),
    pytest.param({"A": "a", "B": "b"}, {"A": "ac", "B": "bc"}, {"A": "ac", "B": "b"}, id="both add the same"),
    pytest.param(
        {"A": "a", "B": "b", "C": "c", "D": "d"},
        {"A": "b", "B": "a", "C": "cd", "D": "d"},
        {"A": "b", "B": "a", "C": "c", "D": "d"},
        id="beside a swap",
    ),
    pytest.param({"A": "ab", "B": "c"}, {"A": "a", "B": "bc"}, {"A": "a", "B": "bc"}, id="moved"),
    pytest.param(
        {"A": "a", "B": "b", "C": "ce"}, {"A": "ab", "B": "b", "C": "c"}, {"A": "a", "B": "b", "C": "c"}, id="elsewhere"
    ),
]


@pytest.mark.parametrize(("live", "newest", "expected"), ROWS)
def test_a_name_in_two_files_keeps_no_other_change_back(
    composer: Composer, live: dict[str, str], newest: dict[str, str], expected: dict[str, str]
) -> None:
    """What does not overlap goes live; where two do, those that changed wait."""
    chosen, faults = composer.together(values(newest), values(live))
    assert spelled(chosen) == expected
    assert bool(faults) == (expected != newest or newest != expected)


SOURCES = st.fixed_dictionaries({name: st.text("abcdef", max_size=3) for name in "ABC"})


def no_name_twice(sources: Iterable[str]) -> bool:
    """Whether no letter is in two of them."""
    letters = [letter for one in sources for letter in set(one)]
    return len(letters) == len(set(letters))


@settings(max_examples=min(3 * settings().max_examples, 30_000))
@given(live=SOURCES, newest=SOURCES)
def test_nobody_is_ever_two_people(composer: Composer, live: dict[str, str], newest: dict[str, str]) -> None:
    """Each source is the newest or the live one; no name is in two; and nothing that would fit is kept back."""
    if not no_name_twice(live.values()):
        return
    chosen, faults = composer.together(values(newest), values(live))
    found = spelled(chosen)
    assert no_name_twice(found.values())
    assert (faults == []) == no_name_twice(newest.values())
    for name, users in found.items():
        new = "".join(sorted(set(newest[name])))
        assert users in (new, "".join(sorted(set(live[name]))))
        assert users == new or not no_name_twice({**found, name: new}.values())


def test_a_start_tells_overlaps_with_all_other_faults(server_folder: Path, tmp_path: Path) -> None:
    """Every fault of every part, and those between parts, are reported together."""
    make_server(server_folder)
    first = (server_folder / "tokenserver-True-1.yaml").read_text()
    users = (server_folder / "users.htpasswd").read_text()
    (tmp_path / "more").write_text(users.splitlines()[0] + "\n")
    (tmp_path / "more").chmod(0o600)
    config = server_folder / "tokenserver-overlap.yaml"
    more = f"  - htpasswd: {{file: {tmp_path / 'more'}, name: more}}\nanonymous:"
    config.write_text(first.replace("anonymous:", more).replace("keys: keys", "keys: nowhere"))
    loaded = load_settings(config, {})
    with pytest.raises(LoadError) as caught:
        load_snapshot(loaded)
    told = "\n".join(map(str, caught.value.faults))
    assert "the user 'ann' is in the source 'htpasswd' as well; one name must mean one person" in told
    assert "nowhere: does not exist" in told
    assert [(part.kind, part.name) for part in watched_parts(loaded)] == [
        ("users", "htpasswd"),
        ("users", "more"),
        ("keys", str(server_folder / "nowhere")),
        ("policies", ""),
    ]
