"""Whether a registry's files of trusted keys let our tokens in, now and after the next rotation. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tokenserver.doctor.checks.setup import RESTART
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
from tokenserver.doctor.findings import Finding, doubtful, failed, passed
from tokenserver.printable import shell_word


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryTrust:
    """One registry and what it trusts. `bundle` and `jwks` are the files that its configuration names, or None.

    `kinds` are the verifiers that it may be, `at` is the moment at which certificates have to be valid.
    """

    setup: Setup
    ours: Ours
    registry: OurRegistry
    kinds: Sequence[RegistryKind]
    bundle: TrustFile | None
    jwks: JwksFile | None
    at: datetime

    def check(self) -> list[Finding]:
        """All about the keys that the registry trusts. Where a file itself is at fault, that is the one finding."""
        faults = list(self.files())
        return faults or [*self.our_keys(), *self.strangers()]

    @property
    def command(self) -> str:
        """What writes the registry's side anew."""
        generation = "distribution2" if tuple(self.kinds) == (RegistryKind.DISTRIBUTION2,) else "distribution3"
        generation = "zot" if self.setup.is_zot else generation
        return f"tokenserver registry-config {shell_word(self.registry.service)} --for {generation} --write DIR"

    @property
    def ca_source(self) -> str:
        """What gives the token CA."""
        return f"`curl -fsS {shell_word(self.ours.ca_url)}`"

    # --- the files -------------------------------------------------------------------------------------------------

    def files(self) -> Iterator[Finding]:
        """Faults of the files themselves; with one of these the registry does not even start."""
        place = self.setup.place("rootcertbundle")
        if self.bundle is None and self.jwks is None:
            key = "cert" if self.setup.is_zot else "rootcertbundle"
            mend = f"add {key} in {place} as `{self.command}` prints it {RESTART}"
            yield failed(key, "the registry names no file of trusted keys", mend)
        if (
            self.bundle is None
            and self.jwks is not None
            and not self.setup.is_zot
            and RegistryKind.DISTRIBUTION2 in self.kinds
        ):
            mend = f"add rootcertbundle in {place} as `{self.command}` prints it {RESTART}"
            yield failed("rootcertbundle", f"{RegistryKind.DISTRIBUTION2} knows no jwks and wants a bundle", mend)
        if self.bundle is not None:
            yield from self._bundle_file(self.bundle)
        if self.jwks is not None:
            yield from self._jwks_file(self.jwks)

    def _bundle_file(self, bundle: TrustFile) -> Iterator[Finding]:
        mend = f"write it anew with `{self.command}` {RESTART}"
        if bundle.problem is not None:
            says = f"the registry's file of trusted certificates {bundle.problem}"
            yield failed("rootcertbundle", says, mend, theirs=bundle.path)
        elif not bundle.certificates and not (self.setup.is_zot and bundle.public_keys):
            what = f"only {', '.join(sorted(set(bundle.others)))}" if bundle.others else "nothing"
            says = f"the registry's file of trusted certificates holds no certificate but {what}"
            yield failed("rootcertbundle", says, mend, theirs=bundle.path)
        elif RegistryKind.DISTRIBUTION2 in self.kinds and any(not one.names.libtrust for one in bundle.certificates):
            says = (
                f"a certificate in the bundle has an Ed25519 key; {RegistryKind.DISTRIBUTION2} refuses to start with it"
            )
            yield failed("rootcertbundle", says, "take it out, and sign with ES256 for that registry")

    def _jwks_file(self, jwks: JwksFile) -> Iterator[Finding]:
        mend = f"fetch it anew with `curl -fsS {shell_word(self.ours.jwks_url)}` {RESTART}"
        if jwks.problem is not None:
            says = f"the registry's jwks file {jwks.problem}"
            yield failed("jwks", says, mend, theirs=jwks.path)
        elif not jwks.keys:
            yield failed("jwks", "the registry's jwks file holds no key", mend, theirs=jwks.path)
        elif any(key.names is None for key in jwks.keys):
            says = "a key in the jwks file is of a kind at which the registry stops at its start"
            yield failed("jwks", says, mend, theirs=jwks.path)

    # --- the keys --------------------------------------------------------------------------------------------------

    def our_keys(self) -> Iterator[Finding]:
        """Whether the key that signs now is trusted, and those that will sign next."""
        if self.setup.is_zot:
            yield from self._zot()
        elif self.registry.compat == "universal":
            yield from self._chain()
        elif not self.ours.active.kid(self.registry.compat):
            says = f"tokens of compat: {self.registry.compat} are not made for Distribution"
            mend = f"set compat: universal for {self.registry.service} in {self.ours.config}"
            yield failed("compat", says, mend, ours=self.registry.compat, theirs="universal")
        else:
            yield from self._kid()

    def _chain(self) -> Iterator[Finding]:
        """`x5c`: the signing certificate, or the CA that issued it, stands in the bundle, and is valid."""
        ours, ca = self.ours, self.ours.ca
        if self.bundle is None:
            says = (
                "tokens of compat: universal carry their certificate (x5c), which a registry with only a jwks refuses"
            )
            mend = (
                f"set compat: jwks for {self.registry.service} in {ours.config}, or add rootcertbundle in"
                f" {self.setup.place('jwks')} with {self.ca_source} {RESTART}"
            )
            yield failed("rootcertbundle", says, mend, ours="x5c", theirs="jwks")
            return
        theirs = self._listed()
        held = [one for one in self.bundle.certificates if one.names.spki == ca.names.spki]
        mend = f"put {self.ca_source} into {self.bundle.path} {RESTART}"
        if held and not any(one.not_before <= self.at < one.not_after for one in held):
            says = f"the bundle's token CA is not valid now (until {held[0].not_after:%Y-%m-%d})"
            yield failed("rootcertbundle", says, mend, ours=_spell(ca), theirs=theirs)
        elif held:
            yield passed("rootcertbundle", "the bundle holds our token CA", ours=_spell(ca), theirs=theirs)
        elif self._holds(ours.active):
            says = "the bundle holds the signing certificate instead of the token CA: it ends at the next rotation"
            yield doubtful("rootcertbundle", says, mend, ours=_spell(ca), theirs=theirs)
        else:
            says = "the bundle does not hold our token CA: the registry trusts none of our tokens"
            yield failed("rootcertbundle", says, mend, ours=_spell(ca), theirs=theirs)

    def _kid(self) -> Iterator[Finding]:
        """`kid`: what the token says is what this generation computes for a key that it was given."""
        for kind in self.kinds:
            yield self._kid_of(self.ours.active, kind)
        for key in self.ours.keys[1:]:
            for kind in self.kinds:
                finding = self._kid_of(key, kind)
                if finding.ok is False:
                    says = f"the key {key.id} is published but not trusted by the registry"
                    mend = f"before it signs: {finding.mend}"
                    yield doubtful("next key", says, mend, ours=finding.ours, theirs=finding.theirs)

    def _kid_of(self, key: OurKey, kind: RegistryKind) -> Finding:
        kid = key.kid(self.registry.compat)
        trusted = dict(self._kids(kind))
        theirs = ", ".join(sorted(name for name in trusted if name)) or None
        if trusted.get(kid) == key.names.spki:
            return passed("kid", f"{kind} knows our key by the kid of its tokens", ours=kid, theirs=theirs)

        def wrong(says: str, mend: str) -> Finding:
            return failed("kid", says, mend, ours=kid, theirs=theirs)

        again = f"write its file anew with `{self.command}` {RESTART}"
        other = f"set compat: universal for {self.registry.service} in {self.ours.config}, with {self.ca_source}"
        if kid in trusted:
            return wrong("the registry has another key under the kid of our tokens", again)
        if self._holds(key):
            if kind is RegistryKind.DISTRIBUTION30:
                says = f"{kind} hashes the curve's generator and not the key, so that no kid of an EC key fits"
            elif self.registry.compat == "distribution2":
                says = f"tokens name the key by libtrust's fingerprint, and {kind} by the thumbprint of RFC 7638"
            elif kind is RegistryKind.DISTRIBUTION2:
                says = f"tokens name the key by the thumbprint of RFC 7638, and {kind} by libtrust's fingerprint"
            else:
                says = f"{kind} drops leading zero bytes of the key, and so computes another kid for it"
            return wrong(says, f"{other} as its rootcertbundle {RESTART}")
        if self.jwks is not None and any(_has(entry.names, key) for entry in self.jwks.keys):
            return wrong("the jwks file has our key under another kid", again)
        bundle = self.bundle.certificates if self.bundle is not None else ()
        if any(one.names.spki == self.ours.ca.names.spki for one in bundle):
            says = f"the bundle holds the token CA, but under compat: {self.registry.compat} it must hold the signing"
            return wrong(f"{says} certificate itself", f"{again}; or set compat: universal in {self.ours.config}")
        return wrong("the registry does not have the key that signs", again)

    def _zot(self) -> Iterator[Finding]:
        """zot verifies with the first key of its `cert`, and looks at no `kid` and no chain."""
        ours = self.ours
        keys = [one.names for one in self.bundle.certificates] if self.bundle is not None else []
        keys += self.bundle.public_keys if self.bundle is not None else ()
        keys += [entry.names for entry in self.jwks.keys if entry.names is not None] if self.jwks is not None else []
        mend = f"put the signing certificate there, alone: `{self.command}` {RESTART}"
        both = {"ours": _spell(ours.active.certificate), "theirs": self._listed()}
        if self.jwks is not None and len(keys) > 1:
            yield failed("cert", "zot takes a JWKS with one key only", mend, **both)
        elif _has(keys[0], ours.active):
            yield passed("cert", "zot has the key that signs", **both)
        elif any(_has(one, ours.active) for one in keys):
            yield failed("cert", "zot reads the first certificate of its cert alone, and that is another", mend, **both)
        elif keys[0].spki == ours.ca.names.spki:
            says = "zot's cert is the token CA, but zot verifies with that very key: it must be the signing certificate"
            yield failed("cert", says, mend, **both)
        else:
            yield failed("cert", "zot's cert is not the certificate of the key that signs", mend, **both)
        if self.registry.compat != "zot":
            says = f"tokens of compat: {self.registry.compat} may hold actions that zot does not know, such as *"
            mend = f"set compat: zot for {self.registry.service} in {ours.config}"
            yield doubtful("compat", says, mend, ours=self.registry.compat, theirs="zot")

    # --- strangers -------------------------------------------------------------------------------------------------

    def strangers(self) -> Iterator[Finding]:
        """Certificates of somebody else: whoever has their keys can write tokens that this registry takes."""
        mine = {self.ours.ca.names.spki, *(key.names.spki for key in (*self.ours.keys, *self.ours.retired))}
        for one in self.bundle.certificates if self.bundle is not None else ():
            if one.names.spki in mine:
                continue
            who = "everybody with a certificate of it" if one.is_ca else "whoever has its key"
            kind = "CA" if one.is_ca else "certificate"
            says = f"the bundle holds a foreign {kind}: {who} can write tokens that the registry takes"
            mend = f"take it out {RESTART}, unless another token server needs it"
            yield doubtful("foreign certificate", says, mend, theirs=_spell(one))

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _kids(self, kind: RegistryKind) -> Iterator[tuple[str, str]]:
        """Each `kid` that a verifier of this kind knows, with the key under it; of two the last one counts."""
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
    """A certificate as people recognise it: name, key, the begin of its SHA-256."""
    return f"{certificate.subject} ({certificate.key}, sha256 {certificate.sha256[:16]})"
