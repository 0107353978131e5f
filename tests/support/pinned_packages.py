"""What this project requires, as pyproject.toml says, and the versions that constraints.txt pins."""

from __future__ import annotations

import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONSTRAINTS = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
PINS: dict[str, str] = {
    str(canonicalize_name(name)): version
    for name, _, version in (line.partition("==") for line in CONSTRAINTS if line and not line.startswith("#"))
}
RUNTIME = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
EXTRAS = [Requirement(text) for texts in PROJECT["project"]["optional-dependencies"].values() for text in texts]
DEVELOPMENT = [Requirement(text) for text in PROJECT["dependency-groups"]["dev"]]


def closure(requirements: list[Requirement]) -> dict[str, Distribution]:
    """The distributions that these requirements install here, with all that those need in turn."""
    found: dict[str, Distribution] = {}
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        environments = [{"extra": extra} for extra in requirement.extras or {""}]
        if name not in found:
            found[name] = distribution(name)
        elif not requirement.extras:
            continue
        needed = [Requirement(text) for text in found[name].requires or ()]
        waiting += [
            one
            for one in needed
            if (one.marker is None or any(one.marker.evaluate(environment) for environment in environments))
            and (canonicalize_name(one.name) not in found or one.extras)
        ]
    return found
