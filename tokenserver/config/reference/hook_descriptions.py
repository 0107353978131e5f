"""What each configuration key of a hook means; part of `config/reference/descriptions.py`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from tokenserver.config.sources.hooks import HookGroups, HttpHookSettings, ProgramHookSettings

HOOK_DESCRIPTIONS: Mapping[type[BaseModel], Mapping[str, str]] = {
    HttpHookSettings: {
        "name": "The name of the source in audit events.",
        "url": "Where the check of passwords is asked, by POST: https, or http on this machine alone.",
        "secret_file": "A file with the secret that signs each request, by which the check recognizes them: one"
        " line of at least 32 characters.",
        "ca_file": "The certificate authorities that the check's certificate is verified against, as a PEM file; by"
        " default those of the system.",
        "groups": "Which groups of its users are used; by default all.",
        "deadline": "How long one login may take.",
        "cache": "For how long a verified password is accepted without asking again.",
        "stale_grace": "For how long cached logins are accepted while the check does not answer.",
    },
    ProgramHookSettings: {
        "name": "The name of the source in audit events.",
        "command": "The program that checks passwords, by its path, and its arguments. No shell reads them.",
        "protocol": "`json`: processes that answer many questions, a line each; `docker_auth`: a process for each"
        " login, as `ext_auth` of docker_auth starts it, for the time of a migration.",
        "group_labels": "Labels of docker_auth whose values are groups by themselves; the values of others are groups"
        " called `LABEL=VALUE`. With `protocol: docker_auth`.",
        "workers": "How many processes of the program each worker process of the server runs concurrently.",
        "groups": "Which groups of its users are used; by default all.",
        "deadline": "How long one login may take, with the start of a process if it needs one.",
        "cache": "For how long a verified password is accepted without asking again.",
        "stale_grace": "For how long cached logins are accepted while the program does not answer.",
    },
    HookGroups: {
        "allow": "Wildcard patterns of the group names to keep, such as `reg-*`; by default all are kept.",
        "prefix": "Text put before the names of this source's groups, so that two sources can be told apart.",
    },
}
