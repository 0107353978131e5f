"""Reader of docker_auth's configuration file, as docker_auth reads it: what it ignores is ignored, and listed.

The reader rejects what docker_auth cannot decode. Whether docker_auth starts with the result is a question for
`validation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tokenserver.documents.yaml_nodes import read_nodes
from tokenserver.importers.docker_auth.model import (
    AclEntry,
    AclMatch,
    DockerAuthConfig,
    Labels,
    PeerBackend,
    PeerServerSettings,
    PeerTokenSettings,
    StaticUser,
    UnknownKey,
)
from tokenserver.importers.docker_auth.sections import BACKENDS, CONFIGURATION
from tokenserver.importers.golang.yaml_decoder import decode
from tokenserver.importers.golang.yaml_types import DecodedStruct

_TLS = ("tls_min_version", "tls_curve_preferences", "tls_cipher_suites")


def read_docker_auth(text: str, file: str) -> DockerAuthConfig:
    """The configuration in a text; `file` is its name in faults.

    Raises:
        LoadError: docker_auth cannot decode the text. Each fault has its line.
    """
    decoded, ignored = decode(read_nodes(text, file), CONFIGURATION, file)
    values, lines = decoded.values, decoded.lines
    return DockerAuthConfig(
        file=file,
        server=_server(values["server"], lines.get("server", 0)),
        token=_token(values["token"], lines.get("token", 0)),
        users=_users(values["users"]),
        acl=None if values["acl"] is None else tuple(map(_entry, values["acl"])),
        backends=MappingProxyType(
            {key: _backend(key, values[key], lines[key]) for key in BACKENDS if values[key] is not None}
        ),
        unknown_keys=tuple(UnknownKey(path, line) for path, line in ignored),
        acl_line=lines.get("acl", 0),
        users_line=lines.get("users", 0),
    )


def _server(section: DecodedStruct, line: int) -> PeerServerSettings:
    values = section.values
    letsencrypt = values["letsencrypt"].values if "letsencrypt" in section.lines else None
    return PeerServerSettings(
        line=line,
        addr=values["addr"],
        net=values["net"],
        path_prefix=values["path_prefix"],
        real_ip_header=values["real_ip_header"],
        real_ip_pos=values["real_ip_pos"],
        certificate=values["certificate"],
        key=values["key"],
        hsts=values["hsts"],
        letsencrypt=letsencrypt,
        tls=MappingProxyType({key: values[key] for key in _TLS if key in section.lines}),
    )


def _token(section: DecodedStruct, line: int) -> PeerTokenSettings:
    return PeerTokenSettings(line=line, **section.values)


def _users(table: dict[str, tuple[int, DecodedStruct | None]] | None) -> Mapping[str, StaticUser] | None:
    if table is None:
        return None
    return MappingProxyType(
        {
            # A null in place of the user means that there is none.
            name: StaticUser(name, line, user.values["password"], _labels(user.values["labels"]))
            for name, (line, user) in table.items()
            if user is not None
        }
    )


def _labels(table: dict[str, tuple[int, list[str] | None]] | None) -> Labels:
    return MappingProxyType({label: tuple(values or ()) for label, (_, values) in (table or {}).items()})


def _entry(decoded: DecodedStruct) -> AclEntry:
    values, match = decoded.values, decoded.values["match"]
    ignored = list(decoded.ignored)
    if match is not None:
        ignored += [(f"match.{key}", line) for key, line in match.ignored]
    actions = values["actions"]
    return AclEntry(
        line=decoded.line,
        match=None if match is None else _match(match.values),
        actions=None if actions is None else tuple(actions),
        comment=values["comment"],
        ignored_keys=tuple(ignored),
    )


def _match(values: dict[str, Any]) -> AclMatch:
    labels = {label: pattern for label, (_, pattern) in (values["labels"] or {}).items()}
    return AclMatch(**{**values, "labels": tuple(sorted(labels.items()))})


def _backend(key: str, section: DecodedStruct, line: int) -> PeerBackend:
    lines: dict[str, int] = {}
    return PeerBackend(key, line, _plain(section, "", lines), MappingProxyType(lines))


def _plain(section: DecodedStruct, prefix: str, lines: dict[str, int]) -> Mapping[str, object]:
    """The keys that are set in a section, and below it."""
    values: dict[str, object] = {}
    for key, line in section.lines.items():
        lines[prefix + key] = line
        values[key] = _plain_value(section.values[key], f"{prefix}{key}.", lines)
    return MappingProxyType(values)


def _plain_value(value: Any, prefix: str, lines: dict[str, int]) -> object:
    if isinstance(value, DecodedStruct):
        return _plain(value, prefix, lines)
    if isinstance(value, dict) and all(type(item) is tuple for item in value.values()):
        table: dict[str, object] = {}
        for key, (line, item) in value.items():
            lines[prefix + key] = line
            table[key] = _plain_value(item, f"{prefix}{key}.", lines)
        return MappingProxyType(table)
    return tuple(value) if isinstance(value, list) else value
