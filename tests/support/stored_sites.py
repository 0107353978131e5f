"""A site with a storage, the commands for stored credentials run in it, and what they leave in the database."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from copied_storages import copied_storage
from users_commands import hashed

from tokenserver.access_keys import AccessKey
from tokenserver.cli import main
from tokenserver.cli.stored.opening import open_site
from tokenserver.config.load import load_settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.server.stored.opening import open_store
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.people.browser_sessions import BrowserSessions
from tokenserver.storage.selection import Listed, Selection
from tokenserver.storage.state_keys import init_state_keys
from tokenserver.storage.store import CredentialStore

CONFIG = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
registries:
  - {service: registry.example.com, also: [old.example.com]}
  - {service: second.example.com}
authentication:
  - htpasswd: {file: users.htpasswd, name: staff}
  - htpasswd: {file: others.htpasswd, name: others}
  - workload: {name: github, preset: github_actions, issuer: "https://issuer.example.com"}
policies: policies
keys: keys
storage: state/tokenserver.db
access_keys: {per_user: 3, max_lifetime: 180d}
refresh_tokens: {}
"""

POLICY = """\
version: 1
robots:
  ci-web: {description: builds}
workloads:
  web-release: {from: github, claims: {repository_id: "74"}}
  api-release: {from: github, claims: {repository_id: "75"}}
allow:
  - {id: web, to: ["user:ann", "robot:ci-web", "workload:web-release"], repositories: ["web/**"], role: writer}
  - {id: api, to: ["workload:api-release"], repositories: ["api/**"], role: writer}
"""

DAY = 86400


class StoredSite:
    """A folder with a configuration, two sources of users (ann and bob; eve), a policy file, and a storage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("policies", "keys"):
            (folder / name).mkdir(mode=0o700)
        self.write("tokenserver.yaml", CONFIG)
        self.write("policies/web.yaml", POLICY)
        self.write("users.htpasswd", f"ann:{hashed()}\nbob:{hashed()}\n")
        self.write("others.htpasswd", f"eve:{hashed()}\n")
        assert CliRunner().invoke(main, ["keys", "init", "--config", self.config]).exit_code == 0
        init_state_keys(folder / "keys")
        (folder / "state").mkdir(mode=0o700)
        copied_storage(load_settings(Path(self.config), {}))

    @property
    def config(self) -> str:
        """The path of the configuration."""
        return str(self.folder / "tokenserver.yaml")

    def write(self, name: str, text: str) -> None:
        """Write a file of the site."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)

    def configure(self, old: str, new: str) -> None:
        """Change the configuration in one place."""
        path = Path(self.config)
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def remove_storage(self) -> None:
        """Let it be a site whose storage nobody has made."""
        shutil.rmtree(self.folder / "state")

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        """The command's result."""
        words = [*arguments, "--config", self.config]
        return CliRunner().invoke(main, words, input=stdin, catch_exceptions=False, terminal_width=250)

    def facts(self, *arguments: str) -> Any:
        """The JSON answer of a command that succeeds."""
        result = self.run(*arguments, "--json")
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return json.loads(result.stdout)

    @property
    def store(self) -> CredentialStore:
        """The storage, opened as the commands open it."""
        return open_store(load_settings(Path(self.config), {}))

    @property
    def browsers(self) -> BrowserSessions:
        """Logins in browsers, as the commands open them."""
        return open_site(Path(self.config)).browsers

    def stored(self, **changes: Any) -> tuple[AccessKey, StoredCredential]:
        """A new credential: by default a key of ann for 90 days."""
        wanted = StoredCredential(
            id="",
            form=AccessKeyForm.PERSONAL,
            owner="ann",
            sort=Sort.USER,
            source="staff",
            created=0,
            created_by="test",
            ends=in_days(90),
        )
        return self.store.create(replace(wanted, **changes), at_most=1000)

    def refresh_token(self, owner: str = "ann", **changes: Any) -> str:
        """The id of a new refresh token."""
        return self.stored(form=AccessKeyForm.REFRESH, owner=owner, **changes)[1].id

    def session(self, repository: str) -> str:
        """The id of a new session of a workload with this repository id."""
        claims = frozenset({("repository_id", repository), ("sub", "repo:x")})
        owner = "workload:github:repo:x"
        changes = {"sort": Sort.WORKLOAD, "source": "", "claims": claims, "ends": in_days(1)}
        return self.stored(form=AccessKeyForm.SESSION, owner=owner, **changes)[1].id

    def row(self, identifier: str) -> Listed:
        """A stored credential."""
        (found,) = self.store.listed(Selection(ids=frozenset({identifier})))
        return found

    def live(self) -> set[str]:
        """The ids of all credentials that nobody has ended."""
        return {one.credential.id for one in self.store.listed(Selection()) if one.ended is None}


def in_days(days: float) -> int:
    """The moment in so many days, in seconds since the epoch."""
    return int((datetime.now(UTC) + timedelta(days=days)).timestamp())


def no_secret_in(result: Result, keys: Iterable[AccessKey]) -> None:
    """No output of the command has the secret of one of the keys."""
    for key in keys:
        assert key.text.reveal()[17:60] not in result.output
