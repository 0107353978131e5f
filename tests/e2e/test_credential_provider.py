"""deploy/kubernetes/credential-provider under the shells and awks of nodes: it answers as the command does.

The clock of the node is a program `date` that always says the same moment.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from credential_requests import CASES, HOST, IMAGE, NOW, TOKEN, fields, request, token_until
from harness.programs import ROOT, need
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenserver.kubernetes.image_credentials import NoImageCredentials, answer

SCRIPT = ROOT / "deploy" / "kubernetes" / "credential-provider"
PAGE = (ROOT / "docs" / "kubernetes-workloads.md").read_text()

Outcome = tuple[int, str, str]
"""Exit code, standard output and standard error."""

TOOLS = ("awk", "od", "cat", "date")

LOOP = 'for i in *.request; do "$@" <"$i" >"$i.out" 2>"$i.err"; echo "$?" >"$i.code"; done'
"""Many requests in one process of the shell."""


@dataclass(frozen=True)
class Node:
    """A shell, and the folder that is its whole PATH."""

    shell: tuple[str, ...]
    programs: Path

    def run(self, content: bytes) -> Outcome:
        """The outcome of one request."""
        environment = {"PATH": str(self.programs)}
        command = [*self.shell, str(SCRIPT)]
        ended = subprocess.run(command, input=content, capture_output=True, check=False, env=environment)
        return ended.returncode, ended.stdout.decode(), ended.stderr.decode()

    def run_all(self, contents: Iterable[bytes], folder: Path) -> list[Outcome]:
        """The outcomes of many requests."""
        requests = [folder / f"{number:04}.request" for number, _ in enumerate(contents)]
        for path, content in zip(requests, contents, strict=True):
            path.write_bytes(content)
        command = [*self.shell, "-c", LOOP, "loop", *self.shell, str(SCRIPT)]
        subprocess.run(command, check=True, cwd=folder, env={"PATH": str(self.programs)})
        outcomes = []
        for path in requests:
            code, out, err = (Path(f"{path}.{end}").read_text() for end in ("code", "out", "err"))
            outcomes.append((int(code), out, err))
            for end in ("", ".code", ".out", ".err"):
                Path(f"{path}{end}").unlink()
        return outcomes


def node(folder: Path, shell: str, *options: str, awk: str = "awk") -> Node:
    """A node with this shell, and this awk in place of the system's; with busybox, all programs are its own."""
    folder.mkdir()
    for name in TOOLS:
        program = "busybox" if shell == "busybox" else awk if name == "awk" else name
        (folder / name).symlink_to(need(program))
    (folder / shell).symlink_to(need(shell))
    clock(folder, str(NOW))
    return Node((str(folder / shell), *options), folder)


def clock(folder: Path, output: str) -> None:
    """Let `date` print this."""
    (folder / "date").unlink()
    (folder / "date").write_text(f"#!/bin/sh\necho '{output}'\n")
    (folder / "date").chmod(0o755)


NODES: dict[str, Callable[[Path], Node]] = {
    "dash": lambda folder: node(folder, "dash"),
    "bash": lambda folder: node(folder, "bash", "--posix", awk="gawk"),
    "busybox": lambda folder: node(folder, "busybox", "sh"),
}
REAL = {"dash": "dash", "bash": "gawk", "busybox": "busybox"}
each_node = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.real(program)) for kind, program in REAL.items()]
)


def expected(content: bytes) -> Outcome:
    """The outcome of the command for this request."""
    try:
        return 0, f"{answer(content, NOW)}\n", ""
    except NoImageCredentials as error:
        return 1, "", f"{error}\n"


@each_node
def test_every_case(kind: str, tmp_path: Path) -> None:
    """The table, to the byte: also the texts of refusals."""
    found = NODES[kind](tmp_path / "bin").run_all([case.request for case in CASES.values()], tmp_path)
    different = {
        name: (outcome, expected(case.request))
        for (name, case), outcome in zip(CASES.items(), found, strict=True)
        if outcome != expected(case.request)
    }
    assert different == {}


_SHORT = [case.request for case in CASES.values() if len(case.request) < 3000]
_BYTES = st.sampled_from([bytes([byte]) for byte in b'"\\{}[]:,u0e1-. \n\0\xc3k/@a'])


@st.composite
def _changed(draw: st.DrawFn) -> bytes:
    """A request of the table in which a few bytes are others, missing or new."""
    content = draw(st.sampled_from(_SHORT))
    for _ in range(draw(st.integers(1, 3))):
        place, width = draw(st.integers(0, len(content))), draw(st.integers(0, 2))
        content = content[:place] + draw(_BYTES | st.just(b"")) + content[place + width :]
    return content


_PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
_MADE = st.builds(
    lambda image, token, annotations: request(image=image, serviceAccountToken=token, x=annotations),
    st.sampled_from([IMAGE, "localhost:5000/a", "A/b", "a/b:1"]) | _PRINTABLE,
    _PRINTABLE | st.integers(-1, 200_000).map(lambda life: token_until(NOW + life)),
    st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Node]:
    """All nodes whose programs are here; dash always is."""
    found = {}
    for kind, make in NODES.items():
        try:
            found[kind] = make(tmp_path_factory.mktemp("node") / "bin")
        except pytest.skip.Exception:
            continue
    return found


@settings(max_examples=max(4, settings().max_examples // 25))
@given(st.lists(_changed() | _MADE, min_size=8, max_size=12))
def test_every_request(nodes: dict[str, Node], tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    """Whatever the request, all shells and the command agree."""
    folder = tmp_path_factory.mktemp("requests")
    for kind, one in nodes.items():
        assert (kind, one.run_all(contents, folder)) == (kind, [expected(content) for content in contents])


@each_node
def test_the_real_clock(kind: str, tmp_path: Path) -> None:
    """The duration counts from now."""
    one = NODES[kind](tmp_path / "bin")
    clock(one.programs, "")
    (one.programs / "date").unlink()
    (one.programs / "date").symlink_to(need("busybox" if kind == "busybox" else "date"))
    code, out, err = one.run(request(serviceAccountToken=token_until(int(time.time()) + 600)))
    assert (code, err) == (0, "")
    assert 480 < int(re.findall(r'"cacheDuration":"(\d+)s"', out)[0]) <= 540


@pytest.mark.parametrize(
    "output", [pytest.param("", id="nothing"), pytest.param("+%s", id="unknown"), pytest.param("1e9", id="no-integer")]
)
def test_a_clock_that_cannot_be_read(output: str, tmp_path: Path) -> None:
    """Not every `date` knows seconds; then the kubelet does not cache."""
    one = NODES["dash"](tmp_path / "bin")
    clock(one.programs, output)
    code, out, err = one.run(request())
    assert (code, err, '"cacheDuration":"0s"' in out) == (0, "", True)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_missing_program(tool: str, tmp_path: Path) -> None:
    """It is named."""
    one = NODES["dash"](tmp_path / "bin")
    (one.programs / tool).unlink()
    fix = "fix: install coreutils and awk, or busybox"
    assert one.run(request()) == (1, "", f"{tool} is missing on this node; {fix}\n")


def test_the_token_is_in_no_process_list(tmp_path: Path) -> None:
    """No program that it starts has the token as an argument or in the environment, nor any file."""
    one = NODES["dash"](tmp_path / "bin")
    seen = tmp_path / "seen"
    for tool in TOOLS:
        real = (one.programs / tool).readlink() if tool != "date" else "/bin/echo"
        (one.programs / tool).unlink()
        wrapper = f'#!/bin/sh\nprintf "%s\\n" {tool} "$@" >>{seen}\n/usr/bin/env >>{seen}\nexec {real} "$@"\n'
        (one.programs / tool).write_text(wrapper)
        (one.programs / tool).chmod(0o755)
    assert one.run(request())[0] == 0
    assert one.run(request(image=""))[0] == 1
    recorded = seen.read_text()
    assert all(f"\n{tool}\n" in f"\n{recorded}" for tool in TOOLS)
    assert TOKEN not in recorded
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "seen"]


def test_it_starts_as_the_kubelet_starts_it() -> None:
    """As a program, by its first line, without arguments."""
    environment = {"PATH": os.defpath}
    ended = subprocess.run([SCRIPT], input=request(), capture_output=True, check=False, env=environment)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.startswith(b'{"apiVersion":"credentialprovider.kubelet.k8s.io/v1"')


def test_the_page_tries_it_by_hand(tmp_path: Path) -> None:
    """The commands of the page answer for its token, and refuse a request without one."""
    (commands,) = re.findall(r"<!-- test: by hand -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    environment = {"PATH": os.defpath, "TOKEN": TOKEN}
    text = re.sub(r"^TOKEN=.*\n", "", commands, flags=re.MULTILINE)
    ended = subprocess.run(["sh", "-c", text], capture_output=True, cwd=ROOT, check=False, env=environment, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (
        f'"auth":{{"{HOST}":{{"username":"workload","password":"{fields()["serviceAccountToken"]}"}}}}' in ended.stdout
    )
