"""The doctor's findings as they are printed."""

from __future__ import annotations

import json

import pytest

from tokenserver.cli.doctor.report import report
from tokenserver.credentials import Secret
from tokenserver.doctor.findings import failed, note, passed, warning

FINDINGS = [
    failed("issuer", "the issuer is wrong", "set issuer", ours="a", theirs="b"),
    warning("clock", "the clocks differ", "set the clock"),
    passed("realm", "the realm is right", ours="same", theirs="same"),
    note("other kinds", "would accept it", theirs="zot"),
]


def test_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """A fault comes with both sides and its fix, and whatever passed with one line."""
    with pytest.raises(SystemExit) as end:
        report(FINDINGS, as_json=False, token=None)
    assert end.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        "FAULT    issuer: the issuer is wrong",
        "           there: b",
        "           here:  a",
        "           fix:   set issuer",
        "warning  clock: the clocks differ",
        "           fix:   set the clock",
        "ok       realm: the realm is right",
        "info     other kinds: would accept it",
        "",
        "2 findings. Fix the first one, then run doctor again.",
    ]


def test_one_finding_and_none(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line counts what is to be fixed, and the exit code says whether there is any."""
    for found, code, line in (
        (FINDINGS[:1], 1, "1 finding. Fix the first one, then run doctor again."),
        (FINDINGS[2:], 0, "No findings."),
    ):
        with pytest.raises(SystemExit) as end:
            report(found, as_json=False, token=None)
        assert (end.value.code, capsys.readouterr().out.splitlines()[-1]) == (code, line)


@pytest.mark.parametrize("as_json", [False, True])
def test_the_token_is_on_its_own(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    """It is the last line, or beside the JSON on standard error, so that the JSON can be parsed."""
    with pytest.raises(SystemExit):
        report(FINDINGS, as_json=as_json, token=Secret("the.whole.token"))
    printed = capsys.readouterr()
    assert (printed.err if as_json else printed.out).splitlines()[-1] == "the.whole.token"
    if as_json:
        assert [one["check"] for one in json.loads(printed.out)] == ["issuer", "clock", "realm", "other kinds"]
