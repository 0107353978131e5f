"""The registry of a demo: which program is installed, and the configuration that lets it trust the server."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tokenserver.cli.output_files import write_into
from tokenserver.cli.registries.section import FITS, section, trusted
from tokenserver.config.settings import RegistrySettings, Settings
from tokenserver.documents.json_output import json_text
from tokenserver.errors import Fault, LoadError
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import load_keys
from tokenserver.printable import shell_word

NAMES = ("registry", "docker-registry", "zot")
"""Programs that are looked for on PATH, in this order: Distribution 3 or 2.8, Debian's package of 2.8, zot."""

INSTALL = (
    "Install one: `sudo apt install docker-registry` (Debian, Ubuntu), `make real-servers` (in a checkout, Debian),"
    " or the program `registry` from https://github.com/distribution/distribution/releases."
    " Then run this again, or without a registry: --no-registry"
)


class RegistryProgram(NamedTuple):
    """An installed registry."""

    path: str

    @property
    def name(self) -> str:
        """The program's own name."""
        return Path(self.path).name

    @property
    def is_zot(self) -> bool:
        """Whether it is zot, which has its own form of tokens and of configuration; else it is Distribution."""
        return self.name.startswith("zot")

    @property
    def compat(self) -> str:
        """The kind of tokens that this program accepts: see `compat` of a registry."""
        return "zot" if self.is_zot else "universal"

    @property
    def algorithm(self) -> Algorithm:
        """The kind of keys for this program: zot verifies ES256 since 2.1.3 only."""
        return Algorithm.RS256 if self.is_zot else Algorithm.ES256


def find_registry(given: str | None = None) -> RegistryProgram | None:
    """The given program, or the first of `NAMES` that is installed; None if there is none."""
    for name in NAMES if given is None else (given,):
        found = shutil.which(name) or shutil.which(name, path="/usr/bin:/usr/local/bin")
        if found is not None:
            return RegistryProgram(found)
    return None


def port_of(registry: RegistrySettings) -> int:
    """The port of the service `localhost:PORT`.

    Raises:
        LoadError: the service is called otherwise, so no registry on this machine has that address.
    """
    host, _, port = registry.service.rpartition(":")
    if host != "localhost" or not port.isdecimal() or not 0 < int(port) < 65536:
        message = f"{registry.service!r} is not of the form localhost:PORT, so no registry is started for it"
        raise LoadError([Fault("registries", 0, "service", f"{message}; fix: --no-registry")])
    return int(port)


def prepare(program: RegistryProgram, settings: Settings, folder: Path) -> Path:
    """Write the program's configuration and its file of trusted keys into the folder; gives the configuration's path.

    Raises:
        LoadError: the configured tokens do not fit this program, or a file cannot be written.
    """
    registry = settings.registries[0]
    port = port_of(registry)
    if registry.compat not in (FITS["zot"] if program.is_zot else FITS["distribution3"]):
        again = shell_word(folder.with_name(f"{folder.name}-{program.compat}"))
        message = (
            f"has compat: {registry.compat} for {registry.service}, whose tokens {program.name} rejects;"
            f" fix: set compat: {program.compat}, or start over in another folder: tokenserver demo {again}"
        )
        raise LoadError([Fault(str(folder), 0, "", message)])
    file = trusted(registry, load_keys(settings.key_set(registry).folder, now=datetime.now(UTC)))
    write_into(folder, file.name, file.content.encode("ascii"))
    auth = section(settings, registry, (folder / file.name).absolute(), registry.service)
    storage = str((folder / "images").absolute())
    if program.is_zot:
        http = {"address": "127.0.0.1", "port": str(port), **json.loads(auth)["http"]}
        content = {"storage": {"rootDirectory": storage, "gc": False}, "http": http, "log": {"level": "info"}}
        name, text = "registry.json", json_text(content, indent=2)
    else:
        lines = (
            "# Written by `tokenserver demo` at each start.",
            "version: 0.1",
            f"storage: {{filesystem: {{rootdirectory: {json_text(storage)}}}, delete: {{enabled: true}}}}",
            f"http: {{addr: 127.0.0.1:{port}}}",
        )
        name, text = "registry.yml", "\n".join((*lines, auth))
    write_into(folder, name, f"{text}\n".encode())
    return folder / name
