"""docs/compatibility.md, printed from the tables that the tests here hold against the real programs."""

from __future__ import annotations

from collections.abc import Sequence

from harness.clients import CLIENTS, VERBS
from harness.conformance import ALGORITHMS, COMPATS, VERIFIERS, expected
from harness.library_tables import section
from harness.programs import ROOT

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
}
"""What `scripts/real-servers` installs on Debian 12."""

HELM = {
    "delete": "has no command for it",
    "mount": "has no command for it",
    "catalog": "has no command for it",
}
"""What helm cannot do; what it can is in test_helm.py."""

_HEAD = """\
# What works with what

<!-- Printed by scripts/compatibility. Every cell is a test in tests/e2e (test_conformance.py, test_real_clients.py,
test_helm.py, test_library_clients.py) against the real program; change the tables there, not here. -->

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


def page() -> str:
    """The whole page."""
    return _HEAD + _registries() + _BELOW + _clients() + section(_table, _noted, _notes)


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
    rows.append(["helm 3.22.0", *(_noted(HELM[verb], reasons) if verb in HELM else "yes" for verb in VERBS)])
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
