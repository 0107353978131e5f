"""Values of a registry's configuration that should be the path of a file of keys, and are none. Pure.

No registry fetches keys: Distribution up to 3.1 opens a file (registry/auth/token/accesscontroller.go, `getJwks` and
`getRootCerts`), and so does zot (pkg/api/authn.go).
"""

from __future__ import annotations

from tokenserver.doctor.checks.setup import RESTART


def no_path(key: str, value: str, *, is_zot: bool) -> str | None:
    """Why the value of `key` is no path; None if it may be one."""
    if "://" in value:
        software = "zot" if is_zot else "Distribution, up to 3.1,"
        return f"{key} is a URL, and {software} only reads a file: it does not start with this"
    if _is_content(value):
        return f"{key} is the content of a file where the registry reads a path: it does not start with this"
    return None


def fix_for(key: str, value: str, source: str) -> str | None:
    """The fix for such a value; None if it may be a path. `source` is the command whose output belongs in the file."""
    if value.startswith("file://"):
        return f"write it as a path, {value.removeprefix('file://')}, {RESTART}"
    if "://" in value:
        return f"save the output of {source} in a file, set {key} to the path of that file {RESTART}"
    if _is_content(value):
        return f"write the content into a file, set {key} to the path of that file {RESTART}"
    return None


def _is_content(value: str) -> bool:
    return "-----BEGIN" in value or value.lstrip().startswith("{")
