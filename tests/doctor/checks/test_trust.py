"""The keys that a registry trusts: what lets our tokens in, what does not, and what lets others in."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from doctor_worlds import NOW, bundle_of, jwks_of, ours_of, ring_of, stranger, trust_of

from tokenserver.doctor.checks.trust import RegistryTrust
from tokenserver.doctor.facts import JwksFile, OurKey, Ours, RegistryKind, TrustFile
from tokenserver.keys.ring import Algorithm

TWO, THREE, THREE_ZERO = (RegistryKind.DISTRIBUTION2,), (RegistryKind.DISTRIBUTION3,), (RegistryKind.DISTRIBUTION30,)


def wrong(trust: RegistryTrust) -> dict[str, bool | None]:
    return {finding.check: finding.ok for finding in trust.check() if finding.is_actionable}


def message(trust: RegistryTrust) -> str:
    (finding,) = [finding for finding in trust.check() if finding.is_actionable]
    return finding.message


def all_signing(ours: Ours) -> TrustFile:
    return bundle_of(*(key.certificate for key in (*ours.keys, *ours.retired)))


# --- x5c -------------------------------------------------------------------------------------------------------------


def test_the_token_ca_is_all_that_universal_needs() -> None:
    """One certificate, both generations."""
    ours = ours_of()
    assert [(one.check, one.ok) for one in trust_of(ours, bundle_of(ours.ca)).check()] == [("rootcertbundle", True)]


def test_our_ca_is_missing() -> None:
    """A bundle with only foreign certificates is a fault, and a warning about the foreign one."""
    assert wrong(trust_of(ours_of(), bundle_of(stranger()))) == {"rootcertbundle": False, "foreign certificate": None}


@pytest.mark.parametrize("is_ca", [True, False])
def test_a_stranger_beside_our_ca_is_a_warning(is_ca: bool) -> None:
    """Our tokens work, and so do those of the foreign key's owner."""
    ours = ours_of()
    trust = trust_of(ours, bundle_of(ours.ca, stranger(is_ca=is_ca)))
    assert wrong(trust) == {"foreign certificate": None}
    assert message(trust).startswith(f"the bundle holds a foreign {'CA' if is_ca else 'certificate'}")


def test_the_leaf_instead_of_the_ca_is_a_warning() -> None:
    """It works until the key is replaced."""
    ours = ours_of()
    trust = trust_of(ours, all_signing(ours))
    assert wrong(trust) == {"rootcertbundle": None}
    assert "instead of the token CA" in message(trust)


@pytest.mark.parametrize("at", [NOW - timedelta(days=1), NOW + timedelta(days=4000)])
def test_a_ca_that_is_not_valid_now(at: datetime) -> None:
    """Registries check the dates of a chain."""
    ours = ours_of()
    trust = replace(trust_of(ours, bundle_of(ours.ca)), at=at)
    assert wrong(trust) == {"rootcertbundle": False}
    assert "is not valid now" in message(trust)


def test_universal_with_only_a_jwks() -> None:
    """Such a registry rejects every token that carries a certificate."""
    ours = ours_of()
    trust = trust_of(ours, None, jwks_of(("k", ours.active.names)), kinds=THREE)
    assert wrong(trust) == {"rootcertbundle": False}
    assert "only a jwks" in message(trust)


# --- the files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bundle", "jwks", "kinds", "check"),
    [
        pytest.param(None, None, THREE, "rootcertbundle", id="neither"),
        pytest.param(bundle_of(problem="is not there"), None, THREE, "rootcertbundle", id="missing"),
        pytest.param(bundle_of(), None, TWO, "rootcertbundle", id="empty"),
        pytest.param(bundle_of(others=("PUBLIC KEY",)), None, TWO, "rootcertbundle", id="a bare key"),
        pytest.param(None, jwks_of(("a", ours_of().active.names)), TWO, "rootcertbundle", id="jwks at 2.8"),
        pytest.param(
            bundle_of(ours_of(ring_of(Algorithm.EdDSA)).active.certificate), None, TWO, "rootcertbundle", id="Ed25519"
        ),
        pytest.param(None, JwksFile("/j", "is not JSON"), THREE, "jwks", id="no JSON"),
        pytest.param(None, jwks_of(), THREE, "jwks", id="empty jwks"),
        pytest.param(None, jwks_of(("a", None)), THREE, "jwks", id="unusable key"),
    ],
)
def test_faults_of_the_files(
    bundle: TrustFile | None, jwks: JwksFile | None, kinds: tuple[RegistryKind, ...], check: str
) -> None:
    """With one of these the registry does not start; nothing else is said."""
    assert wrong(trust_of(ours_of(), bundle, jwks, kinds)) == {check: False}


# --- kid -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [Algorithm.ES256, Algorithm.RS256])
@pytest.mark.parametrize(
    ("compat", "kinds"),
    [pytest.param("distribution2", TWO, id="2.8"), pytest.param("distribution3", THREE, id="3.1")],
)
def test_signing_certificates_for_kid(algorithm: Algorithm, compat: str, kinds: tuple[RegistryKind, ...]) -> None:
    """Each generation knows our keys by the name that it computes; retired keys are not reported."""
    ours = ours_of(ring_of(algorithm), compat=compat)
    assert wrong(trust_of(ours, all_signing(ours), kinds=kinds)) == {}


@pytest.mark.parametrize(
    ("compat", "kinds", "reason"),
    [
        pytest.param("distribution2", THREE, "libtrust fingerprint, but Distribution 3.1", id="2.8's at 3.1"),
        pytest.param("distribution3", TWO, "RFC 7638 thumbprint, but Distribution 2.8", id="3.1's at 2.8"),
        pytest.param("distribution3", THREE_ZERO, "hashes the curve's generator", id="3.0"),
    ],
)
def test_another_generation_computes_another_kid(compat: str, kinds: tuple[RegistryKind, ...], reason: str) -> None:
    """The key is there, and the name is not."""
    ours = ours_of(compat=compat)
    found = [one for one in trust_of(ours, all_signing(ours), kinds=kinds).check() if one.ok is False]
    assert [one.check for one in found] == ["kid"]
    assert reason in found[0].message
    assert "compat: universal" in str(found[0].fix)


def test_rsa_is_right_in_3_0() -> None:
    """Only curves are hashed wrongly there."""
    ours = ours_of(ring_of(Algorithm.RS256), compat="distribution3")
    assert wrong(trust_of(ours, all_signing(ours), kinds=THREE_ZERO)) == {}


def test_a_short_coordinate_is_another_kid_in_3_1() -> None:
    """3.1 drops leading zero bytes, which imported keys may have."""
    ours = ours_of(compat="distribution3")
    names = replace(ours.active.names, distribution31="short")
    key = OurKey("short", "ES256", replace(ours.active.certificate, names=names))
    trust = trust_of(replace(ours, keys=(key,)), bundle_of(key.certificate), kinds=THREE)
    assert "drops leading zero bytes" in message(trust)


def test_the_ca_where_kid_needs_the_leaf() -> None:
    """No token names the CA by its kid."""
    ours = ours_of(compat="distribution2")
    found = [one for one in trust_of(ours, bundle_of(ours.ca), kinds=TWO).check() if one.ok is False]
    assert "holds the token CA" in found[0].message


def test_a_key_that_will_sign_must_be_known_before() -> None:
    """A warning: today's tokens work."""
    ours = ours_of(compat="distribution2")
    assert wrong(trust_of(ours, bundle_of(ours.active.certificate), kinds=TWO)) == {"next key": None}


def test_a_jwks_as_we_publish_it() -> None:
    """Every key under the kid of its tokens."""
    ours = ours_of(compat="jwks")
    right = jwks_of(*((key.names.rfc7638, key.names) for key in ours.keys))
    assert wrong(trust_of(ours, None, right, kinds=THREE)) == {}


@pytest.mark.parametrize("case", ["another kid", "no kid", "another key", "none of ours", "a stranger's bundle"])
def test_a_jwks_that_does_not_fit(case: str) -> None:
    """Each says what is wrong with it."""
    ours = replace(ours_of(compat="jwks"), keys=ours_of().keys[:1])
    names, other = ours.active.names, stranger().names
    jwks, reason = {
        "another kid": (jwks_of(("x", names)), "our key under another kid"),
        "no kid": (jwks_of((None, names)), "our key without a kid"),
        "another key": (jwks_of((names.rfc7638, other)), "another key under the kid"),
        "none of ours": (jwks_of(("x", other)), "does not have the active key"),
        "a stranger's bundle": (None, "does not have the active key"),
    }[case]
    bundle = bundle_of(stranger()) if jwks is None else None
    (finding,) = [one for one in trust_of(ours, bundle, jwks, kinds=THREE).check() if one.ok is False]
    assert (finding.check, reason in finding.message) == ("kid", True)


def test_a_key_that_cannot_be_used_is_no_key() -> None:
    """It has no names, so no kid of ours is ever found under it."""
    ours = replace(ours_of(compat="jwks"), keys=ours_of().keys[:1])
    trust = trust_of(ours, None, jwks_of((ours.active.names.rfc7638, None)), kinds=THREE)
    assert [one.ok for one in trust.our_keys()] == [False]


def test_a_compat_that_names_no_key() -> None:
    """What zot is given has no kid that Distribution could look for."""
    ours = ours_of(compat="zot")
    assert wrong(trust_of(ours, bundle_of(ours.ca))) == {"compat": False}


# --- zot -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param("leaf", {}, id="signing certificate"),
        pytest.param("bare", {}, id="public key"),
        pytest.param("jwks", {}, id="jwks"),
        pytest.param("ca", {"cert": False}, id="the CA"),
        pytest.param("first", {}, id="several, ours first"),
        pytest.param("second", {"cert": False}, id="several, another first"),
        pytest.param("two", {"cert": False}, id="a jwks of two"),
        pytest.param("next", {"cert": False}, id="another key of ours"),
    ],
)
def test_zot_has_one_key(case: str, expected: dict[str, bool]) -> None:
    """The one that signs, and no other."""
    ours = ours_of(compat="zot")
    files: dict[str, tuple[TrustFile | None, JwksFile | None]] = {
        "leaf": (bundle_of(ours.active.certificate), None),
        "bare": (bundle_of(public_keys=(ours.active.names,), others=("PUBLIC KEY",)), None),
        "jwks": (None, jwks_of(("x", ours.active.names))),
        "ca": (bundle_of(ours.ca), None),
        "first": (bundle_of(ours.active.certificate, ours.ca), None),
        "second": (bundle_of(ours.ca, ours.active.certificate), None),
        "two": (None, jwks_of(("x", ours.active.names), ("y", ours.keys[1].names))),
        "next": (bundle_of(ours.keys[1].certificate), None),
    }
    bundle, jwks = files[case]
    assert wrong(trust_of(ours, bundle, jwks, kinds=(RegistryKind.ZOT,), is_zot=True)) == expected


def test_zot_wants_tokens_that_are_made_for_it() -> None:
    """zot accepts others, as long as no star is granted."""
    ours = ours_of(compat="universal")
    trust = trust_of(ours, bundle_of(ours.active.certificate), kinds=(RegistryKind.ZOT,), is_zot=True)
    assert wrong(trust) == {"compat": None}


def test_keys_of_a_registrys_own_are_fetched_by_its_name() -> None:
    """The fix has the URL of the keys."""
    ours = replace(ours_of(), query="?service=a")
    (finding,) = [one for one in trust_of(ours, bundle_of(stranger())).check() if one.ok is False]
    assert "https://auth.example.com/ca.pem?service=a" in str(finding.fix)
    assert ours.jwks_url == "https://auth.example.com/.well-known/jwks.json?service=a"


# --- files that registries read only in part, or not at all -----------------------------------------------------------


@pytest.mark.parametrize(("has_ours", "ok"), [(True, None), (False, False)])
def test_a_certificate_that_is_skipped(has_ours: bool, ok: bool | None) -> None:
    """A fault if ours is not among those that are read, else a warning."""
    ours = ours_of()
    bundle = bundle_of(ours.ca if has_ours else stranger(), lost="is indented")
    first = trust_of(ours, bundle).check()[0]
    assert (first.check, first.ok) == ("rootcertbundle", ok)
    assert first.message == "the registry skips a certificate: its file is indented"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("https://auth.example.com/ca.pem", "save the output of `curl -fsS https://auth.example.com/ca.pem` in a file"),
        ("-----BEGIN CERTIFICATE----- MII", "write the content into a file"),
        ("/etc/ca.pem", "rewrite it with"),
    ],
)
def test_a_value_that_is_no_path(path: str, words: str) -> None:
    """The fix is about the value, not about a file that is missing."""
    bundle = TrustFile(path, "cannot be read: no such file")
    (finding,) = trust_of(ours_of(), bundle).check()
    assert words in str(finding.fix)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "https://auth.example.com/.well-known/jwks.json",
            "save the output of `curl -fsS https://auth.example.com/.well-known/jwks.json` in a file",
        ),
        ('{"keys": []}', "write the content into a file"),
        ("/etc/jwks.json", "download it again"),
    ],
)
def test_a_jwks_that_is_no_path(path: str, words: str) -> None:
    """Its fix names the URL that is to be saved."""
    jwks = JwksFile(path, "cannot be read: no such file")
    (finding,) = trust_of(ours_of(compat="jwks"), None, jwks, kinds=THREE).check()
    assert words in str(finding.fix)
