"""What to do about a server that does not answer: every reason has a fix that names what to change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tokenserver.doctor.checks.vouching.reaching import ConfiguredServer
from tokenserver.runtime.http.response import FailureReason

SERVER = ConfiguredServer("provider", "corp", "t.yaml", "issuer of corp in t.yaml", None)
URL = "https://sso.example.com/keys"


@pytest.mark.parametrize(
    ("failure", "fix"),
    [
        (FailureReason.NAME, "correct issuer of corp in t.yaml, or the DNS of this machine"),
        (FailureReason.REFUSED, "start the provider at sso.example.com, or correct issuer of corp in t.yaml"),
        (FailureReason.CERTIFICATE, "set ca_file: FILE for corp in t.yaml to the CA of sso.example.com, or renew its"),
        (FailureReason.PLAIN, "configure TLS at sso.example.com, or correct issuer of corp in t.yaml"),
        (FailureReason.TLS, "configure TLS at sso.example.com, or correct issuer of corp in t.yaml"),
        (FailureReason.TIMEOUT, "let this machine reach sso.example.com directly; no proxy is used"),
        (FailureReason.CLOSED, "let this machine reach sso.example.com directly; no proxy is used"),
    ],
)
def test_fixes(failure: FailureReason, fix: str) -> None:
    """One fix for each reason."""
    assert SERVER.fix(URL, failure).startswith(fix)


def test_a_configured_authority() -> None:
    """The file is named that lacks the CA."""
    fix = replace(SERVER, ca_file="/ca.pem").fix(URL, FailureReason.CERTIFICATE)
    assert fix == "put the CA that issued the certificate of sso.example.com into /ca.pem, or renew the certificate"
