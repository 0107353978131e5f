"""`tokenserver credential-provider`: the kubelet's image credential provider, for nodes that have Python."""

from __future__ import annotations

import sys
import time

import click

from tokenserver.cli.exits import NO
from tokenserver.cli.options import exit_with
from tokenserver.cli.terminal import echo_text
from tokenserver.kubernetes.image_credentials import MAX_REQUEST, NoImageCredentials, answer


@click.command()
def credential_provider() -> None:
    """Give the kubelet a pod's own service-account token as the password for the registry of its image.

    Reads a CredentialProviderRequest (credentialprovider.kubelet.k8s.io/v1) from standard input and prints the
    CredentialProviderResponse. Needs no configuration and no network. deploy/kubernetes/credential-provider is the same
    for nodes without Python; `tokenserver help kubernetes-workloads` says how to set up either.

    Exit code 0: answered; 1: there are no credentials for this request, for the reason on standard error.
    """
    try:
        response = answer(_standard_input(), time.time())
    except NoImageCredentials as error:
        exit_with(str(error), NO)
    echo_text(response)


def _standard_input() -> bytes:
    """What is on standard input, as far as a request is read; nothing if it is closed."""
    return b"" if sys.stdin is None else sys.stdin.buffer.read(MAX_REQUEST + 1)
