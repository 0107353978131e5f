"""Signs and verifies a release with cosign: without keys by the identity of the workflow, or with a pair of keys.

Images and the chart have their signatures and statements in the registry; files have theirs beside them, in bundles.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release.artifacts import SUMS, Published, files
from release.programs import run

ISSUER = "https://token.actions.githubusercontent.com"
BUNDLE = ".sigstore.json"
PROVENANCE = f".provenance{BUNDLE}"


@dataclass(frozen=True)
class Signer:
    """Who signs. Without a key it is the workflow that runs, with a certificate and an entry in the public log."""

    key: Path | None = None

    @property
    def options(self) -> tuple[str | Path, ...]:
        """With a key there is no log, and the public service is not asked for its endpoints either."""
        if self.key is None:
            return ("--yes",)
        return ("--yes", "--key", self.key, "--use-signing-config=false", "--tlog-upload=false")


@dataclass(frozen=True)
class Verifier:
    """Whose signatures are accepted: those of a public key, or of one workflow at one revision's name."""

    key: Path | None = None
    identity: str = ""

    @property
    def options(self) -> tuple[str | Path, ...]:
        """For every command that verifies."""
        if self.key is not None:
            return ("--key", self.key, "--insecure-ignore-tlog")
        return ("--certificate-identity", self.identity, "--certificate-oidc-issuer", ISSUER)


def sign(folder: Path, predicate: dict[str, Any], signer: Signer) -> None:
    """Sign images, chart and checksums; state for each of them, and each file, how it was built and what is in it."""
    published = Published.read(folder)
    statement = folder / "provenance.json"
    statement.write_text(json.dumps(predicate, indent=2) + "\n", "utf-8")
    try:
        for name in (published.image, *published.platforms.values(), published.chart):
            run("cosign", "sign", *signer.options, name)
            run("cosign", "attest", *signer.options, "--type", "slsaprovenance1", "--predicate", statement, name)
        for processor, name in published.platforms.items():
            sbom = _sbom(folder, processor)
            run("cosign", "attest", *signer.options, "--type", "cyclonedx", "--predicate", sbom, name)
        for file in _released(folder):
            bundle = file.with_name(f"{file.name}{PROVENANCE}")
            words = ("--type", "slsaprovenance1", "--predicate", statement, "--bundle", bundle)
            run("cosign", "attest-blob", *signer.options, *words, file)
        sums = folder / SUMS
        run("cosign", "sign-blob", *signer.options, "--bundle", sums.with_name(f"{SUMS}{BUNDLE}"), sums)
    finally:
        statement.unlink()


def verify(folder: Path, verifier: Verifier) -> None:
    """Verify everything that `sign` has signed.

    Raises:
        ReleaseError: a signature or statement is missing, of somebody else, or about something else.
    """
    published = Published.read(folder)
    for name in (published.image, *published.platforms.values(), published.chart):
        run("cosign", "verify", *verifier.options, name)
        run("cosign", "verify-attestation", *verifier.options, "--type", "slsaprovenance1", name)
    for name in published.platforms.values():
        run("cosign", "verify-attestation", *verifier.options, "--type", "cyclonedx", name)
    for file in _released(folder):
        bundle = file.with_name(f"{file.name}{PROVENANCE}")
        words = ("--type", "slsaprovenance1", "--bundle", bundle)
        run("cosign", "verify-blob-attestation", *verifier.options, *words, file)
    sums = folder / SUMS
    run("cosign", "verify-blob", *verifier.options, "--bundle", sums.with_name(f"{SUMS}{BUNDLE}"), sums)


def _released(folder: Path) -> list[Path]:
    return [file for file in files(folder) if file.name != "provenance.json"]


def _sbom(folder: Path, processor: str) -> Path:
    (found,) = folder.glob(f"*-image-{processor}.cdx.json")
    return found
