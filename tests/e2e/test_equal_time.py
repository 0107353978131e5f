"""By the clock: a failed login takes as long whoever has the name, with several kinds of real user sources.

See docs/design/threats.md#threat-19.
"""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bcrypt import gensalt, hashpw
from harness import web
from harness.authority import Authority
from harness.processes import free_port
from harness.server import Setup, TokenServer, serving
from harness.slapd import BASE, READER, Slapd, group, person, slapd

pytestmark = [pytest.mark.real("slapd"), pytest.mark.alone]

SERVICE = "reg.test"
POLICIES = {"root.yaml": 'version: 1\nallow:\n  - {id: x, to: [authenticated], repositories: ["x"], actions: [pull]}\n'}
SAMPLES = 200
NEAR = 1.10
ROUNDS = 3
"""A machine that does other things may disturb one round; what the server gives away shows in each of them."""
COST = 5
"""bcrypt's: 2 ms. A directory here takes 1 or 2, so that what is left out of either is more than a tenth."""

DOWN_COST = 7
DOWN_SLACK = 0.004
"""While a directory is down, hashes are slept and not computed by some; on a busy machine that is not quite the same.
Half of such a hash (8 ms) is still told apart from none."""


@dataclass
class Site:
    """Two directories, and the sources that configurations are made of."""

    authority: Authority
    directories: Mapping[str, Slapd]

    def ldap(self, name: str, **more: Any) -> dict[str, Any]:
        """One of the directories as a source."""
        one = self.directories[name]
        return {
            "ldap": {
                "name": name,
                "preset": "openldap",
                "url": f"ldaps://localhost:{one.tls_port}",
                "ca_file": str(self.authority.file),
                "base": BASE,
                "bind_dn": READER,
                "bind_password": one.reader_password,
                "cache": 0,
                **more,
            }
        }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """ann is in corp with groups, ben in partner."""
    authority = Authority(tmp_path_factory.mktemp("authority"), "the company")
    with ExitStack() as stack:
        directories = {
            name: stack.enter_context(slapd(tmp_path_factory.mktemp(name), authority)) for name in ("corp", "partner")
        }
        directories["corp"].add(person("ann", "a"), group("devs", "cn=ann,ou=people"))
        directories["partner"].add(person("ben", "b"))
        yield Site(authority, directories)


def file(folder: Path, name: str, user: str, cost: int = COST) -> dict[str, Any]:
    """A file with one user as a source."""
    hashed = hashpw(f"password of {user}".encode(), gensalt(cost)).decode()
    path = folder / f"{name}.htpasswd"
    path.write_text(f"{user}:{hashed}\n")
    return {"htpasswd": {"name": name, "file": str(path), "cache": 0}}


@contextmanager
def running(folder: Path, sources: list[dict[str, Any]]) -> Iterator[TokenServer]:
    """A server with these sources and no throttle: it would refuse two hundred wrong logins."""
    settings = {"server": {"workers": 1}, "authentication": sources, "throttle": {"enabled": False}}
    with serving(folder, Setup({}, POLICIES, {SERVICE: "universal"}, settings)) as server:
        yield server


def medians(server: TokenServer, names: list[str], expected: Mapping[str, int]) -> dict[str, float]:
    """How long a wrong login takes as each of these, in seconds; they come in turns, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range((SAMPLES + 2) * len(names)):
        name = names[(number + number // len(names)) % len(names)]  # each comes as often behind each other one
        headers = web.basic(name, f"wrong {number}")
        start = time.perf_counter()
        connection.request("GET", web.token_target(SERVICE), headers=headers)
        answer = connection.getresponse()
        answer.read()
        taken[name].append(time.perf_counter() - start)
        assert answer.status == expected.get(name, 401), name
    connection.close()
    return {name: statistics.median(times[2:]) for name, times in taken.items()}


def assert_alike(
    server: TokenServer, names: list[str], expected: Mapping[str, int] | None = None, slack: float = 0.0
) -> None:
    """The medians of all names are within a tenth, or within so many seconds."""
    found = []
    for _ in range(ROUNDS):
        round_ = medians(server, names, expected or {})
        found.append({name: f"{seconds * 1000:.2f} ms" for name, seconds in round_.items()})
        if max(round_.values()) < max(NEAR * min(round_.values()), min(round_.values()) + slack):
            return
    pytest.fail(f"the time tells who has the name: {found}")


def test_a_file_and_a_directory(site: Site, tmp_path: Path) -> None:
    """The user of the file, that of the directory, and nobody."""
    sources = [file(tmp_path, "local", "olga"), site.ldap("corp")]
    with running(tmp_path, sources) as server:
        assert_alike(server, ["olga", "ann", "nobody"])


def test_a_directory_and_a_file(site: Site, tmp_path: Path) -> None:
    """The same in the other order."""
    sources = [site.ldap("corp"), file(tmp_path, "local", "olga")]
    with running(tmp_path, sources) as server:
        assert_alike(server, ["olga", "ann", "nobody"])


def test_two_files_of_different_costs(tmp_path: Path) -> None:
    """One user's hash costs four times the other's: a failure of either costs both."""
    sources = [file(tmp_path, "cheap", "olga", 4), file(tmp_path, "dear", "pia", 6)]
    with running(tmp_path, sources) as server:
        assert_alike(server, ["olga", "pia", "nobody"])


def test_two_directories(site: Site, tmp_path: Path) -> None:
    """The user of the first, that of the second, and nobody."""
    with running(tmp_path, [site.ldap("corp"), site.ldap("partner")]) as server:
        assert_alike(server, ["ann", "ben", "nobody"])


def test_a_directory_that_is_down(site: Site, tmp_path: Path) -> None:
    """Its breaker is open, and nothing listens there anyway: who is in the file is told nothing else by the clock; the
    status of the others is that of the outage. The file's user gets in as ever.
    """
    down = site.ldap("corp", url=f"ldaps://localhost:{free_port()}")
    with running(tmp_path, [file(tmp_path, "local", "olga", DOWN_COST), down]) as server:
        for _ in range(4):
            assert server.request("GET", web.token_target(SERVICE), headers=web.basic("nobody", "x")).status == 503
        assert_alike(server, ["olga", "nobody", "ann"], {"nobody": 503, "ann": 503}, DOWN_SLACK)
        right = server.request("GET", web.token_target(SERVICE), headers=web.basic("olga", "password of olga"))
        assert right.status == 200


def test_one_of_two_directories_is_down(site: Site, tmp_path: Path) -> None:
    """The first still tells its users their failures, and takes as long for them as for those of the other."""
    down = site.ldap("partner", url=f"ldaps://localhost:{free_port()}")
    with running(tmp_path, [site.ldap("corp"), down, file(tmp_path, "local", "olga", DOWN_COST)]) as server:
        for _ in range(4):
            assert server.request("GET", web.token_target(SERVICE), headers=web.basic("nobody", "x")).status == 503
        assert_alike(server, ["ann", "olga", "nobody"], {"olga": 503, "nobody": 503}, DOWN_SLACK)
