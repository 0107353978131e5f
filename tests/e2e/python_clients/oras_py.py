"""oras-py as a command: `push IMAGE FILE`, `pull IMAGE FOLDER`, `tags IMAGE`, `delete IMAGE`, over plain HTTP.

It finds credentials in the Docker configuration of $HOME. The waits between its retries (131 seconds after a wrong
password) are left out; the retries are not.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import oras.client
import oras.decorator

oras.decorator.time = SimpleNamespace(sleep=lambda _seconds: None)


def main(verb: str, image: str, *rest: str) -> None:
    """Run one operation; what the library raises is what the user sees."""
    client = oras.client.OrasClient(insecure=True)
    client.auth.load_configs(client.get_container(image))
    if verb == "push":
        client.push(image, files=list(rest), disable_path_validation=True)
    elif verb == "pull":
        client.pull(image, outdir=rest[0])
    elif verb == "tags":
        sys.stdout.writelines(f"{tag}\n" for tag in client.get_tags(image))
    elif verb == "delete":
        client.delete_tag(image, client.get_container(image).tag)


if __name__ == "__main__":
    main(*sys.argv[1:])
