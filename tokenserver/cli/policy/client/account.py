"""What htpasswd files say about the account of a user whom a question names, since policies know nothing of it."""

from __future__ import annotations

from tokenserver.cli.policy.options import Source
from tokenserver.config.sources.names import rule_of
from tokenserver.errors import LoadError
from tokenserver.identity import Identity


def account_problem(source: Source, identity: Identity) -> str | None:
    """Why this user cannot log in, with the place that says so; None if nothing is known against it.

    Directories are not asked. A file that cannot be read here says nothing: the question is about policies.
    """
    if source.settings is None or identity.is_anonymous:
        return None
    # Needed only with a configuration, and importing it takes a while.
    from tokenserver.authn.htpasswd.backend import load_htpasswd  # noqa: PLC0415 - see above

    for entry in source.settings.user_sources:
        if entry.htpasswd is None:
            continue
        try:
            users = load_htpasswd(entry.htpasswd.file, entry.htpasswd.name, rule_of(entry.htpasswd.names))
        except LoadError:
            continue
        if identity.subject in users.users:
            problem = users.account_problem(identity.subject)
            return None if problem is None else f"{problem} ({users.file}:{users.lines[identity.subject]})"
    return None
