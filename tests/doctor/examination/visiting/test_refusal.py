"""Probes of a registry that rejects a token; e2e/test_doctor.py and test_doctor_zot.py send them to real ones."""

from __future__ import annotations

import base64
import json

from tokenserver.doctor.examination.visiting.refusal import junk


def test_junk_is_no_token_for_anybody() -> None:
    """It has no claims, and a signature of the right length that is none."""
    header, claims, signature = junk().reveal().split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"typ": "JWT", "alg": "ES256"}
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {}
    assert set(signature) == {"A"}
    assert len(base64.urlsafe_b64decode(signature + "==")) == 64
