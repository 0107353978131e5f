"""GitHub and GitLab as a CI job sees them: variables, files, log commands, and comments by their REST API."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

SECONDS = 20.0
"""For each request."""

MAX_PAGES = 50
"""Of a hundred comments, in the search for our own."""


class ForgeError(Exception):
    """The forge did not do what it was asked; the text says why, without the token."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the token to another address."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


@dataclass(frozen=True)
class Place:
    """Where comments are created, and where one is updated, which is below `update`."""

    create: str
    update_method: str
    update: str


class Forge(ABC):
    """What the review needs of a forge. `base` is the revision to compare with; empty outside of merge requests."""

    base: str = ""

    @staticmethod
    def marker(folder: str) -> str:
        """The first line of the comment, by which the next run finds it. It is not shown."""
        return f"<!-- tokenserver policy review: {quote(folder)} -->"

    def annotation(self, severity: str, file: str, line: int, title: str, text: str) -> str:  # noqa: ARG002 - for GitHub
        """What to write to the log so that the problem is shown at its line; empty where the log shows none."""
        return ""

    @abstractmethod
    def summarize(self, text: str, outputs: Mapping[str, str | int]) -> None:
        """Show the report with the job, and hand the outputs to later steps."""

    @abstractmethod
    def comment(self, text: str, *, is_worth_it: bool) -> str:
        """Update our comment on the merge request, or create it if `is_worth_it`; gives one line about it.

        Raises:
            ForgeError: the forge refuses, or does not answer.
        """

    def _publish(
        self, text: str, ours: Iterator[dict[str, Any]], place: Place, headers: Mapping[str, str], *, is_worth_it: bool
    ) -> str:
        """Bring our comment up to date. `ours` are those of our user: anybody can write one that begins like ours."""
        marker = text.partition("\n")[0]
        for one in ours:
            body = str(one["body"]).replace("\r\n", "\n")
            if body.startswith(marker):
                if body.strip() == text.strip():
                    return "the comment is up to date"
                self._request(place.update_method, f"{place.update}/{int(one['id'])}", headers, {"body": text})
                return "updated the comment"
        if not is_worth_it:
            return "no comment: nothing changes"
        self._request("POST", place.create, headers, {"body": text})
        return "commented"

    def _request(self, method: str, url: str, headers: Mapping[str, str], body: Any = None) -> Any:
        """One request of JSON. No redirect is followed."""
        data = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", "User-Agent": "tokenserver-policy-review", **headers}
        if not url.startswith(("https://", "http://")):
            raise ForgeError(f"{url} is no address of an API")
        request = urllib.request.Request(url, data, sent, method=method)  # noqa: S310 - the scheme is checked above
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ForgeError(f"{method} {urllib.parse.urlsplit(url).path}: status {error.code}") from None
        except (OSError, ValueError) as error:
            raise ForgeError(f"{method} {urllib.parse.urlsplit(url).path}: {error}") from None

    def _pages(self, url: str, headers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        for page in range(1, MAX_PAGES + 1):
            found = self._request("GET", f"{url}?per_page=100&page={page}", headers)
            yield from found
            if len(found) < 100:
                return


class GitHub(Forge):
    """A step of GitHub Actions. `GITHUB_TOKEN` is the token for comments; without it there is none."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        event_file = environment.get("GITHUB_EVENT_PATH", "")
        event = json.loads(Path(event_file).read_text()) if event_file else {}
        self._pull: dict[str, Any] = event.get("pull_request") or {}
        self.base = self._pull.get("base", {}).get("sha", "")

    def annotation(self, severity: str, file: str, line: int, title: str, text: str) -> str:
        """A workflow command: https://docs.github.com/actions/reference/workflow-commands-for-github-actions."""
        place = f"file={_property(file)},line={max(line, 1)},title={_property(title)}"
        return f"::{severity} {place}::{_data(text)}\n"

    def summarize(self, text: str, outputs: Mapping[str, str | int]) -> None:
        """`GITHUB_STEP_SUMMARY` and `GITHUB_OUTPUT`."""
        for name, content in (
            ("GITHUB_STEP_SUMMARY", text),
            ("GITHUB_OUTPUT", "".join(f"{key}={value}\n" for key, value in outputs.items())),
        ):
            if self._environment.get(name):
                with Path(self._environment[name]).open("a") as stream:
                    stream.write(content)

    def comment(self, text: str, *, is_worth_it: bool) -> str:
        token = self._environment.get("GITHUB_TOKEN")
        if not self._pull:
            return "no comment: this is not a pull request"
        head = (self._pull.get("head", {}).get("repo") or {}).get("full_name")
        if head != self._environment["GITHUB_REPOSITORY"]:
            return "no comment: pull requests from forks get no token that may write; the summary has the report"
        if not token:
            return "no comment: no token is given"
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        api = f"{self._environment['GITHUB_API_URL']}/repos/{self._environment['GITHUB_REPOSITORY']}/issues"
        author = self._environment.get("COMMENT_AUTHOR") or "github-actions[bot]"
        comments = f"{api}/{int(self._pull['number'])}/comments"
        ours = (one for one in self._pages(comments, headers) if (one.get("user") or {}).get("login") == author)
        place = Place(comments, "PATCH", f"{api}/comments")
        return self._publish(text, ours, place, headers, is_worth_it=is_worth_it)


def _data(text: str) -> str:
    """The message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


class GitLab(Forge):
    """A job of GitLab CI. `POLICY_REVIEW_TOKEN` is a token with the scope `api`; without it there is no note."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.base = environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA", "")

    def summarize(self, text: str, outputs: Mapping[str, str | int]) -> None:  # noqa: ARG002 - the report is an artifact
        """`policy-review.env`, a dotenv report for later jobs."""
        values = "".join(f"POLICY_{key.upper()}={value}\n" for key, value in outputs.items())
        Path(str(outputs["report"])).with_suffix(".env").write_text(values)

    def comment(self, text: str, *, is_worth_it: bool) -> str:
        number = self._environment.get("CI_MERGE_REQUEST_IID")
        token = self._environment.get("POLICY_REVIEW_TOKEN")
        if not number:
            return "no comment: this is not a merge request"
        if not token:
            return "no comment: POLICY_REVIEW_TOKEN is not set; the report is an artifact of this job"
        headers = {"PRIVATE-TOKEN": token}
        root = self._environment["CI_API_V4_URL"]
        project = quote(self._environment["CI_MERGE_REQUEST_PROJECT_ID"], safe="")
        api = f"{root}/projects/{project}/merge_requests/{int(number)}/notes"
        author = self._request("GET", f"{root}/user", headers)["id"]
        ours = (one for one in self._pages(api, headers) if (one.get("author") or {}).get("id") == author)
        return self._publish(text, ours, Place(api, "PUT", api), headers, is_worth_it=is_worth_it)
