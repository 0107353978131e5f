"""Policy loader: all files or none, with every fault of every file, and with their tests passed."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from tokenserver.documents.document import parse
from tokenserver.errors import Fault, LoadError
from tokenserver.identity import Namespaces
from tokenserver.policy.loading.delegation import administrators_of, ownerships
from tokenserver.policy.loading.folder import are_marked, completeness_faults, read_folder
from tokenserver.policy.loading.gating import Compiled, Gate
from tokenserver.policy.loading.incremental import EMPTY, CompiledFiles
from tokenserver.policy.loading.linker import Connector, FileTests, default_service
from tokenserver.policy.loading.machines import MachineContext, WorkloadSources, robots_of
from tokenserver.policy.machines.claim_names import Aliases
from tokenserver.policy.model import PolicySet
from tokenserver.policy.syntax.file import PolicyFile, read_policy_file
from tokenserver.runtime.background_pacing import unpaced

__all__ = ["FileTests", "PolicyLoader", "compile_policies", "default_service", "load_policies"]

Texts = tuple[dict[str, str], list[Fault]]
"""The content of a folder: the text of each file, and the faults. See `read_folder`."""

MANY_OBJECTS = 100_000
"""From this number of new, permanent objects on, they are frozen: collecting them would stop all threads."""


def load_policies(
    folder: Path,
    *,
    services: frozenset[str] | None = None,
    now: datetime,
    marked: bool = False,
    namespaces: Namespaces | None = None,
    workload_sources: WorkloadSources | None = None,
) -> PolicySet:
    """Read, check and compile all policy files in `folder` and its sub-folders, and run the tests in them.

    `services` are the configured registries, with which `registries:` and `service:` in the files are compared (None:
    unknown, not compared). `now` is the aware time for tests without `at:`. `marked` says that the files ended with
    `...` in a previous load, so that one without is taken for truncated. `namespaces` becomes that of the result.
    `workload_sources` are the configured ones, with the claims that their workloads must pin (None: unknown, not
    compared).

    Raises:
        LoadError: with every fault of every file; a failing test is a fault. Tests run once nothing else is wrong.
    """
    loader = PolicyLoader(
        folder, services=services, marked=marked, namespaces=namespaces, workload_sources=workload_sources
    )
    return loader.load(now)


class PolicyLoader:
    """Loads one folder repeatedly. Unchanged files are neither parsed nor compiled again.

    `services`, `marked`, `namespaces` and `workload_sources` are as for `load_policies`; once the files ended with the
    marker, they always must. `pace` is called between small pieces of work.
    """

    def __init__(
        self,
        folder: Path,
        *,
        services: frozenset[str] | None = None,
        marked: bool = False,
        namespaces: Namespaces | None = None,
        pace: Callable[[], None] = unpaced,
        workload_sources: WorkloadSources | None = None,
    ) -> None:
        self._folder = folder
        self._services = services
        self._marked = marked
        self._namespaces = namespaces
        self._workload_sources = workload_sources
        self._pace = pace
        self._memory = EMPTY
        self._seen: str | None = None

    def load(self, now: datetime, texts: Texts | None = None) -> PolicySet:
        """The policies of the current files, after their tests have passed. See `load_policies`.

        `texts` is the result of `read_folder`; None: the folder is read now. Tests of a delegated file only gate
        changes of that file; see `gating`.

        Raises:
            LoadError: as `load_policies`. The state for the next load is unchanged.
        """
        texts = texts or read_folder(self._folder, self._pace)
        memory = self._memory
        try:
            offered = self._compile(texts, memory, now, marked=self._marked)
        except LoadError:
            if memory is EMPTY:
                raise
            memory = EMPTY  # reused files have no line numbers for the faults
            offered = self._compile(texts, memory, now, marked=self._marked)
        gate = Gate(
            {name: known.text for name, known in self._memory.files.items()},
            self._seen,
            # Whether the folder is complete was checked when `offered` was compiled.
            compile_again=lambda changed: self._compile((changed, []), memory, now, marked=None),
            placed=self._placed,
            now=now,
            pace=self._pace,
        )
        passed = gate.passing(offered)
        self._memory, self._seen = passed.memory, offered.policies.digest
        self._marked = offered.policies.is_marked
        return passed.policies

    def _compile(self, read: Texts, memory: CompiledFiles, now: datetime, *, marked: bool | None) -> Compiled:
        terms = MachineContext(self._workload_sources, now)
        with _collector_paused():
            compiled = _compiled(
                self._folder, read, self._services, terms, marked=marked, memory=memory, pace=self._pace
            )
        return replace(compiled, policies=replace(compiled.policies, namespaces=self._namespaces))

    def _placed(self, name: str, compiled: Compiled) -> FileTests:
        """The tests of a file with line numbers, which are not kept for a reused file."""
        tests = compiled.tests[name]
        if tests.document.lines:
            return tests
        return replace(tests, document=parse(compiled.texts[name], str(self._folder / name)))


def compile_policies(
    folder: Path,
    *,
    services: frozenset[str] | None = None,
    marked: bool = False,
    now: datetime | None = None,
    workload_sources: WorkloadSources | None = None,
    claim_aliases: Mapping[str, Aliases] | None = None,
) -> tuple[PolicySet, tuple[FileTests, ...]]:
    """Like `load_policies`, but the tests are returned and not run. Without `now`, robots may have any secrets.

    `claim_aliases`: by name of a workload source, short names of its claims -> their paths. They are for policies that
    were not written for the configured sources, which are then not compared.

    Raises:
        LoadError: with every fault of every file.
    """
    with _collector_paused():
        terms = MachineContext(workload_sources, now, claim_aliases or {})
        compiled = _compiled(folder, read_folder(folder), services, terms, marked=marked)
    return compiled.policies, tuple(compiled.tests.values())


def compile_texts(
    texts: Mapping[str, str],
    *,
    services: frozenset[str] | None = None,
    marked: bool = False,
    now: datetime | None = None,
    namespaces: Namespaces | None = None,
    workload_sources: WorkloadSources | None = None,
    claim_aliases: Mapping[str, Aliases] | None = None,
) -> tuple[PolicySet, tuple[FileTests, ...]]:
    """As `compile_policies`, for files that need not be on any disk: by name, each with its text.

    Raises:
        LoadError: with every fault of every file, which are named as in `texts`; the folder is `.`.
    """
    ordered = {name: texts[name] for name in sorted(texts)}
    terms = MachineContext(workload_sources, now, claim_aliases or {})
    compiled = _compiled(Path(), (ordered, []), services, terms, marked=marked)
    return replace(compiled.policies, namespaces=namespaces), tuple(compiled.tests.values())


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Compiling creates no cyclic garbage, and the collector would take half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > MANY_OBJECTS:
            gc.freeze()
        if was_enabled:
            gc.enable()


def _compiled(
    folder: Path,
    read: Texts,
    services: frozenset[str] | None,
    context: MachineContext,
    *,
    marked: bool | None,
    memory: CompiledFiles = EMPTY,
    pace: Callable[[], None] = unpaced,
) -> Compiled:
    """Compile these files. `marked` None: they are not checked for truncation.

    Raises:
        LoadError: every fault of every file.
    """
    texts, read_faults = read
    is_whole = not read_faults
    faults = [*read_faults, *(() if marked is None else completeness_faults(folder, texts, marked=marked))]
    files: dict[str, PolicyFile] = {}
    for name, text in texts.items():
        pace()
        known = memory.files.get(name)
        if known is not None and known.text == text:
            files[name] = known.file
            continue
        try:
            files[name] = _read(folder, name, text)
        except LoadError as error:
            faults += error.faults
            continue
        faults += files[name].faults
    is_whole = is_whole and len(files) == len(texts)  # else a missing name may be in a file that was not read
    connector = Connector(services, context, memory, lambda name: _read(folder, name, texts[name]), pace)
    connected = connector.connect(texts, files, is_whole=is_whole)
    faults += connected.faults
    if faults:
        raise LoadError(faults)
    rules = tuple(rule for known in connected.files.values() for rule in known.rules)
    if not rules:
        raise LoadError([Fault(str(folder), 0, "", "holds no rule in any file, so nothing would ever be granted")])
    found = CompiledFiles.of(connected.files, connected.groups, connected.known_everywhere, memory)
    digest = digest_of(texts, pace)
    policies = PolicySet(
        digest,
        tuple(texts),
        rules,
        connected.groups,
        found.index,
        are_marked(texts),
        owners=tuple(ownerships(files)),
        robots=robots_of(files),
        administrators=administrators_of(files),
        texts=texts,
    )
    return Compiled(texts, policies, dict(zip(texts, connected.tests, strict=True)), found)


def _read(folder: Path, name: str, text: str) -> PolicyFile:
    """Read one file; the faults of its content are in the result.

    Raises:
        LoadError: it is not valid YAML.
    """
    document = parse(text, str(folder / name))
    file = read_policy_file(document)
    file.document = replace(document, value=None)  # only its lines are still needed
    return file


def digest_of(texts: Mapping[str, str], pace: Callable[[], None] = unpaced) -> str:
    """The digest of a policy set of these files, by name.

    SHA-256 over names and contents, each prefixed with its length, so that different sets of files never collide.
    """
    digest = hashlib.sha256()
    for name in sorted(texts):
        pace()
        for part in (name, texts[name]):
            content = part.encode("utf-8", "surrogateescape")
            digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
