"""The section `ldap` of tokenserver.yaml from docker_auth's `ldap_auth`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tokenserver.documents.yaml_text import yaml_scalar

FILE_KEYS = {"bind_password_file": "ldap-password", "ca_certificate": "ldap-ca.pem"}
"""The keys that name files, and the names of their copies."""

_SUBJECT = re.compile(r"\(([A-Za-z][A-Za-z0-9-]*)=\$\{account\}\)", re.ASCII)


def ldap_section(values: Mapping[str, object], copied: Mapping[str, str]) -> tuple[str, str]:
    """The section, and why it cannot be used as it is; empty if it can. `copied` are the files that are there."""
    filter_text = _text(values, "filter")
    found = _SUBJECT.search(filter_text)
    problems = [f"{key} names a file that is not here" for key in FILE_KEYS if _text(values, key) and key not in copied]
    if found is None:
        problems.append("its filter does not compare one attribute with ${account}")
    if values.get("initial_bind_as_user"):
        problems.append("it binds as the user first (user_dn_template)")
    if values.get("insecure_tls_skip_verify"):
        problems.append("it does not verify the certificate of the directory, which always happens here (ca_file)")
    lines = [
        "name: ldap",
        f"url: {yaml_scalar(_url(values))}",
        *_encryption(values),
        f"base: {yaml_scalar(_text(values, 'base'))}",
        *_bind(values),
        f"user_filter: {yaml_scalar(filter_text.replace('${account}', '{user}'))}",
        f"subject: {found[1] if found else 'uid'}",
        *_groups(values, problems),
    ]
    return "".join(["- ldap:\n", *(f"    {line}\n" for line in lines)]), "; ".join(problems)


def _url(values: Mapping[str, object]) -> str:
    return f"{'ldaps' if _is_ldaps(values) else 'ldap'}://{_text(values, 'addr')}"


def _is_ldaps(values: Mapping[str, object]) -> bool:
    return _text(values, "tls") == "always" or _text(values, "addr").endswith(":636")


def _encryption(values: Mapping[str, object]) -> Iterator[str]:
    if not _is_ldaps(values):
        yield "start_tls: true" if _text(values, "tls") == "starttls" else "insecure_plaintext: true"
    if _text(values, "ca_certificate"):
        yield f"ca_file: {FILE_KEYS['ca_certificate']}"


def _bind(values: Mapping[str, object]) -> Iterator[str]:
    if not _text(values, "bind_dn"):
        yield "anonymous_search: true"
        return
    yield f"bind_dn: {yaml_scalar(_text(values, 'bind_dn'))}"
    yield f"bind_password_file: {FILE_KEYS['bind_password_file']}"


def _groups(values: Mapping[str, object], problems: list[str]) -> Iterator[str]:
    """The groups of a directory, named as the values of the label that has them."""
    labels = values.get("labels")
    if not isinstance(labels, Mapping) or not labels:
        return
    names = [name for name, label in labels.items() if _is_member_of(label)]
    if len(names) == 1 and len(labels) == 1:
        yield f"groups: {{by: memberof, prefix: {yaml_scalar(f'{names[0]}=')}}}"
        return
    problems.append(f"labels other than one of memberOf with parse_cn are no groups: {', '.join(map(str, labels))}")


def _is_member_of(label: object) -> bool:
    if not isinstance(label, Mapping):
        return False
    return str(label.get("attribute", "")).lower() == "memberof" and bool(label.get("parse_cn"))


def _text(values: Mapping[str, object], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""
