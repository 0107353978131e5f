"""How each key takes effect: every key is classified, and what waits for a restart does not hold up the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from configuration import MINIMAL, REFERENCE, leaf_paths, load

from tokenserver.config.changes.differences import changed_keys
from tokenserver.config.changes.effect import RAISED, RELOAD, RESTART, ChangeEffect, effect_of
from tokenserver.config.settings import Settings

STORAGE = 'storage: {url: "postgresql://tokenserver@db.example.com/tokenserver", password_file: storage-password}\n'
KEYS = "access_keys: {default_lifetime: 30d, max_lifetime: 180d, per_user: 10, rotate_overlap: 12h}\n"
TOKENS = "refresh_tokens: {idle: 14d, lifetime: 60d, per_user: 50}\n"
MANAGEMENT = "  management: 127.0.0.1:5003\n  management_url: https://account.example.com\n"
TLS = "  tls:\n    certificate: tls.pem\n    key: tls.key\n"


def effect(folder: Path, old: str, new: str, *, max_directories: int = 9) -> tuple[list[str], list[str], ChangeEffect]:
    """The keys that take effect now, those that wait, and the whole."""
    before, after = load(folder, old), load(folder, new)
    found = effect_of(after, before, before, max_directories=max_directories)
    return [one.key for one in changed_keys(before, found.in_force)], [one.key for one in found.waiting], found


def test_every_key_is_classified_once() -> None:
    """A new key has to be added to one of the sets; sections change by their keys."""
    keys = {".".join(path) for path in leaf_paths(Settings)}
    parents = {key.rpartition(".")[0] for key in keys}
    classified = [*RESTART, *RAISED, *RELOAD]
    assert len(classified) == len(set(classified))
    assert {*classified} - {"server.tls", "storage", "tracing"} == keys - parents
    assert "server.tls" in parents


def test_the_page_lists_what_needs_a_restart() -> None:
    """Neither more nor fewer keys than the code."""
    page = (Path(__file__).parents[3] / "docs" / "change-the-configuration.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    listed = {key.strip(" `") for row in rows for key in row.split(",")}
    assert listed == (RESTART | RAISED) - {
        "server.tls.certificate",
        "server.tls.key",
        "storage.url",
        "storage.password_file",
        "tracing.endpoint",
        "tracing.headers_file",
        "tracing.ca_file",
        "tracing.sample",
        "tracing.client_rate",
        "tracing.attributes",
    }


@pytest.mark.parametrize(
    ("old", "new", "now", "waiting"),
    [
        ("listen: 127.0.0.1:5001", "listen: 127.0.0.1:5002", [], ["server.listen"]),
        ("  metrics: 127.0.0.1:9090\n", "", [], ["server.metrics"]),
        ("  workers: 2\n", "", [], ["server.workers"]),
        ("sample: 0.5", "sample: 0.6", [], ["tracing.sample"]),
        (TLS, "", [], ["server.tls"]),
        ("certificate: tls.pem", "certificate: new.pem", [], ["server.tls.certificate"]),
        ("secret_file: throttle-secret", "secret_file: other", [], ["throttle.secret_file"]),
        ("failures_total: 600", "failures_total: 601", [], ["throttle.failures_total"]),
        ("failures_total: 600", "failures_total: 599", ["throttle.failures_total"], []),
        ("  enabled: true\n", "  enabled: false\n", ["throttle.enabled"], []),
        ("window: 10m", "window: 20m", ["throttle.window"], []),
        ("require_https: false", "require_https: true", ["server.require_https"], []),
        ("cors: [https://ui.example.com]", "cors: [https://x.example.com]", ["server.cors"], []),
        ("issuer: auth.example.com", "issuer: other", ["issuer"], []),
        ("  - service: second\n", "", ["registries[second] (removed)"], []),
        ("cache: 30s", "cache: 31s", ["authentication[corp].ldap.cache"], []),
        ("token_reuse: 5s\n", "", ["token_reuse"], []),
        ("scopes: 200", "scopes: 5000", ["limits.scopes"], []),
        ("scope_bytes: 16384", "scope_bytes: 262144", ["limits.scope_bytes"], []),
        ("robots: {max_lifetime: 180d}", "robots: {max_lifetime: 90d}", ["robots.max_lifetime"], []),
        ("shadow_policies: candidate/\n", "", ["shadow_policies"], []),
        ("  rate: 20\n", "  rate: 30\n", ["shadow_peer.rate"], []),
        ("https://old.example.com/auth", "https://older.example.com/auth", ["shadow_peer.url"], []),
        ("tokenserver@db", "other@db", [], ["storage.url"]),
        (", password_file: storage-password", "", [], ["storage.password_file"]),
        ("storage_grace: 20m", "storage_grace: 10m", ["storage_grace"], []),
    ],
)
def test_one_change(folder: Path, old: str, new: str, now: list[str], waiting: list[str]) -> None:
    """Either now or at a restart."""
    assert REFERENCE.count(old) == 1
    assert effect(folder, REFERENCE, REFERENCE.replace(old, new))[:2] == (now, waiting)


def test_a_port_does_not_hold_up_a_removed_source(folder: Path) -> None:
    """The urgent half is in force."""
    new = REFERENCE.replace("listen: 127.0.0.1:5001", "listen: 127.0.0.1:1").replace("name: third", "name: fourth")
    now, waiting, _ = effect(folder, REFERENCE, new)
    assert now == ["authentication[third] (removed)", "authentication[fourth] (added)"]
    assert waiting == ["server.listen"]


def test_parts_that_only_work_together_wait_together(folder: Path) -> None:
    """http:// with the TLS of the start would be impossible, so the whole file waits."""
    new = REFERENCE.replace(TLS, "").replace("url: https://auth.example.com", "url: http://auth.example.com")
    now, waiting, found = effect(folder, REFERENCE, new.replace("window: 10m", "window: 11m"))
    assert (now, waiting) == ([], ["server.url", "server.tls", "throttle.window"])
    assert found.in_force == load(folder, REFERENCE)


def test_more_directories_than_there_are_threads_for(folder: Path) -> None:
    """The user sources wait; the rest does not."""
    start = f"{MINIMAL}anonymous: true\nstorage: s.db\n"
    now, waiting, _ = effect(folder, start, REFERENCE, max_directories=2)
    assert "token_reuse" in now
    assert not any(key.startswith("authentication") for key in now)
    assert [key for key in waiting if key.startswith("authentication")] == [
        "authentication[htpasswd] (removed)",
        *(
            f"authentication[{name}] (added)"
            for name in (
                *("local", "corp", "second", "open", "sealed", "people", "members", "hook", "script", "third"),
                *("ci", "cluster", "sso", "google"),
            )
        ),
    ]


@pytest.mark.parametrize(("most", "is_live"), [(1, False), (2, True)])
def test_more_databases_than_there_are_threads_for(folder: Path, most: int, *, is_live: bool) -> None:
    """They count like directories."""
    sql = "{sql: {name: %s, url: p.db, preset: docker_auth}}"
    new = MINIMAL.replace("authentication: [", f"authentication: [{sql % 'one'}, {sql % 'two'}, ")
    now, waiting, _ = effect(folder, MINIMAL, new, max_directories=most)
    added = ["authentication[one] (added)", "authentication[two] (added)"]
    assert (now, waiting) == ((added, []) if is_live else ([], added))


def test_a_storage_that_is_removed_waits(folder: Path) -> None:
    """What needed it is gone immediately."""
    sources = REFERENCE[REFERENCE.index("  - oidc:") : REFERENCE.index("anonymous:")]
    new = REFERENCE.replace(STORAGE, "").replace(KEYS, "").replace(TOKENS, "").replace(sources, "")
    now, waiting, found = effect(folder, REFERENCE, new.replace(MANAGEMENT, ""))
    removed = ["authentication[sso] (removed)", "authentication[google] (removed)"]
    listener = ["server.management", "server.management_url"]
    assert (now, waiting) == ([*removed, "access_keys", "refresh_tokens"], [*listener, "storage"])
    assert found.in_force.storage is not None


def test_what_needs_a_new_storage_waits_with_it(folder: Path) -> None:
    """And the rest of the file does not wait."""
    provider = "oidc: {name: sso, preset: dex, issuer: https://sso.example.com, client_id: x}"
    sources = MINIMAL.replace("}}]", f"}}}}, {{{provider}}}]")
    new = f"{sources}storage: s.db\naccess_keys: {{}}\nrefresh_tokens: {{}}\nanonymous: true\n"
    now, waiting, _ = effect(folder, MINIMAL, new)
    added = "authentication[sso] (added)"
    assert (now, waiting) == (["anonymous"], [added, "storage", "access_keys", "refresh_tokens"])


def test_a_storage_that_appears_waits(folder: Path) -> None:
    """The rest of the change is in force."""
    now, waiting, found = effect(folder, MINIMAL, f"{MINIMAL}storage: s.db\nanonymous: true\n")
    assert (now, waiting) == (["anonymous"], ["storage"])
    assert found.in_force.storage is None


def test_back_to_the_start(folder: Path) -> None:
    """Compared with what is in force, not with the start."""
    start, other = load(folder, REFERENCE), load(folder, REFERENCE.replace("window: 10m", "window: 20m"))
    assert effect_of(start, start, other, max_directories=9) == ChangeEffect(start, ())
