"""`tokenserver import verify`: docker_auth and the imported site, asked the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click

from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.cli.exits import NO
from tokenserver.cli.importing.peer_config import read_peer
from tokenserver.cli.importing.running_peer import ask, read_passwords, what_can_be_asked
from tokenserver.cli.options import exit_with, report_faults
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.config.load import DEFAULT_FILE, load_settings
from tokenserver.config.settings import Settings
from tokenserver.documents.files import read_text
from tokenserver.importers.docker_auth.comparison.announced import Announcements
from tokenserver.importers.docker_auth.comparison.choices import Choices
from tokenserver.importers.docker_auth.comparison.compare import Disagreement, Undecided, disagreement, theirs
from tokenserver.importers.docker_auth.comparison.ours import OurSide
from tokenserver.importers.docker_auth.comparison.recorded import recorded_requests
from tokenserver.importers.docker_auth.comparison.requests import values_of
from tokenserver.importers.docker_auth.model import DockerAuthConfig, PeerRequest
from tokenserver.importers.docker_auth.translation.translate import translate_acl
from tokenserver.printable import one_line
from tokenserver.server.compose import load_snapshot

MAX_REQUESTS = 1_000_000
_MAX_PRINTED = 20
_MAX_KEPT = 10_000


@dataclass(slots=True)
class VerifiedRequests:
    """What was compared, and how the answers differ: announced by the import, or not."""

    compared: int = 0
    undecided: int = 0
    differing: int = 0
    unannounced: int = 0
    kept: list[tuple[Disagreement, bool]] | None = None


@click.command("verify")
@click.option(
    "--docker-auth", "config", metavar="CONFIG", required=True, type=click.Path(path_type=Path, dir_okay=False)
)
@click.option("--with", "folder", metavar="DIR", required=True, type=click.Path(path_type=Path), help="The site.")
@click.option("--requests", "log", type=click.Path(path_type=Path, dir_okay=False), help="Recorded requests.")
@click.option("--random", "count", type=click.IntRange(0, MAX_REQUESTS), help="Further requests.  [default: 10000]")
@click.option("--seed", type=int, default=1, show_default=True, help="Which further requests.")
@click.option("--url", help="The token endpoint of the running docker_auth, which is asked as well.")
@click.option(
    "--password-file", "passwords", type=click.Path(path_type=Path, dir_okay=False), help="With --url: NAME:PASSWORD."
)
@click.option("--json", "as_json", is_flag=True, help="Print all differences as JSON lines.")
@report_faults
def import_verify(  # noqa: PLR0917 - click passes options by name
    config: Path,
    folder: Path,
    log: Path | None,
    count: int | None,
    seed: int,
    url: str | None,
    passwords: Path | None,
    *,
    as_json: bool,
) -> None:
    """Ask the rules of docker_auth and those in DIR the same, and list where the answers differ.

    Requests come from a file of --requests (JSON lines, the audit log of this server, or the log of docker_auth), and
    are made up of the values at the boundaries of all patterns. With --url, a running docker_auth is asked some of
    them, to see that it does what its file says. Exit code 0: no difference, or only such as the import announces; 1:
    others.
    """
    peer = read_peer(config)
    settings = load_settings(folder / DEFAULT_FILE, {})
    ours = our_side(peer, settings)
    recorded: list[PeerRequest] = []
    if log is not None:
        recording = recorded_requests(_lines(log), peer, MAX_REQUESTS)
        recorded = list(recording.requests.values())
        for reason, skipped in recording.skipped.items():
            echo(f"{log}: {skipped:,} skipped: {reason}", err=True, fg="yellow")
        if not recorded:
            exit_with(f"{log} has no request that can be compared")
    wanted = (0 if recorded else 10_000) if count is None else count
    translation = translate_acl(peer, ours.services, keep_traps=False)
    announcements = Announcements(peer, translation.entries, ours.rejected)
    patterns = [pattern.text for rule in ours.policies.rules for pattern in rule.patterns]
    names = [pattern.replace("**", "x/y").replace("*", "x") for pattern in patterns[:2_000]]
    values = values_of(peer, ours.services, names)
    choices = Choices(seed)
    made = (values.any_request(choices.below) for _ in range(wanted))
    found = VerifiedRequests(kept=[])
    requests = [*recorded, *made]
    for request in requests:
        _compare(peer, ours, request, announcements, found)
    _print(found, as_json=as_json)
    differing = 0 if url is None else _ask_running(peer, requests, url, passwords)
    raise SystemExit(NO if found.unannounced or differing else 0)


def _ask_running(config: DockerAuthConfig, requests: list[PeerRequest], url: str, file: Path | None) -> int:
    """Ask the running server, and print where it does not do what its file says; gives how often that is."""
    passwords = {} if file is None else read_passwords(file)
    asked = differing = 0
    for request in what_can_be_asked(config, requests, passwords):
        try:
            expected, _ = theirs(config, request)
        except Undecided:
            continue
        granted = ask(url, request, passwords.get(request.account))
        asked += 1
        if granted != expected:
            differing += 1
            one = Disagreement(request, expected, granted, None)
            echo(f"running server: {one_line(str(one)).replace(', here ', ' by its file, and running ')}", err=True)
    echo(f"{asked:,} asked of {url}: {differing:,} are answered otherwise than its file says.", err=True)
    return differing


def our_side(config: DockerAuthConfig, settings: Settings) -> OurSide:
    """The site as it would decide now."""
    snapshot = load_snapshot(settings)
    users = config.users or {}
    here: set[str] = {""} if settings.anonymous else set()
    for source in settings.authentication:
        if source.htpasswd is not None:
            path = source.htpasswd.file
            here.update(entry.name for entry in parse_users(read_text(path, private=True), str(path)))
    services = frozenset(entry.service for entry in settings.registries)
    return OurSide(snapshot.policies, services, users, datetime.now(UTC), frozenset(users) - here)


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        yield from islice(lines, 10 * MAX_REQUESTS)


def _compare(
    config: DockerAuthConfig, ours: OurSide, request: PeerRequest, announcements: Announcements, found: VerifiedRequests
) -> None:
    try:
        one = disagreement(config, ours, request)
    except Undecided:
        found.undecided += 1
        return
    found.compared += 1
    if one is None:
        return
    is_announced = announcements.has(one)
    found.differing += 1
    found.unannounced += not is_announced
    if found.kept is not None and len(found.kept) < _MAX_KEPT:
        found.kept.append((one, is_announced))


def _print(found: VerifiedRequests, *, as_json: bool) -> None:
    kept = sorted(found.kept or (), key=lambda one: one[1])
    if as_json:
        for one, is_announced in kept:
            echo_json(_members(one, is_announced=is_announced))
        return
    for one, is_announced in kept[:_MAX_PRINTED]:
        place = "" if one.entry is None else f" (line {one.entry.line})"
        echo_text(f"{'announced' if is_announced else 'DIFFERENT'}: {one_line(str(one))}{place}")
    if found.differing > _MAX_PRINTED:
        echo(f"… and {found.differing - _MAX_PRINTED:,} more; --json prints all.")
    if found.undecided:
        echo(f"{found.undecided:,} requests are decided by sources that are not in the file, and not compared.")
    announced = found.differing - found.unannounced
    echo(
        f"{found.compared:,} requests compared: {found.unannounced:,} differ,"
        f" and {announced:,} differ as the report announces.",
        fg="red" if found.unannounced else "green",
    )


def _members(one: Disagreement, *, is_announced: bool) -> dict[str, object]:
    request = one.request
    return {
        "account": request.account,
        "labels": {name: list(values) for name, values in request.labels.items()},
        "service": request.service,
        "type": request.type,
        "name": request.name,
        "actions": list(request.actions),
        "ip": request.ip,
        "docker_auth": sorted(one.theirs),
        "here": sorted(one.ours),
        "line": None if one.entry is None else one.entry.line,
        "announced": is_announced,
    }
