"""A registry's files compared with our side, whether its entry is known or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from doctor_worlds import ISSUER, REALM
from fake_registry import baseline, current_ring

from tokenserver.doctor.examination.files import examine_files
from tokenserver.doctor.examination.registry_files import read_registry_files

CONFIG = """\
auth: {{token: {{realm: "{realm}", service: {service}, issuer: {issuer}, rootcertbundle: ca.pem}}}}
storage: {{delete: {{enabled: false}}}}
"""


def findings(folder: Path, service: str) -> dict[str, bool | None]:
    """What has to be fixed, by check."""
    (folder / "ca.pem").write_text(current_ring().ca_certificate_pem)
    config = folder / "config.yml"
    config.write_text(CONFIG.format(realm=REALM, service=service, issuer=ISSUER))
    compared = replace(baseline(), registry=None, files=read_registry_files(config, None, None))
    return {one.check: one.ok for one in examine_files(compared, ()) if one.is_actionable}


def test_right_files(tmp_path: Path) -> None:
    """Nothing is left to fix."""
    assert findings(tmp_path, "registry.example.com") == {}


def test_the_service_of_nobody(tmp_path: Path) -> None:
    """The entry is still found where there is one alone."""
    assert findings(tmp_path, "other.example.com") == {"service": False}
