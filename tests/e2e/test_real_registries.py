"""What registries make of the tokens: each way to say which key signed, the right audience, the right actions."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import web
from harness.images import Image
from harness.registries import KEEPER, Registry
from harness.scene import Scene
from harness.server import ANONYMOUS, TokenServer

RegistryOf = Callable[[str], Registry]

EVERY_SERVICE = [
    pytest.param("registry2.test", {"x5c"}, id="2.8 universal"),
    pytest.param("registry3.test", {"x5c"}, id="3.1 universal"),
    pytest.param("kid2.test", {"kid"}, id="2.8 distribution2"),
    pytest.param("kid3.test", {"kid"}, id="3.1 distribution3"),
    pytest.param("jwks3.test", {"kid"}, id="3.1 jwks"),
]


def header(token: str) -> dict[str, Any]:
    """A token's header."""
    text = token.split(".", maxsplit=1)[0]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


@pytest.mark.parametrize(("service", "names"), EVERY_SERVICE)
def test_each_compat_is_accepted_by_its_registry(
    service: str, names: set[str], registry_of: RegistryOf, image: Image, new_name: Callable[[str], str]
) -> None:
    """The token names its key in the way of the registry's `compat`, and the registry takes it for a whole push."""
    registry, repository = registry_of(service), new_name("web")
    token = registry.server.token(service, ["repository:web/x:pull"], person=KEEPER)
    assert {"x5c", "kid"} & set(header(token)) == names
    assert registry.request("GET", "/v2/", token).status == 200
    registry.put(repository, image)
    assert registry.holds(repository)


@pytest.mark.parametrize(("service", "names"), EVERY_SERVICE)
def test_a_changed_token_is_refused(service: str, names: set[str], registry_of: RegistryOf) -> None:
    """The registries do verify: with one bit of the signature flipped they take nothing."""
    registry = registry_of(service)
    token = registry.server.token(service)
    head, _, signature = token.rpartition(".")
    changed = bytearray(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
    changed[0] ^= 1
    forged = f"{head}.{base64.urlsafe_b64encode(bytes(changed)).rstrip(b'=').decode()}"
    assert [registry.request("GET", "/v2/", one).status for one in (token, forged, None)] == [200, 401, 401]


@pytest.mark.parametrize(
    ("service", "other"),
    [
        pytest.param(one, two, id=f"{one.removesuffix('.test')} at {two.removesuffix('.test')}")
        for one, two in itertools.permutations(["registry2.test", "registry3.test", "kid2.test", "kid3.test"], 2)
    ],
)
def test_a_token_for_one_service_is_refused_by_another(service: str, other: str, registry_of: RegistryOf) -> None:
    """The audience is one service: no other registry takes the token, though the same server signed it."""
    token = registry_of(service).server.token(service, ["repository:web/x:pull"], person=KEEPER)
    assert registry_of(service).request("GET", "/v2/", token).status == 200
    assert registry_of(other).request("GET", "/v2/", token).status == 401


def test_both_generations_are_configured_alike(registry_of: RegistryOf) -> None:
    """With `universal` the section for 2.8 and the one for 3.1 differ in the service alone."""
    sections = [dict(registry_of(name).auth["token"]) for name in ("registry2.test", "registry3.test")]
    assert [section.pop("service") for section in sections] == ["registry2.test", "registry3.test"]
    bundles = [Path(section.pop("rootcertbundle")).read_bytes() for section in sections]
    assert bundles[0] == bundles[1]
    assert sections[0] == sections[1]


def test_what_registries_trust_is_published(registry_of: RegistryOf) -> None:
    """`/ca.pem` and `/.well-known/jwks.json` are what `registry-config` writes for the registry."""
    universal, jwks = registry_of("registry2.test"), registry_of("jwks3.test")
    published = [universal.server.request("GET", target) for target in ("/ca.pem", "/.well-known/jwks.json")]
    assert published[0].body == Path(universal.auth["token"]["rootcertbundle"]).read_bytes()
    assert published[1].json() == json.loads(Path(jwks.auth["token"]["jwks"]).read_text())
    secret = {"d", "p", "q", "dp", "dq", "qi", "k"}
    assert not any(secret & set(key) for key in published[1].json()["keys"])


def test_the_challenge_leads_to_the_server(registry: Registry, tokenserver: TokenServer) -> None:
    """A registry announces exactly the realm and the service that the server printed for it."""
    answer = registry.request("GET", "/v2/", None)
    assert answer.status == 401
    assert answer.header("www-authenticate") == f'Bearer realm="{tokenserver.realm}",service="{registry.service}"'


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        pytest.param("pull,push", 202, id="pull and push"),
        pytest.param("push", 401, id="push alone"),
        pytest.param("pull", 401, id="pull alone"),
    ],
)
def test_an_upload_takes_pull_and_push(asked: str, status: int, scene: Scene) -> None:
    """The server grants what was asked and no more, so an upload with half of it is refused by the registry."""
    repository = scene.new_name("web")
    token = scene.server.token(scene.registry.service, [f"repository:{repository}:{asked}"], person="ann")
    assert scene.registry.request("POST", f"/v2/{repository}/blobs/uploads/", token).status == status


@pytest.mark.parametrize(
    ("namespace", "status"),
    [pytest.param("web", 201, id="readable"), pytest.param("secret", 401, id="unreadable")],
)
def test_a_mount_takes_pull_on_the_source(namespace: str, status: int, scene: Scene) -> None:
    """Both asked in one request; where the source is not granted, the registry refuses the mount."""
    source, target = scene.stored(namespace), scene.new_name("web")
    digest = next(iter(scene.image.blobs))
    asked = [f"repository:{target}:pull,push", f"repository:{source}:pull"]
    token = scene.server.token(scene.registry.service, asked, person="ann")
    place = f"/v2/{target}/blobs/uploads/?mount={digest}&from={source}"
    assert scene.registry.request("POST", place, token).status == status


@pytest.mark.parametrize(
    ("person", "asked", "status"),
    [
        pytest.param("mia", "delete", 202, id="granted"),
        pytest.param("mia", "*", 202, id="granted, asked as a star"),
        pytest.param("mia", "pull,push", 401, id="not asked"),
        pytest.param("ann", "delete", 401, id="not granted"),
        pytest.param("ann", "*", 401, id="not granted, asked as a star"),
        pytest.param(ANONYMOUS, "*", 401, id="anonymous"),
    ],
)
def test_a_delete_takes_delete(person: str, asked: str, status: int, scene: Scene) -> None:
    """Deleting needs the action of that name, asked and granted."""
    repository = scene.stored("web")
    token = scene.server.token(scene.registry.service, [f"repository:{repository}:{asked}"], person=person)
    answer = scene.registry.request("DELETE", f"/v2/{repository}/manifests/{scene.image.digest}", token)
    assert answer.status == status
    assert scene.registry.holds(repository) == (status != 202)


@pytest.mark.parametrize(
    ("person", "asked", "status"),
    [
        pytest.param("olga", "*", 200, id="granted"),
        pytest.param("olga", "pull", 401, id="another action"),
        pytest.param("ann", "*", 401, id="not granted"),
        pytest.param(KEEPER, "*", 401, id="every repository is not the catalog"),
        pytest.param(ANONYMOUS, "*", 401, id="anonymous"),
    ],
)
def test_the_catalog_takes_a_literal_star(person: str, asked: str, status: int, registry: Registry) -> None:
    """Rights on repositories never open the catalog."""
    token = registry.server.token(registry.service, [f"registry:catalog:{asked}"], person=person)
    assert registry.request("GET", "/v2/_catalog", token).status == status


def test_the_claims(registry: Registry) -> None:
    """Exactly the claims of the contract, times as integers, those for "from when" set back by ten seconds."""
    before = int(time.time())
    asked = ["repository(plugin):web/x:push,pull", "repository:secret/x:pull", "repository:web/x:pull"]
    claims = web.claims(registry.server.token(registry.service, asked, person="ann"))
    after = int(time.time())
    assert set(claims) == {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "access"}
    assert (claims["sub"], claims["aud"]) == ("ann", registry.service)
    assert claims["iss"] == registry.auth["token"]["issuer"]
    assert {type(claims[name]) for name in ("exp", "nbf", "iat")} == {int}
    assert before - 10 <= claims["nbf"] == claims["iat"] <= after - 10
    assert before + 900 <= claims["exp"] <= after + 900
    (access,) = claims["access"]
    assert (access["type"], access["name"], sorted(access["actions"])) == ("repository", "web/x", ["pull", "push"])


def test_a_token_without_access_has_an_empty_list(registry: Registry) -> None:
    """A login's token lists nothing, and never holds a null, which crashes registries."""
    claims = web.claims(registry.server.token(registry.service, person="ann"))
    assert claims["access"] == []
