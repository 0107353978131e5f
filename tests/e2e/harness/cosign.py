"""cosign 3 with a key pair and no network: no transparency log, no certificates, no signing config fetched.

It stores signatures and attestations as referrers of the image, an attached SBOM as a tag, all in the image's
repository, or in the one that COSIGN_REPOSITORY names.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness.clients import Client
from harness.processes import Output
from harness.registries import Registry

VERSION = "cosign 3.1.3"
# Else it asks the public service for its endpoints and keys, even to sign with a key of its own.
_OFFLINE = ("--yes", "--use-signing-config=false", "--tlog-upload=false")
_STATEMENT = "custom"

OPERATIONS = {
    "sign": "`pull`, `push`",
    "verify": "`pull`",
    "attest": "`pull`, `push`",
    "verify-attestation": "`pull`",
    "attach sbom": "`pull`, `push`",
    "download sbom": "`pull`",
    "tree": "`pull`",
    "copy": "`pull` of the source, `push` of the target",
    "clean": "`pull`, `delete`",
}
"""What test_signing.py tries, and the rights that it takes."""


class Cosign(Client):
    """One user's cosign, with a key pair of its own. `image` is `REPOSITORY@DIGEST`."""

    name = "cosign"
    program = "cosign"
    nightly = True
    refusal = "UNAUTHORIZED: authentication required"

    def prepare(self) -> None:
        self.machine.environment["COSIGN_PASSWORD"] = "no secret"
        made = self.run("generate-key-pair", "--output-key-prefix", self._file("cosign"))
        assert made.ok, str(made)

    def sign(self, registry: Registry, image: str, *, into: str = "") -> Output:
        """Sign; the signature goes into the image's repository, or into this one."""
        return self._within(into, registry, "sign", *_OFFLINE, *self._key, f"{registry.host}/{image}")

    def verify(self, registry: Registry, image: str, *, out_of: str = "") -> Output:
        """Verify with the public key."""
        return self._within(out_of, registry, "verify", *self._public_key, f"{registry.host}/{image}")

    def attest(self, registry: Registry, image: str) -> Output:
        """Sign a statement about the image."""
        predicate = self._file("predicate.json")
        predicate.write_text(json.dumps({"builder": "example"}))
        words = ("--type", _STATEMENT, "--predicate", predicate)
        return self.run("attest", *_OFFLINE, *self._key, *words, f"{registry.host}/{image}")

    def verify_attestation(self, registry: Registry, image: str) -> Output:
        """Verify such statements with the public key."""
        words = ("verify-attestation", *self._public_key, "--type", _STATEMENT)
        return self.run(*words, f"{registry.host}/{image}")

    def attach_sbom(self, registry: Registry, image: str) -> Output:
        """Attach a list of components, without signing it."""
        sbom = self._file("sbom.json")
        sbom.write_text(json.dumps({"spdxVersion": "SPDX-2.3"}))
        return self.run("attach", "sbom", "--sbom", sbom, f"{registry.host}/{image}")

    def download_sbom(self, registry: Registry, image: str) -> Output:
        """Print what was attached."""
        return self.run("download", "sbom", f"{registry.host}/{image}")

    def tree(self, registry: Registry, image: str) -> Output:
        """List what belongs to the image."""
        return self.run("tree", f"{registry.host}/{image}")

    def copy(self, registry: Registry, image: str, target: str) -> Output:
        """Copy the image with what is attached to it, to the tag `1` of another repository."""
        return self.run("copy", f"{registry.host}/{image}", f"{registry.host}/{target}:1")

    def clean(self, registry: Registry, image: str) -> Output:
        """Delete everything that belongs to the image, but not the image."""
        return self.run("clean", "--force", f"{registry.host}/{image}")

    @property
    def _key(self) -> tuple[str | Path, ...]:
        return "--key", self._file("cosign.key")

    @property
    def _public_key(self) -> tuple[str | Path, ...]:
        return "--key", self._file("cosign.pub"), "--insecure-ignore-tlog"

    def _file(self, name: str) -> Path:
        return self.machine.folder / name

    def _within(self, repository: str, registry: Registry, *words: str | Path) -> Output:
        environment = {"COSIGN_REPOSITORY": f"{registry.host}/{repository}"} if repository else {}
        return self.run(*words, environment=environment)
