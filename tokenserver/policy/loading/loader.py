"""Loading the policy folder: all files or none, with every fault of every file at once, and their tests run."""

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
from tokenserver.policy.loading.folder import are_marked, completeness_faults, read_folder
from tokenserver.policy.loading.gating import Compiled, Gate
from tokenserver.policy.loading.incremental import EMPTY, CompiledFiles
from tokenserver.policy.loading.linker import Connector, FileTests, default_service
from tokenserver.policy.model import PolicySet
from tokenserver.policy.syntax.file import PolicyFile, read_policy_file
from tokenserver.runtime.background_pacing import unpaced

__all__ = ["FileTests", "PolicyLoader", "compile_policies", "default_service", "load_policies"]

Texts = tuple[dict[str, str], list[Fault]]
"""What is read of a folder: the text of each file, and the faults met. See `read_folder`."""

MANY_OBJECTS = 100_000
"""So many new ones, which all stay, are put where the collector does not go; it would stop all threads for as long."""


def load_policies(
    folder: Path, *, services: frozenset[str] | None = None, now: datetime, marked: bool = False
) -> PolicySet:
    """Read, check and compile all policy files in `folder` and its sub-folders, and run the tests in them.

    `services` are the configured registries, to hold against what files name in `registries:` and `service:`
    (None: not known, so not held against). `now` is the aware time at which tests without `at:` are run. `marked` says
    that the files ended with `...` when they were loaded before: one that does not is taken for cut short then.

    Raises:
        LoadError: with every fault of every file; a failing test is a fault. Tests run once nothing else is wrong.
    """
    return PolicyLoader(folder, services=services, marked=marked).load(now)


class PolicyLoader:
    """Loads one folder again and again. What is the same as the last time is neither parsed nor compiled again.

    `services` and `marked` are as for `load_policies`; once the files ended with their mark, they always must. `pace`
    is called between two small pieces of work.
    """

    def __init__(
        self,
        folder: Path,
        *,
        services: frozenset[str] | None = None,
        marked: bool = False,
        pace: Callable[[], None] = unpaced,
    ) -> None:
        self._folder = folder
        self._services = services
        self._marked = marked
        self._pace = pace
        self._memory = EMPTY
        self._seen: str | None = None

    def load(self, now: datetime, texts: Texts | None = None) -> PolicySet:
        """The policies as the files are now, once their tests have passed. See `load_policies`.

        `texts` is what `read_folder` gives; None: the folder is read now. Tests of a delegated file hold up the
        change of that file alone, as `gating` has it.

        Raises:
            LoadError: as `load_policies`. What is remembered stays as it was.
        """
        texts = texts or read_folder(self._folder, self._pace)
        memory = self._memory
        try:
            offered = self._compile(texts, memory, marked=self._marked)
        except LoadError:
            if memory is EMPTY:
                raise
            memory = EMPTY  # what was remembered does not know its lines
            offered = self._compile(texts, memory, marked=self._marked)
        gate = Gate(
            {name: known.text for name, known in self._memory.files.items()},
            self._seen,
            # That the folder as a whole is complete was checked with what is on offer.
            compile_again=lambda changed: self._compile((changed, []), memory, marked=None),
            placed=self._placed,
            now=now,
            pace=self._pace,
        )
        passed = gate.passing(offered)
        self._memory, self._seen = passed.memory, offered.policies.digest
        self._marked = offered.policies.is_marked
        return passed.policies

    def _compile(self, read: Texts, memory: CompiledFiles, *, marked: bool | None) -> Compiled:
        with _collector_paused():
            return _compiled(self._folder, read, self._services, marked=marked, memory=memory, pace=self._pace)

    def _placed(self, name: str, compiled: Compiled) -> FileTests:
        """The tests of a file with their lines, which those of a file that is known have forgotten."""
        tests = compiled.tests[name]
        if tests.document.lines:
            return tests
        return replace(tests, document=parse(compiled.texts[name], str(self._folder / name)))


def compile_policies(
    folder: Path, *, services: frozenset[str] | None = None, marked: bool = False
) -> tuple[PolicySet, tuple[FileTests, ...]]:
    """Like `load_policies`, but the tests are handed back and not run.

    Raises:
        LoadError: with every fault of every file.
    """
    with _collector_paused():
        compiled = _compiled(folder, read_folder(folder), services, marked=marked)
    return compiled.policies, tuple(compiled.tests.values())


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Nothing that is made here is garbage in a cycle, and to look for it again and again costs half of the time."""
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
    *,
    marked: bool | None,
    memory: CompiledFiles = EMPTY,
    pace: Callable[[], None] = unpaced,
) -> Compiled:
    """The policies that these files make. `marked` None: nobody asks whether each of them is whole.

    Raises:
        LoadError: every fault of every file.
    """
    texts, met = read
    is_whole = not met
    faults = [*met, *(() if marked is None else completeness_faults(folder, texts, marked=marked))]
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
    is_whole = is_whole and len(files) == len(texts)  # else what is missed may stand in a file that was not read
    connector = Connector(services, memory, lambda name: _read(folder, name, texts[name]), pace)
    connected = connector.connect(texts, files, is_whole=is_whole)
    faults += connected.faults
    if faults:
        raise LoadError(faults)
    rules = tuple(rule for known in connected.files.values() for rule in known.rules)
    if not rules:
        raise LoadError([Fault(str(folder), 0, "", "holds no rule in any file, so nothing would ever be granted")])
    found = CompiledFiles.of(connected.files, connected.groups, memory)
    digest = _digest(texts, pace)
    policies = PolicySet(digest, tuple(texts), rules, connected.groups, found.index, are_marked(texts))
    return Compiled(texts, policies, dict(zip(texts, connected.tests, strict=True)), found)


def _read(folder: Path, name: str, text: str) -> PolicyFile:
    """One file by itself; what is wrong with what it says is in the result.

    Raises:
        LoadError: it is no YAML that could be read.
    """
    document = parse(text, str(folder / name))
    file = read_policy_file(document)
    file.document = replace(document, value=None)  # its lines are still asked for, its values are not
    return file


def _digest(texts: Mapping[str, str], pace: Callable[[], None]) -> str:
    """SHA-256 over names and contents, each with its length before it, so that no two sets of files look alike."""
    digest = hashlib.sha256()
    for name in sorted(texts):
        pace()
        for part in (name, texts[name]):
            content = part.encode("utf-8", "surrogateescape")
            digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
