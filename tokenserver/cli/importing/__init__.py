"""`tokenserver import`: the commands that make a configuration from another token server's, or a registry's, files."""

from __future__ import annotations

import click

from tokenserver.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "harbor": LazyCommand("tokenserver.cli.importing.harbor", "import_harbor", "Harbor, from an export of its API."),
    "quay": LazyCommand("tokenserver.cli.importing.quay", "import_quay", "Quay, from an export of its API."),
    "zot": LazyCommand("tokenserver.cli.importing.zot", "import_zot", "zot, with its users and accessControl."),
    "htpasswd-registry": LazyCommand(
        "tokenserver.cli.importing.htpasswd_registry", "import_htpasswd_registry", "A registry with a users file."
    ),
}


@click.group("import", cls=LazyGroup, commands_at=_COMMANDS)
def importing() -> None:
    """Make a configuration and policies from what another token server or a registry has.

    The folder DIR is new, and appears whole or not at all. REPORT.md in it has a verdict on everything that was read.
    """
