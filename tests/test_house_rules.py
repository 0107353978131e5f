"""The house rules that a syntax tree can check, beside the import contracts of pyproject.toml.

Each rule is a function from one module to what it finds there. A table shows that it finds what it should, so that a
rule that checks nothing would fail; then it runs over the whole package.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from syntax_trees import modules, nodes_of

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tokenserver"

IMPURE = {
    *("os", "io", "pathlib", "tempfile", "shutil", "socket", "select", "ssl", "asyncio", "threading"),
    *("multiprocessing", "subprocess", "time", "random", "secrets", "uuid", "logging", "warnings", "sys"),
    *("flask", "werkzeug", "jwt", "joserfc", "yaml", "pydantic", "click", "cryptography", "passlib", "ldap3"),
}

ONE_IMPORTER: dict[str, str | tuple[str, ...]] = {
    "flask": "web/",
    "werkzeug": "web/",
    "passlib": "authn/passwords.py",
    "bcrypt": "authn/passwords.py",
    "argon2": "authn/passwords.py",
    "ldap3": "authn/ldap/wire/requests.py",
    "jwt": "tokens/issuer.py",
    "joserfc": "authn/workload/key_sets.py",
    "yaml": ("documents/strict_yaml.py", "documents/yaml_nodes.py"),
    "click": "cli/",
    "prometheus_client": "metrics/exposition.py",
}

Rule = Callable[[ast.Module], list[str]]


def _imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The full names of what a module imports, wherever in it, with their lines."""
    for plain in nodes_of(tree, ast.Import):
        yield from ((alias.name, plain.lineno) for alias in plain.names)
    for named in nodes_of(tree, ast.ImportFrom):
        yield from ((f"{named.module or ''}.{alias.name}", named.lineno) for alias in named.names)
    for call in nodes_of(tree, ast.Call):
        if _name(call.func) in ("import_module", "__import__"):
            first = call.args[0] if call.args else None
            yield (str(first.value) if isinstance(first, ast.Constant) else "(computed)", call.lineno)


def _name(node: ast.AST) -> str:
    """The last word of an expression: `token` of `token`, `self.token`, `token()` and `claims["token"]`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Call):
        return _name(node.func)
    if isinstance(node, ast.Subscript):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        return key if isinstance(key, str) else _name(node.value)
    return ""


def _dotted(node: ast.AST) -> str:
    """A dotted name, `os.environ`; empty where it is more than names."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        below = _dotted(node.value)
        return f"{below}.{node.attr}" if below else ""
    return ""


# --- the rules -------------------------------------------------------------------------------------------------------


def impure(tree: ast.Module) -> list[str]:
    """Files, sockets, clocks, environment, loggers, printing (docs/architecture.md#house-rule-2)."""
    found = [f"line {line}: imports {name}" for name, line in _imports(tree) if name.partition(".")[0] in IMPURE]
    for node in nodes_of(tree, ast.Call):
        if _dotted(node.func) in ("open", "print", "input"):
            found.append(f"line {node.lineno}: calls {_dotted(node.func)}")
        if _name(node.func) in ("now", "utcnow", "today"):
            found.append(f"line {node.lineno}: reads the clock")
    return found


def reads_environment(tree: ast.Module) -> list[str]:
    """The environment is read in config/load.py alone (docs/architecture.md#house-rule-3)."""
    words = {f"os.{word}" for word in ("environ", "environb", "getenv", "getenvb", "putenv", "unsetenv")}
    found = [f"line {line}: imports {name}" for name, line in _imports(tree) if name in words]
    found.extend(
        f"line {node.lineno}: {_dotted(node)}" for node in nodes_of(tree, ast.Attribute) if _dotted(node) in words
    )
    return found


SECRETIVE = re.compile(
    r"token|secret|hash|signature|password|digest|mac$|fingerprint|thumbprint|credential|reveal", re.IGNORECASE
)
COMPARISONS = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)


def _names(node: ast.AST) -> Iterator[str]:
    """Every word of an expression whose value is in its value; not those that are only counted or asked for a kind."""
    if isinstance(node, ast.Call) and _name(node.func) in ("len", "type", "isinstance", "sum", "any", "all", "count"):
        return
    if word := _name(node):
        yield word
    for child in ast.iter_child_nodes(node):
        yield from _names(child)


def compares_secrets(tree: ast.Module) -> list[str]:
    """==, != and `in` stop at the first difference, and so tell by their time how much was right.

    See docs/design/threats.md#threat-105.
    """
    sides: list[tuple[ast.expr, ...]] = [
        (node.left, *node.comparators)
        for node in nodes_of(tree, ast.Compare)
        if any(isinstance(op, COMPARISONS) for op in node.ops)
    ]
    for match in nodes_of(tree, ast.Match):
        if any(isinstance(case.pattern, ast.MatchValue) for case in match.cases):
            sides.append((match.subject,))
    for call in nodes_of(tree, ast.Call):
        if _name(call.func) in ("startswith", "endswith", "removeprefix", "index"):
            sides.append((call.func,))
    words = (word for compared in sides for side in compared for word in _names(side))
    return [word for word in dict.fromkeys(words) if SECRETIVE.search(word)]


UNSAFE_IMPORTS = {"pickle", "marshal", "shelve", "dill", "xml", "telnetlib", "crypt", "random", "imp"}
UNSAFE_CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp"),
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "yaml.full_load_all"),
    *("hashlib.md5", "hashlib.sha1", "hashes.MD5", "hashes.SHA1", "ssl._create_unverified_context"),
}
UNSAFE_NAMES = {"CERT_NONE", "UnsafeLoader", "FullLoader"}
UNSAFE_KEYWORDS = {("shell", True), ("verify", False), ("check_hostname", False), ("debug", True)}
UNSAFE_TEXT = {"md5", "sha1", "none"}


def unsafe(tree: ast.Module) -> list[str]:
    """Calls that have hurt others.

    See docs/design/threats.md#threat-60, docs/design/threats.md#threat-108 and docs/design/threats.md#threat-110.
    """
    found = [
        f"line {line}: imports {name}" for name, line in _imports(tree) if name.partition(".")[0] in UNSAFE_IMPORTS
    ]
    for call in nodes_of(tree, ast.Call):
        if _dotted(call.func) in UNSAFE_CALLS:
            found.append(f"line {call.lineno}: calls {_dotted(call.func)}")
        if _dotted(call.func) == "hashlib.new" and any(
            isinstance(argument, ast.Constant) and argument.value in UNSAFE_TEXT for argument in call.args
        ):
            found.append(f"line {call.lineno}: a broken hash")
        found.extend(
            f"line {call.lineno}: {keyword.arg}={keyword.value.value!r}"
            for keyword in call.keywords
            if isinstance(keyword.value, ast.Constant) and (keyword.arg, keyword.value.value) in UNSAFE_KEYWORDS
        )
    found.extend(
        f"line {node.lineno}: {node.attr}" for node in nodes_of(tree, ast.Attribute) if node.attr in UNSAFE_NAMES
    )
    for assigned in nodes_of(tree, ast.Assign):
        if isinstance(assigned.value, ast.Constant) and assigned.value.value is False:
            found.extend(
                f"line {assigned.lineno}: {_name(target)}=False"
                for target in assigned.targets
                if _name(target) in ("check_hostname", "verify")
            )
    for table in nodes_of(tree, ast.Dict):
        found.extend(
            f"line {table.lineno}: {key.value!r}: False"
            for key, value in zip(table.keys, table.values, strict=True)
            if isinstance(key, ast.Constant)
            and str(key.value).startswith("verify")
            and isinstance(value, ast.Constant)
            and value.value is False
        )
    return found


JSON_WRITERS = {"dump", "dumps", "JSONEncoder"}


def writes_json(tree: ast.Module) -> list[str]:
    """JSON that `json_text` of `documents/json_output.py` does not write, and that may have numbers that JSON lacks."""
    return [
        f"line {line}: {name}" for name, line in _imports(tree) if name in {f"json.{one}" for one in JSON_WRITERS}
    ] + [f"line {node.lineno}: {_dotted(node)}" for node in nodes_of(tree, ast.Attribute) if node.attr in JSON_WRITERS]


# --- each rule finds what it should ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        pytest.param(impure, "import os", id="impure-import"),
        pytest.param(impure, "import os.path as p", id="impure-import-below"),
        pytest.param(impure, "from pathlib import Path", id="impure-from"),
        pytest.param(impure, "def f():\n    import time", id="impure-import-inside"),
        pytest.param(impure, "import importlib\nimportlib.import_module('socket')", id="impure-by-name"),
        pytest.param(impure, "open('x')", id="impure-open"),
        pytest.param(impure, "print('x')", id="impure-print"),
        pytest.param(impure, "datetime.now(UTC)", id="impure-now"),
        pytest.param(impure, "datetime.date.today()", id="impure-today"),
        pytest.param(reads_environment, "import os\nos.environ['X']", id="environ"),
        pytest.param(reads_environment, "import os\nos.getenv('X')", id="getenv"),
        pytest.param(reads_environment, "from os import environ as e", id="environ-from"),
        pytest.param(compares_secrets, "token == other", id="compare-name"),
        pytest.param(compares_secrets, "other != self.password_hash", id="compare-attribute"),
        pytest.param(compares_secrets, "a.digest() == b", id="compare-call"),
        pytest.param(compares_secrets, "claims['signature'] == b", id="compare-key"),
        pytest.param(compares_secrets, "secrets[0] == b", id="compare-entry"),
        pytest.param(compares_secrets, "1 < 2 == SECRET", id="compare-chain"),
        pytest.param(compares_secrets, "credentials.password.reveal() == b", id="compare-revealed"),
        pytest.param(compares_secrets, "a == token.encode()", id="compare-encoded"),
        pytest.param(compares_secrets, "token[:8] == b", id="compare-slice"),
        pytest.param(compares_secrets, "f'{token}' == b", id="compare-formatted"),
        pytest.param(compares_secrets, "hashlib.sha256(token).hexdigest() == b", id="compare-hashed"),
        pytest.param(compares_secrets, "(a, token) == (b, c)", id="compare-tuple"),
        pytest.param(compares_secrets, "token in known", id="compare-membership"),
        pytest.param(compares_secrets, "match token:\n    case 'x': pass", id="compare-match"),
        pytest.param(compares_secrets, "token.startswith(b)", id="compare-beginning"),
        pytest.param(unsafe, "import random", id="random"),
        pytest.param(unsafe, "from random import SystemRandom", id="random-from"),
        pytest.param(unsafe, "import pickle", id="pickle"),
        pytest.param(unsafe, "import xml.etree.ElementTree", id="xml"),
        pytest.param(unsafe, "yaml.load(x, Loader=L)", id="yaml-load"),
        pytest.param(unsafe, "yaml.UnsafeLoader", id="yaml-loader"),
        pytest.param(unsafe, "eval('1')", id="eval"),
        pytest.param(unsafe, "exec('1')", id="exec"),
        pytest.param(unsafe, "os.system('x')", id="system"),
        pytest.param(unsafe, "run('x', shell=True)", id="shell"),
        pytest.param(unsafe, "get('x', verify=False)", id="verify"),
        pytest.param(unsafe, "context.check_hostname = False", id="check-hostname"),
        pytest.param(unsafe, "ssl.CERT_NONE", id="cert-none"),
        pytest.param(unsafe, "decode(t, options={'verify_signature': False})", id="verify-signature"),
        pytest.param(unsafe, "hashlib.md5(b'x')", id="md5"),
        pytest.param(unsafe, "hashlib.new('md5', b'x')", id="md5-by-name"),
        pytest.param(writes_json, "import json\njson.dumps({})", id="json-dumps"),
        pytest.param(writes_json, "import json as j\nj.dump({}, file)", id="json-dump"),
        pytest.param(writes_json, "import json\nshow = json.dumps", id="json-dumps-by-name"),
        pytest.param(writes_json, "from json import dumps as text", id="json-from"),
        pytest.param(writes_json, "import json\njson.JSONEncoder(indent=2).encode({})", id="json-encoder"),
    ],
)
def test_rules_find_what_they_should(rule: Rule, source: str) -> None:
    """Each way to break a rule is found."""
    assert rule(ast.parse(source)) != []


@pytest.mark.parametrize("rule", [impure, reads_environment, compares_secrets, unsafe, writes_json])
@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import re\nfrom dataclasses import dataclass\nfrom datetime import datetime", id="imports"),
        pytest.param("hmac.compare_digest(token, other)\ntoken is None\nlen(token) > 3", id="comparisons"),
        pytest.param("yaml.safe_load(x)\nget('x', verify=True)\nenviron.get('X')\nself.open(x)", id="calls"),
        pytest.param("import json\njson.loads(x)\nself.json(x)\njson_text(x)", id="json"),
    ],
)
def test_rules_find_nothing_where_nothing_is(rule: Rule, source: str) -> None:
    """Harmless lines stay unfound."""
    assert rule(ast.parse(source)) == []


# --- the package keeps them ------------------------------------------------------------------------------------------


def _contract(name: str) -> dict[str, Any]:
    """The import contract of that name in pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = (one for one in settings["tool"]["importlinter"]["contracts"] if one["name"] == name)
    found: dict[str, Any] = contract
    return found


def _pure_modules() -> list[str]:
    """The pure core: the rooms that the import contract names, without those that it ignores."""
    contract = _contract("pure core")
    rooms = [_path(name) for name in contract["source_modules"]]
    ignored = [_path(line.partition(" -> ")[0].removesuffix(".**")) for line in contract["ignore_imports"]]
    return [module for module in modules() if _is_in(module, rooms) and not _is_in(module, ignored)]


def _path(module: str) -> str:
    return module.removeprefix("tokenserver.").replace(".", "/")


def _is_in(module: str, rooms: list[str]) -> bool:
    return any(module == f"{room}.py" or module.startswith(f"{room}/") for room in rooms)


def test_the_pure_core_has_its_rooms() -> None:
    """Where the contract is read wrongly, or names a room that is gone, something of this is missing."""
    assert {"scopes.py", "policy/decide.py", "policy/lint/lint.py", "doctor/checks/live.py"} <= set(_pure_modules())
    assert not {"policy/loading/folder.py", "doctor/examination/fetch.py"} & set(_pure_modules())
    contract = _contract("pure core")
    for name in [
        *contract["source_modules"],
        *(line.partition(" -> ")[0].removesuffix(".**") for line in contract["ignore_imports"]),
    ]:
        assert (PACKAGE / _path(name)).is_dir() or (PACKAGE / f"{_path(name)}.py").is_file(), name


def test_the_pure_core_is_pure() -> None:
    """No file, socket, clock, environment, logger, Flask or jwt; `now` and `new_id` are handed in."""
    found = {module: impure(modules()[module]) for module in _pure_modules()}
    assert {module: faults for module, faults in found.items() if faults} == {}


@cache
def _packages_of_modules() -> dict[str, set[str]]:
    """The top-level packages that each module imports."""
    return {module: {name.partition(".")[0] for name, _ in _imports(tree)} for module, tree in modules().items()}


@pytest.mark.parametrize("package", ONE_IMPORTER)
def test_one_importer_each(package: str) -> None:
    """Whoever wants to replace one of these has one place to look at."""
    importers = {module for module, packages in _packages_of_modules().items() if package in packages}
    assert {module for module in importers if not module.startswith(ONE_IMPORTER[package])} == set()


def test_one_reader_of_the_environment() -> None:
    """config/load.py; everything else gets settings, but the credential helper, which has none of the server's."""
    assert {module for module, tree in modules().items() if reads_environment(tree)} == {
        "config/load.py",
        "process/color_choice.py",  # NO_COLOR and FORCE_COLOR, which are not this program's settings
        "credential_helper/environment.py",  # a program of its own on other machines, which knows no settings of ours
    }


NOT_SECRET = {
    "audit/chain/run.py:digest": "the digest of lines that everybody can read",
    "audit/chain/run.py:hexdigest": "the digest of lines that everybody can read",
    "exchange/audit_chain/seal_check.py:_thumbprints": "thumbprints of public keys",
    "audit/policy_in_force.py:digest": "the digest of policies, which events have",
    "audit/usage.py:secret": "the id of a declared secret",
    "audit/usage.py:seen_credentials": "ids of credentials",
    "audit/question.py:credential": "the id of a credential, not its secret",
    "audit/question.py:credentials_of": "ids of credentials",
    "audit/store/indexer.py:_digests": "digests of events",
    "audit/store/indexer.py:digest": "the digest of a file of events, which the store has",
    "authn/htpasswd/file.py:hashed": "looks for the lock in front of a hash",
    "authn/stored/backend.py:credential": "the form of a credential that was proved",
    "authn/stored/gate.py:credential": "the limits of a credential that was proved",
    "authn/stored/owners.py:credential": "the owner of a credential that was proved",
    "exchange/stored/revocation.py:credential": "the form of a credential that was proved",
    "policy/history/past_policies.py:digest": "the digest of policies, which events have",
    "web/oauth/grants.py:ACCESS_TOKEN": "the name of a type of tokens",
    "web/oauth/grants.py:REFRESH_TOKEN": "the name of a type of tokens",
    "web/oauth/grants.py:TOKEN_EXCHANGE": "the name of a grant",
    "web/oauth/grants.py:credentials": "header against form; passwords are Secrets, compared in constant time",
    "web/token_endpoint.py:TOKEN_EXCHANGE": "the name of a grant",
    "authn/hooks/login_program.py:password": "looks for a line break in the client's own text",
    "authn/hooks/source.py:password": "looks for a NUL in the client's own text",
    "authn/hooks/source.py:reveal": "looks for a NUL in the client's own text",
    "authn/passwords.py:secret": "looks for a NUL in the client's own text",
    "authn/passwords.py:_SHA_CRYPT_DIGEST": "how long a well-formed hash is",
    "cli/robots/stored_secrets.py:credential": "the owner of a credential: the name of a robot",
    "credential_helper/obtaining.py:token_servers": "the URLs of token servers",
    "credential_helper/people.py:token_servers": "the URLs of token servers",
    "credential_helper/keeping.py:TOKEN_USER": "the user name of a token that is answered as a password",
    "credential_helper/program.py:IDENTITY_TOKEN": "the user name that marks a token",
    "management/rights.py:credential": "the owner of a credential, which is public",
    "management/operations/robot_secrets.py:credential": "the id of a credential, which is public",
    "management/operations/robot_secrets.py:secret": "the id of a secret, which is public",
    "management/service.py:credential": "the id of a credential, which is public",
    "storage/people/epochs.py:credential": "the id of a credential, which is public",
    "web/api/documents.py:secret": "the state of a secret",
    "keys/signatures.py:signature": "the encoding of a signature of our own",
    "doctor/registry/distribution.py:TOKEN_KEYS": "keys of a registry's configuration",
    "doctor/registry/verifiers.py:token": "the name of its algorithm",
    "policy/loading/gating.py:digest": "of the policy files, and public",
    "web/authorization_header.py:token": "the client's base64 with its own canonical form; no secret of the server",
}
"""Comparisons that are right: file:name -> why no secret is in it."""


def test_secrets_are_not_compared_with_equals() -> None:
    """hmac.compare_digest, or a reason in NOT_SECRET; a reason that is not needed any more goes."""
    found = {f"{module}:{name}" for module, tree in modules().items() for name in compares_secrets(tree)}
    assert found == set(NOT_SECRET)


def test_nothing_unsafe_is_called() -> None:
    """No pickle, eval, shell, unverified TLS, unsafe YAML, weak hash or predictable randomness."""
    found = {module: unsafe(tree) for module, tree in modules().items()}
    assert {module: faults for module, faults in found.items() if faults} == {}


def test_commands_write_json_in_one_way() -> None:
    """What programs read of a command is JSON in any parser; `allow_nan=False` alone would be an error instead."""
    found = {module: writes_json(tree) for module, tree in modules().items() if module.startswith("cli/")}
    assert found
    assert {module: faults for module, faults in found.items() if faults} == {}


def test_every_module_says_what_it_owns() -> None:
    """The first docstring line is a sentence."""
    first = {module: (ast.get_docstring(tree) or "").partition("\n")[0] for module, tree in modules().items()}
    assert {module: line for module, line in first.items() if not re.fullmatch(r"[A-Z`].*[.:?]", line)} == {}


def test_no_module_is_too_long() -> None:
    """Over 300 lines there is a second idea in it."""
    lengths = {module: len((PACKAGE / module).read_text("utf-8").splitlines()) for module in modules()}
    assert {module: length for module, length in lengths.items() if length > 300} == {}


def test_class_names_are_unique() -> None:
    """One name, one thing: a reader who meets a class by its name finds one definition."""
    places: dict[str, list[str]] = {}
    for module, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_no_room_is_crowded() -> None:
    """Over fifteen files there is a second room in it."""
    rooms: dict[str, int] = {}
    for module in modules():
        room = module.rpartition("/")[0]
        rooms[room] = rooms.get(room, 0) + 1
    assert {room: count for room, count in rooms.items() if count > 15} == {}
