"""`tokenserver logins list`: refresh tokens and sessions, with their clients and addresses."""

from __future__ import annotations

from stored_sites import StoredSite, in_days

from tokenserver.storage.selection import Selection


def ids(site: StoredSite, *options: str) -> set[str]:
    """The ids that the list has."""
    return {row["id"] for row in site.facts("logins", "list", *options)["logins"]}


def test_a_table(site: StoredSite) -> None:
    """A row for each, with the client and the registries."""
    services = frozenset({"registry.example.com"})
    token = site.refresh_token(client="docker", services=services, created_from="192.0.2.7", idle=30 * 86400)
    session = site.session("74")
    lines = site.run("logins", "list").stdout.splitlines()
    cells = {line.split()[0]: [cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines}
    assert cells[token][1:6] == ["ann", "refresh token", "active", "docker", "registry.example.com"]
    assert cells[token][7:10] == ["never", "192.0.2.7", "-"]
    assert cells[session][1:6] == ["workload:github:repo:x", "session", "expires soon", "-", "all"]


def test_which(site: StoredSite) -> None:
    """Personal keys are none; those that ended, or were not used for too long, are there with --all."""
    site.stored()
    ann, bob, session = site.refresh_token(), site.refresh_token("bob"), site.session("74")
    unused = site.refresh_token(idle=0)
    revoked = site.refresh_token(ends=in_days(3))
    site.store.end(Selection(ids=frozenset({revoked})), by="test", reason="lost")
    assert ids(site) == {ann, bob, session}
    assert ids(site, "--user", "ann") == {ann}
    assert ids(site, "--all") == {ann, bob, session, unused, revoked}
    found = {row["id"]: row for row in site.facts("logins", "list", "--all")["logins"]}
    assert (found[unused]["state"], found[revoked]["state"]) == ("expired", "revoked")
    assert (found[ann]["kind"], found[session]["kind"]) == ("refresh token", "session")


def test_none(site: StoredSite) -> None:
    """One line on standard error."""
    result = site.run("logins", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "There are no refresh tokens and no sessions.\n"
