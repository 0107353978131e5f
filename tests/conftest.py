"""For all tests: how many examples Hypothesis tries, that no secret shows, and what was skipped for a missing program.

`HYPOTHESIS_PROFILE=nightly` tries 100,000 new examples of each property, instead of the same 100; `quick` tries 10, for
`make quick`; `mutants` tries 30, for `make mutants`, which runs each property hundreds of times.

Under `coverage run`, the workers of `--numprocesses` are measured too. `--missing-programs FILE` lets the last line of
a run count what the runs before it skipped. `--folders-in-memory` spares the disk what tests write. `--failures FILE`
keeps what failed, example and all.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import canaries
import coverage
import pytest
from _pytest.runner import runtestprotocol
from failures_file import append_failure
from folders_in_memory import memory_root
from hypothesis import Phase, settings
from hypothesis.database import DirectoryBasedExampleDatabase

# Every day the same examples, so that a failure is the change's; how long one takes says nothing on a busy machine.
settings.register_profile("everyday", deadline=None, derandomize=True, database=None)
settings.load_profile("everyday")
# A profile begins as the loaded one: at night other examples are wanted, and what failed is kept for the next run.
FAILED_EXAMPLES = DirectoryBasedExampleDatabase(Path(__file__).parents[1] / ".hypothesis" / "examples")
settings.register_profile(
    "nightly", max_examples=100_000, deadline=None, derandomize=False, database=FAILED_EXAMPLES, print_blob=True
)
# Without shrinking, which may take minutes on a slow property: `make test` finds the small example.
QUICK_PHASES = (Phase.explicit, Phase.generate)
settings.register_profile("quick", max_examples=10, deadline=None, derandomize=True, database=None, phases=QUICK_PHASES)
settings.register_profile("mutants", max_examples=30, deadline=None, derandomize=True, database=None)
if "HYPOTHESIS_PROFILE" in os.environ:
    settings.load_profile(os.environ["HYPOTHESIS_PROFILE"])


@pytest.fixture(scope="module", autouse=True)
def system_authorities() -> Generator[None]:
    """No authorities of the system: no test here meets them, and each TLS context would take 30 ms to read them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.devnull)
        patch.setenv("SSL_CERT_DIR", os.devnull)
        yield


COLLECTED_AFTER = (200_000, 10, 10)
"""Python's own 700 objects are made by every test, and each hundredth collection goes over all that imports made."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Spare the collector what stays: it would go over 13,000 tests again and again, half a second each time."""
    gc.disable()
    result = yield
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Fail a test that made anything write a secret: to its output, to the log at any level, or in another process."""
    report = yield
    for name, text in report.sections:
        canaries.watch(text, name)
    found = canaries.taken()
    if found and report.outcome == "passed":
        report.outcome = "failed"
        report.longrepr = "secrets were written: " + "; ".join(found)
    if report.passed and "PYTEST_XDIST_WORKER" in os.environ:
        report.sections.clear()  # nobody reads them, and a worker would send each log line to the run's process
    return report


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Send no set-up and no teardown that passed from a worker to the run: only `--durations` lists them.

    Two of three reports of 16,000 tests are spared, and that a test begins, which the run never prints. Everything
    else is as in pytest's own hook.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ or item.config.option.durations is not None:
        return None
    for report in runtestprotocol(item, nextitem=nextitem, log=False):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


_failures: list[Path] = []
"""Where failures are written; empty if nowhere. The process of a run has the reports of its workers, too."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write down a test that failed, when it fails."""
    for file in _failures if report.failed else ():
        append_failure(file, report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """The same for a file whose tests cannot be collected."""
    for file in _failures if report.failed else ():
        append_failure(file, report)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `make test`, which runs pytest several times, of `make quick`, and of `make nightly`."""
    what = "the last line also counts the skips in this file, where earlier runs left them; this run adds its own"
    parser.addoption("--missing-programs", type=Path, metavar="FILE", help=what)
    what = "also append each failure to this file, as soon as it happens"
    parser.addoption("--failures", type=Path, metavar="FILE", help=what)
    parser.addoption("--folders-in-memory", action="store_true", help="make tmp_path in memory if there is room")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker whether it is measured; xdist starts it as a process that coverage does not know."""
    node.workerinput["measured"] = coverage.Coverage.current() is not None


def pytest_configure(config: pytest.Config) -> None:
    """Measure this process if it is the worker of a run that is measured. Runs before the first import of ours."""
    if config.option.failures is not None and not hasattr(config, "workerinput"):
        _failures.append(config.option.failures)
    root = memory_root() if config.option.folders_in_memory else None
    if root is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(root))  # workers get their folders from the run
    if getattr(config, "workerinput", {}).get("measured"):
        measurement = coverage.Coverage(data_suffix=True)
        measurement.start()
        config.add_cleanup(measurement.save)
        config.add_cleanup(measurement.stop)


_MISSING = re.compile(r"(\S+) is not installed(?:; make (\S+) installs it)?")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Runs after pytest's own closing line, so that nothing scrolls this one away."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    is_worker = hasattr(config, "workerinput")  # it has a reporter that nobody sees
    if reporter is None or is_worker or config.option.collectonly or not reporter.stats:
        return
    found = [_MISSING.search(_reason(report)) for report in reporter.stats.get("skipped", [])]
    programs = [f"{match[1]} {match[2] or 'real-servers'}" for match in found if match]
    file = config.option.missing_programs
    if file is not None:
        with file.open("a+") as stream:
            stream.writelines(f"{program}\n" for program in programs)
            stream.seek(0)
            programs = stream.read().splitlines()
    reporter.write_line(missing_line(programs))


def missing_line(programs: list[str]) -> str:
    """The line about the tests that were skipped.

    `programs` has for each of them the program that it missed, a space, and the target of make that installs it.
    """
    if not programs:
        return "0 tests were skipped for a missing program"
    names = ", ".join(sorted({one.split()[0] for one in programs}))
    target = max(one.split()[1] for one in programs)  # real-servers-nightly installs what real-servers does, too
    tests = "1 test was" if len(programs) == 1 else f"{len(programs)} tests were"
    return f"{tests} skipped because a real program is missing ({names}); `make {target}` installs them"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    # A skip's text is a triple: file, line, reason.
    longrepr = report.longrepr
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
