"""JWTs of jobs and pods, for one token server and no other. See docs/design/threats.md#threat-165."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helper_worlds import ISSUER, NOW, HelperWorld, answer, jwt

from tokenserver.credential_helper.token_server.reply import ServerReply
from tokenserver.credential_helper.workloads import JobEnvironment, UnusableWorkload, advice, workload_jwt

JOB = JobEnvironment("", "", "", lambda: None, "/projected")
GITHUB = "https://pipelines.example.com/token?api-version=2.0"
FETCHED = f"{GITHUB}&audience=https%3A%2F%2Fauth.example.com"


def found(folder: Path, replies: dict[str, Any] | None = None, **job: Any) -> str | None:
    """The JWT of a job."""
    world = HelperWorld(folder, replies or {})
    return workload_jwt(replace(JOB, **job), ISSUER, world.fetch, NOW)


def test_sources(tmp_path: Path) -> None:
    """GitHub, GitLab, Kubernetes, and nothing."""
    token = jwt()
    assert found(tmp_path) is None
    assert found(tmp_path, id_token=token) == token
    assert found(tmp_path, read_token_file=lambda: f"{token}\n") == token
    assert found(tmp_path, {FETCHED: answer(value=token)}, github_url=GITHUB, github_token="x") == token
    assert found(tmp_path, github_url=GITHUB) is None


def test_github_is_asked_with_its_own_token(tmp_path: Path) -> None:
    """And for the token server as the audience."""
    world = HelperWorld(tmp_path, {FETCHED: answer(value=jwt())})
    job = replace(JOB, github_url=GITHUB, github_token="of the runner")
    assert workload_jwt(job, ISSUER, world.fetch, NOW) == jwt()
    (asked,) = world.asked
    assert (asked.url, asked.form, asked.headers) == (FETCHED, None, {"Authorization": "bearer of the runner"})
    assert "of the runner" not in repr(job)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        pytest.param(None, "does not answer", id="no answer"),
        pytest.param(answer(500), "answers 500 without one", id="down"),
        pytest.param(answer(200), "answers 200 without one", id="no value"),
        pytest.param(answer(200, value=7), "without one", id="a number"),
        pytest.param(answer(200, value="\x1b[2J"), "GitHub's ID token is no JWT", id="another text"),
        pytest.param(answer(200, value=jwt("https://other.example.com")), "for another audience", id="audience"),
    ],
)
def test_github_without_one(reply: ServerReply | None, message: str, tmp_path: Path) -> None:
    """One line says why."""
    with pytest.raises(UnusableWorkload, match=message):
        found(tmp_path, {FETCHED: reply}, github_url=GITHUB, github_token="x")


@pytest.mark.parametrize(
    ("token", "message"),
    [
        pytest.param(
            jwt("https://evil.example.com"), "another audience; fix: ask for one for https://auth", id="other"
        ),
        pytest.param(jwt(f"{ISSUER}/"), "another audience", id="a slash more"),
        pytest.param(jwt(["a", "b"]), "another audience", id="others"),
        pytest.param(jwt(None), "another audience", id="none"),
        pytest.param(jwt(exp=NOW + 10), "has expired", id="expired"),
        pytest.param(jwt(exp=None), "has expired", id="no end"),
        pytest.param(jwt(exp=True), "has expired", id="a Boolean"),
        pytest.param(jwt(exp="x"), "has expired", id="a text"),
        pytest.param(jwt(exp=float("nan")), "has expired", id="NaN"),
        pytest.param("a.b.c", "another audience", id="no claims"),
        pytest.param("a.b", "no JWT", id="two parts"),
        pytest.param("a.b.c\n", "no JWT", id="line feed"),
        pytest.param("a.A.c", "another audience", id="no base64"),
        pytest.param(jwt(x="a" * 9000), "no JWT", id="long"),
    ],
)
def test_unusable(token: str, message: str, tmp_path: Path) -> None:
    """One that is for somebody else is not sent anywhere."""
    with pytest.raises(UnusableWorkload, match=message) as caught:
        found(tmp_path, id_token=token)
    assert token not in str(caught.value)


def test_several_audiences(tmp_path: Path) -> None:
    """Ours is among them, as in every token of Kubernetes."""
    token = jwt([ISSUER])
    assert found(tmp_path, id_token=token) == token


@pytest.mark.parametrize(
    ("system", "text"),
    [("github", "id-token: write"), ("gitlab", f"aud: {ISSUER}"), ("kubernetes", "to /projected"), ("", None)],
)
def test_advice(system: str, text: str | None) -> None:
    """What the job needs."""
    given = advice(replace(JOB, system=system), ISSUER)
    assert given is None if text is None else text in (given or "")
