"""Lint rules for workloads: claims that pin nothing or only a name, and pushes from any branch of a project.

They depend on what issues the tokens, which the preset of a source says. Where the presets are not known, they are
guessed from the claims that the workloads of a source have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tokenserver.identity import Kind
from tokenserver.patterns import Pattern
from tokenserver.policy.analysis.subsumption import NOBODY, covers_people, kinds_of
from tokenserver.policy.lint.single_rules import reaches_anonymous
from tokenserver.policy.lint.tests import LintedFile
from tokenserver.policy.lint.unknown_names import LocatedFinding
from tokenserver.policy.machines.claim_globs import is_literal
from tokenserver.policy.machines.workloads import (
    Required,
    Workload,
    base_of,
    is_declared,
    membership,
    shown_workload,
    where_claims,
    workload_of,
)
from tokenserver.policy.model import Effect, PolicySet, Principals, Rule
from tokenserver.scopes import in_order

CODES = frozenset({"TS132", "TS133", "TS135"})
"""Codes that need the presets. If those are guessed, suppressions of these codes count as used."""

MAX_WORKLOADS = 5
"""How many workloads one finding lists."""

GITHUB, GITLAB = "github_actions", "gitlab_ci"


_ANYTHING = ("*", "**")


@dataclass(frozen=True, slots=True)
class _Claims:
    """What the claims of an issuer's tokens mean.

    `names` can be registered by somebody else after they are deleted, `ids` cannot. One of `branches` limits the
    branches of a project, and `advised` is the first choice. `own` are claims that other issuers do not have.
    """

    names: tuple[str, ...]
    ids: tuple[str, ...]
    branches: tuple[str, ...]
    also: tuple[str, ...]
    advised: str
    own: frozenset[str]
    subject: str


_PRESETS: Mapping[str, _Claims] = {
    GITHUB: _Claims(
        names=("repository", "repository_owner"),
        ids=("repository_id", "repository_owner_id"),
        branches=("environment", "ref", "ref_protected", "job_workflow_ref"),
        also=("workflow_ref",),
        advised="environment: production",
        own=frozenset(
            [
                "repository",
                "repository_id",
                "repository_owner",
                "repository_owner_id",
                "repository_visibility",
                "enterprise",
                "enterprise_id",
                "job_workflow_ref",
                "job_workflow_sha",
                "workflow",
                "workflow_ref",
                "workflow_sha",
                "actor",
                "actor_id",
                "event_name",
                "head_ref",
                "base_ref",
            ]
        ),
        subject="repo:",
    ),
    GITLAB: _Claims(
        names=("project_path", "namespace_path"),
        ids=("project_id", "namespace_id"),
        branches=("environment", "ref", "ref_protected"),
        also=("ci_config_ref_uri",),
        advised='ref_protected: "true"',
        own=frozenset(
            [
                "project_id",
                "project_path",
                "project_visibility",
                "namespace_id",
                "namespace_path",
                "environment_protected",
                "pipeline_id",
                "pipeline_source",
                "ci_config_ref_uri",
                "ci_config_sha",
                "user_id",
                "user_login",
                "user_email",
                "user_access_level",
            ]
        ),
        subject="project_path:",
    ),
}


def workload_findings(
    policies: PolicySet, files: Sequence[LintedFile], presets: Mapping[str, str] | None = None
) -> Iterator[LocatedFinding]:
    """Findings about workloads, each at the line of the workload, its claim or the rule.

    `presets` has the preset of each workload source; None: they are not known.
    """
    workloads = policies.groups.workloads.by_name
    meanings = _meanings(workloads.values(), presets)
    documents = {file.name: file.document for file in files}
    for one in workloads.values():
        if not is_declared(one.name) or one.file not in documents:
            continue
        document, meaning = documents[one.file], meanings.get(one.source)
        if meaning is not None and _pins_only_names(one, meaning):
            yield one.file, document.line(("workloads", one.name)), "TS132", _only_names(one, meaning)
        for claim, code, text in _claim_findings(one.claims, [meaning]):
            line = document.line(("workloads", one.name, "claims", claim))
            yield one.file, line, code, f"workload:{one.name}: {text}"
    for rule in policies.rules if policies.groups.workloads.by_name else ():
        found = {*_of_added_claims(policies, rule, meanings), *_of_any_branch(policies, rule, meanings)}
        yield from ((rule.file, rule.line, code, f"{rule.id}: {text}") for code, text in sorted(found))


def _meanings(workloads: Iterable[Workload], presets: Mapping[str, str] | None) -> dict[str, _Claims]:
    """What claims mean by source; sources of other presets, and those without an unambiguous guess, are absent."""
    if presets is not None:
        return {source: _PRESETS[preset] for source, preset in presets.items() if preset in _PRESETS}
    by_source: dict[str, list[Workload]] = {}
    for one in workloads:
        by_source.setdefault(one.source, []).append(one)
    guessed = {source: [*_guesses(found)] for source, found in by_source.items() if source}
    return {source: found[0] for source, found in guessed.items() if len(found) == 1}


def _guesses(workloads: Collection[Workload]) -> Iterator[_Claims]:
    """What the claims of the workloads of one source may mean: those that only one issuer has, or their `sub`, tell."""
    names = {name for one in workloads for name, _ in one.claims}
    subjects = [glob.text for one in workloads for name, globs in one.claims if name == "sub" for glob in globs]
    found = [
        one
        for one in _PRESETS.values()
        if names & one.own or any(subject.startswith(one.subject) for subject in subjects)
    ]
    yield from found or ([_PRESETS[GITLAB]] if "ref_protected" in names else [])


def _pins_only_names(workload: Workload, meaning: _Claims) -> bool:
    """Whether it demands names that somebody else can register after they are deleted, and no id."""
    claims = dict(workload.claims)
    has_id = any(all(map(is_literal, claims[name])) for name in meaning.ids if name in claims)
    return not has_id and any(name in claims for name in meaning.names)


def _only_names(workload: Workload, meaning: _Claims) -> str:
    names = " and ".join(name for name in meaning.names if name in dict(workload.claims))
    text = f"workload:{workload.name}: {names} without {' or '.join(meaning.ids)}"
    reason = "a name that was deleted can be registered by somebody else"
    return f"{text}, and {reason}; fix: add the id, which never changes"


def _claim_findings(claims: Required, meanings: Sequence[_Claims | None]) -> Iterator[tuple[str, str, str]]:
    """Claims with the codes and texts of what is wrong with them, for clients of sources with these `meanings`."""
    for claim, globs in claims:
        if not _is_pinned(globs):
            text = f"{claim} accepts {_widest(globs)}, which pins nothing"
            yield claim, "TS134", f"{text}; fix: write the value, or a longer pattern, or remove the claim"
        if claim == "sub" and all(one is _PRESETS[GITHUB] for one in meanings):
            text = "sub of GitHub has several formats, which settings and renamed repositories change"
            yield claim, "TS135", f"{text}; fix: write the claims that it is made of, such as repository_id and ref"


def _is_pinned(globs: Iterable[Pattern]) -> bool:
    return all(glob.text not in _ANYTHING for glob in globs)


def _widest(globs: Iterable[Pattern]) -> str:
    return next(glob.text for glob in globs if glob.text in _ANYTHING)


def _of_added_claims(policies: PolicySet, rule: Rule, meanings: Mapping[str, _Claims]) -> Iterator[tuple[str, str]]:
    """Findings about the claims under `when` of a rule."""
    workloads = policies.groups.workloads.by_name
    for group in sorted(rule.to.groups):
        one = workloads.get(workload_of(group) or "")
        if one is None or is_declared(one.name):
            continue
        base = workloads.get(base_of(one.name))
        added = one.claims[len(base.claims) :] if base is not None else one.claims
        sources = {one.source} if one.source else {other.source for other in workloads.values() if other.source}
        found = _claim_findings(added, [meanings.get(source) for source in sorted(sources)] or [None])
        yield from ((code, text) for _, code, text in found)


def _of_any_branch(policies: PolicySet, rule: Rule, meanings: Mapping[str, _Claims]) -> Iterator[tuple[str, str]]:
    """A finding if the rule lets workloads push or delete from any branch of their project."""
    changing = [action for action in in_order(rule.actions) if action in ("push", "delete")]
    if rule.effect is Effect.DENY or not changing or rule.resource_type != "repository" or reaches_anonymous(rule):
        return
    if Kind.WORKLOAD not in kinds_of(rule, policies.groups):
        return
    loose = {
        one.name: meaning
        for one in _clients(policies, rule)
        if (meaning := meanings.get(one.source)) is not None and not _has_branch(one, meaning)
    }
    if loose:
        names = sorted(loose)
        shown = ", ".join(f"workload:{shown_workload(name)}" for name in names[:MAX_WORKLOADS])
        more = f" and {len(names) - MAX_WORKLOADS} more" if len(names) > MAX_WORKLOADS else ""
        meaning = loose[names[0]]
        pins = f"none of {', '.join(meaning.branches)} is pinned"
        text = f"any branch may {' and '.join(changing)} as {shown}{more}, since {pins}"
        yield "TS133", f"{text}; fix: add {meaning.advised} or the like to the workload, or to when: {{claims: …}}"


def _has_branch(workload: Workload, meaning: _Claims) -> bool:
    """Whether it demands a claim that tells the branches of a project apart."""
    return any(name in (*meaning.branches, *meaning.also) and _is_pinned(globs) for name, globs in workload.claims)


def _clients(policies: PolicySet, rule: Rule) -> Iterator[Workload]:
    """The workloads that the rule is for; one without a source as each declared one with its claims."""
    groups = policies.groups
    declared = [one for one in groups.workloads.by_name.values() if is_declared(one.name)]
    if rule.capturing:
        captures = {capture for pattern in rule.patterns for capture in pattern.captures}
        named = {name for name in groups.of_machines if any(one.value(name) is not None for one in captures)}
    elif rule.to.everyone or rule.to.workloads:
        named = {membership(one.name) for one in declared}
    else:
        named = {*rule.to.groups}
    named = named.union(*(groups.by_name[name].groups for name in named & groups.of_machines))
    excluded = rule.excluded or NOBODY
    for name in sorted(named):
        one = groups.workloads.by_name.get(workload_of(name) or "")
        if one is None or covers_people(excluded, Principals(groups=frozenset({name})), groups):
            continue
        if one.source:
            yield one
        else:
            yield from (where_claims(other, one.claims) for other in declared)
