"""cosign signs, verifies, attests, attaches, copies and cleans, offline, at each registry, within what policies grant.

A signature is another manifest in the image's repository. So whoever signs must be able to push there, which is also
what could replace the image; `COSIGN_REPOSITORY` separates the two.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness.clients import Client
from harness.compatibility import page
from harness.cosign import OPERATIONS, VERSION, Cosign
from harness.programs import ROOT
from harness.registries import Registry
from harness.scene import Scene

real = [pytest.mark.nightly, pytest.mark.real("cosign")]
REGISTRIES = ["distribution2.8", "distribution3.1", "zot1.4"]


@pytest.fixture(params=REGISTRIES)
def registry(
    request: pytest.FixtureRequest, registry_of: Callable[[str], Registry], zot14: Callable[[], Registry]
) -> Registry:
    """Each registry, also zot."""
    version = str(request.param)
    return zot14() if version == "zot1.4" else registry_of(f"registry{version[len('distribution')]}.test")


def stored(scene: Scene) -> tuple[str, str]:
    """A repository with an image, and how cosign is told of it."""
    repository = scene.stored("web")
    scene.watch.restart()
    return repository, f"{repository}@{scene.image.digest}"


def signer(scene: Scene, person: str) -> Cosign:
    """This person's cosign."""
    client = scene.client(Cosign, person)
    assert isinstance(client, Cosign)
    return client


def become(client: Client, scene: Scene, person: str) -> None:
    """The same machine, and key, for another person."""
    client.machine.sign_in(scene.registry.host, *scene.credentials(person))
    scene.watch.restart()


def granted(scene: Scene, person: str, repository: str) -> set[str]:
    """All actions that the person was granted there."""
    return {action for event in scene.events(person) for action in event.actions(f"repository:{repository}")}


class TestWithCosign:
    """Everything that takes the program."""

    pytestmark = real

    def test_sign_and_verify(self, scene: Scene) -> None:
        """A writer signs, with pull and push; a reader verifies, with pull; another image has no signature."""
        client, (repository, image) = signer(scene, "ann"), stored(scene)
        output = client.sign(scene.registry, image)
        assert output.ok, str(output)
        assert granted(scene, "ann", repository) == {"pull", "push"}
        become(client, scene, "ben")
        output = client.verify(scene.registry, image)
        assert output.ok, str(output)
        assert scene.image.digest in output.stdout
        assert granted(scene, "ben", repository) == {"pull"}
        _, unsigned = stored(scene)
        assert not client.verify(scene.registry, unsigned).ok

    def test_sign_where_only_pull_is_granted(self, scene: Scene) -> None:
        """A reader's signature is refused by the registry, after a token with pull alone, and nothing is stored."""
        client, (repository, image) = signer(scene, "ben"), stored(scene)
        output = client.sign(scene.registry, image)
        assert not output.ok, str(output)
        assert "UNAUTHORIZED: authentication required" in output.text
        assert granted(scene, "ben", repository) == {"pull"}
        assert not client.verify(scene.registry, image).ok

    def test_sign_with_a_wrong_password(self, scene: Scene) -> None:
        """The server's own words, after one request."""
        client, (_, image) = signer(scene, "ann"), stored(scene)
        client.machine.sign_in(scene.registry.host, "ann", "wrong")
        output = client.sign(scene.registry, image)
        assert not output.ok, str(output)
        assert {request.status for request in scene.watch.requests()} == {401}
        assert "wrong user name or password" in output.text

    def test_sign_into_another_repository(self, scene: Scene) -> None:
        """With COSIGN_REPOSITORY a signer needs pull on the image and push where signatures are, and nothing more."""
        client, (repository, image) = signer(scene, "ben"), stored(scene)
        signatures = scene.new_name("users/ben")
        output = client.sign(scene.registry, image, into=signatures)
        assert output.ok, str(output)
        assert granted(scene, "ben", repository) == {"pull"}
        assert granted(scene, "ben", signatures) == {"pull", "push"}
        output = client.verify(scene.registry, image, out_of=signatures)
        assert output.ok, str(output)
        assert not client.verify(scene.registry, image).ok

    def test_verify_anonymously(self, scene: Scene) -> None:
        """Without credentials a signature of a public image can be verified, and one of another image cannot."""
        client = signer(scene, "ann")
        public, (_, hidden) = scene.stored("public"), stored(scene)
        images = [f"{public}@{scene.image.digest}", hidden]
        for image in images:
            output = client.sign(scene.registry, image)
            assert output.ok, str(output)
        client.machine.sign_out()
        assert [client.verify(scene.registry, image).ok for image in images] == [True, False]

    def test_attest_and_verify(self, scene: Scene) -> None:
        """A statement is like a signature: a writer adds it, a reader verifies it, and a reader cannot add one."""
        client, (repository, image) = signer(scene, "ben"), stored(scene)
        output = client.attest(scene.registry, image)
        assert not output.ok, str(output)
        assert "UNAUTHORIZED" in output.text
        become(client, scene, "ann")
        output = client.attest(scene.registry, image)
        assert output.ok, str(output)
        assert granted(scene, "ann", repository) == {"pull", "push"}
        become(client, scene, "ben")
        output = client.verify_attestation(scene.registry, image)
        assert output.ok, str(output)
        assert granted(scene, "ben", repository) == {"pull"}

    def test_attach_an_sbom(self, scene: Scene) -> None:
        """An attached file is a tag: a writer adds it, a reader reads it, and a reader cannot add one."""
        client, (repository, image) = signer(scene, "ben"), stored(scene)
        assert not client.attach_sbom(scene.registry, image).ok
        become(client, scene, "ann")
        output = client.attach_sbom(scene.registry, image)
        assert output.ok, str(output)
        assert granted(scene, "ann", repository) == {"pull", "push"}
        become(client, scene, "ben")
        assert '"SPDX-2.3"' in client.download_sbom(scene.registry, image).stdout
        tag = f"{scene.image.digest.replace(':', '-')}.sbom"
        assert scene.registry.holds(repository, tag)
        assert tag in client.tree(scene.registry, image).text
        assert granted(scene, "ben", repository) == {"pull"}

    def test_copy(self, scene: Scene) -> None:
        """An image is copied with what is attached to it; where the target is not granted nothing is copied."""
        client, (source, image) = signer(scene, "ann"), stored(scene)
        assert client.attach_sbom(scene.registry, image).ok
        scene.watch.restart()
        target = scene.new_name("web")
        output = client.copy(scene.registry, image, target)
        assert output.ok, str(output)
        assert granted(scene, "ann", source) == {"pull"}
        assert granted(scene, "ann", target) == {"pull", "push"}
        assert '"SPDX-2.3"' in client.download_sbom(scene.registry, f"{target}@{scene.image.digest}").stdout
        forbidden = scene.new_name("web/prod")
        assert not client.copy(scene.registry, image, forbidden).ok
        assert not scene.registry.holds(forbidden)

    def test_clean(self, scene: Scene) -> None:
        """Signatures go with the right to delete; the image stays. zot before 2.1.18 deletes with push."""
        client, (repository, image) = signer(scene, "ann"), stored(scene)
        assert client.sign(scene.registry, image).ok
        become(client, scene, "mia")
        output = client.clean(scene.registry, image)
        assert output.ok, str(output)
        assert granted(scene, "mia", repository) == {"pull", "push", "delete"}
        assert not client.verify(scene.registry, image).ok
        assert scene.registry.holds(repository, scene.image.digest)

    def test_clean_where_delete_is_not_granted(self, scene: Scene) -> None:
        """A writer's request to delete is granted without it, and Distribution keeps the signature."""
        client, (repository, image) = signer(scene, "ann"), stored(scene)
        assert client.sign(scene.registry, image).ok
        scene.watch.restart()
        client.clean(scene.registry, image)
        assert granted(scene, "ann", repository) == {"pull", "push"}
        assert any("delete" in event.wanted(f"repository:{repository}") for event in scene.events("ann"))
        assert client.verify(scene.registry, image).ok == (scene.registry.generation != "zot")


def test_the_page_lists_what_is_tried() -> None:
    """The table of docs/compatibility.md has these operations, and the version that is installed."""
    script = (ROOT / "scripts" / "real-servers").read_text()
    assert f"/cmd/cosign@v{VERSION.split()[1]}\n" in script
    assert [line for line in OPERATIONS if f"| {line} |" not in page()] == []
