"""Checks of issuers: each obstacle has the fix that removes it, and keys are compared with the accepted algorithms."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tokenserver.authn.workload.key_obstacles import Obstacle
from tokenserver.doctor.checks.vouching.issuers import FoundKeys, OurIssuer, check_issuer
from tokenserver.doctor.findings import exit_code
from tokenserver.runtime.http.response import FailureReason

ISSUER = "https://ci.example.com"
URL = f"{ISSUER}/keys"
OURS = OurIssuer("ci", "t.yaml", ISSUER, ("https://auth.example.com",), True, ("RS256",), ("RS256", "ES256"), True)
KUBERNETES = replace(OURS, is_kubernetes=True)
AT_URL = replace(OURS, key_url=URL)
RSA, EC = frozenset({"RS256", "PS256"}), frozenset({"ES256"})
LEADS = "correct issuer of ci in t.yaml: it has to lead to a JWKS with public keys"
COPY = "or keep a copy of its keys and set keys: {file: FILE}"


@pytest.mark.parametrize(
    ("ours", "obstacle", "fix"),
    [
        pytest.param(OURS, Obstacle(file="/t"), "make /t a file with a bearer token", id="token file"),
        pytest.param(
            OURS,
            Obstacle(issuer="https://x"),
            "set issuer of ci in t.yaml to https://x, if that is the iss of its JWTs; otherwise name the keys by",
            id="another issuer",
        ),
        pytest.param(OURS, Obstacle(issuer=""), "name the keys by keys: {url: URL} for ci in t.yaml", id="no issuer"),
        pytest.param(OURS, Obstacle(URL), f"{LEADS}; {COPY}", id="no keys"),
        pytest.param(AT_URL, Obstacle(URL), "correct keys.url of ci in t.yaml", id="no keys at a url"),
        pytest.param(
            KUBERNETES,
            Obstacle(URL, status=403),
            "set keys: {url: https://ci.example.com/openid/v1/jwks, token_file: FILE} for ci in t.yaml; or keep a copy"
            " of its keys (from kubectl get --raw /openid/v1/jwks) and set keys: {file: FILE}",
            id="Kubernetes",
        ),
        pytest.param(OURS, Obstacle(URL, status=401), "set keys: {url: URL, token_file: FILE} for ci", id="401"),
        pytest.param(
            AT_URL, Obstacle(URL, status=403), f"set keys: {{url: {URL}, token_file: FILE}}", id="403 at a url"
        ),
        pytest.param(
            replace(AT_URL, token_file="/t"),
            Obstacle(URL, status=401),
            f"put a bearer token into /t that may read {URL}",
            id="a token that is not accepted",
        ),
        pytest.param(
            OURS,
            Obstacle(URL, status=302, location="https://x"),
            f"set keys: {{url: URL}} for ci in t.yaml to the place of its keys: redirects such as that of {URL}",
            id="a redirect",
        ),
        pytest.param(OURS, Obstacle(URL, status=404), f"correct issuer of ci in t.yaml: nothing is at {URL}", id="404"),
        pytest.param(OURS, Obstacle(URL, status=500), "see the log of the issuer", id="500"),
        pytest.param(OURS, Obstacle(URL, FailureReason.NAME), "correct issuer of ci in t.yaml, or the DNS", id="name"),
        pytest.param(
            OURS, Obstacle(URL, FailureReason.REFUSED), "start the issuer at ci.example.com, or", id="refused"
        ),
        pytest.param(
            OURS, Obstacle(URL, FailureReason.CERTIFICATE), "set ca_file: FILE for ci in t.yaml to the CA of", id="CA"
        ),
        pytest.param(
            replace(OURS, ca_file="/ca.pem"),
            Obstacle(URL, FailureReason.CERTIFICATE),
            "put the CA that issued the certificate of ci.example.com into /ca.pem",
            id="another CA",
        ),
        pytest.param(OURS, Obstacle(URL, FailureReason.PLAIN), "configure TLS at ci.example.com", id="no TLS"),
        pytest.param(OURS, Obstacle(URL, FailureReason.TLS), "configure TLS at ci.example.com", id="bad TLS"),
        pytest.param(
            OURS, Obstacle(URL, FailureReason.TIMEOUT), "let this machine reach ci.example.com directly", id="timeout"
        ),
    ],
)
def test_obstacles(ours: OurIssuer, obstacle: Obstacle, fix: str) -> None:
    """One fault, with the reason and what to do."""
    (found,) = check_issuer(ours, obstacle, "because")
    assert (found.check, found.ok, found.ours) == ("workload issuer", False, ISSUER)
    assert found.message == "ci: the keys of its issuer cannot be fetched: because"
    assert found.theirs == (obstacle.issuer or obstacle.location)
    assert found.fix is not None
    assert found.fix.startswith(fix)


def test_good_keys() -> None:
    """The audience is named, and whether it is the default."""
    (found,) = check_issuer(OURS, FoundKeys((RSA, RSA)))
    audience = "for the audience https://auth.example.com"
    assert found.ok is True
    assert found.message == f"ci: 2 keys of {ISSUER}, {audience} (the default, server.url)"
    (found,) = check_issuer(replace(OURS, has_default_audience=False), FoundKeys((RSA,)))
    assert found.message == f"ci: 1 key of {ISSUER}, {audience}"


@pytest.mark.parametrize(
    ("keys", "fix"),
    [
        pytest.param((EC,), "set algorithms: [ES256] for ci in t.yaml, if its JWTs have such an alg", id="preset"),
        pytest.param((frozenset({"ES512", "ES384"}),), "set algorithms: [ES384, ES512] for ci in t.yaml", id="others"),
    ],
)
def test_no_key_for_the_algorithms(keys: tuple[frozenset[str], ...], fix: str) -> None:
    """Every JWT is refused; the fix prefers the algorithms of the preset."""
    _, found = check_issuer(OURS, FoundKeys(keys))
    assert (found.check, found.ok, found.ours) == ("workload keys", False, "RS256")
    assert found.fix is not None
    assert found.fix.startswith(fix)


def test_notes() -> None:
    """Other keys, skipped ones, and a source that no policy uses need no fix."""
    found = check_issuer(replace(OURS, is_declared=False), FoundKeys((RSA, EC), ("key 3 is malformed",)))
    assert exit_code(found) == 0
    assert [one.message for one in found[1:]] == [
        "ci: 1 key of its issuer for algorithms that are not accepted",
        "ci: not used: key 3 is malformed",
        "ci: no policy file declares a workload of it, so all of its logins are refused",
    ]
