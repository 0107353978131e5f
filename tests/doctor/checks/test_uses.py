"""What a registry's configuration forbids whatever a token grants."""

from __future__ import annotations

from typing import Any

import pytest
from doctor_worlds import ours_of, setup_of

from tokenserver.doctor.checks.uses import check_uses
from tokenserver.doctor.facts import Mirror, Uses
from tokenserver.doctor.findings import Finding
from tokenserver.scopes import parse_scope

URL = "https://registry.example.com"


def found(allowed: Uses, *scopes: str, url: str | None = URL, **setup: Any) -> dict[str, Finding]:
    registry = ours_of(url=url).registries[0]
    wanted = [parse_scope(scope) for scope in scopes]
    return {one.check: one for one in check_uses(setup_of(**{"uses": allowed, **setup}), registry, wanted)}


@pytest.mark.parametrize("scope", ["repository:a/b:pull", "repository:a/b:pull,push", "repository:a/b:delete"])
def test_a_usual_registry_has_no_finding(scope: str) -> None:
    """Nothing is forbidden there."""
    assert found(Uses(deletes=True, host=URL, prefix="/"), scope) == {}


@pytest.mark.parametrize("actions", ["delete", "*", "pull,delete"])
def test_deleting_is_not_enabled(actions: str) -> None:
    """A fault for who wants to delete; nobody else hears of it."""
    finding = found(Uses(deletes=False), f"repository:a/b:{actions}")["delete"]
    assert (finding.ok, finding.fix) == (
        False,
        "set storage.delete.enabled to true in config.yml and restart the registry",
    )
    assert found(Uses(deletes=False), "repository:a/b:pull,push") == {}
    assert found(Uses(deletes=None), "repository:a/b:delete") == {}
    assert found(Uses(deletes=False), "registry:catalog:*") == {}


@pytest.mark.parametrize(
    ("setup", "check", "words"),
    [
        ({"uses": Uses(is_readonly=True)}, "read-only", "remove storage.maintenance.readonly in config.yml"),
        ({"mirror": Mirror("https://hub.example.com", has_login=False)}, "cache", "push to https://hub.example.com"),
    ],
)
def test_what_takes_no_push(setup: dict[str, Any], check: str, words: str) -> None:
    """A fault for who wants to push or delete, else a note."""
    for action in ("push", "delete"):
        finding = found(Uses(), f"repository:a/b:{action}", **setup)[check]
        assert finding.ok is False
        assert words in str(finding.fix)
    assert [one.fix for one in found(Uses(), "repository:a/b:pull", **setup).values()] == [None]
    assert [one.fix for one in found(Uses(), **setup).values()] == [None]


@pytest.mark.parametrize(
    ("uses", "ok"),
    [
        pytest.param(Uses(host="registry.example.com"), None, id="no URL"),
        pytest.param(Uses(host="registry.example.com:5000"), None, id="no URL but a port"),
        pytest.param(Uses(host="10.0.0.1:5000"), False, id="an address that no URL begins with"),
        pytest.param(Uses(host="https://other.example.com"), None, id="another host"),
        pytest.param(Uses(host="http://registry.example.com"), None, id="another scheme"),
    ],
)
def test_where_uploads_are_sent(uses: Uses, ok: bool | None) -> None:
    """`http.host` is told by its right value, if that is known."""
    finding = found(uses)["host"]
    assert finding.ok is ok
    assert "config.yml" in str(finding.fix)
    by_service = {check: one.ok for check, one in found(uses, url=None).items()}
    assert by_service == ({} if uses.host == "http://registry.example.com" else {"host": ok})


def test_a_prefix() -> None:
    """No client asks there, unless the url has the same path."""
    assert found(Uses(prefix="/images/"))["prefix"].ok is None
    assert found(Uses(prefix="/images/"), url=f"{URL}/images") == {}
    assert found(Uses(prefix="/images/"), url=None) == {}


def test_access_control_of_zot() -> None:
    """Next to bearer alone it keeps zot from starting."""
    assert found(Uses(access_control=True), is_zot=True)["accessControl"].ok is False
    assert found(Uses(access_control=True), is_zot=True, auth="htpasswd") == {}


def test_the_place_is_a_file() -> None:
    """The section's line is no help for another section; a name without one stays as it is."""
    for place, shown in (("config.yml:7", "config.yml"), ("config.yml", "config.yml"), ("C:x", "C:x")):
        setup = setup_of(uses=Uses(deletes=False), places={"": place})
        (finding,) = check_uses(setup, None, [parse_scope("repository:a:delete")])
        assert f" in {shown} and" in str(finding.fix)


@pytest.mark.parametrize(
    ("allowed", "scope", "fix"),
    [
        (Uses(deletes=False), "delete", "in STORAGE_DELETE_ENABLED and"),
        (Uses(is_readonly=True), "push", "remove STORAGE_MAINTENANCE_READONLY and"),
        (Uses(host="https://other.example.com"), "push", "in HTTP_HOST and"),
        (Uses(prefix="/images/"), "push", "in HTTP_PREFIX and"),
    ],
)
def test_a_variable_is_named_where_it_is_the_cause(allowed: Uses, scope: str, fix: str) -> None:
    """The file has another value, or none."""
    keys = ("storage.delete.enabled", "storage.maintenance.readonly", "http.host", "http.prefix")
    places = {"": "config.yml:7", **{key: key.replace(".", "_").upper() for key in keys}}
    (finding,) = found(allowed, f"repository:a/b:{scope}", places=places).values()
    assert fix in str(finding.fix)
