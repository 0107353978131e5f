"""docker-py as a command: `login HOST USER` with the password on standard input, `push IMAGE`, `pull IMAGE`.

It finds the engine in $DOCKER_HOST, and credentials in the Docker configuration.
"""

from __future__ import annotations

import sys

import docker


def main(verb: str, *rest: str) -> None:
    """Run one operation; what the library raises or returns is what the user sees."""
    client = docker.from_env()
    if verb == "login":
        host, user = rest
        client.login(user, sys.stdin.read(), registry=host)
    elif verb == "pull":
        client.images.pull(rest[0])
    elif verb == "push":
        # It raises nothing: a refused push is a line of what it returns.
        lines = list(client.images.push(rest[0], stream=True, decode=True))
        sys.exit("\n".join(line["error"] for line in lines if "error" in line) or 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
