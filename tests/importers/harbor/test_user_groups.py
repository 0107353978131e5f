"""User groups of Harbor by the names that a user source of this server brings, and names for new groups."""

from __future__ import annotations

import pytest

from tokenserver.importers.harbor.model import HarborExport, HarborGroup, HarborMember, HarborProject
from tokenserver.importers.harbor.user_groups import GroupNames, common_name
from tokenserver.importers.report import Verdict

OIDC = {"auth_mode": "oidc_auth"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("cn=web-devs,ou=groups,dc=example,dc=com", "web-devs", id="usual"),
        pytest.param("CN=Web \\, Devs,DC=example", "Web , Devs", id="escaped"),
        pytest.param("ou=web,dc=example", "", id="another attribute"),
        pytest.param("web-devs", "", id="a name"),
        pytest.param("=", "", id="no DN"),
    ],
)
def test_common_names(text: str, name: str) -> None:
    """The first component of a distinguished name, if it is a common name."""
    assert common_name(text) == name


@pytest.mark.parametrize(
    ("group", "settings", "brought", "verdicts"),
    [
        pytest.param(HarborGroup(7, "devs", "cn=devs,dc=x"), {}, "devs", [], id="LDAP"),
        pytest.param(HarborGroup(7, "Developers", "cn=devs,dc=x"), {}, "devs", [Verdict.DIFFERENT], id="another name"),
        pytest.param(HarborGroup(7, "/web/devs"), OIDC, "web/devs", [Verdict.DIFFERENT], id="a path of Keycloak"),
        pytest.param(HarborGroup(7, "/web/devs"), {}, "/web/devs", [], id="a slash elsewhere"),
    ],
)
def test_groups(group: HarborGroup, settings: dict[str, str], brought: str, verdicts: list[Verdict]) -> None:
    """By the id of the member, else by its name; a change is reported."""
    names = GroupNames(HarborExport("x.json", groups=(group,), settings=settings))
    assert names.brought(7, "whatever") == names.brought(0, group.name) == (brought, "")
    assert [one.verdict for one in names.constructs] == verdicts


def test_a_group_that_is_not_listed() -> None:
    """Its name or distinguished name is all that there is."""
    names = GroupNames(HarborExport("x.json"))
    assert [names.brought(9, one)[0] for one in ("cn=a,dc=x", "/b", "c")] == ["a", "/b", "c"]


def test_new_names() -> None:
    """None is that of a group that a source may bring."""
    members = (HarborMember("", "web/guest", "g", 3), HarborMember("", "ann", "u", 3))
    export = HarborExport(
        "x", (HarborProject("", 1, "web", members=members),), (HarborGroup(7, "x", "cn=web/admin,dc=x"),)
    )
    names = GroupNames(export)
    assert [names.new(one) for one in ("web/guest", "web/admin", "ann", "ann")] == [
        *("web/guest-2", "web/admin-2", "ann", "ann-2"),
    ]


def test_administrators() -> None:
    """The groups of the configuration; one that cannot exist is reported."""
    settings = {"ldap_group_admin_dn": "cn=ops,dc=x", "http_authproxy_admin_groups": "ops, a\x00b"}
    names = GroupNames(HarborExport("x.json", settings=settings))
    assert names.administrators() == ["ops"]
    assert [(one.text, one.verdict) for one in names.constructs] == [
        ("cn=ops,dc=x", Verdict.EXACT),
        ("ops", Verdict.EXACT),
        ("a\x00b", Verdict.NOT_TRANSLATED),
    ]
