"""docs/compatibility.md, printed from the tables that the tests here hold against the real programs."""

from __future__ import annotations

from collections.abc import Sequence

from harness.clients import VERBS
from harness.conformance import ALGORITHMS, COMPATS, VERIFIERS, expected
from harness.cosign import OPERATIONS, VERSION
from harness.every_client import CLIENTS
from harness.library_tables import section
from harness.programs import ROOT
from harness.stored_tokens import STORED
from harness.token_requests import REFUSALS, REQUESTS

PAGE = ROOT / "docs" / "compatibility.md"

VERSIONS = {
    "docker": "docker command 20.10.24",
    "dockerd": "docker engine 20.10.24",
    "skopeo": "skopeo 1.9.3",
    "podman": "podman 4.3.1",
    "buildah": "buildah 1.28.2",
    "crane": "crane 0.22.1",
    "oras": "oras 1.3.6",
    "regctl": "regctl 0.11.7",
    "ctr": "ctr (containerd 1.6.20)",
    "ctr2": "ctr (containerd 2.4.2)",
    "gcrane": "gcrane 0.22.1",
    "regsync": "regsync 0.11.7",
    "imgpkg": "imgpkg 0.46.1",
    "ko": "ko 0.19.1",
    "buildkit": "BuildKit 0.34.2",
}
"""What `scripts/real-servers` installs on Debian 12, some of it with `--nightly`."""

HELMS = {"helm": "helm 3.22.0", "helm4": "helm 4.3.2"}
HELM = {
    "delete": "has no command for it",
    "mount": "has no command for it",
    "catalog": "has no command for it",
}
"""What helm cannot do; what it can is in test_helm.py."""

_HEAD = """\
# What works with what

<!-- Printed by scripts/compatibility. Every cell is a test in tests/e2e (test_conformance.py, test_real_clients.py,
test_helm.py, test_library_clients.py, test_many_scopes.py, test_signing.py, test_stored_tokens.py,
test_token_requests.py) against the real program; change the tables there, not here. -->

## Registries

Does the registry accept the tokens? Rows are its version and its `compat` here, columns are the algorithm of its keys
(`tokenserver keys init --algorithm`). Each registry is configured with the output of `tokenserver registry-config` for
that `compat`, or the closest equivalent among its own settings.

"""

_BELOW = """
**zot 2.1 is not zot itself**: versions after 1.4.3 are not available as Go modules. It is a program of this repository
(`tests/e2e/zot_verifier`) that follows the rules of zot's bearer authentication since 2.1.3 and verifies with the
same library as zot (golang-jwt v5). zot ignores how a header names the key, so it accepts the tokens of every
`compat`; set `compat: zot` nevertheless, since it reads actions differently
([connect a registry](connect-a-registry.md#zot)).

A Distribution 3 with `jwks` and without `rootcertbundle` only accepts `compat: jwks`: it checks the certificate in
`universal` tokens first, and trusts none. Distribution 2 has no `jwks`.

## Clients

Against Distribution 2.8.2 and 3.1.1, with `compat: universal`: each operation if the policies allow it, and denied
if they do not. *mount* is a copy inside one registry that uploads no blob twice.

"""

_MANY = """
## Many repositories in one request

Some tools ask for every repository that they use, in each request. A request may ask for
[1,000 repositories](design/protocol.md#how-much-one-request-may-ask-for) (`limits` in `tokenserver.yaml`). With regctl,
an index of 100 repositories is a test (test_many_scopes.py).

| client | what it sends | its own limit |
| --- | --- | --- |
| regctl, regsync, regbot | all repositories of a host that the process has used, in one GET | none |
| crane, imgpkg | what the command needs, some of it twice | answers of 64 KiB: about 300 repositories |

The token of such a request is large.
[A proxy in front of the registry](connect-a-registry.md#a-proxy-in-front-of-the-registry) may refuse it; the doctor
finds out.
"""


_STORED = """
## Stored identity tokens of another token server

`docker login` keeps the refresh token that some token servers give as `identitytoken` in `config.json`, in place of a
password, and other clients use it from there. This server gives no refresh tokens and knows none: a request with one is
401 (`invalid_grant`), also for public images, with this text:

> this server does not know the stored identity token; fix: log out of the registry and in again: docker logout HOST,
> then docker login HOST

So after a change of the token server, everybody logs out and in once. podman, buildah and skopeo have a file of their
own for that (`podman logout HOST`, `podman login HOST`); the other clients read docker's. Many different tokens from
one address are [throttled](users.md#throttling-of-failed-logins) like wrong passwords of one user (429 with the same
advice), which keeps nobody there from logging in. Does a client with such a token print the text, and what does it do
then?

"""


_SIGNING = f"""
## Signatures: cosign

{VERSION} with a key pair and without a transparency log (`--key`, `--use-signing-config=false --tlog-upload=false`,
`--insecure-ignore-tlog`), which needs no network but the registry. Against Distribution 2.8.2, 3.1.1 and zot 1.4.3:

"""

_BELOW_SIGNING = """
Signatures and attestations are manifests in the image's repository, so a right to sign is a right to push there. To
separate the two, set `COSIGN_REPOSITORY` for `sign` and `verify`: signing then takes `pull` of the image and `push` of
that repository. zot before 2.1.18 cleans with `push` instead of `delete`. Where `clean` is denied, cosign reports each
signature that it could not delete.

"""

_REQUESTS = """\
## Token requests

Requests to the token endpoint in one command at Distribution 3.1.1, for one image with one layer. A denied push has a
range because uploads run concurrently, and each one that the registry denies requests a token again. The last columns
are a pull for which this server answers with that status (a wrong password, plain http, too many attempts, an outage);
*text* means that the client prints this server's message.

"""

_BELOW_REQUESTS = """
* **regsync** (and regctl) requests a token for all repositories that it has used so far at a registry, at each new
  repository and again when it pushes there: the last request of a mirror of 100 repositories names 100 (or 200 if it
  copies within one registry). With a wrong password every entry of its list fails by itself, so one run counts as
  many failed logins.
* **ko** requests `pull` of the base image, `pull,push` of the target, and both in one request to mount the layers of
  the base. **gcrane**, **imgpkg** and **cosign** use the same library; imgpkg names a repository twice in one request
  (`pull,push` and `push,pull`), which is one resource here.
* **ctr** (containerd 2) and **BuildKit** send the password in a form (`POST`, `grant_type=password`), and after a 401
  once more as a `GET` with Basic: one wrong password is two failed logins. The transfer service of containerd 2 uploads
  what the registry does not mount; containerd 1.6 gives up. BuildKit mounts the layers of a base image that it has not
  downloaded, with one token for both repositories, and uploads those that it has downloaded. A `buildkitd` keeps a
  token until it expires and uses it for every later build by any user: share one only among people with the same
  rights, or keep `token_lifetime` short.
"""


def page() -> str:
    """The whole page."""
    libraries = section(_table, _noted, _notes)
    return "".join(
        (
            *(_HEAD, _registries(), _BELOW, _clients(), libraries, _signing(), _requests()),
            *(_MANY, _STORED, _stored_tokens()),
        )
    )


def _stored_tokens() -> str:
    rows = [
        [
            VERSIONS.get(row.kind.name, "helm 3.22.0"),
            "yes" if row.prints_advice else "no: a bare `unauthorized` or `401 Unauthorized`",
            row.falls_back,
            "yes" if row.public else "no",
        ]
        for row in STORED
    ]
    return _table(["client", "prints the text", "falls back", "pulls public images"], rows)


def _signing() -> str:
    return _SIGNING + _table(["operation", "rights"], list(OPERATIONS.items())) + _BELOW_SIGNING


def _requests() -> str:
    rows = []
    methods = {client.name: client.method for client in CLIENTS}
    for name, counts in REQUESTS.items():
        fewest, most = counts.denied_push
        denied = str(most) if fewest == most else f"{fewest} to {most}"
        refused = (f"{abs(number)}, text" if number > 0 else str(abs(number)) for number in counts.refused)
        rows.append([VERSIONS[name], methods[name], str(counts.pull), str(counts.push), denied, *refused])
    heads = ["client", "method", "pull", "push", "denied push", *map(str, REFUSALS)]
    return _REQUESTS + _table(heads, rows) + _BELOW_REQUESTS


def _registries() -> str:
    reasons: list[str] = []
    rows = []
    for verifier in VERIFIERS:
        for compat in COMPATS:
            cells = []
            for algorithm in ALGORITHMS:
                reason = expected(verifier, compat, algorithm)
                cells.append("yes" if reason is None else _noted(reason.text, reasons))
            rows.append([verifier.label, f"`{compat}`", *cells])
    return _table(["registry", "`compat`", *ALGORITHMS], rows) + _notes(reasons)


def _clients() -> str:
    reasons: list[str] = []
    rows = [
        [
            VERSIONS[client.name],
            *(_noted(client.cannot[verb], reasons) if verb in client.cannot else "yes" for verb in VERBS),
        ]
        for client in CLIENTS
    ]
    for label in HELMS.values():
        rows.append([label, *(_noted(HELM[verb], reasons) if verb in HELM else "yes" for verb in VERBS)])
    return _table(["client", *VERBS], rows) + _notes(reasons)


def _noted(reason: str, reasons: list[str]) -> str:
    if reason not in reasons:
        reasons.append(reason)
    return f"no ({reasons.index(reason) + 1})"


def _notes(reasons: Sequence[str]) -> str:
    return "\n" + "".join(f"{number}. {reason}\n" for number, reason in enumerate(reasons, 1))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
