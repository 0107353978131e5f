"""The fixes that the doctor prints, carried out: by their own text where a machine can read it, else as the case says.

Afterwards a client gets what it wants, and the doctor finds nothing any more.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from harness.doctor_case import Report, Scene, ask, build, works
from harness.doctor_world import put

BY_TEXT, BY_CASE, BY_HAND = "by their text", "as the case says", "by hand alone"


def apply(scene: Scene, reports: Mapping[str, Report], folder: Path, stack: ExitStack) -> str:
    """Carry out the fix, try again, and say how it was done. Raises `AssertionError` if something is still wrong."""
    case = scene.case
    if case.by_hand:
        return BY_HAND
    if case.repair or any(report.code == 2 for report in reports.values()):
        right: dict[str, Any] = {"change": {}, "replaced": None, "environment": {}, "second": None, "starts": True}
        repaired = replace(case, **{**right, **case.repair})
        scene = build(repaired, scene.world, folder, stack)
        how = BY_CASE
    else:
        fix = next(iter(reports.values())).said[0].fix
        carried = next((carry for pattern, carry in _FIXES if re.search(pattern, fix)), None)
        assert carried is not None, f"no machine can do this: {fix}"
        carried(scene, fix)
        how = BY_TEXT
    assert scene.start(), "the registry does not start after the fix"
    assert works(scene), "a client still fails after the fix"
    for view in case.says:
        report = ask(scene, view)
        assert report.code == 0, f"after the fix, {view} still says:\n{report.text}"
    return how


# --- what the texts ask for ------------------------------------------------------------------------------------------


def _set_value(scene: Scene, fix: str) -> None:
    """`set KEY to VALUE in PLACE`: in the file, or in a variable."""
    found = re.search(r"set (\S+) to (\S+) in (\S+)", fix)
    assert found is not None
    key, value, place = found.groups()
    if place.startswith("REGISTRY_"):
        scene.variables[place] = value
        return
    path = key if "." in key else f"{_section(scene)}.{key}"
    scene.change({path: value == "true" or value})


def _remove(scene: Scene, fix: str) -> None:
    """`remove KEY in PLACE`, or from a section."""
    found = re.search(r"remove (\S+) (?:in|from)", fix)
    assert found is not None
    key = found[1]
    scene.change({f"{_section(scene)}.{key}" if key == "autoredirect" else key: None})


def _add_algorithm(scene: Scene, fix: str) -> None:
    found = re.search(r"add (\S+) to signingalgorithms in", fix)
    assert found is not None
    listed = scene.whole()["auth"]["token"]["signingalgorithms"]
    scene.change({"auth.token.signingalgorithms": [*listed, found[1]]})


def _use_printed_section(scene: Scene, fix: str) -> None:
    """The whole section as the printed command prints it."""
    section = _printed(scene, fix)
    whole = scene.whole()
    for variable in [name for name in scene.variables if name.startswith("REGISTRY_AUTH")]:
        del scene.variables[variable]
    if "http" in section:
        whole["http"]["auth"] = section["http"]["auth"]
    else:
        whole["auth"] = section["auth"]
        for stray in ("token",):
            whole.pop(stray, None)
    scene.write(whole)


def _use_printed_file(scene: Scene, fix: str) -> None:
    """The files that the printed command writes, in place of those of the configuration."""
    printed = _printed(scene, fix)
    section = printed["http"]["auth"]["bearer"] if "http" in printed else printed["auth"]["token"]
    path = _section(scene)
    named = {key: value for key, value in section.items() if key in ("rootcertbundle", "jwks", "cert")}
    scene.change({f"{path}.{key}": value for key, value in named.items()})


def _save_download(scene: Scene, fix: str) -> None:
    """`save the output of `curl -fsS URL` as PATH`, or where a key of the configuration names a path."""
    found = re.search(r"`curl -fsS ([^`]+)`(?: as (/\S+))?", fix)
    assert found is not None
    (url,) = shlex.split(found[1])
    target = url.removeprefix(scene.names["url"])
    key = "jwks" if "jwks.json" in target else "rootcertbundle"
    saved = Path(found[2]) if found[2] else scene.folder / "saved"
    if scene.whole()["auth"]["token"].get(key) not in (None, found[2]) and found[2]:
        raise AssertionError(f"{found[2]} is not what {key} names")
    saved.write_bytes(scene.world.server.request("GET", target).body)
    scene.change({f"auth.token.{key}": str(saved)})


def _indent(scene: Scene, fix: str) -> None:
    """Settings that stand beside `token`, or at the top level, below it."""
    whole = scene.whole()
    settings = {**(whole.get("auth") or {}), **(whole.pop("token", None) or {})}
    settings.pop("token", None)
    put(whole, "auth", {"token": settings})
    scene.write(whole)


def _restart(scene: Scene, fix: str) -> None:
    """Nothing but that, and without the variables that win over the file."""
    scene.variables.clear()


def _printed(scene: Scene, fix: str) -> dict[str, Any]:
    """What the `registry-config` command in the text prints; of several kinds of registry, ours is taken."""
    found = re.search(r"`tokenserver (registry-config [^`]+)`", fix)
    assert found is not None, fix
    words = shlex.split(re.sub(r"(\w+(?:\|\w+)+)", lambda kinds: _kind(scene, kinds[1]), found[1]))
    words = [str(scene.folder) if word == "DIR" else word for word in words]
    if "--write" not in words:
        words += ["--write", str(scene.folder)]
    output = scene.world.server.run(*words, "--config", scene.doctor_config)
    section: dict[str, Any] = yaml.safe_load(output.stdout)
    return section


def _kind(scene: Scene, kinds: str) -> str:
    return next(one for one in kinds.split("|") if scene.case.registry.startswith(one))


def _section(scene: Scene) -> str:
    return "http.auth.bearer" if scene.config.suffix == ".json" else "auth.token"


_FIXES: tuple[tuple[str, Callable[[Scene, str], None]], ...] = (
    (r"indent them under|^move them to", _indent),
    (r"^restart the registry|look for variables", _restart),
    (r"^add \S+ to signingalgorithms", _add_algorithm),
    (r"^set \S+ to \S+ in", _set_value),
    (r"remove (autoredirect|storage\.|proxy|http\.)", _remove),
    (r"`curl -fsS", _save_download),
    (r"^add (auth.token|http.auth.bearer) to|^replace that|^add the output of", _use_printed_section),
    (r"`tokenserver registry-config", _use_printed_file),
)
