"""What most tests here begin with: a registry, a client signed in as somebody, an image, and an eye on the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.clients import Client, Credentials
from harness.images import Image
from harness.registries import Registry
from harness.server import ANONYMOUS, Event, Person, TokenServer
from harness.watch import Watch


@dataclass(frozen=True)
class Scene:
    """One registry with what a test needs around it. `image` is in no registry yet."""

    registry: Registry
    watch: Watch
    image: Image
    client_of: Callable[[type[Client]], Client]
    new_name: Callable[[str], str]

    @property
    def server(self) -> TokenServer:
        """The server that the registry trusts."""
        return self.registry.server

    def client(self, kind: type[Client], person: Person = ANONYMOUS) -> Client:
        """A client of this kind with that person's credentials stored."""
        client = self.client_of(kind)
        if person:
            client.machine.sign_in(self.registry.host, *self.credentials(person))
        return client

    def credentials(self, person: Person) -> Credentials:
        """The person's name and password."""
        return person, self.server.people[person]

    def stored(self, namespace: str) -> str:
        """The name of a new repository in that namespace, in which the image is."""
        repository = self.new_name(namespace)
        self.registry.put(repository, self.image)
        return repository

    def events(self, person: Person) -> list[Event]:
        """The person's audit events."""
        return self.watch.events(person)
