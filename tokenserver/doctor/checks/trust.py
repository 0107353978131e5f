"""Checks of a registry's trusted keys: whether it accepts our tokens, now and after the next rotation. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tokenserver.doctor.checks.paths import fix_for, no_path
from tokenserver.doctor.checks.setup import RESTART
from tokenserver.doctor.commands import fetch_ca, fetch_jwks, write_keys
from tokenserver.doctor.facts import (
    Certificate,
    JwksFile,
    KeyNames,
    OurKey,
    OurRegistry,
    Ours,
    RegistryKind,
    Setup,
    TrustFile,
)
from tokenserver.doctor.findings import Finding, failed, passed, warning


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryTrust:
    """A registry and its trusted keys. `bundle` and `jwks` are the files that its configuration names, or None.

    `kinds` are the verifiers that it may be; certificates must be valid at `at`.
    """

    setup: Setup
    ours: Ours
    registry: OurRegistry
    kinds: Sequence[RegistryKind]
    bundle: TrustFile | None
    jwks: JwksFile | None
    at: datetime

    def check(self) -> list[Finding]:
        """All findings about the trusted keys. If a file itself is faulty, only that is reported."""
        faults = list(self.files())
        if faults:
            return faults
        found = [*self.our_keys(), *self.foreign_certificates()]
        return [*self._lost(is_cause=any(one.ok is False for one in found)), *found]

    @property
    def command(self) -> str:
        """The command that writes the registry's files."""
        return write_keys(self.ours, self.registry, self.kinds)

    @property
    def ca_source(self) -> str:
        """The command that downloads the token CA."""
        return fetch_ca(self.ours)

    # --- the files -------------------------------------------------------------------------------------------------

    def files(self) -> Iterator[Finding]:
        """Faults in the files themselves; any of them keeps the registry from starting."""
        place = self.setup.place("rootcertbundle")
        if self.bundle is None and self.jwks is None:
            fix = f"add {self._key} in {place} as {self.command} prints it {RESTART}"
            yield failed(self._key, "the registry has no file of trusted keys", fix)
        if (
            self.bundle is None
            and self.jwks is not None
            and not self.setup.is_zot
            and RegistryKind.DISTRIBUTION2 in self.kinds
        ):
            fix = f"add rootcertbundle in {place} as {self.command} prints it {RESTART}"
            yield failed(
                "rootcertbundle", f"{RegistryKind.DISTRIBUTION2} does not support jwks and needs a bundle", fix
            )
        if self.bundle is not None:
            yield from self._bundle_file(self.bundle)
        if self.jwks is not None:
            yield from self._jwks_file(self.jwks)

    def _bundle_file(self, bundle: TrustFile) -> Iterator[Finding]:
        fix = f"rewrite it with {self.command} {RESTART}"
        if bundle.problem is not None:
            problem = f"the registry's file of trusted certificates {bundle.problem}"
            message = no_path(self._key, bundle.path, is_zot=self.setup.is_zot) or problem
            source = self.command if self.setup.is_zot else self.ca_source
            yield failed(self._key, message, fix_for(self._key, bundle.path, source) or fix, theirs=bundle.path)
        elif not bundle.certificates and not (self.setup.is_zot and bundle.public_keys):
            content = f", only {', '.join(sorted(set(bundle.others)))}" if bundle.others else ""
            message = f"the registry's file of trusted certificates holds no certificate{content}"
            yield failed(self._key, message, fix, theirs=bundle.path)
        elif RegistryKind.DISTRIBUTION2 in self.kinds and any(not one.names.libtrust for one in bundle.certificates):
            message = (
                f"a certificate in the bundle has an Ed25519 key; {RegistryKind.DISTRIBUTION2} does not start with it"
            )
            yield failed("rootcertbundle", message, "remove it, and sign with ES256 for that registry")

    def _lost(self, *, is_cause: bool) -> Iterator[Finding]:
        """A bundle of which the registry reads only some: a fault if `is_cause`, since ours is not among those."""
        if self.bundle is None or self.bundle.lost is None:
            return
        message = f"the registry skips a certificate: its file {self.bundle.lost}"
        make = failed if is_cause else warning
        yield make(self._key, message, f"rewrite it with {self.command} {RESTART}", theirs=self.bundle.path)

    @property
    def _key(self) -> str:
        """The key that names the file of certificates."""
        return "cert" if self.setup.is_zot else "rootcertbundle"

    def _jwks_file(self, jwks: JwksFile) -> Iterator[Finding]:
        fix = f"download it again with {fetch_jwks(self.ours)} {RESTART}"
        if jwks.problem is not None:
            message = no_path("jwks", jwks.path, is_zot=False) or f"the registry's jwks file {jwks.problem}"
            other = fix_for("jwks", jwks.path, fetch_jwks(self.ours))
            yield failed("jwks", message, other or fix, theirs=jwks.path)
        elif not jwks.keys:
            yield failed("jwks", "the registry's jwks file holds no key", fix, theirs=jwks.path)
        elif any(key.names is None for key in jwks.keys):
            message = "the jwks file holds a key of an unsupported type, with which the registry does not start"
            yield failed("jwks", message, fix, theirs=jwks.path)

    # --- the keys --------------------------------------------------------------------------------------------------

    def our_keys(self) -> Iterator[Finding]:
        """Check that the active key is trusted, and the next ones."""
        if self.setup.is_zot:
            yield from self._zot()
        elif self.registry.compat == "universal":
            yield from self._chain()
        elif not self.ours.active.kid(self.registry.compat):
            message = f"tokens of compat: {self.registry.compat} do not work with Distribution"
            fix = f"set compat: universal for {self.registry.service} in {self.ours.config}"
            yield failed("compat", message, fix, ours=self.registry.compat, theirs="universal")
        else:
            yield from self._kid()

    def _chain(self) -> Iterator[Finding]:
        """`x5c`: the bundle holds the signing certificate, or the CA that issued it, and it is valid."""
        ours, ca = self.ours, self.ours.ca
        if self.bundle is None:
            message = (
                "tokens of compat: universal carry their certificate (x5c), which a registry with only a jwks rejects"
            )
            fix = (
                f"set compat: jwks for {self.registry.service} in {ours.config}, or add rootcertbundle in"
                f" {self.setup.place('jwks')} with {self.ca_source} {RESTART}"
            )
            yield failed("rootcertbundle", message, fix, ours="x5c", theirs="jwks")
            return
        theirs = self._listed()
        held = [one for one in self.bundle.certificates if one.names.spki == ca.names.spki]
        fix = f"save the output of {self.ca_source} as {self.bundle.path} {RESTART}"
        if held and not any(one.not_before <= self.at < one.not_after for one in held):
            message = f"the bundle's token CA is not valid now (valid until {held[0].not_after:%Y-%m-%d})"
            yield failed("rootcertbundle", message, fix, ours=_spell(ca), theirs=theirs)
        elif held:
            yield passed("rootcertbundle", "the bundle holds our token CA", ours=_spell(ca), theirs=theirs)
        elif self._holds(ours.active):
            message = "the bundle holds the signing certificate instead of the token CA: tokens fail after a rotation"
            yield warning("rootcertbundle", message, fix, ours=_spell(ca), theirs=theirs)
        else:
            message = "the bundle does not hold our token CA: the registry trusts none of our tokens"
            yield failed("rootcertbundle", message, fix, ours=_spell(ca), theirs=theirs)

    def _kid(self) -> Iterator[Finding]:
        """`kid`: the token's value is the one that the verifier computes for a key in its files."""
        for kind in self.kinds:
            yield self._kid_of(self.ours.active, kind)
        for key in self.ours.keys[1:]:
            for kind in self.kinds:
                finding = self._kid_of(key, kind)
                if finding.ok is False:
                    message = f"the key {key.id} is published, but the registry does not trust it"
                    fix = f"before it signs: {finding.fix}"
                    yield warning("next key", message, fix, ours=finding.ours, theirs=finding.theirs)

    def _kid_of(self, key: OurKey, kind: RegistryKind) -> Finding:
        kid = key.kid(self.registry.compat)
        trusted = dict(self._kids(kind))
        theirs = ", ".join(sorted(name for name in trusted if name)) or None
        if trusted.get(kid) == key.names.spki:
            return passed("kid", f"{kind} knows our key by the kid of the tokens", ours=kid, theirs=theirs)

        def wrong(message: str, fix: str) -> Finding:
            return failed("kid", message, fix, ours=kid, theirs=theirs)

        rewrite = f"rewrite its file with {self.command} {RESTART}"
        other = f"set compat: universal for {self.registry.service} in {self.ours.config}, with {self.ca_source}"
        if kid in trusted:
            return wrong("the registry has another key under the kid of our tokens", rewrite)
        if self._holds(key):
            if kind is RegistryKind.DISTRIBUTION30:
                message = f"{kind} hashes the curve's generator instead of the key, so no kid of an EC key matches"
            elif self.registry.compat == "distribution2":
                message = f"tokens name the key by its libtrust fingerprint, but {kind} by its RFC 7638 thumbprint"
            elif kind is RegistryKind.DISTRIBUTION2:
                message = f"tokens name the key by its RFC 7638 thumbprint, but {kind} by its libtrust fingerprint"
            else:
                message = f"{kind} drops leading zero bytes of the key, and therefore computes another kid"
            return wrong(message, f"{other} as its rootcertbundle {RESTART}")
        same = [entry for entry in self.jwks.keys if _has(entry.names, key)] if self.jwks is not None else []
        if same and all(entry.kid is None for entry in same):
            message = "the jwks file has our key without a kid, so no token can name it"
            return wrong(message, f"save the output of {fetch_jwks(self.ours)} as {self.setup.jwks} {RESTART}")
        if same:
            return wrong("the jwks file has our key under another kid", rewrite)
        bundle = self.bundle.certificates if self.bundle is not None else ()
        if any(one.names.spki == self.ours.ca.names.spki for one in bundle):
            message = (
                f"the bundle holds the token CA, but under compat: {self.registry.compat} it must hold the signing"
            )
            return wrong(f"{message} certificate itself", f"{rewrite}; or set compat: universal in {self.ours.config}")
        return wrong("the registry does not have the active key", rewrite)

    def _zot(self) -> Iterator[Finding]:
        """zot verifies with the first key of its `cert` and ignores `kid` and `x5c`."""
        ours = self.ours
        keys = [one.names for one in self.bundle.certificates] if self.bundle is not None else []
        keys += self.bundle.public_keys if self.bundle is not None else ()
        keys += [entry.names for entry in self.jwks.keys if entry.names is not None] if self.jwks is not None else []
        fix = f"put only the signing certificate there: {self.command} {RESTART}"
        both = {"ours": _spell(ours.active.certificate), "theirs": self._listed()}
        if self.jwks is not None and len(keys) > 1:
            yield failed("cert", "zot accepts only a JWKS with a single key", fix, **both)
        elif _has(keys[0], ours.active):
            yield passed("cert", "zot has the active key", **both)
        elif any(_has(one, ours.active) for one in keys):
            yield failed(
                "cert", "zot reads only the first certificate of its cert, and that is another one", fix, **both
            )
        elif keys[0].spki == ours.ca.names.spki:
            message = (
                "zot's cert is the token CA, but zot verifies with that key itself: it must be the signing certificate"
            )
            yield failed("cert", message, fix, **both)
        else:
            yield failed("cert", "zot's cert is not the certificate of the active key", fix, **both)
        if self.registry.compat != "zot":
            message = f"tokens of compat: {self.registry.compat} may contain actions that zot does not know, such as *"
            fix = f"set compat: zot for {self.registry.service} in {ours.config}"
            yield warning("compat", message, fix, ours=self.registry.compat, theirs="zot")

    # --- foreign certificates ----------------------------------------------------------------------------------------

    def foreign_certificates(self) -> Iterator[Finding]:
        """Certificates that are not ours: the owners of their keys can sign tokens that this registry accepts."""
        our_keys = {self.ours.ca.names.spki, *(key.names.spki for key in (*self.ours.keys, *self.ours.retired))}
        for one in self.bundle.certificates if self.bundle is not None else ():
            if one.names.spki in our_keys:
                continue
            signer = "anyone with a certificate issued by it" if one.is_ca else "the owner of its key"
            kind = "CA" if one.is_ca else "certificate"
            message = f"the bundle holds a foreign {kind}: {signer} can sign tokens that the registry accepts"
            fix = f"remove it {RESTART}, unless another token server needs it"
            yield warning("foreign certificate", message, fix, theirs=_spell(one))

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _kids(self, kind: RegistryKind) -> Iterator[tuple[str, str]]:
        """Each `kid` that the verifier knows, with its key; a later one replaces an earlier one."""
        for one in self.bundle.certificates if self.bundle is not None else ():
            yield one.names.kid(kind), one.names.spki
        for entry in self.jwks.keys if self.jwks is not None and kind is not RegistryKind.DISTRIBUTION2 else ():
            if entry.names is not None:
                yield entry.kid or "", entry.names.spki

    def _holds(self, key: OurKey) -> bool:
        certificates = self.bundle.certificates if self.bundle is not None else ()
        return any(_has(one.names, key) for one in certificates)

    def _listed(self) -> str:
        certificates = self.bundle.certificates if self.bundle is not None else ()
        return "; ".join(_spell(one) for one in certificates) or "none"


def _has(names: KeyNames | None, key: OurKey) -> bool:
    return names is not None and names.spki == key.names.spki


def _spell(certificate: Certificate) -> str:
    """A certificate in short: subject, key type, the beginning of its SHA-256."""
    return f"{certificate.subject} ({certificate.key}, sha256 {certificate.sha256[:16]})"
