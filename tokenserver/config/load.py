"""Loads the settings from a YAML file and the environment (this is the only reader of `os.environ`).

Every key is also an environment variable: `TOKENSERVER_` and the path in capitals with underscores
(`TOKENSERVER_SERVER_LISTEN`, `TOKENSERVER_REGISTRIES_0_SERVICE`). Values are parsed as YAML. With the suffix `_FILE`,
the variable names a file that contains the value. The environment takes precedence over the file.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from tokenserver.config.introspection import (
    Path_,
    expand_shorthand,
    from_working_folder,
    is_list,
    kinds,
    models,
    paths,
    shorthand,
    spell_variable,
)
from tokenserver.config.referenced_files import SettingsRefused, referenced_files_in
from tokenserver.config.registries_folder import WHAT, RegistryEntry, differing, read_registries
from tokenserver.config.settings import Settings
from tokenserver.config.telemetry.tracing import with_usual_variables
from tokenserver.credentials import Secret
from tokenserver.documents.document import Document, parse, spell, validation_faults
from tokenserver.documents.files import read_text
from tokenserver.documents.hints import Hints
from tokenserver.errors import Fault, LoadError

PREFIX = "TOKENSERVER_"
DEFAULT_FILE = "tokenserver.yaml"

# Not settings: the file to read, the tests' own switch, what the credential helper reads, and the variables that
# Kubernetes and Docker links set in containers next to a service called "tokenserver" or "tokenserver-…". A bare
# ..._PORT is theirs only with their kind of value: TOKENSERVER_PORT=5001 is reported, since it sets nothing.
_NOT_SETTINGS = re.compile(
    r"TOKENSERVER_(?:(?:CONFIG|REQUIRE_REAL|NAME|ID_TOKEN|ID_TOKEN_FILE|ENV_.*)=.*"
    r"|(?:.*_)?SERVICE_(?:HOST|PORT(?:_.*)?)=.*"
    r"|(?:.*_)?PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?=.*"
    r"|(?:.*_)?PORT=(?:tcp|udp|sctp)://.*)",
    re.ASCII | re.DOTALL,
)


def config_path(given: Path | None, environment: Mapping[str, str] | None = None) -> Path:
    """The configuration file to read: as given, else `TOKENSERVER_CONFIG`, else `tokenserver.yaml` here."""
    if given is not None:
        return given
    environment = os.environ if environment is None else environment
    return Path(environment.get("TOKENSERVER_CONFIG") or DEFAULT_FILE)


def environment_without(prefix: str) -> dict[str, str]:
    """This process's environment for another program, without the variables that it would take for its settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(prefix)}


def variables() -> dict[str, str]:
    """The variables of the environment that begin with `PREFIX`."""
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}


def load_settings(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings from `path` (see `config_path`) and the environment.

    If the default file does not exist, the environment alone is enough. Relative paths in the file are relative to it,
    those in the environment to the working folder.

    Raises:
        LoadError: every fault, each with `file:line: path` or the name of its variable; a `SettingsRefused` if the file
            could be read.
    """
    environment = os.environ if environment is None else environment
    file = config_path(path, environment)
    variables = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    overrides, faults = _overrides(variables)
    is_named = path is not None or bool(environment.get("TOKENSERVER_CONFIG"))
    only_environment = not is_named and bool(overrides) and _is_missing(file)
    try:
        document = Document("the environment", {}, {}) if only_environment else _read(file)
    except LoadError as error:
        raise LoadError([*faults, *error.faults]) from error
    value = document.value if document.value is not None else {}
    if not isinstance(value, dict):
        raise LoadError([*faults, Fault(document.file, 1, "", "must be a mapping (key: value)")])
    merged = Document(document.file, _merge(value, overrides, faults), document.lines, document.origin)
    with_usual_variables(merged.value, environment)
    base = file.parent.absolute()
    entries, in_folder = _from_folder(merged, Path.cwd() if ("registries",) in overrides else base)
    try:
        settings = Settings.model_validate(merged.value, context={"base": base})
    except ValidationError as error:
        # Registries whose files have faults are missing in the list; that is not reported again.
        found = [
            fault for fault in validation_faults(merged, Settings, error) if fault.path != "registries" or not in_folder
        ]
        placed = [_in_variable(_in_file(fault, entries), overrides) for fault in [*in_folder, *found]]
        raise SettingsRefused([*faults, *placed], referenced_files_in(merged.value, base)) from error
    faults += [_in_variable(fault, overrides) for fault in in_folder]
    if faults:
        raise SettingsRefused(faults, referenced_files_in(merged.value, base))
    return settings


def log_format(path: Path | None = None) -> str | None:
    """`log.format`, also that of rejected settings, since their faults are logged; None if it cannot be determined."""
    try:
        return load_settings(path).log.format
    except SettingsRefused as error:
        return error.named.log_format
    except LoadError:
        return variables().get(f"{PREFIX}LOG_FORMAT")


def _from_folder(merged: Document, base: Path) -> tuple[list[RegistryEntry], list[Fault]]:
    """Replace the folder named in `registries`, if one is, by its registries; returns its files and their faults."""
    given = merged.value.get("registries")
    if not isinstance(given, str):
        return [], []
    merged.value["registries"] = []
    try:
        entries, faults = read_registries(base / Path(given or "\0").expanduser())
    except (ValueError, RuntimeError):  # nothing, or a NUL in it; a home that does not exist
        return [], [merged.fault(("registries",), f"must be {WHAT}; {given!r} is not a path")]
    except LoadError as error:
        return [], [merged.fault(("registries",), f"must be {WHAT}; {fault}") for fault in error.faults]
    entries = differing(entries)
    merged.value["registries"] = [entry.registry for entry in entries]
    return entries, faults


def _in_file(fault: Fault, entries: Sequence[RegistryEntry]) -> Fault:
    """The fault at its place in the registry's own file, if it came from one."""
    matched = re.fullmatch(r"registries\[([0-9]+)\]\.?(.*)", fault.path) if entries else None
    return fault if matched is None else entries[int(matched[1])].fault(matched[2], fault.message)


def _is_missing(file: Path) -> bool:
    """Whether there is nothing at `file`. Unlike with `Path.exists`, an inaccessible file is not missing."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _read(file: Path) -> Document:
    if _is_missing(file):
        message = "does not exist; create one with `tokenserver init DIR`, or name another with --config FILE"
        raise LoadError([Fault(str(file), 0, "", message)])
    return parse(read_text(file), str(file))


_IN_A_FILE = (
    "the file that it names contains no valid value for this setting; the content may be secret and is not shown"
)


def _overrides(variables: Mapping[str, str]) -> tuple[dict[Path_, tuple[str, Any]], list[Fault]]:
    """The overrides from the environment, path -> (variable, value), and faults of variables that set nothing."""
    found: dict[Path_, tuple[str, Any]] = {}
    faults: list[Fault] = []
    hints = Hints()
    for name, text in sorted(variables.items()):
        if _NOT_SETTINGS.fullmatch(f"{name}={text}"):
            continue
        try:
            target = _target(Settings, name.removeprefix(PREFIX).lower())
            if target is None and name.endswith("_FILE"):
                target = _target(Settings, name.removeprefix(PREFIX).removesuffix("_FILE").lower())
                if target is not None:
                    text = read_text(Path(text), private=True).rstrip("\r\n")  # noqa: PLW2901 - the file's text is the value
            if target is None:
                # Suggest names for the same entry of a list, not for its first.
                entry = re.search(r"_[0-9]+_", name)
                known = [PREFIX + spell_variable(path) for path in paths(Settings)]
                known = [one.replace("_0_", entry[0]) if entry else one for one in known]
                faults.append(
                    Fault(f"environment variable {name}", 0, "", f"sets nothing; {hints.nearest(name, known)}")
                )
                continue
            path, annotation = target
            if path in found:
                message = f"{found[path][0]} sets the same key; keep one of the two"
                faults.append(Fault(f"environment variable {name}", 0, "", message))
                continue
            found[path] = (name, _value(text, annotation, name))
        except LoadError as error:
            for fault in error.faults:
                message = fault.message if fault.file == name else str(fault)
                if fault.file == name and _target(Settings, name.removeprefix(PREFIX).lower()) is None:
                    message = _IN_A_FILE
                faults.append(Fault(f"environment variable {name}", 0, "", message))
    return found, faults


def _target(model: type[BaseModel], rest: str) -> tuple[Path_, Any] | None:
    """The path that `server_listen` names and the annotation of its field; field names contain underscores, too."""
    for name in sorted(model.model_fields, key=len, reverse=True):
        annotation = model.model_fields[name].annotation
        if rest == name:
            return (name,), annotation
        if not rest.startswith(name + "_"):
            continue
        tail = rest[len(name) + 1 :]
        prefix: Path_ = (name,)
        index, _, after = tail.partition("_")
        if is_list(annotation) and index.isascii() and index.isdigit():
            prefix, tail = (name, int(index)), after
        elif is_list(annotation):
            continue
        for inner in models(annotation):
            deeper = _target(inner, tail)
            if deeper is not None:
                return (*prefix, *deeper[0]), deeper[1]
    return None


def _value(text: str, annotation: Any, name: str) -> Any:
    """The value of a variable. A path is made absolute here, because it is relative to the working folder."""
    value = text if kinds(annotation) & {Path, str, Secret} else parse(text, name).value
    key = shorthand(annotation)
    if key is not None and not isinstance(value, dict):
        # The shorthand of a section: plain text, even if YAML would parse it as something else.
        (section,) = models(annotation)
        return from_working_folder(text, section.model_fields[key].annotation)
    return from_working_folder(value, annotation)


def _merge(value: dict[str, Any], overrides: Mapping[Path_, tuple[str, Any]], faults: list[Fault]) -> dict[str, Any]:
    merged: dict[str, Any] = _copy(value)
    for section in {str(path[0]) for path in overrides if len(path) > 1} & merged.keys():
        merged[section] = expand_shorthand(merged[section], Settings.model_fields[section].annotation)
    # In the order of the lists: sorted by name, entry 10 would come before entry 2.
    by_place = sorted(overrides.items(), key=lambda item: [str(step).zfill(9) for step in item[0]])
    for path, (name, new) in by_place:
        try:
            here: Any = merged
            for step, following in itertools.pairwise(path):
                here = _step(here, step, following)
            _set(here, str(path[-1]), new)
        except _NoPlace as error:
            faults.append(Fault(f"environment variable {name}", 0, "", str(error)))
    return merged


class _NoPlace(Exception):
    """The file has no place for the value of a variable."""


def _set(here: Any, key: str, new: Any) -> None:
    if not isinstance(here, dict):
        raise _NoPlace("the file has no mapping here")
    here[key] = new


def _step(here: Any, step: str | int, following: str | int) -> Any:
    fresh: Any = [] if isinstance(following, int) else {}
    if isinstance(step, int):
        if not isinstance(here, list):
            raise _NoPlace("the file has no list here")
        if step > len(here):
            raise _NoPlace(f"entry {step} would leave a gap: the list has {len(here)}")
        if step == len(here):
            here.append(fresh)
        return here[step]
    if not isinstance(here, dict):
        raise _NoPlace("the file has no mapping here")
    if here.get(step) is None:
        here[step] = fresh
    return here[step]


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _in_variable(fault: Fault, overrides: Mapping[Path_, tuple[str, Any]]) -> Fault:
    """The fault at its variable, if the value came from one; the most specific one, if several apply."""
    for path, (name, _) in sorted(overrides.items(), key=lambda item: len(item[0]), reverse=True):
        rest = fault.path.removeprefix(spell(path))
        if fault.path == spell(path) + rest and rest[:1] in ("", ".", "["):
            if name.endswith("_FILE") and not str(path[-1]).endswith("_file"):
                return Fault(f"environment variable {name}", 0, "", _IN_A_FILE)
            return Fault(f"environment variable {name}", 0, rest.removeprefix("."), fault.message)
    return fault
