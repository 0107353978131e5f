"""What users of a registry's file may do, as policies: everything, as the registry has it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tokenserver.importers.policy_text import PolicyTest, PolicyText, RuleText
from tokenserver.importers.report import Construct, ImportReport, Verdict
from tokenserver.importers.users_file.users import RegistryUsers

_HEADER = """\
Every user may do everything, as at the registry before. Narrow it step by step: add rules for teams, with tests, and
remove the rules below when the log shows that nobody needs them: tokenserver help policies"""


def users_policy(users: RegistryUsers) -> PolicyText:
    """The policies of a registry with a users file: everybody who logs in may do everything, and others nothing."""
    tests = [PolicyTest({}, cannot=("pull example/image", "* registry:catalog"))]
    if users.names:
        everything = ("pull example/image", "push example/image", "delete example/image", "* registry:catalog")
        tests.insert(0, PolicyTest({"user": users.names[0]}, can=everything))
    return PolicyText(
        header=_HEADER,
        allow=(
            RuleText("everything", ("authenticated",), ("**",), role="maintainer"),
            RuleText("catalog", ("authenticated",), registry=("catalog",), actions=("*",)),
        ),
        tests=tuple(tests),
    )


def users_report(source: str, place: str, users: RegistryUsers, next_steps: Sequence[str]) -> ImportReport:
    """The report on a registry with a users file, whose section `auth.htpasswd` is at `place`."""
    access = Construct(
        place,
        "auth.htpasswd",
        Verdict.EXACT,
        "the registry lets each of its users pull, push and delete everything, and list all repositories",
        instead="rules for teams, when the move is done: tokenserver help policies",
        became=("everything", "catalog"),
    )
    long = Construct(
        place,
        "auth.htpasswd: passwords",
        Verdict.DIFFERENT,
        "a password of more than 72 bytes is rejected here; the registry compares its first 72 bytes",
        instead="a shorter password, with tokenserver users set NAME",
    )
    return ImportReport(source, (access, long, *users.constructs), tuple(next_steps))
