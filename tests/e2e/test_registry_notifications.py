"""What real registries report: pushes, pulls, mounts and deletes, by the configuration that the server prints for them.

See docs/design/threats.md#threat-225, docs/design/threats.md#threat-228 and docs/design/threats.md#threat-229.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import canaries
import pytest
import yaml
from harness import registries, web
from harness.images import MANIFEST_TYPE, Image
from harness.processes import free_port, run
from harness.programs import need
from harness.registries import KEEPER, Registry
from harness.server import Setup, TokenServer, serving

SECRET = "0123456789abcdef0123456789abcdef-of-notifications"
SERVICES = {"registry2.test": "distribution2", "registry3.test": "distribution3"}
SECRET_FILE = {"secret_file": "reports.secret"}
WAIT = 15.0


@dataclass
class Reporting:
    """A server, and registries that report to it."""

    server: TokenServer
    port: int
    named: dict[str, Registry]

    def reports(self, until: Callable[[list[dict[str, Any]]], bool] = bool, *, mark: int = 0) -> list[dict[str, Any]]:
        """The reports in the audit trail since the mark, as soon as `until` holds of them."""
        deadline = time.monotonic() + WAIT
        while True:
            with self.server.daemon.stdout.open("rb") as stream:
                stream.seek(mark)
                data = stream.read()
            lines = data[: data.rfind(b"\n") + 1].splitlines()
            found = [event for event in map(json.loads, lines) if event["event"] == "registry"]
            if until(found) or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def who_did(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The answer of `audit who-did --really --json`, with its exit code."""
        command = self.server.command("audit", "who-did", *arguments, "--really", "--json", self.server.daemon.stdout)
        output = run(command, environment=self.server.environment, folder=self.server.folder)
        return output.code, json.loads(output.stdout)


@pytest.fixture(scope="module")
def reporting(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reporting]:
    """Distribution 2.8 and 3.1, which report what they are told to by the printed sections."""
    folder = tmp_path_factory.mktemp("server")
    canaries.know(SECRET)
    (folder / "reports.secret").write_text(f"{SECRET}\n")
    (folder / "reports.secret").chmod(0o600)
    entries = [{"service": name, "compat": "universal", "notifications": {**SECRET_FILE}} for name in SERVICES]
    entries.append({**entries[0], "service": "zot.test", "compat": "zot", "notifications": {**SECRET_FILE}})
    port = free_port()
    settings = {"registries": entries, "server": {"notifications": f"127.0.0.1:{port}", "workers": 2}}
    with ExitStack() as stack:
        server = stack.enter_context(serving(folder, replace(setup, settings=settings)))
        named = {}
        for service, generation in SERVICES.items():
            printed = printed_section(server, service, generation)
            made = tmp_path_factory.mktemp("registry")
            named[service] = stack.enter_context(
                registries.registry(made, server, service, generation, sections=yaml.safe_load(printed))
            )
        yield Reporting(server, port, named)


def printed_section(server: TokenServer, service: str, generation: str) -> str:
    """What `registry-config --notifications` prints. It contains the secret, so it is no output for `canaries`."""
    command = server.command(
        "registry-config", service, "--for", generation, "--notifications", "--config", server.config
    )
    output = run(command, environment=server.environment, folder=server.folder)
    assert output.ok, str(output)
    return output.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_what_happened_is_in_the_trail(
    service: str, reporting: Reporting, image: Image, new_name: Callable[[str], str]
) -> None:
    """A push, a pull, a mount and a delete: who, what, and by which token and rule of this server."""
    registry, source, target = reporting.named[service], new_name("web"), new_name("web")
    mark = reporting.server.daemon.stdout.stat().st_size
    registry.put(source, image)
    assert registry.holds(source)
    blob = next(iter(image.blobs))
    scopes = [f"repository:{source}:pull", f"repository:{target}:pull,push"]
    token = registry.server.token(service, scopes, person="ann")
    mounted = registry.request("POST", f"/v2/{target}/blobs/uploads/?mount={blob}&from={source}", token)
    assert mounted.status == 201
    token = registry.server.token(service, [f"repository:{source}:pull,push,delete"], person=KEEPER)
    assert registry.request("DELETE", f"/v2/{source}/manifests/{image.digest}", token).status == 202
    reports = reporting.reports(
        lambda found: any("tag" in one for one in found if one["action"] == "delete"), mark=mark
    )
    told = [(one["action"], one["repository"], one["subject"], one.get("tag"), one.get("digest")) for one in reports]
    assert told == [
        ("push", source, KEEPER, "1", image.digest),
        ("pull", source, KEEPER, "1", image.digest),
        ("mount", target, "ann", None, blob),
        ("delete", source, KEEPER, None, image.digest),
        ("delete", source, KEEPER, "1", None),
    ]
    for repository, action, rule in (
        (source, "push", "keeper"),
        (target, "push", "web-writers"),
        (source, "delete", "keeper"),
    ):
        code, answer = reporting.who_did(action, repository)
        assert (code, answer["without_token"]) == (0, 0)
        assert {(deed["outcome"], *deed["rules"]) for deed in answer["deeds"]} == {("allowed", rule)}
        assert all(deed["tokens"] for deed in answer["deeds"])


def test_a_push_by_nobodys_token(reporting: Reporting, image: Image, new_name: Callable[[str], str]) -> None:
    """A report whose token this server never issued is an alarm."""
    repository = new_name("web")
    forged = {
        "events": [
            {
                "id": f"forged-{repository}",
                "action": "push",
                "target": {"repository": repository, "digest": image.digest},
                "actor": {"name": "mallory"},
            }
        ]
    }
    answer = report(reporting.port, json.dumps(forged).encode())
    assert answer.status == 200
    reporting.reports(lambda found: any(one["repository"] == repository for one in found))
    code, told = reporting.who_did("push", repository)
    assert (code, told["without_token"], told["deeds"][0]["outcome"]) == (0, 1, "no token")


def test_a_report_that_comes_again_to_any_worker(
    reporting: Reporting, image: Image, new_name: Callable[[str], str]
) -> None:
    """Many times, and to both workers at the same time: it is in the trail once (docs/design/threats.md#threat-228)."""
    repository, mark = new_name("web"), reporting.server.daemon.stdout.stat().st_size
    events = [
        {"id": f"{number}-{repository}", "action": "push", "target": {"repository": repository, "digest": image.digest}}
        for number in range(5)
    ]
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(report, reporting.port, json.dumps({"events": events}).encode()) for _ in range(40)]
        assert {one.result().status for one in sent} == {200}
    found = reporting.reports(lambda found: sum(one.get("repository") == repository for one in found) >= 5, mark=mark)
    told = [one["event_id"] for one in found if one.get("repository") == repository]
    assert sorted(told) == [one["id"] for one in events]


ZOT = [
    pytest.param("image.updated", "2", [("push", "2")], id="push"),
    pytest.param("image.updated", "sha256:" + "0" * 64, [("push", None)], id="push by digest"),
    pytest.param("image.deleted", "2", [("delete", "2")], id="delete"),
    pytest.param("repository.created", "", [], id="a repository"),
]


@pytest.mark.parametrize(("kind", "reference", "reports"), ZOT)
def test_events_of_zot(
    kind: str,
    reference: str,
    reports: list[tuple[str, str | None]],
    reporting: Reporting,
    new_name: Callable[[str], str],
    tmp_path: Path,
) -> None:
    """By the library that zot sends them with, and the printed section. zot says nothing of the client."""
    config, repository = tmp_path / "zot.json", new_name("web")
    config.write_text(printed_section(reporting.server, "zot.test", "zot"))
    reporting.server.token("zot.test", [f"repository:{repository}:pull,push,delete"], person=KEEPER)
    mark = reporting.server.daemon.stdout.stat().st_size
    digest = "sha256:" + "0" * 64
    command: list[str | Path] = [need("zot-events"), config, kind, repository, reference, digest]
    output = run(command, environment=reporting.server.environment, folder=tmp_path)
    assert output.ok, str(output)
    report(reporting.port, json.dumps({"events": [{"id": f"after-{repository}"}]}).encode())
    found = reporting.reports(lambda found: any(one["action"] == "unreadable" for one in found), mark=mark)
    told = [one for one in found if one["registry"] == "zot.test"]
    assert [(one["action"], one.get("tag")) for one in told] == reports
    assert all(one["digest"] == digest and "subject" not in one for one in told)
    for action, _ in reports:
        code, answer = reporting.who_did(action, repository)
        assert (code, answer["without_token"]) == (0, 0)
        assert {(deed["subject"], deed["outcome"], *deed["rules"]) for deed in answer["deeds"]} == {(None, "allowed")}


def report(port: int, body: bytes | None, *, secret: str = SECRET, **more: str) -> web.Answer:
    """Send a report as a registry does. Names of further headers are spelt with underscores."""
    headers = {
        "Authorization": f"Bearer {secret}",
        "Content-Type": "application/vnd.docker.distribution.events.v2+json",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return web.request(port, "POST", "/notifications/registry3.test", headers=headers, body=body)


def test_the_listener_of_its_own(reporting: Reporting) -> None:
    """The path is there alone; a body that is too large or of somebody else is not read to its end."""
    assert report(reporting.port, b'{"events": []}').status == 200
    assert report(reporting.server.port, b'{"events": []}').status == 404
    assert report(reporting.port, b"{}", secret="x" * 40).status == 401
    assert report(reporting.port, None, Content_Length=str(1024 * 1024 + 1)).status == 413
    assert web.request(reporting.port, "GET", "/token?service=registry3.test").status == 404
    assert web.request(reporting.port, "GET", "/healthz").status == 200


PUSHES = [pytest.param(150, id="short"), pytest.param(5000, id="long", marks=pytest.mark.nightly)]


@pytest.mark.waits
@pytest.mark.parametrize("count", PUSHES)
def test_nothing_is_lost_over_a_restart(
    count: int, reporting: Reporting, image: Image, new_name: Callable[[str], str]
) -> None:
    """The receiver is killed amid pushes and started again: every push is in the trail, and counts once."""
    service = "registry3.test"
    registry, repository = reporting.named[service], new_name("web")
    mark = reporting.server.daemon.stdout.stat().st_size
    registry.put(repository, image, "0")
    token = registry.server.token(service, [f"repository:{repository}:pull,push"], person=KEEPER)
    for number in range(1, count + 1):
        if number == count // 3:
            reporting.server.daemon.signal(signal.SIGKILL)
        if number == 2 * count // 3:
            reporting.server.daemon.wait()
            reporting.server.daemon.start(reporting.server.is_ready)
        answer = registry.request(
            "PUT", f"/v2/{repository}/manifests/{number}", token, image.manifest, Content_Type=MANIFEST_TYPE
        )
        assert answer.status == 201
    reports = reporting.reports(
        lambda found: len({one["tag"] for one in found if one["repository"] == repository}) > count, mark=mark
    )
    assert {int(one["tag"]) for one in reports if one["repository"] == repository} == {*range(count + 1)}
    code, told = reporting.who_did("push", repository)
    assert (code, told["without_token"]) == (0, 0)
    assert sum(deed["count"] for deed in told["deeds"]) == count + 1
