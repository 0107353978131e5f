"""`tokenserver schema`: JSON Schemas of the files that people write, for editors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from tokenserver.cli.terminal import echo_text
from tokenserver.config.reference.json_schema import registry_schema, settings_schema
from tokenserver.documents.json_output import json_text
from tokenserver.policy.syntax.json_schema import policy_schema

SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "config": settings_schema,
    "policy": policy_schema,
    "registry": registry_schema,
}


@click.command()
@click.argument("kind", type=click.Choice(list(SCHEMAS)))
def schema(kind: str) -> None:
    """Print the JSON Schema of tokenserver.yaml (config), of a policy file, or of a file in a folder of registries.

    Write it to a file, and name that file in the first line of the YAML file, so that an editor completes and checks
    its keys:

    \b
      tokenserver schema policy > policy.schema.json
      # yaml-language-server: $schema=policy.schema.json
    """
    echo_text(spell(SCHEMAS[kind]()))


def spell(content: dict[str, Any]) -> str:
    """A schema as it is printed and committed."""
    return json_text(content, indent=2)
