"""A running server whose people are in a table of MariaDB: logins, keys, an outage, and changes while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import canaries
import pytest
import yaml
from harness import web
from harness.mariadb_server import MariadbServer, mariadb_server
from harness.processes import run
from harness.server import Setup, TokenServer, serving
from harness.waiting import PATIENCE_SECONDS
from htpasswd_users import ARGON2, hashed

pytestmark = [pytest.mark.real("mariadb"), pytest.mark.waits]

SERVICE = "reg.test"
POLICIES = {
    "root.yaml": "version: 1\nallow:\n"
    '  - {id: dev, to: ["group:dev"], repositories: ["web/**"], actions: [pull, push]}\n'
    '  - {id: team, to: ["group:team=ops"], repositories: ["ops/**"], actions: [pull]}\n'
}
QUERY = "SELECT name AS subject, password_hash, team AS `groups`, labels, enabled FROM users WHERE name = :user"
GOOD, LOCAL = "wonder:land", "in the file"
HASH = hashed(GOOD)


@dataclass
class Site:
    """The server and its database."""

    server: TokenServer
    database: MariadbServer

    def login(self, name: str, text: str = GOOD, *scopes: str) -> web.Answer:
        """One login."""
        return self.server.request("GET", web.token_target(SERVICE, scopes), headers=web.basic(name, text))

    def status(self, name: str, text: str = GOOD) -> int:
        """The status of a login."""
        return self.login(name, text).status

    def readiness(self) -> str:
        """What /readyz says about the database."""
        return str(self.server.request("GET", "/readyz").json()["parts"]["people"])


def waited(is_so: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether it is so within some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of one worker that asks a file first, and then a table."""
    folder = tmp_path_factory.mktemp("server")
    secret = folder / "database-password"
    secret.touch(mode=0o600)
    secret.write_text("reader\n")
    with mariadb_server() as database:
        database.execute(
            "CREATE TABLE users (name VARCHAR(200), password_hash TEXT, team TEXT, labels TEXT, enabled BOOLEAN)",
            *(
                f"INSERT INTO users VALUES ('{name}', {hash_}, '[\"dev\"]', '{{\"team\": [\"ops\"]}}', {enabled})"  # noqa: S608 - of this test
                for name, hash_, enabled in (
                    ("ann", f"'{HASH}'", 1),
                    ("bob", f"'{ARGON2}'", 1),
                    ("eve", f"'{HASH}'", 0),
                    ("kim", "NULL", 1),
                    ("lea", f"'{HASH}'", 1),
                    ("zoe", f"'{HASH}'", 1),
                )
            ),
        )
        sql = {
            "name": "people",
            "url": database.url,
            "url_password_file": "database-password",
            "query": QUERY,
            "cache": "10s",
            "deadline": "2s",
        }
        settings = {
            "authentication": [{"htpasswd": {"file": "users.htpasswd"}}, {"sql": sql}],
            "server": {"workers": 1},
            "storage": "state/tokens.db",
            "access_keys": {},
        }
        (folder / "state").mkdir(mode=0o700)
        with serving(folder, Setup({"lea": LOCAL}, POLICIES, {SERVICE: "universal"}, settings)) as server:
            yield Site(server, database)


def granted(answer: web.Answer) -> set[str]:
    """The repositories of a token."""
    import jwt

    claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    return {access["name"] for access in claims["access"] if access["actions"]}


def test_logins(site: Site) -> None:
    """Hashes of every kind; groups and labels reach the policies; the file is asked first."""
    scopes = ("repository:web/x:pull", "repository:ops/x:pull", "repository:other:pull")
    assert granted(site.login("ann", GOOD, *scopes)) == {"web/x", "ops/x"}
    assert site.status("bob", "secret") == 200
    assert [site.status(name) for name in ("eve", "kim", "nobody", "lea")] == [401] * 4
    assert [site.status("ann", text) for text in ("wrong", HASH)] == [401] * 2
    assert site.status("lea", LOCAL) == 200


def test_the_token_has_the_name_of_the_table(site: Site) -> None:
    """However it was typed (docs/design/threats.md#threat-205)."""
    mark = site.server.audit.mark()
    assert [site.status(name) for name in ("ANN", "ann ", "\u00e4nn")] == [200, 200, 401]
    assert [event.subject for event in site.server.audit.events(since=mark)][:2] == ["ann", "ann"]


def test_an_outage(site: Site) -> None:
    """503 for those who are not remembered, 200 for all others, and the end of it by itself.

    See docs/design/threats.md#threat-206.
    """
    assert site.status("ann") == 200
    site.database.stop()
    try:
        answer = site.login("zoe")
        assert (answer.status, answer.header("retry-after")) == (503, "5")
        assert site.status("ann") == 200
        assert site.status("lea", LOCAL) == 200
        assert [site.status("zoe") for _ in range(3)] == [503] * 3
        assert "the circuit breaker is open" in site.readiness()
    finally:
        site.database.start()
    assert waited(lambda: site.status("zoe") == 200)
    assert site.readiness() == "ok"


def test_a_missing_table(site: Site) -> None:
    """It is no wrong password, and readyz says what to correct (docs/design/threats.md#threat-206)."""
    site.database.execute("RENAME TABLE users TO gone")
    try:
        assert [site.status("unseen") for _ in range(3)] == [503] * 3
        assert "fix: correct the table in query" in site.readiness()
    finally:
        site.database.execute("RENAME TABLE gone TO users")
    assert waited(lambda: site.status("unseen") == 401)


def test_an_access_key_ends_with_its_owner(site: Site) -> None:
    """The owner is looked up without a password; a disabled one is refused."""
    command = site.server.command("access-keys", "create", "--user", "bob", "--config", site.server.config)
    made = run(command, environment=site.server.environment, folder=site.server.folder)
    assert made.ok, made.stderr
    key = made.stdout.strip()
    canaries.know(key)
    assert waited(lambda: site.status("bob", key) == 200)
    assert granted(site.login("bob", key, "repository:ops/x:pull")) == {"ops/x"}
    site.database.execute("UPDATE users SET enabled = 0 WHERE name = 'bob'")
    assert waited(lambda: site.status("bob", key) == 401, 20)


def test_a_change_of_the_settings(site: Site) -> None:
    """Another query is live without a restart, and a new password of the database after its file has changed."""
    config = site.server.config
    text = config.read_text()
    changed = yaml.safe_load(text)
    changed["authentication"][1]["sql"]["query"] = QUERY.replace("name = :user", "CONCAT(name, '@example.com') = :user")
    config.write_text(yaml.safe_dump(changed))
    assert waited(lambda: site.status("zoe@example.com") == 200)
    config.write_text(text)
    assert waited(lambda: site.status("zoe@example.com") == 401)
    site.database.execute(
        *(f"ALTER USER reader@{host} IDENTIFIED BY 'another'" for host in ("localhost", "'%'")), database=None
    )
    (site.server.folder / "database-password").write_text("another\n")
    site.database.stop()
    site.database.start()
    assert waited(lambda: site.status("zoe") == 200)


def test_check(site: Site) -> None:
    """It shows where the database is, and no password."""
    output = site.server.run("check", "--config", site.server.config).text
    assert f"people at {site.database.url}; not contacted" in output


def test_no_secret_is_written(site: Site) -> None:
    """Neither hashes nor passwords are in the log or in audit events (docs/design/threats.md#threat-206)."""
    written = Path(site.server.daemon.stdout).read_text() + Path(site.server.daemon.stderr).read_text()
    assert "zoe" in written
    for secret in (HASH, ARGON2, GOOD, "reader@"):
        assert secret not in written
