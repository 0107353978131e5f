"""Where past policies are looked for: kept snapshots and git, as options say, or else the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from tokenserver.config.load import config_path, load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.policy.history.git_search import find_in_git
from tokenserver.policy.history.kept_snapshots import kept_digests, read_kept
from tokenserver.policy.history.past_policies import PastPolicies
from tokenserver.policy.loading.git_revisions import GitFolder, git_folder, is_shallow

_WHOLE = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PastPlaces:
    """The places to look at; `settings` are today's configuration, if there is one."""

    snapshots: Path | None
    git: GitFolder | None
    settings: Settings | None

    def find(self, digest: str, moment: datetime) -> PastPolicies:
        """The policies with this digest.

        Raises:
            LoadError: a snapshot or the repository cannot be read.
            click.UsageError: there are none, or `digest` is the beginning of several.
        """
        if self.snapshots is not None:
            whole = self._kept(self.snapshots, digest)
            found = None if whole is None else read_kept(self.snapshots, whole)
            if found is not None:
                return found
        if self.git is not None:
            found = find_in_git(self.git, digest, moment)
            if found is not None:
                return found
        raise click.UsageError(f"no policies {digest} in {self._spell()}; fix: {self._fix()}")

    @staticmethod
    def _kept(folder: Path, digest: str) -> str | None:
        if _WHOLE.fullmatch(digest) is not None:
            return digest
        found = [one for one in kept_digests(folder) if one.startswith(digest)]
        if len(found) > 1:
            raise click.UsageError(f"--policy: {digest!r} begins several digests: {' '.join(sorted(found))}")
        return found[0] if found else None

    def _spell(self) -> str:
        snapshots = [] if self.snapshots is None else [f"snapshots of {self.snapshots}"]
        git = [] if self.git is None else [f"any commit of {self.git.top / self.git.path}"]
        return " or ".join(snapshots + git)

    def _fix(self) -> str:
        if self.git is not None and is_shallow(self.git):
            return "this clone lacks older commits: git fetch --unshallow"
        return (
            "name another place with --git or --snapshots. Policies of which a part waits for its tests are in no"
            " commit; servers keep them if audit.policy_snapshots is configured"
        )


def settings_here(config: Path | None) -> Settings | None:
    """The configuration, if there is one.

    Raises:
        LoadError: its faults.
    """
    return load_settings(config) if config is not None or config_path(config).exists() else None


def past_places(settings: Settings | None, folder: Path | None, snapshots: Path | None) -> PastPlaces:
    """The places of `--git` and `--snapshots`; without either, those of the configuration.

    Raises:
        LoadError: the folder of `--git` is in no repository.
        click.UsageError: there is no place at all.
    """
    if folder is not None or snapshots is not None:
        return PastPlaces(snapshots, None if folder is None else git_folder(folder), settings)
    if settings is None:
        raise click.UsageError("say where the policies of that time are: --git FOLDER, --snapshots FOLDER, or --config")
    kept = settings.audit.policy_snapshots
    try:
        git = git_folder(settings.policies)
    except LoadError:
        git = None  # not in a repository
    if git is None and kept is None:
        raise click.UsageError(
            f"{settings.policies} is in no git repository, and audit.policy_snapshots is not configured;"
            " fix: name a place with --git or --snapshots"
        )
    return PastPlaces(kept, git, settings)
