"""Clients of registries: which one is installed, and its commands for logging in and pushing, ready to paste."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tokenserver.cli.demo.image import ARCHIVE, LAYOUT
from tokenserver.printable import shell_word


class Target(NamedTuple):
    """What the commands are about: the registry's address, the user, and the folder that has the image."""

    host: str
    user: str
    folder: Path

    @property
    def allowed(self) -> str:
        """A reference that the user may push to: everybody has a namespace."""
        return f"{self.host}/users/{self.user}/hello:1"

    @property
    def denied(self) -> str:
        """A reference that the user may not push to: production comes from the pipeline."""
        return f"{self.host}/web/prod/hello:1"


class ClientCommands(NamedTuple):
    """Shell commands of one client. `note` says how the login asks for the password."""

    login: str
    push: str
    denied: str
    note: str = "asks for the password"


def _crane(target: Target) -> ClientCommands:
    layout = shell_word(target.folder / LAYOUT)
    return ClientCommands(
        f"crane auth login --username {shell_word(target.user)} --password-stdin {target.host}",
        f"crane push {layout} {target.allowed}",
        f"crane push {layout} {target.denied}",
        "reads the password from its input: paste it, then Enter and Ctrl-D",
    )


def _skopeo(target: Target) -> ClientCommands:
    copy = f"skopeo copy --dest-tls-verify=false oci:{shell_word(target.folder / LAYOUT)}"
    return ClientCommands(
        f"skopeo login --tls-verify=false --username {shell_word(target.user)} {target.host}",
        f"{copy} docker://{target.allowed}",
        f"{copy} docker://{target.denied}",
    )


def _engine(name: str, option: str, target: Target) -> ClientCommands:
    load = f"{name} load --input {shell_word(target.folder / ARCHIVE)}"
    return ClientCommands(
        f"{name} login{option} --username {shell_word(target.user)} {target.host}",
        f"{load} && {name} push{option} {target.allowed}",
        f"{name} push{option} {target.denied}",
    )


CLIENTS: Mapping[str, Callable[[Target], ClientCommands]] = {
    "skopeo": _skopeo,
    "crane": _crane,
    "podman": lambda target: _engine("podman", " --tls-verify=false", target),
    "docker": lambda target: _engine("docker", "", target),
}
"""By program, in the order of preference: first those that need no engine, and of them the one that says `denied`."""


def find_client() -> str | None:
    """The first of `CLIENTS` that is on PATH; None if there is none."""
    return next((name for name in CLIENTS if shutil.which(name) is not None), None)
