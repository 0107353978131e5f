"""What clients do with an identity token of an earlier token server, which docker keeps in place of a password."""

from __future__ import annotations

from dataclasses import dataclass

from harness.clients import Buildah, Client, Crane, Ctr, Dockerd, Oras, Podman, Regctl, Skopeo
from harness.helm import Helm

STALE = "identity-token-of-an-earlier-server"

Try = tuple[str, int]
"""The method and the status of a token request."""

REFUSED: tuple[Try, ...] = (("POST", 401),)


@dataclass(frozen=True)
class Stored:
    """A client with such a token: its token requests, and whether it prints the server's advice.

    `public` is whether a public image can be pulled nevertheless. `has_file`: it has a file of its own for credentials,
    and does not read docker's.
    """

    kind: type[Client]
    tries: tuple[Try, ...] = REFUSED
    prints_advice: bool = True
    public: bool = False
    falls_back: str = "no"
    has_file: bool = False


STORED = (
    Stored(Dockerd),
    Stored(Skopeo, has_file=True),
    Stored(Podman, has_file=True),
    Stored(Buildah, has_file=True),
    Stored(Crane),
    Stored(Oras),
    Stored(
        Regctl,
        (("POST", 401), ("GET", 200)),
        prints_advice=False,
        public=True,
        falls_back="to a GET without credentials",
    ),
    Stored(
        Ctr,
        (("POST", 401), ("GET", 401)),
        prints_advice=False,
        falls_back="to a GET with the token as password, which is 401 as well",
    ),
    Stored(Helm),
)
