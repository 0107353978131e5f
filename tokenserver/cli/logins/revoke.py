"""`tokenserver logins revoke`: by id, by person, by workload, or all that are older than a moment; browsers, too."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import click

from tokenserver.cli.exits import NO
from tokenserver.cli.options import config_option, exit_with
from tokenserver.cli.policy.options import parsed
from tokenserver.cli.stored.ending import BrowserEnds, end_selected
from tokenserver.cli.stored.opening import StoredSite, open_site, storage_command
from tokenserver.cli.stored.options import key_ids, now_utc
from tokenserver.credentials import AccessKeyForm
from tokenserver.documents.hints import nearest
from tokenserver.identity import WORKLOAD_PREFIX
from tokenserver.policy.machines.workloads import is_declared, membership
from tokenserver.policy.terms import parse_moment
from tokenserver.server.startup import configured_policies
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.people.epochs import Whose
from tokenserver.storage.selection import LOGINS, DeclaredSessions, Selection

SESSIONS = frozenset({AccessKeyForm.SESSION})


@click.command("revoke")
@click.argument("identifiers", metavar="[ID]...", nargs=-1, callback=key_ids)
@click.option("--user", metavar="NAME", help="All refresh tokens of this user, and logins in browsers.")
@click.option("--workload", metavar="NAME", help="All sessions of this declared workload.")
@click.option(
    "--all-before",
    "before",
    metavar="MOMENT",
    callback=parsed(parse_moment),
    help="All that were made before, also in browsers: 2027-01-31, or 2027-01-31T18:00:00Z.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the ids of what was ended as JSON, and how many browsers.",
)
@config_option
@storage_command
def logins_revoke(  # noqa: PLR0917 - click passes options by name
    identifiers: tuple[str, ...],
    user: str | None,
    workload: str | None,
    before: datetime | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """End refresh tokens, sessions and logins in browsers; the clients have to log in again. They never come back.

    With --workload and --all-before, a JWT that was made before is good for no session any more.

    Exit code 1: one of the IDs is not there, or has ended before; the others are ended.
    """
    chosen = [bool(identifiers), user is not None, workload is not None, before is not None]
    if sum(chosen) != 1:
        raise click.UsageError("name them by their IDs, or with one of --user, --workload and --all-before")
    site = open_site(config)
    selection = Selection(ids=frozenset(identifiers), forms=LOGINS)
    browsers: BrowserEnds | None = None
    if user is not None:
        owner = unicodedata.normalize("NFC", user)
        selection = Selection(forms=LOGINS, owner=owner)
        whose = Whose("", "subject", owner)
        browsers = BrowserEnds(site.store, partial(site.browsers.end_within, whose=whose), owner=owner)
    if workload is not None:
        selection = Selection(forms=SESSIONS, workload=DeclaredSessions(workload, _sessions_of(site, workload)))
    if before is not None:
        moment = int(before.timestamp())
        selection = Selection(forms=LOGINS, before=moment)
        browsers = BrowserEnds(site.store, partial(site.browsers.end_everybody_within, before=moment))
    what = "refresh token or session" if workload is None else f"session of the workload {workload}"
    end_selected(site.store, selection, what=what, named=identifiers, as_json=as_json, browsers=browsers)


def _sessions_of(site: StoredSite, name: str) -> Callable[[StoredCredential], bool]:
    """Whether the claims of a session make it this workload, as the policies declare it now.

    Raises:
        LoadError: the policies do not load.
    """
    workloads = configured_policies(site.settings, now_utc()).groups.workloads
    declared = [one for one in workloads.by_name if is_declared(one)]
    if name not in declared:
        exit_with(f"no workload {name!r} is declared; {nearest(name, declared)}", NO)
    return lambda session: membership(name) in workloads.memberships(*_proved(session))


def _proved(session: StoredCredential) -> tuple[str, frozenset[tuple[str, str]]]:
    """The workload source of a session, from its owner's subject, and the claims that its issuer vouched for."""
    source = session.owner.removeprefix(WORKLOAD_PREFIX).partition(":")[0]
    return source, session.claims or frozenset()
