"""Distinguished names, and values in filters and DNs: parsed, escaped and compared without any directory."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from directory_entries import BASE
from hypothesis import example, given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.asn1 import encode
from ldap3.utils.dn import parse_dn as parsed_by_ldap3

from tokenserver.authn.ldap.dn import (
    NotADn,
    escape_filter,
    escape_rdn,
    escape_value,
    fill,
    is_below,
    outermost,
    parse_dn,
    rdn_values,
    same_attribute,
    same_dn,
)

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)


@given(NAMES)
def test_an_escaped_name_is_one_value_in_a_filter(name: str) -> None:
    """ldap3's parser finds one comparison with exactly that value, whatever characters the name has."""
    text = fill("(&(objectClass=person)(uid={user}))", name)
    parsed = parse_filter(text, None, False, False, None, False).elements[0]
    comparison = compile_filter(parsed)["and"][1]["equalityMatch"]
    assert (str(comparison["attributeDesc"]), bytes(comparison["assertionValue"])) == ("uid", name.encode())
    assert len(encode(compile_filter(parsed))) > 0


@given(NAMES)
def test_an_escaped_name_is_one_component_of_a_dn(name: str) -> None:
    """Parsed back, there is exactly one component with exactly that value before the rest."""
    found = parse_dn(f"uid={escape_rdn(name)},ou=people,{BASE}")
    assert found == ((("uid", name),), (("ou", "people"),), (("dc", "example"),), (("dc", "com"),))


@pytest.mark.parametrize("escape", [escape_filter, escape_rdn])
@pytest.mark.parametrize("text", ["a\0b", "\0", "a\nb", "\x7f", "\ud800"])
def test_what_no_name_holds_is_refused(escape: Any, text: str) -> None:
    """NUL, control characters and surrogates are rejected instead of escaped."""
    with pytest.raises(ValueError, match="control character"):
        escape(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", (), id="empty"),
        pytest.param("cn=a", ((("cn", "a"),),), id="one"),
        pytest.param(" CN = a b , O=c ", ((("cn", "a b"),), (("o", "c"),)), id="blanks"),
        pytest.param("cn=a+uid=b,o=c", ((("cn", "a"), ("uid", "b")), (("o", "c"),)), id="two attributes"),
        pytest.param(r"cn=a\,b\2c\c3\a4", ((("cn", "a,b,ä"),),), id="escapes"),
        pytest.param(r"cn=a\ ", ((("cn", "a "),),), id="a blank that counts"),
        pytest.param('cn="a,b",o=c', ((("cn", "a,b"),), (("o", "c"),)), id="quotes"),
        pytest.param("2.5.4.3=a", ((("2.5.4.3", "a"),),), id="number"),
        pytest.param("cn=", ((("cn", ""),),), id="empty value"),
        pytest.param("cn=#04024Aa0", None, id="the BER of no UTF-8"),
        pytest.param("1.3.6=#0c03c3a461 ,o=c", ((("1.3.6", "äa"),), (("o", "c"),)), id="the BER of a UTF8String"),
        pytest.param(r"cn=\#0402,o=c", ((("cn", "#0402"),), (("o", "c"),)), id="no BER: the # is escaped"),
        pytest.param(r"cn=\20a\20", ((("cn", " a "),),), id="blanks by their numbers"),
        pytest.param(r"cn=a\\\ +uid=\#", ((("cn", "a\\ "), ("uid", "#")),), id="a blank behind a backslash"),
        *(
            pytest.param(text, None, id=f"not {text!r}")
            for text in (
                "a",
                "=a",
                "cn=a,",
                "cn=a,,o=b",
                'cn="a',
                'cn="a"b',
                "cn=a\\",
                "cn=\\zz",
                "cn=<",
                "cn=\\ff",
                "c n=a",
                "cn=#",
                "cn=#0",
                "cn=#zz",
                "cn=#0402ff",
                "cn=#0201ff",
                "cn=#040161040162",
            )
        ),
    ],
)
def test_parse_dn(text: str, expected: Any) -> None:
    """Each form of a DN, and texts that are not DNs."""
    if expected is None:
        with pytest.raises(NotADn):
            parse_dn(text)
    else:
        assert parse_dn(text) == expected


@given(st.text(max_size=40))
def test_parse_dn_never_fails_otherwise(text: str) -> None:
    """Any text parses as a DN or raises `NotADn`."""
    with contextlib.suppress(NotADn):
        assert isinstance(parse_dn(text), tuple)


@pytest.mark.parametrize(
    ("dn", "expected"),
    [
        pytest.param(f"cn=a,{BASE}", True, id="below"),
        pytest.param(BASE, True, id="itself"),
        pytest.param("cn=a,DC=Example, dc=COM", True, id="case and blanks"),
        pytest.param("cn=a,dc=notexample,dc=com", False, id="another"),
        pytest.param(r"cn=a\,dc\=example\,dc\=com", False, id="a value that looks like it"),
        pytest.param("dc=com", False, id="above"),
    ],
)
def test_is_below(dn: str, expected: bool) -> None:
    """DNs are compared by components, not as text."""
    assert is_below(dn, BASE) is expected


@pytest.mark.parametrize(
    ("dn", "expected"),
    [
        (f"CN=Web,{BASE}", ("Web",)),
        (f"ou=Web,{BASE}", ()),
        (f"uid=x+cn=Web,{BASE}", ("Web",)),
        (f"cn=Web+cn=Data,{BASE}", ("Web", "Data")),
        (f"2.5.4.3=Web,{BASE}", ("Web",)),
        (f"commonName=Web,{BASE}", ("Web",)),
        ("", ()),
    ],
)
def test_the_names_in_a_dn(dn: str, expected: tuple[str, ...]) -> None:
    """The leftmost component's values of the right type, under any name of that type."""
    assert rdn_values(dn, "cn") == expected
    with pytest.raises(NotADn):
        rdn_values("nonsense", "cn")
    assert not same_attribute("cn", "uid")


SPECIAL = r' #\,+"<>;=a%02'
"""Special characters of DNs, and some others."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("\\ ", r"\\\ ", id="a blank behind a backslash"),
        pytest.param("a\\ ", r"a\\\ ", id="the same, at the end of a word"),
        pytest.param(" ", r"\ ", id="one blank"),
        pytest.param("  ", r"\ \ ", id="two blanks"),
        pytest.param(" a b ", r"\ a b\ ", id="at both ends, and not within"),
        pytest.param("#a#", r"\#a\#", id="a leading #"),
        pytest.param('a,b+c"d\\e<f>g;h=i', r"a\,b\+c\"d\\e\<f\>g\;h\=i", id="all that is special"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_escaped_in_a_dn(text: str, expected: str) -> None:
    """RFC 4514, section 2.4."""
    assert escape_rdn(text) == expected
    assert parse_dn(f"cn={expected},{BASE}")[0] == (("cn", text),)


@given(st.lists(st.text(st.sampled_from(SPECIAL), max_size=6), min_size=1, max_size=3))
@example(["\\ "])
@example([" \\", "\\ ", "#"])
def test_values_survive_in_any_component(values: list[str]) -> None:
    """Parsed back, a component with several attributes has exactly these values; is_below and ldap3 see the same."""
    rdn = "+".join(f"x{number}={escape_rdn(value)}" for number, value in enumerate(values))
    dn = f"{rdn},{BASE}"
    assert parse_dn(dn)[0] == tuple((f"x{number}", value) for number, value in enumerate(values))
    assert [rdn_values(dn, f"x{number}") for number in range(len(values))] == [(value,) for value in values]
    assert is_below(dn, BASE)
    if all(values):  # ldap3 knows no empty value
        assert len(parsed_by_ldap3(dn)) == len(values) + 2


@given(st.text(st.sampled_from(SPECIAL), min_size=1, max_size=8))
def test_a_hexadecimal_value_is_the_value(text: str) -> None:
    """Every byte as its digits, and the whole as the BER of a string (RFC 4514, sections 2.4 and 3)."""
    digits = "".join(f"\\{byte:02X}" for byte in text.encode())
    assert parse_dn(f"cn={digits},{BASE}")[0] == (("cn", text),)
    for tag in ("04", "0c"):
        encoded = f"#{tag}{len(text):02x}{text.encode().hex()}"
        assert parse_dn(f"cn={encoded} ,{BASE}") == parse_dn(f"cn={escape_rdn(text)},{BASE}")


@given(st.text(st.sampled_from(SPECIAL + "cn\0\n"), max_size=30) | st.text(max_size=30))
def test_any_text_is_a_dn_or_none(text: str) -> None:
    """It raises nothing else."""
    with contextlib.suppress(NotADn):
        assert isinstance(parse_dn(f"cn={text},{BASE}"), tuple)


@given(st.binary(max_size=20))
def test_any_value_is_one_value_in_a_filter(value: bytes) -> None:
    """ldap3 decodes arbitrary bytes from a directory to exactly the same bytes."""
    parsed = parse_filter(f"(&(a=b)(uid={escape_value(value)}))", None, False, False, None, False).elements[0]
    assert bytes(compile_filter(parsed)["and"][1]["equalityMatch"]["assertionValue"]) == value


@pytest.mark.parametrize("dn", ['cn="a\0b",dc=x', "cn=a\0b,dc=x", 'cn="\0'], ids=["quoted", "bare", "open"])
def test_no_dn_holds_a_bare_nul(dn: str) -> None:
    """A NUL is only ever escaped: a bare one could end the DN early for a library, and no bind accepts it."""
    with pytest.raises(NotADn):
        parse_dn(dn)
    assert parse_dn(r'cn="a\00b",dc=x')[0] == (("cn", "a\0b"),)


@given(st.text("abc=,+ ", max_size=12))
def test_all_spellings_of_a_dn_have_one_form(text: str) -> None:
    """Case, surplus blanks and long names of attributes make no difference to `same_dn`."""
    dn = f"cn={escape_rdn(text)},{BASE}"
    assert same_dn(dn) == same_dn(dn.upper()) == same_dn(dn.replace("cn=", " CommonName = ").replace(",dc", " , dc"))
    assert same_dn(dn) != same_dn(f"ou={escape_rdn(text)},{BASE}")


def test_a_long_dn_is_compared_like_a_short_one() -> None:
    """A DN that is too long for the cache has the same form as if it were not."""
    long = f"cn={'x' * 2000},{BASE}"
    assert same_dn(long) == same_dn(long.upper())
    assert is_below(long, BASE)
    assert is_below(long, "")


@pytest.mark.parametrize(
    ("template", "is_dn", "expected"),
    [
        pytest.param("(uid={user})", False, r"(uid=a\2ab)", id="filter"),
        pytest.param("(|(uid={user})(mail={user}@x))", False, r"(|(uid=a\2ab)(mail=a\2ab@x))", id="every one"),
        pytest.param(f"uid={{user}},{BASE}", True, f"uid=a*b,{BASE}", id="DN, where a star is an ordinary character"),
        pytest.param("(uid=x)", False, "(uid=x)", id="none"),
    ],
)
def test_fill(template: str, is_dn: bool, expected: str) -> None:
    """Every `{user}` becomes the name, escaped for where the template is used."""
    assert fill(template, "a*b", dn=is_dn) == expected


A, B = f"ou=a,{BASE}", f"ou=b,{BASE}"


@pytest.mark.parametrize(
    ("bases", "expected"),
    [
        pytest.param([A, B], (A, B), id="side by side, in their order"),
        pytest.param([B, A], (B, A), id="the other order"),
        pytest.param([A, BASE, B], (BASE,), id="one above the others"),
        pytest.param([BASE, A], (BASE,), id="above first"),
        pytest.param([A, A.upper().replace(",", ", ")], (A,), id="the same one twice"),
        pytest.param([A, "", "o=x"], ("",), id="the empty one is above all"),
        pytest.param(["dc=com", "dc=xcom"], ("dc=com", "dc=xcom"), id="a longer value is no entry below"),
    ],
)
def test_outermost(bases: list[str], expected: tuple[str, ...]) -> None:
    """A base below another is searched with that one."""
    assert outermost(bases) == expected


@given(st.lists(st.sampled_from(["", BASE, A, B, f"cn=x,{A}", "o=y", "cn=x,o=y", A.upper()]), max_size=6))
def test_outermost_covers_all(bases: list[str]) -> None:
    """Each base is below exactly one that is left, so no entry is missed or found twice."""
    left = outermost(bases)
    assert set(left) <= set(bases)
    assert all(sum(is_below(base, one) for one in left) == 1 for base in bases)
