"""A registry that accepts our token proves more than its files here do."""

from __future__ import annotations

import pytest

from tokenserver.doctor.checks.acceptance import outvoted_files
from tokenserver.doctor.findings import Finding, failed, note, passed, warning

ACCEPTED = passed("verdict", "the registry accepts the token")
REJECTED = note("verdict", "the registry rejects the token (401)")


@pytest.mark.parametrize(
    ("finding", "ok", "has_fix"),
    [
        pytest.param(failed("kid", "m", "f", theirs="x"), None, True, id="another kid"),
        pytest.param(failed("issuer", "m", "f"), None, True, id="another issuer"),
        pytest.param(failed("rootcertbundle", "m", "f", theirs="/certs/ca.pem"), None, False, id="in a container"),
        pytest.param(failed("rootcertbundle", "m", "f", theirs="/other/ca.pem"), None, True, id="damaged here"),
        pytest.param(failed("realm", "m", "f"), False, True, id="the realm is none of it"),
        pytest.param(warning("kid", "m", "f"), None, True, id="a warning"),
        pytest.param(passed("kid", "m"), True, False, id="what is well"),
    ],
)
def test_its_verdict_counts(finding: Finding, ok: bool | None, has_fix: bool) -> None:
    """A fault that would have kept it from accepting the token is a warning, or a note if the file is not here."""
    (found,) = outvoted_files([finding], [REJECTED, ACCEPTED], {"/certs/ca.pem"})
    assert (found.check, found.ok, found.is_actionable) == (finding.check, ok, has_fix)
    assert outvoted_files([finding], [REJECTED], {"/certs/ca.pem"}) == [finding]
