"""Terms of the policy language, parsed into types: principals, networks, moments, requests of tests."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, date, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface

from tokenserver.documents.hints import nearest
from tokenserver.errors import TokenserverError
from tokenserver.identity import spell_group
from tokenserver.patterns import Pattern
from tokenserver.patterns import parse_name as parse_plain_name
from tokenserver.policy.image_names import request_hint
from tokenserver.policy.machines.robots import parse_machine_name
from tokenserver.policy.misspellings import SETS, mistake_in_name, right_principal
from tokenserver.policy.model import Principal
from tokenserver.runtime.durations import parse_duration
from tokenserver.scopes import (
    ACTIONS,
    MAX_LIFETIME,
    MIN_LIFETIME,
    Resource,
    Scope,
    in_order,
    is_path_component,
    is_repository_name,
)

MAX_NAME = 255

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:[Zz]|[+-]\d{2}:\d{2})?", re.ASCII)
_RULE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_IPV4_MAPPED = IPv6Network("::ffff:0:0/96")
REGISTRY_RESOURCES = ("catalog",)
"""Resources that registries request besides repositories (Distribution, token scope grammar: `registry:catalog:*`)."""


class TermError(TokenserverError):
    """An invalid term of the policy language; the text says what is expected."""


def parse_rule_id(text: str) -> str:
    """A rule's id as it is.

    Raises:
        TermError: not 1 to 100 letters, digits, dots, dashes and underscores.
    """
    if _RULE_ID.fullmatch(text) is None:
        raise TermError(
            f"{text!r}: an id consists of at most 100 letters, digits and . _ -, and begins with a letter or digit"
        )
    return text


def parse_name(text: str, sort: str = "") -> str:
    """The name of a user, a group or a role as it is. `sort` says whose it is, if that is `user` or `group`.

    Raises:
        TermError: a name that no user source can report, so that a rule with it would silently match nobody.
    """
    if not text or text != text.strip() or not text.isprintable() or len(text) > MAX_NAME:
        raise TermError(f"{text!r}: a name has 1 to {MAX_NAME} printable characters, and no spaces at its ends")
    if "*" in text or "${" in text:
        raise TermError(f"{text!r}: names are literal, without wildcards or variables; fix: define a group")
    if not unicodedata.is_normalized("NFC", text):
        raise TermError(f"{text!r}: not in Unicode normal form C, in which names are compared")
    mistake = mistake_in_name(text, sort)
    if mistake is not None:
        raise TermError(f"{text!r}: {mistake}")
    return text


def parse_user(text: str) -> str:
    """The name of a user. Raises a `TermError` as `parse_name` does."""
    return parse_name(text, "user")


def parse_group(text: str) -> str:
    """The name of a group, as it is or as a JSON string: a directory's groups may have any characters in their names.

    Raises:
        TermError: as `parse_name`, with the JSON string that would be right, if any; or not a legal group name.
    """
    if text.startswith('"'):
        return _quoted_name(text)
    try:
        return parse_name(text, "group")
    except TermError as error:
        try:
            _checked_name(text)
        except TermError:
            raise error from None
        problem, _, fix = str(error).partition("; fix: ")
        other = f"for a directory group of that name, write {spell_group(text)}"
        raise TermError(f"{problem}; fix: {f'{fix}, or {other}' if fix else other}") from None


def _quoted_name(text: str) -> str:
    try:
        name = json.loads(text)
    except ValueError:
        raise TermError(f'{text!r}: a name in quotes is a JSON string, such as "all*stars"') from None
    return _checked_name(str(name))


def _checked_name(name: str) -> str:
    """A name that a directory group can have, as it is.

    Raises:
        TermError: no directory group can have the name.
    """
    if not name or len(name) > MAX_NAME or any(unicodedata.category(one) in ("Cc", "Cs") for one in name):
        raise TermError(f"{name!r}: a group name has 1 to {MAX_NAME} characters, and no control characters")
    if not unicodedata.is_normalized("NFC", name):
        raise TermError(f"{name!r}: not in Unicode normal form C, in which names are compared")
    return name


def parse_registry_resource(text: str) -> Pattern:
    """A resource of the registry itself, as a pattern that covers it alone.

    Raises:
        PatternError: not a plain name.
        TermError: a resource that no registry requests, so that a rule about it would silently do nothing.
    """
    pattern = parse_plain_name(text)
    if text not in REGISTRY_RESOURCES:
        raise TermError(f"{text!r}: no registry has this resource; {nearest(text, REGISTRY_RESOURCES)}")
    return pattern


@lru_cache(maxsize=1024)
def parse_principal(text: str) -> Principal:
    """One principal.

    Raises:
        TermError: neither one of the sets of clients nor `user:NAME`, `group:NAME`, `robot:NAME` or `workload:NAME`.
        MachineNameError: no legal name of a machine.
    """
    if text in SETS:
        return Principal(text)
    sort, colon, name = text.partition(":")
    if colon and sort in ("user", "group"):
        return Principal(sort, parse_group(name) if sort == "group" else parse_user(name))
    if colon and sort in ("robot", "workload"):
        return Principal(sort, parse_machine_name(name))
    forms = "everyone, authenticated, anonymous, robots, workloads, user:NAME, group:NAME, robot:NAME or workload:NAME"
    raise TermError(f"{text!r}: must be {forms}; {right_principal(text)}")


def parse_namespace(text: str) -> str:
    """A namespace, the value of `${user}`.

    Raises:
        TermError: it cannot be a segment of a repository name.
    """
    if not is_path_component(text):
        raise TermError(f"{text!r}: must be one segment of a repository name, such as johndoe")
    return text


def parse_who(text: str) -> Principal:
    """The principal that a question is about.

    Raises:
        TermError: not a principal, or `everyone`, which means two kinds of clients.
    """
    principal = parse_principal(text)
    if principal.sort == "everyone":
        raise TermError("'everyone': the answer may differ for authenticated and anonymous clients; fix: ask for each")
    return principal


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """One IP address.

    Raises:
        TermError: something else, such as a network.
    """
    try:
        return ip_address(text)
    except ValueError:
        raise TermError(f"{text!r}: must be one IP address such as 10.1.2.3 or 2001:db8::1") from None


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """A network in CIDR form, or one address.

    Raises:
        TermError: not a network, one with host bits (with the network that is probably meant), or IPv4 written as
            IPv6, which would never match since clients are compared as IPv4.
    """
    try:
        interface = ip_interface(text)
    except ValueError:
        raise TermError(f"{text!r}: must be a network such as 10.0.0.0/8 or 2001:db8::/32") from None
    network = interface.network
    if "/" in text and interface.ip != network.network_address:
        raise TermError(f"{text!r}: has bits set after the prefix; fix: write {network}")
    if isinstance(network, IPv6Network) and network.subnet_of(_IPV4_MAPPED):
        mapped = IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
        raise TermError(f"{text!r}: is an IPv4 network written as IPv6; fix: write {mapped}")
    return network


def parse_moment(text: str) -> datetime:
    """A moment in UTC: a date (its 00:00 UTC), or an RFC 3339 time with its zone.

    Raises:
        TermError: neither, a day that does not exist, or a time without a zone.
    """
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        if _MOMENT.fullmatch(text):
            moment = datetime.fromisoformat(text.upper())
            if moment.tzinfo is None:
                raise TermError(f"{text!r}: has no time zone; fix: write {text}Z for UTC")
            return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise TermError(f"{text!r}: not a valid date: {error}") from None
    raise TermError(f"{text!r}: must be a date (2027-01-31) or a time with its zone (2027-01-31T18:00:00Z)")


def parse_lifetime(text: str) -> int:
    """The lifetime of a token in seconds, from `90s`, `10m` or `1h`.

    Raises:
        TermError: another form, or outside the limits for tokens.
    """
    seconds = parse_duration(text)
    if seconds is None:
        raise TermError(f"{text!r}: must be a duration such as 90s, 10m or 1h")
    if not MIN_LIFETIME <= seconds <= MAX_LIFETIME:
        raise TermError(f"{text!r}: must be from 60s to 1h, the limits for the lifetime of tokens")
    return seconds


def parse_delegated_file(text: str) -> str:
    """The path of a delegated file as it is: below the policy folder, in a folder of its own.

    Raises:
        TermError: not such a path, with the right form.
    """
    steps = text.split("/")
    if not text.lower().endswith((".yaml", ".yml")) or any(not step or step.startswith(".") for step in steps):
        raise TermError(f"{text!r}: must be a policy file below the policy folder, such as teams/web.yaml")
    if len(steps) == 1:
        raise TermError(
            f"{text!r}: files at the top of the policy folder cover everything; "
            f"fix: delegate to a file in a sub-folder, such as teams/{text}"
        )
    return text


def parse_request(text: str) -> Scope:
    """What a test asks: `ACTION[,ACTION] REPOSITORY`, or `ACTION registry:NAME`.

    Raises:
        TermError: an unknown action, an illegal name, or another form.
    """
    actions_text, space, name = text.partition(" ")
    if not space:
        hint = "; an item with a comma needs quotes" if text in ACTIONS else ""
        raise TermError(f"{text!r}: must be an action and a repository, such as 'push web/site'{hint}")
    actions = actions_text.split(",")
    for action in actions:
        if action not in ACTIONS:
            raise TermError(f"{text!r}: unknown action {action!r}; {nearest(action, ACTIONS)}")
    # `registry:5000/web` is a repository below a host with a port.
    kind, colon, rest = name.partition(":")
    if colon and kind == "registry" and not is_repository_name(name):
        resource = Resource("registry", rest)
    else:
        resource = Resource("repository", name)
    if not is_repository_name(resource.name):
        hint = request_hint(actions_text, name)
        raise TermError(f"{text!r}: {resource.name!r} is no legal name (a name, not a pattern){hint}")
    if resource.type == "registry":
        parse_registry_resource(resource.name)
    return Scope(resource, frozenset(actions))


def spell_request(action: str, scope: Scope) -> str:
    """One action of a scope as a test writes it."""
    name = scope.resource.name if scope.resource.type == "repository" else str(scope.resource)
    return f"{action} {name}"


def actions_of(scope: Scope) -> list[str]:
    """The actions that an item of a test means: `*` on a repository is each of pull, push and delete."""
    if scope.resource.type == "repository" and "*" in scope.actions:
        return [action for action in ACTIONS if action != "*"]
    return in_order(scope.actions)
