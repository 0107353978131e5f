"""`tokenserver audit verify`: what it prints, its exit codes, and whose seals it trusts."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from pathlib import Path

import pytest
from audit_chains import CA, START, chain, key
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding
from key_folders import make

from tokenserver.cli.audit.verify import SHOWN
from tokenserver.cli.main import main
from tokenserver.keys.jwk import public_jwk
from tokenserver.keys.store import load_keys

SIGNS = key()
LINES = chain(5, 3, signs=SIGNS)
ID = json.loads(LINES[0])["chain"].partition(":")[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the log of one server and its token CA."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "log", LINES)
    (tmp_path / "ca.pem").write_bytes(CA.public_bytes(Encoding.PEM))
    return tmp_path


def write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def verify(*arguments: object, input: bytes | None = None) -> Result:  # noqa: A002 - click's name
    """Run the command."""
    return CliRunner().invoke(main, ["audit", "verify", *map(str, arguments)], input=input)


@pytest.mark.usefixtures("folder")
def test_a_whole_chain() -> None:
    """A row for each chain, and a sentence."""
    result = verify("log", "--ca", "ca.pem")
    assert result.exit_code == 0, result.output
    heads, row = result.stdout.splitlines()
    assert heads.split() == ["CHAIN", "FROM", "UNTIL", "LINES", "SEALED"]
    assert row.split() == [ID, "2027-01-31T12:00:00.000Z", "2027-01-31T12:02:08.000Z", "1", "to", "12", "closed"]
    assert result.stderr == "12 linked events are as the server wrote them, and none is missing between\n"


def test_the_commands_of_the_page(folder: Path) -> None:
    """As docs/answer-an-auditor.md has them, for the files of this folder; with --config: test_known_chains.py."""
    page = (Path(__file__).parents[3] / "docs" / "answer-an-auditor.md").read_text(encoding="utf-8")
    commands = re.findall(r"^tokenserver (audit verify .* --ca .*)$", page, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        words = [str(folder / "log") if word.startswith("/var/log/") else word for word in shlex.split(command)]
        assert CliRunner().invoke(main, words).exit_code == 0


def test_findings(folder: Path) -> None:
    """Each with its line, its kind and what to do."""
    write(folder / "log", [*LINES[:2], LINES[2].replace(b"exchange", b"exchanGe"), *LINES[3:8], *LINES[9:]])
    result = verify("log", "--ca", "ca.pem")
    assert result.exit_code == 1
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:3]] == [
        ["log:1", "CHANGED"],
        ["log:8", "REMOVED"],
    ]
    assert "number 9 is missing between here and log:9" in result.stdout
    assert "changed: compare these lines with another copy of the log" in result.stdout
    assert "removed: name the file that has them" in result.stdout
    assert "reordered:" not in result.stdout
    assert result.stderr == "2 findings in 11 linked events\n"


def test_json(folder: Path) -> None:
    """The same for programs."""
    write(folder / "log", [b'{"time":"2027-01-31T11:00:00.000Z","event":"exchange"}', *LINES[:2], *LINES[3:]])
    found = json.loads(verify("log", "--ca", "ca.pem", "--json").stdout)
    assert found == {
        "lines": 12,
        "events": 11,
        "without_link": 1,
        "chains": [
            {
                "chain": ID, "first": 1, "last": 12, "sealed": 12, "is_closed": True,
                "since": "2027-01-31T12:00:00.000Z", "until": "2027-01-31T12:02:08.000Z",
            }
        ],
        "servers": [],
        "findings": [
            {
                "kind": "removed", "file": "log", "line": 3, "end_file": "log", "end_line": 3, "chain": ID,
                "message": "number 3 is missing between here and log:4, so no digest proves numbers 1 to 6",
            }
        ],
        "finding_count": 1,
        "notes": [],
    }  # fmt: skip


def test_notes(folder: Path) -> None:
    """What is no finding, and an auditor should know."""
    write(folder / "log", [b'{"time":"2027-01-31T11:00:00.000Z","event":"exchange"}', *LINES[3:10]])
    result = verify("log", "--ca", "ca.pem")
    assert result.exit_code == 0
    notes = [line for line in result.stdout.splitlines() if line.startswith("note: ")]
    assert len(notes) == 3
    assert f"chain {ID} begins with number 4 (log:2)" in notes[0]
    assert "the last 3 lines, until number 10, are not sealed" in notes[1]
    assert "1 events are from before the chain" in notes[2]


def test_many_findings(folder: Path) -> None:
    """A hundred are printed, and all are counted."""
    added = [b'{"time":"2027-01-31T12:00:00.500Z","event":"exchange"}'] * (SHOWN + 20)
    write(folder / "log", [LINES[0], *added, *LINES[1:]])
    result = verify("log", "--ca", "ca.pem")
    assert result.stdout.count("NOT IN A CHAIN") == SHOWN
    assert "… and 20 more" in result.stdout
    assert f"{SHOWN + 20} findings" in result.stderr


def test_files_in_any_order_and_form(folder: Path) -> None:
    """Plain, compressed, and standard input."""
    (folder / "old.gz").write_bytes(gzip.compress(b"".join(line + b"\n" for line in LINES[:4])))
    write(folder / "middle", LINES[4:7])
    rest = b"".join(line + b"\n" for line in LINES[7:])
    result = verify("-", "old.gz", "middle", "--ca", "ca.pem", input=rest)
    assert (result.exit_code, "12 linked events" in result.stderr) == (0, True), result.output


@pytest.mark.usefixtures("folder")
def test_no_chain_at_all(folder: Path) -> None:
    """Nothing was verified, so it is no success."""
    write(folder / "log", [b'{"time":"2027-01-31T12:00:00.500Z","event":"exchange"}'])
    result = verify("log", "--ca", "ca.pem")
    assert result.exit_code == 1
    assert "no event has a link, so nothing can be verified" in result.stderr


def test_whose_seals_are_trusted(folder: Path) -> None:
    """An authority, a key set, or a folder of keys; all that are named."""
    (folder / "jwks.json").write_text(json.dumps({"keys": [public_jwk(SIGNS)]}))
    assert make(folder / "keys", now=START)
    assert load_keys(folder / "keys", now=START)
    assert verify("log", "--jwks", "jwks.json").exit_code == 0
    assert verify("log", "--keys", "keys", "--ca", "ca.pem").exit_code == 0
    result = verify("log", "--keys", "keys")
    assert result.exit_code == 1
    assert "UNKNOWN KEY" in result.stdout
    assert SIGNS.thumbprint in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["none", "--ca", "ca.pem"], "none: cannot be read: No such file", id="no file"),
        pytest.param(["log", "--ca", "none"], "none: cannot be read", id="no CA"),
        pytest.param(["log", "--ca", "log"], "log: has no certificate in PEM", id="a CA that is none"),
        pytest.param(["log", "--jwks", "log"], "log: is no key set", id="a key set that is none"),
        pytest.param(["log", "--keys", "none"], "token-ca.pem: cannot be read", id="no folder of keys"),
        pytest.param(["log"], "tokenserver.yaml: ", id="no configuration"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_wrong_use(arguments: list[str], message: str) -> None:
    """Exit code 2, and what to do."""
    result = verify(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_scattered_lines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would take too much memory is refused, with the file."""
    monkeypatch.setattr("tokenserver.audit.chain.verifier.MAX_HELD", 100)
    write(folder / "log", LINES[::2])
    result = verify("log", "--ca", "ca.pem")
    assert result.exit_code == 2
    assert "log: lines are scattered over the files one by one" in result.stderr


@pytest.mark.usefixtures("folder")
def test_a_span_of_time() -> None:
    """What is between the seals next to it is verified, and the borders are no gaps."""
    since, until = ("--since", "2027-01-31T12:01:06Z"), ("--until", "2027-01-31T12:01:07Z")
    whole, some = (verify("log", "--ca", "ca.pem", "--json", *words) for words in ((), (*since, *until)))
    assert (whole.exit_code, some.exit_code) == (0, 0), some.output
    found = json.loads(some.stdout)
    assert (found["findings"], found["events"]) == ([], 5)
    [note] = found["notes"]
    assert note.startswith("of 1 chain, lines before the last seal before this time")
    nothing = verify("log", "--ca", "ca.pem", "--since", "2028-01-31")
    assert "1 chain ended before this time or began after it" in nothing.stdout


@pytest.mark.usefixtures("folder")
def test_standard_input_is_read_once() -> None:
    """A span of time needs the seals first."""
    data = b"".join(line + b"\n" for line in LINES)
    for words in ((), ("-",), ("log", "-")):
        result = verify(*words, "--ca", "ca.pem", "--since", "1d", input=data)
        assert (result.exit_code, "files are read twice; fix: name files" in result.stderr) == (2, True)


@pytest.mark.usefixtures("folder")
def test_a_store_of_events() -> None:
    """It has the events, and not the lines."""
    result = verify("--store", "audit.db", "--ca", "ca.pem")
    assert (result.exit_code, "name the files that were indexed" in result.stderr) == (2, True)
