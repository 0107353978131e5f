"""Every command that the doctor prints is run as it stands, in the situation in which it was printed, and succeeds.

Paths have blanks and quotes, and commands are run by a shell in another folder than that of the configuration. What
asks a question (`policy why`, `policy what-can`) answers with its exit code, where 1 is no.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from harness.misfits import Change, Reply, impostor, misfit, written
from harness.processes import free_port
from harness.server import Setup, TokenServer, serving

from tokenserver.cli import main
from tokenserver.doctor import commands

SERVICES = {
    "universal.test": "universal",
    "kid2.test": "distribution2",
    "kid3.test": "distribution3",
    "jwks.test": "jwks",
    "zot.test": "zot",
}
SHOWN = re.compile(r"`((?:tokenserver|curl) [^`]*)`(?: \(once compat: (\w+) is set for (\S+) in )?")
ANSWERS = (0, 1)


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """One server for all of them."""
    small = replace(setup, people={"ann": setup.people["ann"]}, services=SERVICES)
    with serving(tmp_path_factory.mktemp('it\'s a "server"'), small) as server:
        yield server


@dataclass
class Place:
    """A folder for one case, with a configuration of the server's as far as it is changed."""

    server: TokenServer
    folder: Path
    stack: ExitStack

    def ours(self, change: Change = lambda _: None) -> Path:
        """Our configuration beside the server's, under a name that a shell takes apart, and changed."""
        whole = yaml.safe_load(self.server.config.read_text())
        change(whole)
        path = self.server.folder / f"{self.folder.name}'s $HOME.yaml"
        path.write_text(yaml.safe_dump(whole))
        return path

    def registry(self, service: str, generation: str, change: Change = lambda _: None) -> Path:
        """A registry's configuration."""
        return written(self.folder / "the registry's", self.server, service, generation, change, free_port())


def token(**changes: Any) -> Change:
    """Changes `auth.token`."""
    return lambda whole: whole["auth"]["token"].update(changes)


def bearer(**changes: Any) -> Change:
    """Changes zot's section."""
    return lambda whole: whole["http"]["auth"]["bearer"].update(changes)


def without_auth(whole: dict[str, Any]) -> None:
    """No protection at all."""
    whole.pop("auth", None)
    whole["http"].pop("auth", None)


Arguments = list[str | Path]
Case = tuple[str, Callable[[Place], tuple[Path, Arguments]]]
"""The function of `commands`, and our configuration with the doctor's arguments."""


def open_registry(service: str | None) -> Case:
    """A live registry that asks for no token."""

    def made(place: Place) -> tuple[Path, Arguments]:
        reply = Reply(200, (("Docker-Distribution-Api-Version", "registry/2.0"),))
        port = place.stack.enter_context(impostor(reply)).port
        named = [] if service is None else ["--service", service]
        return place.ours(), ["--registry", f"http://localhost:{port}", *named]

    return "print_section", made


def files(function: str, service: str, generation: str, change: Change, *more: str) -> Case:
    """A registry's configuration."""

    def made(place: Place) -> tuple[Path, Arguments]:
        return place.ours(), ["--registry-config", place.registry(service, generation, change), *more]

    return function, made


def algorithm(name: str, service: str, generation: str, entry: dict[str, str] | None = None) -> Case:
    """A registry that cannot verify the algorithm of the key."""

    def made(place: Place) -> tuple[Path, Arguments]:
        keys = f"keys of {place.folder.name}"

        def change(whole: dict[str, Any]) -> None:
            whole["keys"] = f"{keys} (all)"
            (mine,) = [one for one in whole["registries"] if one["service"] == service]
            mine |= {} if entry is None else {**entry, "keys": keys}

        ours = place.ours(change)
        run_ours("keys", "init", *(["--algorithm", name] if entry is None else []), "--config", ours)
        return ours, ["--registry-config", place.registry(service, generation), "--for", generation]

    return "sign_with", made


def run_ours(*arguments: str | Path) -> None:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output


def lacking(scope: str, person: str) -> Case:
    """A token that does not allow what is wanted."""

    def made(place: Place) -> tuple[Path, Arguments]:
        file = place.folder / "token"
        file.write_text(place.server.token("universal.test", person=person))
        return place.ours(), ["--token", file, "--scope", scope]

    return "explain_access", made


def warned(place: Place) -> tuple[Path, Arguments]:
    """An installation with a warning; the server and its registries are not what this is about."""
    return place.ours(lambda whole: whole.update(authentication=[])), []


def unknown_key(place: Place) -> tuple[Path, Arguments]:
    """A token that was changed on the way, at a registry whose configuration is right."""
    place.registry("universal.test", "distribution3")
    text = place.server.token("universal.test")
    file = place.folder / "token"
    file.write_text(text[:-8] + ("AAAAAAAA" if not text.endswith("AAAAAAAA") else "BBBBBBBB"))
    return place.ours(), ["--token", file]


def other_key(place: Place) -> tuple[Path, Arguments]:
    """A live registry with another issuer, which 2.8 does not tell from another key."""

    def change(whole: dict[str, Any]) -> None:
        whole["auth"]["token"]["issuer"] = "another"

    registry = place.stack.enter_context(
        misfit(place.folder / "the registry's", place.server, "universal.test", "distribution2", change)
    )
    return place.ours(), ["--registry", registry.url, "--service", "universal.test"]


NOWHERE = {"rootcertbundle": "/nowhere/ca.pem"}
CASES: dict[str, Case] = {
    **{f"open {service}": open_registry(service) for service in (*SERVICES, None)},
    "open 2.8": files("print_section", "universal.test", "distribution2", without_auth),
    "open zot": files("print_section", "zot.test", "zot", without_auth, "--service", "zot.test"),
    "zot's tokens, open 3": files("print_section", "jwks.test", "distribution3", without_auth, "--service", "zot.test"),
    "other tokens, open zot": files("print_section", "zot.test", "zot", without_auth, "--service", "kid3.test"),
    "no bundle": files("write_keys", "universal.test", "distribution2", token(**NOWHERE)),
    "no bundle at 2.8": files("write_keys", "kid2.test", "distribution2", token(**NOWHERE)),
    "no bundle at 3": files("write_keys", "kid3.test", "distribution3", token(**NOWHERE), "--for", "distribution3"),
    "2.8's kid at 3": files("write_keys", "kid2.test", "distribution2", token(**NOWHERE), "--for", "distribution3"),
    "3's kid at 2.8": files("write_keys", "kid3.test", "distribution3", token(**NOWHERE), "--for", "distribution2"),
    "no jwks": files("fetch_jwks", "jwks.test", "distribution3", token(jwks="/nowhere/keys.json")),
    "jwks by URL": files("fetch_jwks", "jwks.test", "distribution3", token(jwks="https://auth.test/jwks.json")),
    "bundle by URL": files("fetch_ca", "universal.test", "distribution3", token(rootcertbundle="http://a.test/ca.pem")),
    "no cert": files("write_keys", "zot.test", "zot", bearer(cert="/no.pem")),
    "other tokens at zot": files(
        "write_keys",
        "zot.test",
        "zot",
        bearer(cert="/no.pem", service="kid3.test"),
        "--service",
        "kid3.test",
    ),
    "EdDSA at 2.8": algorithm("EdDSA", "universal.test", "distribution2"),
    "EdDSA of its own at 2.8": algorithm("EdDSA", "universal.test", "distribution2", {"algorithm": "EdDSA"}),
    "may not push": lacking("repository:web/site:push", ""),
    "a user may not push": lacking("repository:secret/it:push", "ann"),
    "may not see the catalog": lacking("registry:catalog:*", ""),
    "warnings": ("check_files", warned),
    "a changed token": ("compare_files", unknown_key),
    "trust or issuer": ("compare_files", other_key),
}


def shown_by(config: Path, arguments: Arguments) -> list[tuple[str, str, str]]:
    """The commands in messages and fixes: the command, and the `compat` to set before, for which registry."""
    result = CliRunner().invoke(main, ["doctor", *map(str, arguments), "--json", "--config", str(config)])
    assert result.exit_code in ANSWERS, result.output
    plain = CliRunner().invoke(main, ["doctor", *map(str, arguments), "--config", str(config)])
    texts = [one["mend"] or "" for one in json.loads(result.stdout)]
    found = [match.groups(default="") for text in texts for match in SHOWN.finditer(text)]
    assert all(command in plain.output for command, _, _ in found)
    return [(command, compat, service) for command, compat, service in found]


@pytest.mark.parametrize("case", CASES)
def test_what_is_printed_runs(case: str, server: TokenServer, tmp_path: Path) -> None:
    """With the words in capitals filled in, and after the change of `compat` that it asks for."""
    function, made = CASES[case]
    with ExitStack() as stack:
        place = Place(server, tmp_path, stack)
        config, arguments = made(place)
        shown = shown_by(config, arguments)
        assert shown, "nothing is printed"
        expected = COMMANDS[function]
        assert any(expected in command for command, _, _ in shown), shown
        for command, compat, service in shown:
            assert bool(compat) is (case in NEED_COMPAT), command
            if compat:
                change_compat(config, service, compat)
            run_as_printed(command, config, tmp_path)


NEED_COMPAT = {
    "zot's tokens, open 3",
    "other tokens, open zot",
    "2.8's kid at 3",
    "3's kid at 2.8",
    "other tokens at zot",
}
"""Registries of another kind than `compat` is for."""

COMMANDS = {
    "print_section": "tokenserver registry-config ",
    "write_keys": " --write DIR",
    "fetch_ca": "/ca.pem",
    "fetch_jwks": "/.well-known/jwks.json",
    "sign_with": "tokenserver keys ",
    "explain_access": "tokenserver policy w",
    "check_files": "tokenserver check",
    "compare_files": "tokenserver doctor ",
}
"""What the commands of each function have in them."""


def change_compat(config: Path, service: str, compat: str) -> None:
    """As the fix says."""
    whole = yaml.safe_load(config.read_text())
    next(one for one in whole["registries"] if one["service"] == service)["compat"] = compat
    config.write_text(yaml.safe_dump(whole))


def run_as_printed(command: str, config: Path, folder: Path) -> None:
    """By a shell, in another folder."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    filled = re.sub(r"\bDIR\b", shlex.quote(str(folder / "new files")), command)
    registries = [path for path in folder.rglob("registry.*") if path.suffix in (".yml", ".json")]
    filled = re.sub(r"\bFILE\b", lambda _: shlex.quote(str(registries[0])), filled)
    filled = re.sub(r"\bSERVICE\b", "universal.test", filled)
    if "keys init" in command:
        whole = yaml.safe_load(config.read_text())
        mine = next(one for one in whole["registries"] if one.get("algorithm"))
        mine |= {"algorithm": "ES256", "keys": f"new {mine['keys']}"}
        config.write_text(yaml.safe_dump(whole))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", filled],
        cwd=elsewhere,
        env={"PATH": path, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    is_question = " policy w" in command or "--registry-config" in command
    assert done.returncode in (ANSWERS if is_question else (0,)), (filled, done.stdout, done.stderr)
    assert done.stdout or "--write" in command, filled
    assert not is_question or "Usage:" not in done.stderr


def test_every_command_is_run() -> None:
    """A new function of `commands` needs a case here."""
    public = {
        name
        for name, one in inspect.getmembers(commands, inspect.isfunction)
        if one.__module__ == commands.__name__ and not name.startswith("_")
    }
    assert public == set(COMMANDS) == {function for function, _ in CASES.values()}
