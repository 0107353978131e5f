"""Options that policy commands share: the policies to read, the principal in question, and the circumstances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from tokenserver.cli.options import config_option, report_errors
from tokenserver.cli.terminal import echo
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.documents.hints import nearest
from tokenserver.errors import TokenserverError
from tokenserver.identity import ANONYMOUS, Identity, Namespaces
from tokenserver.policy.group_names import plain_name, shown_name
from tokenserver.policy.image_names import RegistryNames
from tokenserver.policy.loading.loader import FileTests, compile_policies
from tokenserver.policy.model import PolicySet, Principal
from tokenserver.policy.principals import UNNAMED, user_identity
from tokenserver.policy.terms import (
    parse_address,
    parse_group,
    parse_moment,
    parse_namespace,
    parse_request,
    parse_user,
)
from tokenserver.scopes import Resource

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Source:
    """Policies that compile, with their tests not yet run. `settings` are None for a bare folder.

    `revision` is the git revision that the policies are of; None: the files that are in the folder now.
    """

    policies: PolicySet
    tests: tuple[FileTests, ...]
    settings: Settings | None
    revision: str | None = None

    @property
    def services(self) -> frozenset[str]:
        """The known registries: those of the configuration, else those that the policy files name."""
        if self.settings is not None:
            return frozenset(entry.service for entry in self.settings.registries)
        return frozenset(service for rule in self.policies.rules for service in rule.services or ())

    @property
    def known(self) -> tuple[RegistryNames, ...]:
        """All names of `services`, with the URLs that the configuration has."""
        if self.settings is not None:
            return tuple(RegistryNames(one.service, one.names, one.url) for one in self.settings.registries)
        return tuple(RegistryNames(service, (service,)) for service in sorted(self.services))

    @property
    def have_groups(self) -> bool:
        """Whether a user source may bring groups: an htpasswd file does not; for a bare folder it is unknown."""
        return self.settings is None or any(entry.remote or entry.oidc for entry in self.settings.authentication)

    def claim_aliases(self, workload_source: str) -> Mapping[str, str]:
        """Short names of the claims of a workload source -> their paths; a bare folder has none."""
        return {} if self.settings is None else self.settings.claim_aliases.get(workload_source, {})

    def revision_facts(self) -> dict[str, str]:
        """The git revision for `--json`; empty without one."""
        return {} if self.revision is None else {"revision": self.revision}

    def print_revision(self) -> None:
        """Say on standard error which git revision the answer is about, if it is about one."""
        if self.revision is not None:
            echo(f"policies of {self.revision}, not those in the folder", err=True)

    def service(self, asked: str | None) -> str:
        """The registry in question; it may be left out if all registries have the same policies.

        Raises:
            click.UsageError: the registry is unknown, or left out although policies differ.
        """
        known = self.services
        if asked is not None:
            registry = self.settings.registry(asked) if self.settings is not None else None
            if registry is not None:
                return registry.service  # `asked` may be another of its names
            if self.settings is not None:
                raise click.UsageError(f"--service: no registry {asked!r} is configured; {nearest(asked, known)}")
            return asked
        if len(known) > 1 and any(rule.services is not None for rule in self.policies.rules):
            raise click.UsageError(
                f"policies differ between registries; fix: choose one with --service: {', '.join(sorted(known))}"
            )
        return min(known, default="")


def policy_command(command: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """`--config`, `--policies` and `--json`; faults in files and in arguments end with `WRONG_USE`."""
    decorated: Any = report_errors(is_usage=True)(command)
    decorated = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")(decorated)
    decorated = click.option(
        "--policies",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="Read this policy folder instead of the configured one.",
    )(decorated)
    found: Callable[_Arguments, _Result] = config_option(decorated)
    return found


def revision_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--git`."""
    return click.option("--git", "revision", metavar="REV", help="Ask the policies of this git revision.")(command)


def service_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--service`."""
    return click.option("--service", help="The registry, by service name.")(command)


def circumstances(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--service`, `--from` and `--at`."""
    command = click.option(
        "--at", callback=parsed(parse_moment), help="Point in time: 2027-01-31, or 2027-01-31T18:00:00Z."
    )(command)
    command = click.option("--from", "client", callback=parsed(parse_address), help="The client's IP address.")(command)
    return service_option(command)


def read_source(config: Path | None, folder: Path | None, revision: str | None = None) -> Source:
    """The policies of the configuration, or of a bare folder; as of a git `revision` if one is given.

    Raises:
        LoadError: every fault of the files, or no such revision.
    """
    settings, services = None, None
    if folder is None:
        settings = load_settings(config)
        services = frozenset(entry.service for entry in settings.registries)
        folder = settings.policies
    elif config is not None:
        raise click.UsageError("--config and --policies exclude each other")
    namespaces = None if settings is None else settings.namespaces
    if revision is None:
        anchors = None if settings is None else settings.workload_claims
        compiled = compile_policies(folder, services=services, workload_sources=anchors)
        return _source(compiled, settings, namespaces)
    # Needed only here, and importing it takes a while.
    from tokenserver.policy.loading.git_revisions import (  # noqa: PLC0415 - see above
        compile_revision,
        git_folder,
        parse_revision,
    )

    of = git_folder(folder)
    found = parse_revision(revision, of)
    name = f"{revision} ({found.short})"
    aliases = None if settings is None else settings.claim_aliases
    return _source(compile_revision(of, found, services, aliases), settings, namespaces, name)


def _source(
    compiled: tuple[PolicySet, tuple[FileTests, ...]],
    settings: Settings | None,
    namespaces: Namespaces | None,
    revision: str | None = None,
) -> Source:
    policies, tests = compiled
    return Source(replace(policies, namespaces=namespaces), tests, settings, revision)


def asked_resource(action: str, name: str) -> Resource:
    """The resource of a question about one action.

    Raises:
        TermError: the action or the name is not valid.
    """
    scope = parse_request(f"{action} {name}")
    if len(scope.actions) != 1:
        raise click.UsageError("name exactly one action: pull, push or delete")
    if scope.resource.type == "repository" and action == "*":
        raise click.UsageError("name exactly one action: pull, push or delete")
    return scope.resource


def asked_principal(policies: PolicySet, principal: Principal) -> Principal:
    """Resolve a group name: a group of the tree, else a delegated file's own group, else a directory's group.

    A plain name means a file's own group only if one file alone has it, and no rule uses it for a directory's group.
    """
    groups = policies.groups.by_name
    if principal.sort != "group" or principal.name in groups:
        return principal
    spelled = [name for name in groups if shown_name(name) == principal.name]
    own = spelled or [name for name in groups if plain_name(name) == principal.name]
    named = {
        name for rule in policies.rules for one in (rule.to, rule.excluded) if one is not None for name in one.groups
    }
    if len(own) == 1 and principal.name not in named:
        found = Principal("group", own[0])
        if not spelled:
            echo(f"{principal} is resolved to {found}", err=True)
        return found
    if own:
        others = " and ".join(f"'{Principal('group', name)}'" for name in sorted(own))
        echo(f"{principal} is resolved to a directory's group; delegated files also have {others}", err=True)
    return principal


def asked_identity(
    source: Source,
    user: str | None,
    groups: Sequence[str],
    *,
    anonymous: bool,
    lookup: str | None,
    namespace: str | None = None,
) -> Identity | None:
    """The identity that the options name; None if they name none.

    Raises:
        LoadError: `lookup` is a user whom no configured source has, or who could not log in.
        BackendUnavailable: a directory that comes first does not answer.
    """
    if sum((user is not None, anonymous, lookup is not None)) > 1 or (anonymous and groups):
        raise click.UsageError("--user (with --group), --anonymous and --as exclude each other")
    if anonymous:
        return ANONYMOUS
    if namespace is not None and user is None:
        raise click.UsageError("--namespace goes with --user")
    brought = frozenset(map(parse_group, groups))
    if lookup is not None:
        found = _look_up(source, lookup)
        return replace(found, groups=found.groups | brought)
    if user is None and not groups:
        return None
    if user is None:
        return user_identity(source.policies, UNNAMED, brought)
    return asked_user(source.policies, parse_user(user), brought, namespace)


def asked_user(policies: PolicySet, name: str, groups: frozenset[str], namespace: str | None) -> Identity:
    """The identity of a user with these groups; `namespace` is what `--namespace` says.

    Raises:
        click.UsageError: the namespace is not known, or no user source gives this one to the user.
    """
    found = user_identity(policies, name, groups, None if namespace is None else parse_namespace(namespace))
    if found.namespace == UNNAMED:
        raise click.UsageError(f"the namespace of {name!r} depends on the user source; fix: --namespace NAME, or --as")
    if namespace is not None and namespace != name and policies.namespaces is None:
        raise click.UsageError("--namespace: no user source maps names (names:), so the namespace is the name")
    if (
        namespace is not None
        and policies.namespaces is not None
        and not policies.namespaces.is_possible(name, namespace)
    ):
        raise click.UsageError(f"--namespace: no user source gives {namespace!r} to {name!r}")
    return found


def parsed(
    parse: Callable[[str], object],
) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A click callback that parses the value of an option, or reports it as a bad parameter."""

    def callback(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else parse(value)
        except TokenserverError as error:
            raise click.BadParameter(str(error)) from error

    return callback


def _look_up(source: Source, name: str) -> Identity:
    if source.settings is None:
        raise click.UsageError("--as asks the configured user sources, so it needs --config, not --policies")
    # Needed only here, and importing it takes as long as everything else.
    from tokenserver.cli.policy.client.user_sources import UserSources  # noqa: PLC0415 - see above

    return UserSources(source.settings).look_up(name)
