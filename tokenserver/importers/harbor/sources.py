"""Where Harbor's users log in, as a user source to complete: a directory, a provider, or a new users file. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tokenserver.documents.yaml_text import yaml_list, yaml_scalar
from tokenserver.importers.harbor.model import HarborExport
from tokenserver.importers.report import Construct, Verdict

_SET = "tokenserver users set NAME, or a directory or single sign-on in their place"
_FILL_IN = "what is after # under authentication in tokenserver.yaml, completed"


@dataclass(frozen=True, slots=True)
class HarborSource:
    """What to write under `authentication`, as YAML that the operator completes (empty: nothing), and its report."""

    text: str
    construct: Construct


def user_source(export: HarborExport, *, has_passwords: bool) -> HarborSource:
    """The user source in place of Harbor's. `has_passwords`: there are users who need one in the users file."""
    mode = export.setting("auth_mode", "db_auth")
    place = f"{export.file}: configurations.auth_mode"
    if mode == "ldap_auth":
        note = "the password of the service account cannot be exported"
        return HarborSource(_ldap(export), Construct(place, mode, Verdict.NOT_TRANSLATED, note, _FILL_IN))
    if mode == "oidc_auth":
        note = "the secret of the client cannot be exported, and CLI secrets of Harbor end"
        return HarborSource(_oidc(export), Construct(place, mode, Verdict.NOT_TRANSLATED, note, _FILL_IN))
    if mode == "db_auth":
        note = "the passwords of Harbor's users cannot be exported; each user needs a new one"
        verdict = Verdict.DIFFERENT if has_passwords else Verdict.EXACT
        return HarborSource("", Construct(place, mode, verdict, note * has_passwords, _SET * has_passwords))
    note = "users of this kind do not exist here"
    return HarborSource("", Construct(place, mode, Verdict.NOT_TRANSLATED, note, _SET))


def _ldap(export: HarborExport) -> str:
    subject = export.setting("ldap_uid", "uid")
    own = export.setting("ldap_filter")
    own = f"({own})" if own and not own.startswith("(") else own
    groups = {
        "by": "memberof",
        "base": export.setting("ldap_group_base_dn", export.setting("ldap_base_dn")),
        "name": export.setting("ldap_group_attribute_name", "cn"),
    }
    lines = [
        "- ldap:",
        "    name: ldap",
        "    preset: openldap  # or active_directory, freeipa",
        f"    url: {yaml_scalar(export.setting('ldap_url'))}",
        f"    base: {yaml_scalar(export.setting('ldap_base_dn'))}",
        f"    bind_dn: {yaml_scalar(export.setting('ldap_search_dn'))}",
        "    bind_password_file: ldap-password",
        f"    user_filter: {yaml_scalar(f'(&{own}({subject}={{user}}))')}",
        f"    subject: {yaml_scalar(subject)}",
        f"    groups: {{{', '.join(f'{key}: {yaml_scalar(value)}' for key, value in groups.items())}}}",
    ]
    return "\n".join(lines)


def _oidc(export: HarborExport) -> str:
    lines = [
        "- oidc:",
        "    name: sso",
        "    preset: keycloak  # or entra, okta, google, dex",
        f"    issuer: {yaml_scalar(export.setting('oidc_endpoint'))}",
        f"    client_id: {yaml_scalar(export.setting('oidc_client_id'))}",
        "    client_secret_file: oidc-secret",
    ]
    scopes = [scope for scope in export.setting("oidc_scope").split(",") if scope.strip()]
    return "\n".join([*lines, *([f"# Harbor asks for the scopes {yaml_list(scopes)}"] if scopes else [])])
