"""`policy why --as USER`: the configured user sources are asked for the user."""

from __future__ import annotations

from pathlib import Path

import yaml
from click.testing import CliRunner
from htpasswd_users import GOOD
from user_tables import QUERY, make_table

from tokenserver.cli import main
from tokenserver.cli.policy.client.user_sources import UserSources
from tokenserver.config.load import load_settings
from tokenserver.policy.loading.loader import compile_policies


def test_why_asks_the_user_sources(site: Path) -> None:
    """--as: a user of the htpasswd file exists, another one does not."""
    arguments = ["policy", "why", "pull", "public/x", "--config", str(site), "--as"]
    assert CliRunner().invoke(main, [*arguments, "ann"]).exit_code == 0
    unknown = CliRunner().invoke(main, [*arguments, "eve"])
    assert (unknown.exit_code, "no user source knows 'eve' (asked: htpasswd)" in unknown.stderr) == (2, True)


def test_people_of_providers_are_not_asked_for(site: Path) -> None:
    """Nobody knows them before their first login, so a name that no other source has may be one of theirs."""
    settings = yaml.safe_load(site.read_text())
    provider = {"name": "sso", "preset": "dex", "issuer": "https://sso.example.com", "client_id": "ts"}
    settings["authentication"].append({"oidc": provider})
    site.write_text(yaml.safe_dump(settings | {"storage": "state/t.db"}))
    arguments = ["policy", "why", "pull", "public/x", "--config", str(site), "--as", "eve"]
    unknown = CliRunner().invoke(main, arguments)
    assert unknown.exit_code == 2
    assert "sso cannot be asked about people; fix: use --user and --group" in unknown.stderr
    sources = UserSources(load_settings(site, {}))
    rule = '{id: a, to: ["user:eve", "group:reg-web"], repositories: [x], role: reader}'
    (site.parent / "policies" / "more.yaml").write_text(f"version: 1\nallow:\n  - {rule}\n")
    policies, _ = compile_policies(site.parent / "policies")
    found = sources.unknown_names(policies)
    assert "eve" not in found.users
    assert "reg-web" not in found.groups


def test_people_of_a_database(site: Path) -> None:
    """They are looked up without passwords. Which groups there are cannot be asked, so none is missing."""
    make_table(site.parent / "people.db", ("ben", GOOD, "dev", 1), ("ann", GOOD, "", 1), ("kim", GOOD, "", 0))
    settings = yaml.safe_load(site.read_text())
    settings["authentication"].append({"sql": {"name": "people", "url": "people.db", "query": QUERY}})
    site.write_text(yaml.safe_dump(settings))
    arguments = ["policy", "why", "pull", "public/x", "--config", str(site), "--as"]
    assert "for ben (bringing dev)" in CliRunner().invoke(main, [*arguments, "ben"]).stdout
    assert "the account is disabled" in CliRunner().invoke(main, [*arguments, "kim"]).stderr
    assert "(asked: htpasswd, people)" in CliRunner().invoke(main, [*arguments, "eve"]).stderr
    rule = '{id: a, to: ["user:ben", "user:eve", "user:kim", "group:dev"], repositories: [x], role: reader}'
    (site.parent / "policies" / "more.yaml").write_text(f"version: 1\nallow:\n  - {rule}\n")
    lint = CliRunner().invoke(main, ["policy", "lint", "--directory", "--config", str(site)])
    said = lint.stdout + lint.stderr
    assert "the user 'ann' is in people as well" in said
    assert "is in no user source (asked: htpasswd, people)" in said
    assert "cannot log in: the account is disabled (people)" in said
    assert "'dev'" not in said
