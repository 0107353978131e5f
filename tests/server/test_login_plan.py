"""The plan of a worker: its share of the limits and of the cores, and what each source lets it remember."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenserver.authn.protection.failure_counters import Limit
from tokenserver.authn.protection.login_cache import CacheLifetime
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.server.login_plan import plan_for

CONFIG = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
registries: [{service: reg}]
authentication:
  - htpasswd: {file: users.htpasswd, cache: 10s}
  - ldap:
      name: corp
      preset: openldap
      url: ldaps://ldap.example.com
      base: dc=example,dc=com
      bind_dn: cn=reader,dc=example,dc=com
      bind_password_file: password
      stale_grace: 5m
policies: policies
keys: keys
"""


def load(folder: Path, text: str) -> Settings:
    """The settings of that text."""
    path = folder / "tokenserver.yaml"
    path.write_text(text)
    return load_settings(path, {})


def test_plan(tmp_path: Path) -> None:
    """Everything arrives: lifetimes by source, the directories, and the shares of two workers on four cores."""
    plan = plan_for(load(tmp_path, CONFIG), workers=2, cores=4)
    assert plan.lifetimes == {"htpasswd": CacheLifetime(10), "corp": CacheLifetime(60, 300)}
    assert (plan.directories, plan.hashers) == (("corp",), 2)
    assert plan.limits is not None
    assert plan.limits.user == (Limit(3, 300), Limit(4, 1800), Limit(5, 7200))
    assert (plan.limits.address, plan.limits.total) == ((Limit(25, 300),), (Limit(500, 300),))


def test_a_database(tmp_path: Path) -> None:
    """It is asked like a directory, with the lifetimes of its settings."""
    more = "  - sql: {name: people, url: p.db, preset: docker_auth, cache: 20s, stale_grace: 1m}\npolicies: policies\n"
    plan = plan_for(load(tmp_path, CONFIG.replace("policies: policies\n", more)), workers=2, cores=4)
    assert plan.lifetimes["people"] == CacheLifetime(20, 60)
    assert (plan.directories, plan.databases) == (("corp",), ("people",))


def test_domains_of_all_sources(tmp_path: Path) -> None:
    """The throttle counts names without those that any source removes, each once."""
    ldap = (
        "  - ldap: {name: %s, preset: openldap, url: 'ldaps://a', base: '', anonymous_search: true, strip_domain: %s}\n"
    )
    more = ldap % ("first", "[CORP, corp.example.com]") + ldap % ("second", "CORP") + "policies: policies\n"
    assert plan_for(load(tmp_path, CONFIG), workers=1, cores=1).domains == ()
    text = CONFIG.replace("policies: policies\n", more)
    assert plan_for(load(tmp_path, text), workers=1, cores=1).domains == ("CORP", "corp.example.com")


@pytest.mark.parametrize(("workers", "cores", "hashers"), [(1, 1, 1), (8, 2, 1), (1, 8, 8), (3, 8, 2)])
def test_cores_are_shared(tmp_path: Path, workers: int, cores: int, hashers: int) -> None:
    """All workers together run about as many hashes as there are cores, and each at least one."""
    assert plan_for(load(tmp_path, CONFIG), workers=workers, cores=cores).hashers == hashers


def test_off(tmp_path: Path) -> None:
    """A throttle that is switched off has no limits."""
    assert plan_for(load(tmp_path, CONFIG + "throttle: {enabled: false}\n"), workers=1, cores=1).limits is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("throttle: {window: 5s}", "throttle.window: must be from 10s to 1h, not 5s", id="short window"),
        pytest.param("throttle: {window: 2h}", "throttle.window: must be from 10s to 1h, not 7200s", id="long window"),
        pytest.param(
            "throttle: {failures_per_user: 1}",
            "throttle.failures_per_user: input should be greater than or equal to 2",
            id="one failure",
        ),
        pytest.param(
            "throttle: {failures: 5}",
            "throttle.failures: unknown key; did you mean 'failures_total'?",
            id="unknown",
        ),
        *(
            pytest.param(
                f"throttle: {{redis: '{url}'}}",
                "throttle.redis: must be a URL such as redis://redis.example.com:6379/0 (rediss:// with TLS, "
                "redis+unix:///run/redis.sock)",
                id=f"redis {url!r}",
            )
            for url in ("redis", "http://redis.example.com", "redis://", "redis://a b", "redis+unix://", "valkey://a")
        ),
        pytest.param(
            "throttle: {redis: 'redis://[::1'}",
            "throttle.redis: must be a URL such as redis://redis.example.com:6379/0",
            id="redis without an end",
        ),
        *(
            pytest.param(
                f"throttle: {{redis: '{url}'}}",
                "throttle.redis: must not contain a password; name a file with it: redis_password_file",
                id=f"password in {url!r}",
            )
            for url in ("redis://:canary@a", "redis://u:canary@a", "redis://a?password=canary")
        ),
        pytest.param(
            "throttle: {secret_file: x}",
            "throttle.secret_file: needs redis; the workers of one server share a generated secret",
            id="secret without a redis",
        ),
        pytest.param(
            "throttle: {redis_password_file: x}",
            "throttle.redis_password_file: needs redis, the URL of the Redis with this password",
            id="password without a redis",
        ),
        pytest.param("throttle: off", "throttle: must be a mapping (key: value), not text", id="a switch"),
    ],
)
def test_refused(tmp_path: Path, text: str, fault: str) -> None:
    """What is out of bounds or unknown refuses the start."""
    with pytest.raises(LoadError) as caught:
        load(tmp_path, CONFIG + text + "\n")
    assert [str(one).partition(": ")[2] for one in caught.value.faults] == [fault]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param(
            "cache: 10s",
            "cache: 61s",
            "authentication[0].htpasswd.cache: must be from 0s (never) to 60s, not 61s: a changed password "
            "still works that long",
            id="long cache",
        ),
        pytest.param(
            "stale_grace: 5m",
            "stale_grace: 2h",
            "authentication[1].ldap.stale_grace: must be from 0s (never) to 1h, not 7200s: a user who was "
            "removed could still log in that long",
            id="long grace",
        ),
        pytest.param(
            "stale_grace: 5m",
            "cache: 0s\n      stale_grace: 5m",
            "authentication[1].ldap.stale_grace: needs cache: only cached logins can be used longer",
            id="grace without memory",
        ),
    ],
)
def test_memory_refused(tmp_path: Path, old: str, new: str, fault: str) -> None:
    """A minute at most; grace without a cache is a mistake (docs/design/threats.md#threat-26)."""
    with pytest.raises(LoadError) as caught:
        load(tmp_path, CONFIG.replace(old, new))
    assert [str(one).partition(": ")[2] for one in caught.value.faults] == [fault]
