"""An API server of Kubernetes with its etcd: namespaces, service accounts, and the tokens that it issues for them.

No kubelet and no controller runs, so that nothing exists but what a test makes.
"""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import canaries
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from harness import web
from harness.authority import Authority
from harness.processes import Daemon, answers, free_port, plain_environment, running
from harness.programs import need

START_SECONDS = 120.0
"""An API server starts in four seconds on an idle machine."""

NODE = "worker"


class SigningKeyFiles:
    """A key pair with which an API server signs the tokens of service accounts: RSA, or EC on the curve P-256."""

    def __init__(self, folder: Path, name: str, *, is_ec: bool = False) -> None:
        key = ec.generate_private_key(ec.SECP256R1()) if is_ec else rsa.generate_private_key(65537, 2048)
        self.private, self.public = folder / f"{name}.key", folder / f"{name}.pub"
        self.private.touch(mode=0o600)
        self.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


class Cluster:
    """An API server at `url`, with the node `NODE`. `ca_file` certifies it. Its issuer is the same, or what is given.

    It signs by the first of its keys, and publishes all of them.
    """

    def __init__(self, folder: Path, etcd_port: int, issuer: str | None) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.issuer = issuer or self.url
        authority = Authority(folder, "the cluster")
        self.ca_file = authority.file
        self._certificate, self._key = authority.issue(folder, addresses=["127.0.0.1"])
        self._etcd_port = etcd_port
        self._administrator, self.node_bearer = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._tokens = folder / "tokens.csv"
        self._tokens.touch(mode=0o600)
        self._tokens.write_text(
            f"{self._administrator},administrator,1,system:masters\n"
            f"{self.node_bearer},system:node:{NODE},2,system:nodes\n"
        )
        self._daemon: Daemon | None = None

    @property
    def keys_url(self) -> str:
        return f"{self.url}/openid/v1/jwks"

    def start(self, *keys: SigningKeyFiles) -> None:
        """Start it, or start it again, with these keys."""
        self.stop()
        command: list[str | Path] = [
            need("kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",  # it rejects loopback addresses
            f"--secure-port={self.port}",
            f"--cert-dir={self.folder / 'certs'}",
            f"--tls-cert-file={self._certificate}",
            f"--tls-private-key-file={self._key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--token-auth-file={self._tokens}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--service-account-issuer={self.issuer}",
            f"--service-account-signing-key-file={keys[0].private}",
            *(f"--service-account-key-file={key.public}" for key in keys),
            "--disable-admission-plugins=ServiceAccount",  # a controller would have to make the default accounts
        ]
        environment = plain_environment(self.folder)
        self._daemon = Daemon("kube-apiserver", command, environment=environment, folder=self.folder)
        self._daemon.start(self.is_ready, seconds=START_SECONDS)
        if self.request("GET", f"/api/v1/nodes/{NODE}", self._administrator).status == 404:
            self.create("/api/v1/nodes", metadata={"name": NODE})

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._daemon is not None:
            self._daemon.stop()

    def is_ready(self) -> bool:
        """Whether it serves, with the roles that every cluster has."""
        try:
            return self.request("GET", "/readyz", self._administrator).status == 200
        except OSError:
            return False

    def request(self, method: str, target: str, bearer: str | None = None, body: Any = None) -> web.Answer:
        """One request, by default without credentials."""
        headers = {"Content-Type": "application/json"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        data = None if body is None else json.dumps(body).encode()
        context = ssl.create_default_context(cafile=str(self.ca_file))
        return web.request(self.port, method, target, headers=headers, body=data, context=context)

    def get(self, target: str) -> dict[str, Any]:
        """What the administrator gets there."""
        answer = self.request("GET", target, self._administrator)
        assert answer.status == 200, answer
        return answer.json()

    def create(self, target: str, **content: Any) -> dict[str, Any]:
        """Create an object as the administrator. A field that Kubernetes does not know is a fault."""
        answer = self.request("POST", f"{target}?fieldValidation=Strict", self._administrator, content)
        assert answer.status in (200, 201), answer
        return answer.json()

    def write_kubeconfig(self, file: Path) -> None:
        """Write a configuration with which kubectl and helm are the administrator."""
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "administrator", "user": {"token": self._administrator}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "administrator"}}],
            "current-context": "tests",
        }
        file.touch(mode=0o600)
        file.write_text(json.dumps(config))

    def try_to_create(self, target: str, content: dict[str, Any]) -> web.Answer:
        """The answer to the creation of an object by the administrator, without its effect: a server-side dry run."""
        return self.request("POST", f"{target}?fieldValidation=Strict&dryRun=All", self._administrator, content)

    def delete(self, target: str) -> None:
        """Delete an object as the administrator."""
        answer = self.request("DELETE", target, self._administrator)
        assert answer.status == 200, answer

    def add_account(self, namespace: str, name: str) -> None:
        """Create a service account, and its namespace if need be."""
        self.request("POST", "/api/v1/namespaces", self._administrator, {"metadata": {"name": namespace}})
        self.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", metadata={"name": name})

    def add_pod(self, namespace: str, name: str, account: str, *, node: str | None = None) -> dict[str, Any]:
        """Create a pod with this service account, which no kubelet starts. It is on that node, or on none."""
        container = {"name": "shell", "image": "registry.example.com/web/site:1"}
        spec = {"serviceAccountName": account, "containers": [container], "automountServiceAccountToken": False}
        return self.create(
            f"/api/v1/namespaces/{namespace}/pods",
            metadata={"name": name},
            spec=spec | ({} if node is None else {"nodeName": node}),
        )

    def token(
        self,
        namespace: str,
        account: str,
        audiences: Sequence[str],
        *,
        seconds: int = 3600,
        bound_to: dict[str, Any] | None = None,
    ) -> str:
        """A token of a service account (TokenRequest). Without audiences it is for the API server itself.

        `bound_to` is a pod, node or secret, with which it ends.
        """
        spec: dict[str, Any] = {"audiences": list(audiences), "expirationSeconds": seconds}
        if bound_to is not None:
            spec["boundObjectRef"] = reference(bound_to)
        token = str(self.create(token_target(namespace, account), spec=spec)["status"]["token"])
        canaries.know(token)
        return token


def token_target(namespace: str, account: str) -> str:
    """Where tokens of a service account are requested."""
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"


def reference(bound: dict[str, Any]) -> dict[str, Any]:
    """How a request for a token names the object with which the token ends."""
    found = bound["metadata"]
    return {"kind": bound["kind"], "apiVersion": "v1", "name": found["name"], "uid": found["uid"]}


@contextmanager
def cluster(folder: Path, *keys: SigningKeyFiles, issuer: str | None = None) -> Iterator[Cluster]:
    """A running API server with these keys. Its issuer is its URL unless one is given."""
    need("kube-apiserver")
    program, port, peer_port = need("etcd"), free_port(), free_port()
    url, peer_url = (f"http://127.0.0.1:{one}" for one in (port, peer_port))
    command: list[str | Path] = [
        program,
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
    ]
    etcd = Daemon("etcd", command, environment=plain_environment(folder), folder=folder)
    with running(etcd, lambda: answers(port)):
        made = Cluster(folder, port, issuer)
        try:
            made.start(*keys)
            yield made
        finally:
            made.stop()
