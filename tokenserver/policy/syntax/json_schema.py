"""JSON Schema of a policy file, for editors. It has the keys of the readers, and accepts whatever they accept.

Patterns, principals and names are plain text here: only the loader knows their forms, and how files relate.
"""

from __future__ import annotations

from tokenserver.documents.json_schema import (
    DIALECT,
    Schema,
    exactly_one,
    items,
    mapping,
    named,
    one_or_more,
    text,
    word,
)
from tokenserver.identity import Kind
from tokenserver.policy.model import BUILT_IN_ROLES
from tokenserver.policy.syntax.delegation import MAX_CONTACT
from tokenserver.policy.syntax.file import MAX_MESSAGE, VERSION
from tokenserver.policy.syntax.machines import MAX_DESCRIPTION, MAX_NOTE
from tokenserver.policy.terms import REGISTRY_RESOURCES
from tokenserver.runtime.durations import PATTERN
from tokenserver.scopes import ACTIONS

_FORMS = (
    "`everyone`, `authenticated`, `anonymous`, `robots`, `workloads`, `user:NAME`, `group:NAME`, `robot:NAME` or "
    "`workload:NAME`"
)
_PRINCIPALS = items(text(f"{_FORMS}."))
_PATTERNS = items(
    text(
        "A repository pattern: `*` within a segment, `**` for any segments; `${user}`, `${group}` or the variable of a "
        "capture as a segment, or as a part of one."
    )
)
_ACTIONS = items(word(ACTIONS))
_MOMENT = text("A date, or a moment in RFC 3339; without an offset, it is in UTC.")

_CLAIM = {"type": ["string", "integer", "boolean"], "minLength": 1}
_CLAIMS = named(
    one_or_more(_CLAIM),
    "Claims of the client's token; a list: one of these values. `*` is any text within a segment, `**` any segments.",
)

WHEN = mapping(
    {
        "from": one_or_more(text("An address or a network, such as `10.0.0.0/8`."), "The client's networks."),
        "not_from": one_or_more(text("An address or a network."), "Networks that the client is in none of."),
        "since": _MOMENT,
        "until": _MOMENT,
        "kind": one_or_more(word([kind.value for kind in Kind]), "The kinds of credentials."),
        "claims": _CLAIMS,
    },
    "The rule applies only under these conditions.",
)

_RULE: dict[str, Schema] = {
    "id": text("The name of the rule in audit events and messages; unique over all files."),
    "to": items(
        text(f"{_FORMS}; `group:reg-{{team}}-rw` captures `${{team}}` for the patterns."),
        "Who the rule applies to.",
    ),
    "except": _PRINCIPALS | {"description": "Who the rule does not apply to."},
    "repositories": _PATTERNS | {"description": "The repositories that the rule is about."},
    "registry": items(word(REGISTRY_RESOURCES), "Resources of the registry itself."),
    "not": _PATTERNS | {"description": "Parts of these repositories that the rule is not about; without variables."},
    "role": text(f"A role: {', '.join(sorted(BUILT_IN_ROLES))}, or one of `roles`.", minLength=0),
    "actions": _ACTIONS | {"description": "What the rule grants or denies."},
    "when": WHEN,
}


def _rule(description: str, more: dict[str, Schema] | None = None) -> Schema:
    rule = mapping({**_RULE, **(more or {})}, required=("id", "to"))
    return items(exactly_one(rule, ("repositories", "registry"), ("role", "actions")), description)


_DELEGATION = mapping(
    {
        "file": text("The delegated file, relative to this one, such as `teams/web.yaml`."),
        "repositories": _PATTERNS | {"description": "All that the rules of the file may be about."},
        "actions": _ACTIONS | {"description": "All that the rules of the file may grant."},
        "max_lifetime": {
            "anyOf": [{"type": "string", "pattern": PATTERN}, {"type": "integer"}],
            "description": "The longest lifetime of tokens to which the file's rules contribute.",
        },
        "principals": _PRINCIPALS | {"description": "All that the rules of the file may name; by default anybody."},
        "robots": items(
            text("A name, in which `*` is any text."), "All robots that the file may declare; by default none."
        ),
        "workloads": mapping(
            {
                "from": one_or_more(text("A workload source of the configuration."), "The sources of its workloads."),
                "claims": _CLAIMS | {"description": "What all workloads of the file must require."},
            },
            "All workloads that the file may declare; by default none.",
            required=("from", "claims"),
        ),
        "contact": text(
            "How users reach the owners: a line with an address, a channel or a URL.", maxLength=MAX_CONTACT
        ),
    },
    required=("file", "repositories", "actions"),
)

_SETTING: dict[str, Schema] = {
    "service": text("The registry that is asked for; by default any.", minLength=0),
    "at": _MOMENT,
    "from": text("The client's address."),
    "kind": word([kind.value for kind in Kind if kind is not Kind.ANONYMOUS]),
}
_CLIENT: Schema = {
    "anyOf": [
        mapping({"user": text(), "groups": items(text()), "namespace": text()}),
        mapping({"robot": text()}),
        mapping(
            {
                "workload": mapping(
                    {"from": text(), "claims": named(one_or_more({"type": ["string", "integer", "boolean"]}))},
                    required=("from", "claims"),
                )
            }
        ),
    ]
}
_REQUESTS = items(text("Actions and a resource, such as `pull,push web/site`."))
_LINE = mapping(
    {
        "to": text(),
        "except": _PRINCIPALS,
        "when": WHEN,
        "unless": items(mapping({"to": text(), "except": _PRINCIPALS, "when": WHEN})),
    },
    required=("to",),
)

SECRET = mapping(
    {
        "id": text("The id of the secret: 12 letters and digits."),
        "hash": text("`sha256:` and 64 hexadecimal digits; never the secret itself."),
        "expires": _MOMENT,
        "networks": one_or_more(text("An address or a network."), "Networks in which it is valid; by default all."),
        "note": text("One line about where it is used.", maxLength=MAX_NOTE),
    },
    required=("id", "hash", "expires"),
)
ROBOT = mapping(
    {
        "description": text("One line about the robot.", maxLength=MAX_DESCRIPTION),
        "owners": items(text("`user:NAME` or `group:NAME`."), "People who may add and end its secrets."),
        "secrets": {
            "anyOf": [items(SECRET, may_be_empty=True), {"type": "null"}],
            "description": "Secrets that need no database; at most two that have not expired.",
        },
    }
)
WORKLOAD = mapping(
    {
        "description": text("One line about the workload.", maxLength=MAX_DESCRIPTION),
        "from": text("A workload source of the configuration."),
        "claims": _CLAIMS,
    },
    required=("from", "claims"),
)

AS_TEST = mapping(
    {
        "as": {"anyOf": [word(("anonymous", "authenticated")), _CLIENT]},
        "can": _REQUESTS | {"description": "What must be granted."},
        "cannot": _REQUESTS | {"description": "What must not be granted."},
        **_SETTING,
    },
    required=("as",),
) | {"anyOf": [{"required": ["can"]}, {"required": ["cannot"]}]}

WHO_TEST = mapping(
    {
        "who_can": text("One action and a resource, such as `push web/site`."),
        "exactly": items({"anyOf": [text(), _LINE]}, "All that can.", may_be_empty=True),
        "includes": items(text(), "Some that can."),
        "excludes": items(text(), "Some that cannot."),
        "except": _PRINCIPALS,
        **_SETTING,
    },
    required=("who_can",),
) | {"anyOf": [{"required": [relation]} for relation in ("exactly", "includes", "excludes")]}

WHAT_TEST = mapping(
    {
        "what_can": {"anyOf": [text("A principal, such as `group:web`."), _CLIENT]},
        "exactly": items(text(), "All that may be done, such as `pull web/**`.", may_be_empty=True),
        **_SETTING,
    },
    required=("what_can", "exactly"),
)


def policy_schema() -> Schema:
    """The JSON Schema (draft 7) of a policy file."""
    content: dict[str, Schema] = {
        "administrators": items(
            text("`user:NAME`, `group:NAME`, `robot:NAME` or `workload:NAME`."),
            "Who manages the credentials of others; only in files at the top of the policy folder.",
        ),
        "robots": named({"anyOf": [ROBOT, {"type": "null"}]}, "Machines with secrets of their own, by name."),
        "workloads": named(WORKLOAD, "Machines that are known by the claims of their tokens, by name."),
        "groups": named(
            mapping(
                {
                    "users": items(text()),
                    "groups": items(text(), "Groups of a directory, with all their members."),
                    "includes": items(text(), "Groups of the policy files, with all their members."),
                    "robots": items(text(), "Robots by name."),
                    "workloads": items(text(), "Workloads by name."),
                }
            ),
            "Groups, besides those of directories.",
        ),
        "roles": named(_ACTIONS, "Names for sets of actions."),
        "delegate": items(_DELEGATION, "Files of teams, with the limits of what their rules can grant."),
        "allow": _rule("What is granted."),
        "deny": _rule(
            "What is refused, whatever is allowed.",
            {"message": text("One line for the client, in place of the usual reason.", maxLength=MAX_MESSAGE)},
        ),
        "tests": items({"anyOf": [AS_TEST, WHO_TEST, WHAT_TEST]}, "Expected decisions, checked at each load."),
    }
    file = mapping(
        {
            "version": {"const": VERSION, "description": "The version of the policy language."},
            "registries": items(text(minLength=0), "The services that the file is about; by default all."),
            **content,
        },
        required=("version",),
    )
    some = {"anyOf": [{"required": [key]} for key in content]}
    return {"$schema": DIALECT, "title": "tokenserver policy", "description": "A policy file.", **file, **some}
