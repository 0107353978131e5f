"""The small words of the policy language: what is understood and what is refused with which hint."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.policy.machines.robots import MachineNameError
from tokenserver.policy.model import Principal
from tokenserver.policy.syntax.answers import parse_answer
from tokenserver.policy.terms import (
    TermError,
    actions_of,
    parse_address,
    parse_moment,
    parse_name,
    parse_network,
    parse_principal,
    parse_request,
    parse_rule_id,
    spell_request,
)
from tokenserver.scopes import Resource


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("everyone", Principal("everyone"), id="everyone"),
        pytest.param("user:ann", Principal("user", "ann"), id="user"),
        pytest.param("user:Ann.Lee@Example.com", Principal("user", "Ann.Lee@Example.com"), id="user-with-capitals"),
        pytest.param("user:a:b", Principal("user", "a:b"), id="user-with-a-colon"),
        pytest.param("group:Domain Users", Principal("group", "Domain Users"), id="group-with-a-space"),
        pytest.param("group:apps: prod", Principal("group", "apps: prod"), id="group-with-a-colon"),
        pytest.param("group:#a $5", Principal("group", "#a $5"), id="group-with-other-signs"),
        pytest.param('group:"all*stars"', Principal("group", "all*stars"), id="group-with-a-star"),
        pytest.param('group:"a "', Principal("group", "a "), id="group-with-a-blank-at-its-end"),
        pytest.param('group:"\\"a\\" \\\\"', Principal("group", '"a" \\'), id="group-in-quotes"),
        pytest.param('group:"a\\u00a0b"', Principal("group", "a\u00a0b"), id="group-with-what-is-not-seen"),
        pytest.param('group:"${user}"', Principal("group", "${user}"), id="group-like-a-variable"),
        pytest.param('group:"group:a"', Principal("group", "group:a"), id="group-like-a-principal"),
        pytest.param("robot:ci", Principal("robot", "ci"), id="robot"),
        pytest.param("workload:web.v1", Principal("workload", "web.v1"), id="workload"),
        pytest.param("robots", Principal("robots"), id="all-robots"),
    ],
)
def test_principal(text: str, expected: Principal) -> None:
    """A principal is a set of clients, or one by name, and is spelled as it was written."""
    assert parse_principal(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("parse", "text", "complaint"),
    [
        pytest.param(parse_principal, "evryone", "did you mean 'everyone'?", id="misspelt-set"),
        pytest.param(parse_principal, "ann", "did you mean 'user:ann' or 'group:ann'?", id="bare-name"),
        pytest.param(parse_principal, "usr:ann", "did you mean 'user:ann' or 'group:ann'?", id="misspelt-sort"),
        pytest.param(parse_principal, "robot:CI", "begins and ends with a letter or digit", id="robot"),
        pytest.param(parse_principal, "workload:", "the name of a machine", id="workload-without-a-name"),
        pytest.param(parse_principal, "User:ann", "must be everyone", id="capital-sort"),
        pytest.param(parse_principal, "user:", "printable characters", id="no-name"),
        pytest.param(parse_principal, "user: ann", "no spaces at its ends", id="space-after-the-colon"),
        pytest.param(parse_principal, "user:*", "names are literal", id="wildcard"),
        pytest.param(parse_principal, "group:${user}", "names are literal", id="variable"),
        pytest.param(parse_principal, "user:a\nb", "printable", id="control-character"),
        pytest.param(parse_principal, "group:reg-*", 'write "reg-*"', id="star-in-a-group"),
        pytest.param(parse_principal, "group:a ", 'write "a "', id="blank-behind-a-group"),
        pytest.param(parse_principal, "group:a\u200b", 'write "a\\u200b"', id="what-is-not-seen"),
        pytest.param(parse_principal, "group:", "1 to 255 printable", id="no-group"),
        pytest.param(parse_principal, "group:a\nb", "1 to 255 printable", id="control-character-in-a-group"),
        pytest.param(parse_principal, 'group:"a', "is a JSON string", id="open-quotes"),
        pytest.param(parse_principal, 'group:"a"b', "is a JSON string", id="text-behind-quotes"),
        pytest.param(parse_principal, 'group:""', "1 to 255 characters", id="nothing-in-quotes"),
        pytest.param(parse_principal, 'group:"a\\nb"', "no control characters", id="control-in-quotes"),
        pytest.param(parse_principal, 'group:"\\ud800"', "no control characters", id="half-a-character"),
        pytest.param(parse_principal, f'group:"{"x" * 256}"', "1 to 255 characters", id="long-in-quotes"),
        pytest.param(parse_principal, 'group:"e\\u0301"', "normal form C", id="decomposed-in-quotes"),
        pytest.param(parse_principal, 'user:"a*b"', "names are literal", id="a-user-has-no-quotes"),
        pytest.param(parse_name, "e\u0301", "normal form C", id="decomposed"),
        pytest.param(parse_name, "x" * 256, "1 to 255", id="long-name"),
        pytest.param(parse_rule_id, "", "an id consists of", id="empty-id"),
        pytest.param(parse_rule_id, "a b", "an id consists of", id="id-with-a-space"),
        pytest.param(parse_rule_id, "a\n", "an id consists of", id="id-with-a-newline"),
        pytest.param(parse_rule_id, "-a", "begins with a letter or digit", id="id-with-a-leading-dash"),
        pytest.param(parse_address, "10.0.0.0/8", "one IP address", id="network-as-address"),
        pytest.param(parse_address, "host", "one IP address", id="name-as-address"),
        pytest.param(parse_network, "10.0.0.1/8", "fix: write 10.0.0.0/8", id="host-bits"),
        pytest.param(parse_network, "10.0.0/8", "must be a network", id="short-network"),
        pytest.param(parse_network, "::ffff:10.0.0.0/104", "write 10.0.0.0/8", id="ipv4-as-ipv6"),
        pytest.param(parse_network, "::ffff:10.0.0.1", "write 10.0.0.1/32", id="ipv4-address-as-ipv6"),
        pytest.param(parse_moment, "2027-02-30", "not a valid date", id="no-such-day"),
        pytest.param(parse_moment, "2027-01-31T25:00:00Z", "not a valid date", id="no-such-hour"),
        pytest.param(parse_moment, "2027-01-31T18:00:00", "write 2027-01-31T18:00:00Z", id="no-zone"),
        pytest.param(parse_moment, "31.01.2027", "must be a date", id="other-form"),
        pytest.param(parse_moment, "2027-W05", "must be a date", id="week"),
        pytest.param(parse_moment, "0001-01-01T00:00:00+23:00", "not a valid date", id="before-the-calendar"),
        pytest.param(parse_request, "push", "a comma needs quotes", id="cut-at-the-comma"),
        pytest.param(parse_request, "web/site", "such as 'push web/site'", id="no-action"),
        pytest.param(parse_request, "psuh web/site", "did you mean 'push'?", id="misspelt-action"),
        pytest.param(parse_request, "push web/**", "a name, not a pattern", id="pattern"),
        pytest.param(
            parse_request, "pull,push web/site:1", "did you mean 'pull,push web/site'? Policies are", id="tag"
        ),
        pytest.param(
            parse_request,
            "push localhost:5000/web/site:1",
            "did you mean 'push web/site', with the registry in service:? Policies are about repositories",
            id="image-name",
        ),
        pytest.param(
            parse_request, "push https://r.io/v2/web/site/manifests/1", "mean 'push web/site', with the", id="url"
        ),
        pytest.param(parse_request, "push  web", "no legal name", id="two-spaces"),
        pytest.param(parse_request, "* registry:", "no legal name", id="registry-without-name"),
    ],
)
def test_refused(parse: Callable[[str], Any], text: str, complaint: str) -> None:
    """A word that is not understood is refused, with what would be right."""
    with pytest.raises((TermError, MachineNameError), match=re.escape(complaint)):
        parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC), id="date-is-midnight-utc"),
        pytest.param("2027-01-31T18:00:00Z", datetime(2027, 1, 31, 18, tzinfo=UTC), id="utc"),
        pytest.param("2027-01-31t18:00:00z", datetime(2027, 1, 31, 18, tzinfo=UTC), id="small-letters"),
        pytest.param("2027-01-31T18:00:00+02:00", datetime(2027, 1, 31, 16, tzinfo=UTC), id="zone"),
        pytest.param("2027-01-31 18:00Z", datetime(2027, 1, 31, 18, tzinfo=UTC), id="blank-and-no-seconds"),
    ],
)
def test_moment(text: str, expected: datetime) -> None:
    """Moments are in UTC, whatever zone they were written in."""
    assert parse_moment(text) == expected
    assert parse_moment(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("10.0.0.0/8", ip_network("10.0.0.0/8"), id="ipv4"),
        pytest.param("10.1.2.3", ip_network("10.1.2.3/32"), id="one-address"),
        pytest.param("2001:db8::/32", ip_network("2001:db8::/32"), id="ipv6"),
        pytest.param("::/0", ip_network("::/0"), id="all-ipv6"),
    ],
)
def test_network(text: str, expected: IPv4Network | IPv6Network) -> None:
    """A network in CIDR form, or one address."""
    assert parse_network(text) == expected


@pytest.mark.parametrize(
    ("text", "resource", "actions"),
    [
        pytest.param("push web/site", Resource("repository", "web/site"), ["push"], id="repository"),
        pytest.param("push,pull web/site", Resource("repository", "web/site"), ["pull", "push"], id="two-actions"),
        pytest.param("* web/site", Resource("repository", "web/site"), ["pull", "push", "delete"], id="all-actions"),
        pytest.param("* registry:catalog", Resource("registry", "catalog"), ["*"], id="registry"),
        pytest.param("pull registry:5000/a", Resource("repository", "registry:5000/a"), ["pull"], id="host-registry"),
        pytest.param("pull host:5000/a", Resource("repository", "host:5000/a"), ["pull"], id="host-and-port"),
    ],
)
def test_request(text: str, resource: Resource, actions: list[str]) -> None:
    """What a test asks, and which single actions that means."""
    scope = parse_request(text)
    assert (scope.resource, actions_of(scope)) == (resource, actions)
    assert [spell_request(action, scope) for action in actions][-1].endswith(text.partition(" ")[2])


@given(
    st.sampled_from([parse_principal, parse_name, parse_rule_id, parse_network, parse_moment, parse_request]),
    st.one_of(st.text(max_size=30), st.from_regex(r"\d{4}-\d\d-\d\d[T ]?[\d:.+-]{0,14}Z?", fullmatch=True)),
)
def test_no_text_ends_in_another_error(parse: Callable[[str], Any], text: str) -> None:
    """Whatever stands in a file, it is understood or refused."""
    with contextlib.suppress(TermError, MachineNameError):
        parse(text)


PIECES = [
    "user",
    "group",
    "Groups",
    "robot",
    "s",
    ":",
    " ",
    ", ",
    " & ",
    "|",
    "{team}",
    "*",
    '"',
    "everyone",
    "anonymous",
]
GROUP_NAMES = (
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)
    | st.text(st.sampled_from('"*\\$&{} :ag\u00a0\u200b'), min_size=1, max_size=12)
    | st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)
)


@given(GROUP_NAMES.map(lambda name: unicodedata.normalize("NFC", name)))
def test_every_name_of_a_group_can_be_written(name: str) -> None:
    """As it is spelled to people, it is read again, alone and together with another principal; and can be printed."""
    principal = Principal("group", name)
    assert parse_principal(str(principal)) == principal
    assert str(principal).isprintable()
    assert parse_answer(f"{principal} & user:a & {principal}") == {principal, Principal("user", "a")}
