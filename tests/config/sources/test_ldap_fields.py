"""Field types of a directory's settings: bases, domains, and names to bind as."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tokenserver.config.sources.ldap_fields import MAX_BASES, Bases, Domains, UserDnTemplate, is_principal_template

BASES, DOMAINS, TEMPLATE = (TypeAdapter(kind) for kind in (Bases, Domains, UserDnTemplate))


def problem(adapter: TypeAdapter[Any], value: object) -> str:
    """What is wrong with this value."""
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    return caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("dc=a", ("dc=a",), id="one"),
        pytest.param(["dc=a", "dc=b"], ("dc=a", "dc=b"), id="several"),
        pytest.param("", ("",), id="the whole directory"),
        pytest.param(["ou=x,dc=a", "dc=a"], ("dc=a",), id="one above the other"),
        pytest.param(["o=a", "o=b"], ("o=a", "o=b"), id="short ones"),
    ],
)
def test_bases(value: object, expected: tuple[str, ...]) -> None:
    """One, or a list, of which those that others cover are left out."""
    assert BASES.validate_python(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param([], "at least 1 item", id="none"),
        pytest.param([f"o={number}" for number in range(MAX_BASES + 1)], "at most 16 items", id="too many"),
        pytest.param(" ", "must be a DN", id="blank"),
        pytest.param(["dc=a", "example.com"], "must be a DN", id="no DN"),
        pytest.param(
            ["ou=people", "dc=example", "dc=com"],
            'ou=people and dc=example are parts of one DN, which YAML separates at its comma; quote it: ["ou=people,dc',
            id="one that YAML has separated",
        ),
    ],
)
def test_no_bases(value: object, expected: str) -> None:
    """Refused, with what would be right."""
    assert expected in problem(BASES, value)


@pytest.mark.parametrize("value", ["CORP", ["CORP", "corp.example.com"], ["m\xfcller.example"]])
def test_domains(value: object) -> None:
    """One, or a list."""
    assert DOMAINS.validate_python(value) == ((value,) if isinstance(value, str) else tuple(value))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["", "CORP\\", "@corp.example.com", "a b", "CORP/", "a\n", "x" * 256, []])
def test_no_domains(value: object) -> None:
    """A domain has no separator; with one, it would never be found in a name."""
    assert problem(DOMAINS, value)


@pytest.mark.parametrize(
    ("template", "is_principal"),
    [
        pytest.param("uid={user},dc=example", False, id="a DN"),
        pytest.param("uid={user}@corp.example.com,dc=example", False, id="a DN with an @"),
        pytest.param("{user}@corp.example.com", True, id="a domain after it"),
        pytest.param("CORP\\{user}", True, id="a domain before it"),
    ],
)
def test_templates(template: str, is_principal: bool) -> None:
    """A DN, or a name with its domain."""
    assert TEMPLATE.validate_python(template) == template
    assert is_principal_template(template) is is_principal


@pytest.mark.parametrize(
    "template",
    [
        "{user}",
        "{user}@",
        "@corp",
        "\\{user}",
        "{user}@a b",
        "{user}@a@b",
        "CORP\\{user}@corp",
        "a{user}@corp",
        "CORP/{user}",
    ],
)
def test_no_templates(template: str) -> None:
    """Without a domain, with two, or with something else."""
    assert "must be a DN with {user} in it once" in problem(TEMPLATE, template)
    assert "{user}@corp.example.com" in problem(TEMPLATE, template)


@given(st.text(alphabet="{user}@\\=,.c ", max_size=20))
def test_a_template_is_of_one_kind(template: str) -> None:
    """No text is taken for a name with a domain if it could be a DN."""
    if is_principal_template(template):
        assert template.count("{user}") == 1
        assert template.count("@") + template.count("\\") == 1
        assert template == TEMPLATE.validate_python(template)
