"""ci/forges.py: log commands that text from a file cannot break out of, and comments that are updated, not repeated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forges import Forge, ForgeError, GitHub, GitLab
from harness.forge_api import ForgeApi, forge_api
from hypothesis import given
from hypothesis import strategies as st

TOKEN = "not-a-secret-token"
MARK = Forge.marker("policies")
TEXT = f"{MARK}\n## Policies\n"


@pytest.fixture
def api() -> Iterator[ForgeApi]:
    """The API of both forges."""
    with forge_api(TOKEN) as running:
        yield running


def github(api: ForgeApi, folder: Path, *, head: str = "acme/policies", token: str = TOKEN) -> GitHub:
    """A step in a pull request from the repository `head`."""
    pull = {"number": 5, "base": {"sha": "b" * 40}, "head": {"repo": {"full_name": head}}}
    (folder / "event.json").write_text(json.dumps({"pull_request": pull}))
    return GitHub(
        {
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_API_URL": api.url,
            "GITHUB_REPOSITORY": "acme/policies",
            "GITHUB_TOKEN": token,
        }
    )


def gitlab(api: ForgeApi, **changes: str) -> GitLab:
    """A job of a merge request pipeline."""
    return GitLab(
        {
            "CI_API_V4_URL": api.url,
            "CI_MERGE_REQUEST_IID": "5",
            "CI_MERGE_REQUEST_PROJECT_ID": "12",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": "b" * 40,
            "POLICY_REVIEW_TOKEN": TOKEN,
            **changes,
        }
    )


@pytest.fixture(params=["github", "gitlab"])
def forge(request: pytest.FixtureRequest, api: ForgeApi, tmp_path: Path) -> Forge:
    """Each of the two."""
    return github(api, tmp_path) if request.param == "github" else gitlab(api)


def test_a_comment_is_updated_and_not_repeated(forge: Forge, api: ForgeApi) -> None:
    """The first run creates it, the second leaves it as it is, the third changes it."""
    said = [forge.comment(text, is_worth_it=True) for text in (TEXT, TEXT, f"{TEXT}new\n")]
    assert said == ["commented", "the comment is up to date", "updated the comment"]
    assert api.bodies == [f"{TEXT}new\n"]


def test_nothing_to_say_makes_no_comment_but_corrects_one(forge: Forge, api: ForgeApi) -> None:
    """A change that is taken back must not leave an old comment behind."""
    assert forge.comment(TEXT, is_worth_it=False) == "no comment: nothing changes"
    forge.comment(f"{TEXT}gains\n", is_worth_it=True)
    forge.comment(TEXT, is_worth_it=False)
    assert api.bodies == [TEXT]


def test_the_comment_is_found_on_a_later_page(forge: Forge, api: ForgeApi) -> None:
    """A long discussion has hundreds of comments."""
    for number in range(250):
        api.add(f"comment {number}", {"login": "ann", "id": 1})
    api.add(f"{TEXT}old")
    assert forge.comment(TEXT, is_worth_it=True) == "updated the comment"
    assert api.bodies[-1] == TEXT


def test_somebody_elses_comment_is_not_ours(forge: Forge, api: ForgeApi) -> None:
    """Its author could change the review afterwards. Another folder's review is another comment."""
    api.add(f"{MARK}\nall is well", {"login": "mallory", "id": 66})
    api.add(f"{Forge.marker('policies/other')}\n")
    forge.comment(TEXT, is_worth_it=True)
    assert [body == TEXT for body in api.bodies] == [False, False, True]


@pytest.mark.parametrize("status", [302, 403, 500])
def test_a_forge_that_refuses(status: int, forge: Forge, api: ForgeApi) -> None:
    """The reason has the status and not the token, and no redirect is followed with it."""
    api.refuse = status
    with pytest.raises(ForgeError, match=f"status {status}") as raised:
        forge.comment(TEXT, is_worth_it=True)
    assert TOKEN not in str(raised.value)
    assert len(api.requests) == 1


def test_a_forge_that_is_down(tmp_path: Path) -> None:
    """The reason is the system's."""
    with pytest.raises(ForgeError, match="refused"):
        gitlab(ForgeApi(port=1)).comment(TEXT, is_worth_it=True)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        pytest.param({"CI_MERGE_REQUEST_IID": ""}, "not a merge request", id="branch"),
        pytest.param({"POLICY_REVIEW_TOKEN": ""}, "POLICY_REVIEW_TOKEN is not set", id="no-token"),
    ],
)
def test_gitlab_without_a_note(environment: dict[str, str], reason: str, api: ForgeApi) -> None:
    """Nothing is asked, and the line says why."""
    assert reason in gitlab(api, **environment).comment(TEXT, is_worth_it=True)
    assert api.requests == []


def test_github_without_a_comment(api: ForgeApi, tmp_path: Path) -> None:
    """A fork's pull request, a missing token, and a push: nothing is asked, and the line says why."""
    forks = github(api, tmp_path, head="mallory/policies").comment(TEXT, is_worth_it=True)
    without = github(api, tmp_path, token="").comment(TEXT, is_worth_it=True)
    push = GitHub({"GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": "acme/policies"}).comment(TEXT, is_worth_it=True)
    assert ["forks" in forks, "no token" in without, "not a pull request" in push] == [True] * 3
    assert api.requests == []


def test_the_base_is_that_of_the_merge_request(forge: Forge) -> None:
    """And nothing outside of one."""
    assert forge.base == "b" * 40
    assert (GitHub({}).base, GitLab({}).base) == ("", "")


ANY: Any = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(file=ANY, title=ANY, text=ANY)
def test_an_annotation_is_one_line_with_the_text_in_it(file: str, title: str, text: str) -> None:
    """Whatever a policy file says, it is one workflow command, and the runner decodes it to the same text."""
    line = GitHub({}).annotation("error", file, 3, title, text)
    assert line.endswith("\n")
    command, properties, data = re.fullmatch(r"::(\w+) ([^\r\n]*?)::([^\r\n]*)\n", line).groups()  # type: ignore[union-attr]
    decoded = {name: _decoded(value) for name, _, value in (one.partition("=") for one in properties.split(","))}
    assert (command, decoded) == ("error", {"file": file, "line": "3", "title": title})
    assert _decoded(data) == text


def _decoded(text: str) -> str:
    """As the runner does it, `%25` last."""
    for written, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(written, character)
    return text
