"""Names of groups that one delegated file defines for itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.policy.group_names import is_root, owned_name, plain_name, shown_name
from tokenserver.policy.terms import TermError, parse_group

FILES = st.text(st.sampled_from("abc/._-"), min_size=1, max_size=12)
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param("company.yaml", True, id="at the top"),
        pytest.param("teams/web.yaml", False, id="below"),
        pytest.param("a/b/c.yaml", False, id="deep below"),
    ],
)
def test_is_root(file: str, expected: bool) -> None:
    """Only files directly in the policy folder are root files."""
    assert is_root(file) is expected


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("web", "web", id="a group of the tree"),
        pytest.param(owned_name("web", "teams/a.yaml"), "web (teams/a.yaml)", id="a file's own"),
        pytest.param("all*stars", '"all*stars"', id="a name that needs quotes"),
        pytest.param(owned_name("all*stars", "t/a.yaml"), '"all*stars" (t/a.yaml)', id="both"),
    ],
)
def test_shown_name(name: str, shown: str) -> None:
    """As a policy file writes the name, followed by the file that alone knows it."""
    assert shown_name(name) == shown


@given(NAMES, FILES)
def test_the_internal_name_leads_back(name: str, file: str) -> None:
    """The plain name comes back, and what is displayed has neither a line break nor another group's text."""
    owned = owned_name(name, file)
    assert (plain_name(owned), plain_name(name)) == (name, name)
    assert shown_name(owned).endswith(f" ({file})")
    assert "\n" not in shown_name(owned)


@given(NAMES, FILES, NAMES, FILES)
def test_two_files_never_share_a_group(name: str, file: str, other: str, elsewhere: str) -> None:
    """Internal names are equal only for the same group of the same file, and equal no group of the tree."""
    assert (owned_name(name, file) == owned_name(other, elsewhere)) is ((name, file) == (other, elsewhere))
    assert owned_name(name, file) != other


@given(NAMES, FILES)
def test_nobody_can_write_the_internal_name(name: str, file: str) -> None:
    """Neither plainly nor in quotes, so no rule outside of the file can name the group."""
    for text in (owned_name(name, file), f'"{owned_name(name, file)}"', f'"{name}\\n{file}"'):
        with pytest.raises(TermError):
            parse_group(text)
