"""Whether a mirror sends its credentials to our realm, as Distribution 3.1.1 decides it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from doctor_worlds import ours_of
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.checks.mirror import check_mirror, sends_credentials
from tokenserver.doctor.facts import Mirror, OurRegistry, Ours, RegistryKind, Setup

V2, V30, V31 = RegistryKind.DISTRIBUTION2, RegistryKind.DISTRIBUTION30, RegistryKind.DISTRIBUTION3


@pytest.mark.parametrize(
    ("remote", "realm", "expected"),
    [
        # the very same host and port
        pytest.param("http://localhost:5000", "http://localhost:5000/token", True, id="localhost, one port"),
        pytest.param("http://10.0.0.5:5000", "http://10.0.0.5:5000/token", True, id="an address, one port"),
        pytest.param("https://[fd00::5]", "https://[FD00::5]/token", True, id="IPv6, without a port"),
        pytest.param("https://R.example.com", "https://r.EXAMPLE.com/token", True, id="capitals"),
        pytest.param("https://ann@localhost:5000", "http://localhost:5000/token", True, id="a user in remoteurl"),
        # localhost and addresses
        pytest.param("http://localhost:5000", "http://localhost:5001/token", False, id="localhost, two ports"),
        pytest.param("http://localhost", "http://localhost:80/token", False, id="compared as text"),
        pytest.param("http://10.0.0.5:5000", "http://10.0.0.5:5001/token", False, id="an address, two ports"),
        pytest.param("http://[::1]:5000", "http://[::1]:5001/token", False, id="IPv6, two ports"),
        pytest.param("https://r.example.com", "https://10.0.0.5/token", False, id="a name and an address"),
        pytest.param("http://localhost:5000", "https://auth.example.com/token", False, id="localhost and a name"),
        # registrable domains
        pytest.param("https://registry.example.com", "https://auth.example.com/token", True, id="one domain"),
        pytest.param("https://r.example.com:5000", "http://r.example.com/token", True, id="one name, two ports"),
        pytest.param("https://example.com", "https://auth.example.com/token", True, id="the domain itself"),
        pytest.param("https://a.b.example.com", "https://c.d.example.com/token", True, id="deeper"),
        pytest.param("https://r.corp.internal", "https://a.corp.internal/token", True, id="a private top level"),
        pytest.param("https://registry.example.com", "https://auth.example.org/token", False, id="two domains"),
        pytest.param("https://registry.example.com", "https://auth.other.com/token", False, id="one top level"),
        pytest.param("https://r.example.com", "https://auth.notexample.com/token", False, id="a longer label"),
        pytest.param("http://registry.localhost", "http://auth.localhost/token", False, id="below localhost"),
        pytest.param("https://r.corp", "https://a.corp/token", False, id="a top level of one's own"),
        # names for which the list derives no domain
        pytest.param("http://registry:5000", "http://auth:5001/token", True, id="names of containers"),
        pytest.param("http://registry:5000", "https://auth.example.com/token", False, id="a container and a name"),
        pytest.param("https://r.example.com.", "https://auth.example.com/token", False, id="one dot of the root"),
        pytest.param("https://r.example.com.", "https://a.other.org./token", True, id="two dots of the root"),
        # what only the list can tell
        pytest.param("https://registry.co.uk", "https://auth.co.uk/token", None, id="co.uk"),
        pytest.param("https://r.example.co.uk", "https://a.example.co.uk/token", True, id="below co.uk"),
        pytest.param("https://r.bp.de", "https://a.bp.de/token", None, id="two letters of a country"),
        pytest.param("https://r.azurewebsites.net", "https://a.azurewebsites.net/token", None, id="a host of sites"),
        pytest.param("https://r.eu.amazonaws.com", "https://a.eu.amazonaws.com/token", None, id="a region of a cloud"),
        # no URLs
        pytest.param("localhost:5000", "http://localhost:5000/token", False, id="no scheme"),
        pytest.param("http://localhost:5000", "/token", False, id="a path alone"),
        pytest.param("http://[broken", "http://localhost/token", False, id="broken"),
        pytest.param("http://localhost", "http://[broken", False, id="a broken realm"),
        pytest.param("http://:5000", "http://:5001/token", False, id="no host"),
    ],
)
def test_sends_credentials(remote: str, realm: str, expected: bool | None) -> None:
    """As `realmAllowed` of Distribution 3.1.1; None where it takes the Public Suffix List to know."""
    assert sends_credentials(remote, realm) is expected


@given(st.from_regex(r"https?://[a-z0-9.\[\]:@-]{0,20}", fullmatch=True), st.text(max_size=20))
def test_any_url_is_judged(remote: str, realm: str) -> None:
    """No text breaks the check, and what is sent is never in doubt for the very same authority."""
    assert sends_credentials(remote, realm) in (True, False, None)
    assert sends_credentials(realm, remote) in (True, False, None)


def mirror_of(remote: str, *, has_login: bool = True) -> Setup:
    """A mirror without an `auth` section."""
    mirror = Mirror(remote, has_login)
    return Setup(is_zot=False, auth="none", mirror=mirror, places={"": "mirror.yml", "remoteurl": "mirror.yml:4"})


def ours_at(url: str, *registries: OurRegistry) -> Ours:
    """Our side, with this `server.url` and these registries."""
    return replace(ours_of(), url=url, realm=f"{url}/token", registries=registries)


def registry(service: str, url: str | None = None) -> OurRegistry:
    return OurRegistry(service, "auth.example.com", "universal", 900, url)


LOCAL = ours_at("http://localhost:5001", registry("localhost:5000"))


@pytest.mark.parametrize(
    ("setup", "ours", "kinds", "ok", "says"),
    [
        pytest.param(mirror_of("http://localhost:5000"), LOCAL, (V31,), False, "no credentials", id="3.1"),
        pytest.param(mirror_of("http://localhost:5000"), LOCAL, (), None, "Distribution 3.1", id="not known"),
        pytest.param(mirror_of("http://localhost:5000"), LOCAL, (V2,), True, "sends its", id="2.8"),
        pytest.param(mirror_of("http://localhost:5000"), LOCAL, (V30,), True, "sends its", id="3.0"),
        pytest.param(mirror_of("http://localhost:5000"), LOCAL, (V2, V31), False, "no credentials", id="2.8 or 3.1"),
        pytest.param(
            mirror_of("http://localhost:5000"),
            ours_at("http://localhost:5000", registry("localhost:5000")),
            (V31,),
            True,
            "sends its",
            id="one host and port",
        ),
        pytest.param(
            mirror_of("https://r.example.com"),
            ours_at("https://a.example.com", registry("r", "https://r.example.com")),
            (),
            True,
            "sends its",
            id="one domain",
        ),
        pytest.param(
            mirror_of("https://r.co.uk"),
            ours_at("https://a.co.uk", registry("r", "https://r.co.uk")),
            (V31,),
            None,
            "may not reach our realm",
            id="co.uk",
        ),
        pytest.param(
            mirror_of("http://10.0.0.5:5000"),
            ours_at("http://10.0.0.5:5001", registry("r")),
            (V31,),
            None,
            "(if that is one of our registries)",
            id="of a registry whose address is not known",
        ),
    ],
)
def test_mirrors(setup: Setup, ours: Ours, kinds: tuple[RegistryKind, ...], ok: bool | None, says: str) -> None:
    """A fault if the software is known, else a warning; both with what to change on both sides."""
    (finding,) = check_mirror(setup, ours, kinds)
    assert (finding.check, finding.ok, finding.is_actionable) == ("mirror", ok, ok is not True)
    assert says in finding.message
    assert (finding.ours, finding.theirs) == (ours.realm, setup.mirror.remote if setup.mirror else None)
    if finding.fix is not None:
        assert "forward /token to us" in finding.fix
        assert "mirror.yml:4" in finding.fix


@pytest.mark.parametrize(
    ("setup", "ours", "says"),
    [
        pytest.param(mirror_of("http://localhost:5000", has_login=False), LOCAL, "no username", id="anonymous"),
        pytest.param(mirror_of("https://registry-1.docker.io"), LOCAL, "none of our registries", id="Docker Hub"),
        pytest.param(
            mirror_of("https://quay.io"),
            ours_at("https://a.example.com", registry("r", "https://r.example.com")),
            "none of our registries",
            id="somebody else's",
        ),
    ],
)
def test_mirrors_that_do_not_concern_us(setup: Setup, ours: Ours, says: str) -> None:
    """A note, which is nothing to fix."""
    (finding,) = check_mirror(setup, ours, (V31,))
    assert (finding.ok, finding.is_actionable) == (None, False)
    assert says in finding.message


def test_a_registry_that_is_no_mirror() -> None:
    """Nothing to say."""
    assert check_mirror(replace(mirror_of("x"), mirror=None), LOCAL, ()) == []
