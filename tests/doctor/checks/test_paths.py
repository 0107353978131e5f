"""Values that are no path: what they are instead, and how to write them."""

from __future__ import annotations

import pytest

from tokenserver.doctor.checks.paths import fix_for, no_path


@pytest.mark.parametrize(
    ("value", "why", "fix"),
    [
        pytest.param(
            "https://a/jwks.json", "is a URL, and Distribution, up to 3.1, only", "save the output of C", id="URL"
        ),
        pytest.param("file:///etc/jwks.json", "is a URL", "write it as a path, /etc/jwks.json, and", id="file URL"),
        pytest.param('{"keys": []}', "is the content of a file", "write the content into a file", id="JSON"),
        pytest.param("-----BEGIN X", "is the content of a file", "write the content into a file", id="PEM"),
        pytest.param("/etc/ca.pem", None, None, id="a path"),
        pytest.param("ca.pem", None, None, id="a name"),
    ],
)
def test_what_is_no_path(value: str, why: str | None, fix: str | None) -> None:
    """Both are None for what may be a path."""
    said, told = no_path("jwks", value, is_zot=False), fix_for("jwks", value, "C")
    assert (said is None, told is None) == (why is None, fix is None)
    assert (why or "") in (said or "")
    assert (told or "").startswith(fix or "")


def test_zot_is_named() -> None:
    """For its own key."""
    assert str(no_path("cert", "https://a/x", is_zot=True)).startswith("cert is a URL, and zot only reads a file")
