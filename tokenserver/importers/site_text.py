"""The configuration of an imported site: the text of its `tokenserver.yaml`, with a comment for each part. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tokenserver.documents.yaml_text import yaml_comment, yaml_scalar

USERS_NAME = "users.htpasswd"


@dataclass(frozen=True, slots=True)
class SiteChoice:
    """What a site is called and where it listens, which no source of an import says."""

    issuer: str
    service: str
    url: str
    listen: str


@dataclass(frozen=True, slots=True)
class SiteText:
    """The configuration of a site with a users file. `source` names what it was made from.

    `sources` are further user sources for the operator to complete, as YAML that becomes a comment.
    """

    source: str
    choice: SiteChoice
    compat: str = "universal"
    is_anonymous: bool = False
    sources: str = ""


def site_yaml(site: SiteText) -> str:
    """The text of the file. Its paths are relative to it."""
    choice = site.choice
    commented = yaml_comment(site.sources, "  ") if site.sources else ""
    return (
        yaml_comment(f"Imported from {site.source}; REPORT.md says what became of each part.")
        + f"""
# The issuer of all tokens. Must equal auth.token.issuer of the registry.
issuer: {yaml_scalar(choice.issuer)}

server:
  listen: {yaml_scalar(choice.listen)}
  # The URL that clients use; the registry announces {{url}}/token.
  url: {yaml_scalar(choice.url)}

registries:
  # service: auth.token.service of the registry, which is the audience of its tokens.
  - service: {yaml_scalar(choice.service)}
    compat: {site.compat}

authentication:
  - htpasswd: {{file: {USERS_NAME}}}
{commented}
# Whether clients without credentials get tokens, for what the policies grant to everyone.
anonymous: {"true" if site.is_anonymous else "false"}

policies: policies
keys: keys
"""
    )
