"""Commands that findings print: composed here alone, so that each runs as it stands where the doctor ran. Pure.

They come in backticks, with `--config` unless that is the default, and with quotes where a shell needs them. Words in
capitals are for the reader to fill in: DIR, FILE, and SERVICE where no registry of ours is known.
`tests/e2e/test_doctor_commands.py` runs each of them in the situation of its finding.
"""

from __future__ import annotations

from collections.abc import Collection

from tokenserver.doctor.facts import KINDS_OF_COMPAT, OurRegistry, Ours, RegistryKind
from tokenserver.printable import shell_word
from tokenserver.scopes import Scope, in_order

DEFAULT_CONFIG = "tokenserver.yaml"
"""The configuration that commands read in the current folder."""

_GENERATIONS = {
    RegistryKind.DISTRIBUTION2: "distribution2",
    RegistryKind.DISTRIBUTION30: "distribution3",
    RegistryKind.DISTRIBUTION3: "distribution3",
    RegistryKind.ZOT: "zot",
}
_ASKED = ("pull", "push", "delete")


def print_section(ours: Ours, registry: OurRegistry | None, kinds: Collection[RegistryKind] = ()) -> str:
    """The command that prints the registry's section; `kinds` is its software, if known."""
    return _registry_config(ours, registry, kinds, "")


def write_keys(ours: Ours, registry: OurRegistry, kinds: Collection[RegistryKind] = ()) -> str:
    """The command that writes the file of keys that the registry trusts into a folder."""
    return _registry_config(ours, registry, kinds, " --write DIR")


def fetch_ca(ours: Ours) -> str:
    """The command that downloads the token CA."""
    return f"`curl -fsS {shell_word(ours.ca_url)}`"


def fetch_jwks(ours: Ours) -> str:
    """The command that downloads our keys as a JWKS."""
    return f"`curl -fsS {shell_word(ours.jwks_url)}`"


def sign_with(ours: Ours, registry: OurRegistry | None, algorithm: str) -> str:
    """What makes the keys of this registry, if it is known, sign with another algorithm, such as ES256."""
    if registry is not None and registry.algorithm is not None:
        setting = f"set algorithm: {algorithm} and a new folder as keys: for {registry.service} in {ours.config}"
        return f"{setting}, then {_tokenserver(ours, 'keys init')}"
    own = f" --service {shell_word(registry.service)}" if registry is not None and ours.query else ""
    return _tokenserver(ours, f"keys rotate{own} --algorithm {algorithm}")


def explain_access(ours: Ours, registry: OurRegistry | None, scope: Scope, user: str | None) -> str:
    """The command that shows which rules decide on the scope, for this user or for clients without a login."""
    at = "" if registry is None else f" --service {shell_word(registry.service)}"
    asked = [action for action in in_order(scope.actions) if action in _ASKED]
    if scope.resource.type != "repository" or not asked:
        who = "anonymous" if user is None else shell_word(f"user:{user}")
        return _tokenserver(ours, f"policy what-can {who}{at}")
    who = "--anonymous" if user is None else f"--user {shell_word(user)}"
    return _tokenserver(ours, f"policy why {asked[0]} {shell_word(scope.resource.name)} {who}{at}")


def check_files(ours: Ours) -> str:
    """The command that lists faults in our files."""
    return _tokenserver(ours, "check")


def compare_files(ours: Ours, registry: OurRegistry | None = None) -> str:
    """The command that compares a registry's configuration with our side."""
    at = "" if registry is None else f" --service {shell_word(registry.service)}"
    return _tokenserver(ours, f"doctor --registry-config FILE{at}")


def _registry_config(ours: Ours, registry: OurRegistry | None, kinds: Collection[RegistryKind], more: str) -> str:
    if registry is None:
        compat = "zot" if RegistryKind.ZOT in kinds else "universal"
        return _tokenserver(ours, f"registry-config SERVICE --for {_generation(kinds, compat)}{more}")
    needed = _needed_compat(registry.compat, kinds)
    generation = _generation(kinds, needed)
    command = _tokenserver(ours, f"registry-config {shell_word(registry.service)} --for {generation}{more}")
    if needed == registry.compat:
        return command
    return f"{command} (once compat: {needed} is set for {registry.service} in {ours.config})"


def _needed_compat(compat: str, kinds: Collection[RegistryKind]) -> str:
    """The `compat` whose tokens this software accepts: as it is, if it fits one of the kinds."""
    if RegistryKind.ZOT in kinds:
        return "zot"
    return compat if not kinds or _names(kinds) & _names(KINDS_OF_COMPAT[compat]) else "universal"


def _generation(kinds: Collection[RegistryKind], compat: str) -> str:
    """The value of `--for`. For a Distribution of either generation it is that of 3, which has the same section."""
    possible = _names(KINDS_OF_COMPAT[compat])
    return max(_names(kinds) & possible or possible)


def _names(kinds: Collection[RegistryKind]) -> set[str]:
    return {_GENERATIONS[kind] for kind in kinds}


def _tokenserver(ours: Ours, command: str) -> str:
    config = "" if ours.config == DEFAULT_CONFIG else f" --config {shell_word(ours.config)}"
    return f"`tokenserver {command}{config}`"
