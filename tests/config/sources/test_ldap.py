"""The settings of a directory: five lines with a preset, and what does not go together."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from tokenserver.authn.ldap.directory import Directory, GroupsBy, GroupSettings, Primary
from tokenserver.config.load import load_settings
from tokenserver.config.sources.ldap import Ldap
from tokenserver.credentials import Secret
from tokenserver.errors import LoadError
from tokenserver.server.compose import watched_files
from tokenserver.server.sources.password_sources import ldap_directory

DOCS = Path(__file__).parents[3] / "docs"

FIVE_LINES = {
    "preset": "openldap",
    "url": "ldaps://ldap.example.com",
    "base": "dc=example,dc=com",
    "bind_dn": "cn=reader,dc=example,dc=com",
    "bind_password": "canary",
}


class Flow(dict[str, Any]):
    """A mapping that prints as YAML."""

    def __str__(self) -> str:
        return json.dumps(self)


TEMPLATE = "uid={user},ou=people,dc=example,dc=com"
DIRECT = {"preset": "openldap", "url": "ldaps://a", "base": "dc=example,dc=com", "user_dn_template": TEMPLATE}

CONFIG = """\
issuer: auth
server: {url: "https://auth.example.com"}
registries: [{service: reg}]
authentication:
  - ldap: {%s}
  - htpasswd: {file: users}
policies: policies
keys: keys
"""


def described(**more: Any) -> Directory:
    """The directory of the shortest settings with these changes; None takes a key out."""
    values = {key: value for key, value in (FIVE_LINES | more).items() if value is not None}
    return Ldap.model_validate(values).directory(Secret("canary"))


def faults(folder: Path, **values: Any) -> list[str]:
    """The faults of a configuration with this directory."""
    file = folder / "tokenserver.yaml"
    given = {key: value for key, value in values.items() if value is not None}
    file.write_text(
        CONFIG
        % ", ".join(
            f'{key}: "{value}"' if isinstance(value, str) else f"{key}: {value}" for key, value in given.items()
        )
    )
    with pytest.raises(LoadError) as caught:
        load_settings(file, {})
    return [
        f"{fault.path.removeprefix('authentication[0].ldap').removeprefix('.')}: {fault.message}"
        for fault in caught.value.faults
    ]


def test_five_lines_are_enough() -> None:
    """The preset says the rest."""
    found = described()
    (server,) = found.servers
    assert (server.host, server.port, server.is_ldaps) == ("ldap.example.com", 636, True)
    assert (found.subject, found.lowercase, found.deadline) == ("uid", True, 5.0)
    assert found.user_filter == "(&(objectClass=inetOrgPerson)(uid={user}))"
    assert found.groups == GroupSettings(GroupsBy.MEMBER, ("dc=example,dc=com",))


def test_what_is_said_wins_over_the_preset() -> None:
    """Key by key; nested groups of Active Directory are its own work."""
    found = described(
        preset="active_directory", subject="mail", lowercase=False, groups={"name": "ou", "allow": ["a*"]}
    )
    assert (found.subject, found.lowercase) == ("mail", False)
    assert found.groups == GroupSettings(
        GroupsBy.NESTED, ("dc=example,dc=com",), "ou", ("a*",), by_rule=True, primary=Primary.SID
    )


def test_a_direct_bind_needs_no_account() -> None:
    """Users bind by the template alone."""
    found = Ldap.model_validate(DIRECT).directory(None)
    assert (found.bind, found.user_dn_template) == (None, TEMPLATE)


def test_an_anonymous_search_needs_no_account() -> None:
    """Users are searched for all the same."""
    found = described(bind_dn=None, bind_password=None, anonymous_search=True)
    assert (found.bind, found.anonymous_search, found.is_searchable) == (None, True, True)


def test_a_name_to_bind_as() -> None:
    """It is no DN, so the preset's filter, or another one, finds the entry afterwards."""
    more = {"user_dn_template": "{user}@corp.example.com", "user_filter": "(sAMAccountName={user})"}
    found = described(bind_dn=None, bind_password=None, preset="active_directory", **more)
    assert (found.user_dn_template, found.bind_as) == (None, "{user}@corp.example.com")
    assert (found.user_filter, found.is_searchable) == ("(sAMAccountName={user})", False)


SEALED = {"client_certificate": "client.pem", "client_key": "client.key"}
EXTERNAL = SEALED | {"bind_dn": None, "bind_password": None, "sasl_external": True}


def test_a_bind_with_the_certificate() -> None:
    """It needs no other account, and users are searched for."""
    found = described(**EXTERNAL)
    assert (found.bind, found.sasl_external, found.is_searchable) == (None, True, True)
    assert found.user_filter == described().user_filter
    assert described(**SEALED).bind is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(None, "ldap.example.com", id="the host"),
        pytest.param("LDAP.Corp.example.com", "ldap.corp.example.com", id="another name"),
        pytest.param("localhost", "localhost", id="one label"),
        pytest.param("2001:DB8::1", "2001:db8::1", id="an IP address"),
    ],
)
def test_the_expected_name(name: str | None, expected: str) -> None:
    """Of each server's certificate."""
    (address,) = described(certificate_name=name).servers
    assert (address.host, address.expected_name) == ("ldap.example.com", expected)


def test_several_bases() -> None:
    """Groups have them from the users, or their own."""
    bases = ["ou=a,dc=x", "ou=b,dc=x", "ou=c,ou=a,dc=x"]
    assert described(base=bases).bases == ("ou=a,dc=x", "ou=b,dc=x")
    for groups, expected in ((None, ("ou=a,dc=x", "ou=b,dc=x")), ({"base": ""}, ("",)), ({"base": ["o=y"]}, ("o=y",))):
        found = described(base=bases, groups=groups).groups
        assert found is not None
        assert found.bases == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"url": "ldap://a"}, "url: sends passwords in clear text", id="clear text"),
        pytest.param({"url": "http://a"}, "url: must be a URL such as ldaps://", id="http"),
        pytest.param({"url": "ldaps://a/dc=x"}, "url: must consist of a scheme", id="path"),
        pytest.param({"url": "ldaps://u@a"}, "url: must consist of a scheme", id="user"),
        pytest.param({"start_tls": True}, "start_tls: cannot be combined with ldaps://", id="both kinds of TLS"),
        pytest.param(
            {"insecure_plaintext": True}, "insecure_plaintext: cannot be combined with ldaps://", id="plain TLS"
        ),
        pytest.param(
            {"url": "ldap://a", "start_tls": True, "insecure_plaintext": True},
            "insecure_plaintext: contradicts start_tls",
            id="TLS or not",
        ),
        pytest.param(
            {"url": "ldap://a", "insecure_plaintext": True, "ca_file": "ca.pem"},
            "ca_file: verifies nothing",
            id="no TLS",
        ),
        pytest.param(
            {"anonymous_search": True}, "bind_dn: cannot be combined with anonymous_search", id="both searches"
        ),
        pytest.param(
            {"anonymous_search": True, "bind_dn": None},
            "bind_password: cannot be combined with anonymous_search",
            id="a password for nobody",
        ),
        pytest.param(
            {"user_dn_template": TEMPLATE, "bind_dn": None, "bind_password": None, "anonymous_search": True},
            "anonymous_search: cannot be combined with user_dn_template",
            id="a search and a template",
        ),
        pytest.param(
            {"user_dn_template": TEMPLATE, "bind_dn": None, "bind_password": None, "user_filter": "(uid={user})"},
            "user_filter: cannot be combined with user_dn_template",
            id="a filter and a template of DNs",
        ),
        pytest.param(
            {"bind_dn": ""}, "bind_dn: must not be empty; anonymous_search: true searches", id="empty account"
        ),
        pytest.param({"client_key": "k"}, "client_certificate: is missing; client_key alone", id="a key alone"),
        pytest.param({"client_certificate": "c"}, "client_key: is missing; client_certificate alone", id="no key"),
        pytest.param(
            {"sasl_external": True, "bind_dn": None, "bind_password": None},
            "client_certificate: is missing: with sasl_external",
            id="SASL EXTERNAL without a certificate",
        ),
        pytest.param(
            SEALED | {"sasl_external": True}, "bind_dn: cannot be combined with sasl_external", id="two accounts"
        ),
        pytest.param(
            EXTERNAL | {"anonymous_search": True},
            "anonymous_search: cannot be combined with sasl_external",
            id="SASL EXTERNAL and an anonymous search",
        ),
        pytest.param(
            EXTERNAL | {"user_dn_template": TEMPLATE},
            "user_dn_template: cannot be combined with sasl_external",
            id="SASL EXTERNAL and a template",
        ),
        pytest.param(
            SEALED | {"url": "ldap://a", "insecure_plaintext": True},
            "client_certificate: has no effect without TLS",
            id="a client certificate in plain text",
        ),
        pytest.param(
            {"url": "ldap://a", "insecure_plaintext": True, "certificate_name": "a.example.com"},
            "certificate_name: has no effect without TLS",
            id="a name in plain text",
        ),
        *(
            pytest.param(
                {"certificate_name": name}, "certificate_name: must be a host name", id=f"no name {name!r}"[:30]
            )
            for name in ("", "*.example.com", "a b", "-a.example.com", "ldaps://a", "a:636", "müller.example", "a" * 64)
        ),
        pytest.param({"strip_domain": "@corp"}, "strip_domain: must be a domain alone", id="no domain"),
        pytest.param(
            {
                "bind_dn": None,
                "bind_password": None,
                "user_dn_template": "{user}@corp",
                "preset": None,
                "subject": "uid",
            },
            "user_filter: is missing",
            id="a name to bind as without a filter",
        ),
        pytest.param({"base": "example.com"}, "base: must be a DN", id="base"),
        pytest.param({"bind_dn": None}, "bind_dn: is missing", id="no account"),
        pytest.param({"bind_password": None}, "bind_password: is missing", id="no password"),
        pytest.param({"bind_password_file": "x"}, "bind_password: contradicts bind_password_file", id="two passwords"),
        pytest.param({"bind_password": ""}, "bind_password: must not be empty", id="empty password"),
        pytest.param({"bind_password": 12}, "bind_password: must be text; quote it", id="password that is a number"),
        pytest.param(
            {"user_dn_template": TEMPLATE}, "bind_dn: cannot be combined with user_dn_template", id="both binds"
        ),
        pytest.param({"preset": None}, "subject: is missing; presets that set it", id="no preset"),
        pytest.param(
            {"user_filter": "(uid=x)"}, "user_filter: must be one filter with {user}", id="filter without user"
        ),
        pytest.param({"user_filter": "(uid={user})(a=b)"}, "user_filter: must be one filter", id="two filters"),
        pytest.param({"user_filter": "(uid={user}"}, "user_filter: must be one filter", id="open filter"),
        pytest.param({"subject": "u id"}, "subject: must be the name of an attribute", id="attribute"),
        pytest.param({"deadline": "11s"}, "deadline: must be from 1s to 10s", id="deadline"),
        pytest.param({"cache": "2m"}, "cache: must be from 0s (never) to 60s", id="cache"),
        pytest.param({"groups": "{allow: []}"}, "groups: must be a mapping", id="groups"),
        pytest.param(
            {"user_filter": "(&(uid={user})(memberOf=cn=Web Team (x),ou=groups))"},
            "user_filter: must be one filter with {user} in it, such as (&(objectClass=person)(uid={user})); it is no "
            r"filter at character 37, near '(x),ou=groups))': a parenthesis inside a value is written \28 and \29",
            id="parenthesis in a filter",
        ),
        pytest.param(
            {"user_filter": "(&(uid={user})(memberOf))"},
            "user_filter: must be one filter with {user} in it, such as (&(objectClass=person)(uid={user})); it is no "
            "filter at character 16",
            id="no comparison in a filter",
        ),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    """Refused at load, at its key, without the password."""
    found = faults(tmp_path, **(FIVE_LINES | changes))
    assert [fault for fault in found if fault.startswith(expected)] != []
    assert "canary" not in str(found)


@pytest.mark.parametrize(
    ("preset", "groups", "expected"),
    [
        pytest.param(
            "active_directory",
            {"by": "memberof", "name": "sAMAccountName"},
            "groups.name: must be cn if by is memberof",
            id="Active Directory",
        ),
        pytest.param("freeipa", {"name": "description"}, "groups.name: must be cn if by is memberof", id="FreeIPA"),
        pytest.param("openldap", {"prefix": "a*"}, "groups.prefix: must be 1 to 32 letters", id="a star"),
        pytest.param("openldap", {"prefix": ""}, "groups.prefix: must be 1 to 32 letters", id="empty"),
        pytest.param(
            "openldap",
            {"prefix": "partner/", "allow": ["web", "Partner/web"]},
            "groups.allow[1]: is compared with the names in the directory, which have no prefix; remove partner/",
            id="the prefix in the allow-list",
        ),
    ],
)
def test_groups_that_could_only_be_lost(tmp_path: Path, preset: str, groups: dict[str, Any], expected: str) -> None:
    """Rejected at load, at its key."""
    (fault,) = faults(tmp_path, **(FIVE_LINES | {"preset": preset, "groups": Flow(groups)}))
    assert fault.startswith(expected)


@pytest.mark.parametrize(
    ("preset", "groups"),
    [
        pytest.param("active_directory", {"by": "memberof", "name": "commonName"}, id="another name of cn"),
        pytest.param("active_directory", {"by": "nested", "name": "sAMAccountName"}, id="by a search"),
        pytest.param("openldap", {"by": "memberof", "name": "ou"}, id="DNs of whatever kind"),
        pytest.param("openldap", {"prefix": "partner/", "allow": ["web*"]}, id="a prefix"),
    ],
)
def test_groups_that_can_be_found(preset: str, groups: dict[str, Any]) -> None:
    """The same keys where they make sense."""
    found = described(preset=preset, groups=groups).groups
    assert found is not None
    assert found.prefix == groups.get("prefix", "")


def test_a_direct_bind_must_be_the_last_source(tmp_path: Path) -> None:
    """It cannot recognise an unknown user, so sources after it would never be asked."""
    (fault,) = faults(tmp_path, **DIRECT)
    assert fault.startswith("user_dn_template: without bind_dn an unknown user looks like a wrong password")


@pytest.mark.parametrize(
    ("name", "content", "mode", "expected"),
    [
        pytest.param("bind_password_file", "", 0o600, "must contain the password of bind_dn", id="empty"),
        pytest.param("bind_password_file", "canary", 0o644, "can be read by others", id="open to all"),
        pytest.param("ca_file", "canary", 0o644, "contains no PEM certificate", id="no certificate"),
    ],
)
def test_the_files_are_checked_at_load(tmp_path: Path, name: str, content: str, mode: int, expected: str) -> None:
    """Faults are found before any login, and do not repeat the content."""
    file = tmp_path / "file"
    file.write_text(content)
    file.chmod(mode)
    values = FIVE_LINES | {name: file}
    if name == "bind_password_file":
        del values["bind_password"]
    with pytest.raises(LoadError) as caught:
        ldap_directory(Ldap.model_validate(values))
    assert expected in str(caught.value)
    assert "canary" not in str(caught.value)


def test_the_files_are_watched(tmp_path: Path) -> None:
    """A new password or CA is used without a restart (docs/design/threats.md#fault-8)."""
    file = tmp_path / "tokenserver.yaml"
    values = 'preset: openldap, url: "ldaps://a", base: "dc=a", bind_dn: "cn=a", bind_password_file: pw, ca_file: ca'
    file.write_text(CONFIG % values)
    assert {tmp_path / "pw", tmp_path / "ca"} <= set(watched_files(load_settings(file, {})))


def _blocks() -> list[dict[str, Any]]:
    """The settings in the examples of docs/ldap.md; what a block leaves out is as in the first one of its preset."""
    page = (Path(__file__).parents[3] / "docs" / "ldap.md").read_text("utf-8")
    password = {"bind_password": "x", "bind_password_file": None}
    found: list[dict[str, Any]] = []
    for block in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        content = yaml.safe_load(textwrap.dedent(block))
        if isinstance(content, dict) and "authentication" not in content:
            found.append(found[1 if "sAMAccountName" in block else 0] | content)
        else:
            (entry,) = content["authentication"] if isinstance(content, dict) else content
            found.append(entry["ldap"] | (password if "bind_dn" in entry["ldap"] else {}))
    return found


@pytest.mark.parametrize("block", _blocks(), ids=lambda block: json.dumps(block)[-60:])
def test_the_examples_of_the_page(block: dict[str, Any]) -> None:
    """Each can be pasted as it is."""
    settings = Ldap.model_validate({key: value for key, value in block.items() if value is not None})
    found = settings.directory(Secret("x"))
    assert found.is_searchable or settings.user_dn_template is not None


BLOCKS = [
    yaml.safe_load(textwrap.dedent(block.replace("authentication:\n", "")))[0]["ldap"]
    for block in re.findall(r"```yaml\n(.*?)```", (DOCS / "ldap.md").read_text("utf-8"), re.DOTALL)
    if "- ldap:" in block
]


@pytest.mark.parametrize("values", BLOCKS, ids=str)
def test_the_blocks_of_the_page(values: dict[str, Any]) -> None:
    """Each one that can be pasted is a whole source."""
    assert Ldap.model_validate(values).directory(Secret("x")).name


def test_the_page_has_a_block_for_each_situation() -> None:
    """Every way to bind and search that the settings know."""
    keys = {key for values in BLOCKS for key in values}
    assert {"anonymous_search", "strip_domain", "user_dn_template", "bind_dn", "sasl_external"} <= keys
    assert {"", tuple} <= {
        values["base"] if values["base"] == "" else type(Ldap.model_validate(values).base) for values in BLOCKS
    }
