"""Reading Distribution's configuration, rejecting invalid ones, and variables that override it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.facts import Mirror, Setup, Uses
from tokenserver.doctor.registry.distribution import MAX_TEXT, parse_environment, read_distribution
from tokenserver.errors import LoadError

RIGHT = """\
version: 0.1
http:
  addr: :5000
  tls: {certificate: a.pem, key: b.pem}
auth:
  token:
    realm: https://auth.example.com/token
    service: registry.example.com
    issuer: auth.example.com
    rootcertbundle: /etc/ca.pem
    jwks: /etc/jwks.json
    signingalgorithms: [ES256, RS256]
    autoredirect: true
    autoredirectpath: /auth
    rootCertBundle: /etc/x.pem
"""


def faults(text: str | None, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(LoadError) as refused:
        read_distribution(text, "config.yml", environment)
    return [str(fault) for fault in refused.value.faults]


def test_all_of_it_is_read() -> None:
    """Every key that decides about tokens, with its line; a misspelt one with the right one."""
    setup = read_distribution(RIGHT, "config.yml")
    assert (setup.auth, setup.is_zot, setup.https) == ("token", False, True)
    assert (setup.realm, setup.service) == ("https://auth.example.com/token", "registry.example.com")
    assert (setup.issuer, setup.bundle, setup.jwks) == ("auth.example.com", "/etc/ca.pem", "/etc/jwks.json")
    assert (setup.algorithms, setup.autoredirect, setup.autoredirect_path) == (("ES256", "RS256"), True, "/auth")
    assert setup.only_in_3 == ("jwks", "signingalgorithms", "autoredirectpath")
    assert setup.unknown_keys == (("rootCertBundle", "did you mean 'rootcertbundle'?"),)
    assert setup.place("realm") == "config.yml:7"


@pytest.mark.parametrize(
    ("text", "auth"),
    [
        pytest.param("version: 0.1", "none", id="no auth"),
        pytest.param("auth:", "none", id="empty auth"),
        pytest.param("auth: silly", "silly", id="a word"),
        pytest.param("auth: {htpasswd: {realm: x}}", "htpasswd", id="htpasswd"),
        pytest.param("auth: {htpasswd: {realm: x}, token: {realm: x}}", "htpasswd and token", id="two"),
        pytest.param("auth: {token: }", "token", id="an empty section"),
    ],
)
def test_ways_to_let_clients_in(text: str, auth: str) -> None:
    """The method is the key under auth."""
    assert read_distribution(text, "config.yml").auth == auth


def test_variables_win() -> None:
    """As in the registry: they are read as YAML, and others are passed over."""
    variables = {
        "REGISTRY_AUTH_TOKEN_SERVICE": "other",
        "REGISTRY_AUTH_TOKEN_AUTOREDIRECT": "false",
        "REGISTRY_AUTH_TOKEN_SIGNINGALGORITHMS": "[RS256]",
        "REGISTRY_AUTH_TOKEN_JWKS": "",
        "REGISTRY_STORAGE_X": "[",
        "PATH": "/bin",
    }
    setup = read_distribution(RIGHT, "config.yml", variables)
    assert (setup.service, setup.autoredirect, setup.algorithms) == ("other", False, ("RS256",))
    assert setup.jwks == "/etc/jwks.json"
    assert setup.place("service") == "REGISTRY_AUTH_TOKEN_SERVICE"


@pytest.mark.parametrize(
    ("text", "variables", "auth"),
    [
        pytest.param("auth: {}", {}, "none", id="empty section"),
        pytest.param('auth: ""', {}, "none", id="empty word"),
        pytest.param("auth: none", {}, "none", id="none"),
        pytest.param("auth: {NONE: {realm: x}}", {}, "none", id="none in capitals"),
        pytest.param("auth: {~: {realm: x}}", {}, "none", id="a section without a name"),
        pytest.param("auth: {none: , token: {realm: x}}", {}, "none", id="none beside token"),
        pytest.param("auth: {silly: {realm: x, service: y}}", {}, "silly", id="silly"),
        pytest.param(RIGHT, {"REGISTRY_AUTH": ""}, "none", id="an empty variable"),
        pytest.param(RIGHT, {"REGISTRY_AUTH": "{}"}, "none", id="an empty mapping"),
        pytest.param(RIGHT, {"REGISTRY_AUTH": "none"}, "none", id="a variable that says none"),
        pytest.param(RIGHT, {"REGISTRY_AUTH": "{none: {}}"}, "none", id="a mapping that says none"),
        pytest.param(RIGHT, {"REGISTRY_AUTH": "{htpasswd: {path: x}}"}, "htpasswd", id="another way"),
        pytest.param(RIGHT, {"REGISTRY_AUTH_NONE": ""}, "none", id="one more section"),
        pytest.param(RIGHT, {"REGISTRY_AUTH_HTPASSWD_PATH": "x"}, "htpasswd and token", id="two ways"),
        pytest.param("auth: {none: }", {"REGISTRY_AUTH": "token"}, "token", id="a variable that protects"),
    ],
)
def test_whether_anybody_is_kept_out(text: str, variables: dict[str, str], auth: str) -> None:
    """As the registry reads it: `REGISTRY_AUTH` replaces all of `auth`, and `none` counts in any case."""
    assert read_distribution(text, "config.yml", variables).auth == auth


def test_a_variable_takes_the_files_options_with_it() -> None:
    """The registry would not start: it has no realm any more."""
    setup = read_distribution(RIGHT, "config.yml", {"REGISTRY_AUTH": "token", "REGISTRY_AUTH_TOKEN_ISSUER": "x"})
    assert (setup.auth, setup.realm, setup.issuer) == ("token", None, "x")
    setup = read_distribution(RIGHT, "config.yml", {"REGISTRY_AUTH_TOKEN": "{realm: r}"})
    assert (setup.auth, setup.realm, setup.issuer) == ("token", "r", None)
    assert faults(RIGHT, {"REGISTRY_AUTH": "["})[0].startswith("variable REGISTRY_AUTH:")


def test_variables_alone() -> None:
    """A container may have no file at all."""
    variables = {
        "REGISTRY_AUTH": "token",
        "REGISTRY_AUTH_TOKEN_REALM": "https://a/token",
        "REGISTRY_HTTP_TLS_CERTIFICATE": "/x.pem",
    }
    setup = read_distribution(None, "registry.env", variables)
    assert (setup.auth, setup.realm, setup.https) == ("token", "https://a/token", True)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("- a", "config.yml:1: must be a mapping", id="a list"),
        pytest.param("auth: [token]", "config.yml:1: auth: must be a mapping", id="auth a list"),
        pytest.param("auth: {token: x}", "config.yml:1: auth.token: must be a mapping", id="token a word"),
        pytest.param("auth: {token: {realm: 1}}", "config.yml:1: auth.token.realm: must be text", id="a number"),
        pytest.param(
            "auth:\n  token:\n    autoredirect: maybe", "config.yml:3: auth.token.autoredirect: must be true", id="flag"
        ),
        pytest.param(
            "auth: {token: {signingalgorithms: ES256}}",
            "config.yml:1: auth.token.signingalgorithms: must be",
            id="list",
        ),
        pytest.param("a: 1\na: 2", "config.yml:2: a: the key is already set", id="a key twice"),
        pytest.param("a: &x 1\nb: *x", "config.yml:1: anchors", id="alias"),
        pytest.param("a: [", "config.yml:2: is not valid YAML", id="no YAML"),
        pytest.param("a" * (MAX_TEXT + 1), "config.yml: is larger", id="large"),
    ],
)
def test_what_is_refused(text: str, fault: str) -> None:
    """With file, line and place."""
    assert faults(text)[0].startswith(fault)


def test_every_fault_is_told_at_once() -> None:
    """Two wrong types and a broken variable."""
    text = "auth: {token: {realm: 1, service: [x]}}"
    assert len(faults(text, {"REGISTRY_AUTH_TOKEN_ISSUER": "["})) == 3


def test_an_env_file() -> None:
    """As containers are given it; quotes and `export` do no harm."""
    text = "# a comment\n\nexport A=1\nB='x y'\nC=\"z\"\nD='\n"
    assert parse_environment(text, "e") == {"A": "1", "B": "x y", "C": "z", "D": "'"}
    with pytest.raises(LoadError) as refused:
        parse_environment("A=1\nnonsense\n=x", "e")
    assert [fault.line for fault in refused.value.faults] == [2, 3]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abc:/*&!{}[]\n'\"", max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["token", "realm", "x"]), inner),
    max_leaves=9,
)


def read_or_none(text: str, environment: dict[str, str]) -> Setup | None:
    with suppress(LoadError):
        return read_distribution(text, "c", environment)
    return None


@given(value=_VALUES, junk=st.text(max_size=40))
def test_any_text_is_read_or_refused(value: Any, junk: str) -> None:
    """No exception but LoadError escapes, and text settings are text."""
    for text in (
        junk,
        f"auth: {value!r}",
        f"auth: {{token: {value!r}}}\nhttp: {value!r}",
        f"auth:\n  token:\n    realm: {junk}",
    ):
        setup = read_or_none(text, {"REGISTRY_AUTH_TOKEN_ISSUER": junk})
        assert setup is None or setup.auth
        assert setup is None or setup.realm is None or isinstance(setup.realm, str)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("REGISTRY_AUTH_TOKEN_ROOT_CERT_BUNDLE", "did you mean REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE?"),
        ("REGISTRY_AUTH_TOKN_ISSUER_X", "did you mean REGISTRY_AUTH_TOKN_ISSUERX?"),
        ("REGISTY_AUTH_TOKEN_ISSUER", "did you mean REGISTRY_AUTH_TOKEN_ISSUER?"),
        ("registry_auth_token_issuer", "did you mean REGISTRY_AUTH_TOKEN_ISSUER?"),
        ("REGISTRY_AUTH__TOKEN_ISSUER", "did you mean REGISTRY_AUTH_TOKEN_ISSUER?"),
        ("REGISTRY_AUTH_TOKEN_ISUER", "did you mean 'issuer'?"),
    ],
)
def test_misspelt_variables(name: str, hint: str) -> None:
    """The registry ignores them, and each is found under its own name."""
    (found,) = read_distribution("auth: {token: {realm: x}}", "f", {name: "y", "PATH": "/bin"}).unknown_keys
    assert found[1] == hint
    assert read_distribution("auth: {token: {realm: x}}", "f", {name: "y"}).place(found[0]) == name


def test_a_bad_value_of_a_variable_is_the_variables() -> None:
    """It is not in the file."""
    text = "auth: {token: {realm: x, service: y}}"
    assert faults(text, {"REGISTRY_AUTH_TOKEN_SERVICE": "[a]"})[0].startswith("variable REGISTRY_AUTH_TOKEN_SERVICE")
    assert faults(text, {"REGISTRY_STORAGE_DELETE_ENABLED": "[a"})[0].startswith("variable REGISTRY_STORAGE_DELETE")


USES = """\
storage: {delete: {enabled: true}, maintenance: {readonly: {enabled: true}}}
http: {host: https://registry.example.com, prefix: /images/}
"""


def test_what_else_the_file_allows() -> None:
    """From the file, and from variables that win over it."""
    assert read_distribution("version: 0.1", "f").uses == Uses(deletes=False)
    found = read_distribution(USES, "f").uses
    url = "https://registry.example.com"
    assert found == Uses(deletes=True, is_readonly=True, host=url, prefix="/images/")
    variables = {
        "REGISTRY_STORAGE_DELETE_ENABLED": "false",
        "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED": "false",
        "REGISTRY_HTTP_HOST": "https://x.example.com",
        "REGISTRY_STORAGE_S3_BUCKET": "b",
    }
    changed = read_distribution(USES, "f", variables).uses
    assert (changed.deletes, changed.is_readonly) == (False, False)
    assert changed.host == "https://x.example.com"
    whole = read_distribution(None, "f", {"REGISTRY_STORAGE_MAINTENANCE_READONLY": "{enabled: true}"})
    assert whole.uses.is_readonly
    assert not read_distribution("storage: {maintenance: {readonly: on}}", "f").uses.is_readonly


@pytest.mark.parametrize(
    ("text", "variables", "expected", "place"),
    [
        pytest.param(
            "proxy: {remoteurl: 'https://r/'}", {}, Mirror("https://r", has_login=False), "c:1", id="anonymous"
        ),
        pytest.param(
            "version: 0.1\nproxy:\n  username: m\n  remoteurl: https://r",
            {},
            Mirror("https://r", has_login=True),
            "c:4",
            id="login",
        ),
        pytest.param(
            "proxy: {username: m, remoteurl: 'https://r'}",
            {"REGISTRY_PROXY_REMOTEURL": "http://other:5000"},
            Mirror("http://other:5000", has_login=True),
            "REGISTRY_PROXY_REMOTEURL",
            id="another by a variable",
        ),
        pytest.param(
            "version: 0.1",
            {"REGISTRY_PROXY_REMOTEURL": "http://r", "REGISTRY_PROXY_USERNAME": "robot$web+ci"},
            Mirror("http://r", has_login=True),
            "REGISTRY_PROXY_REMOTEURL",
            id="variables alone",
        ),
        pytest.param("proxy: {username: m}", {}, None, "", id="no remoteurl"),
        pytest.param("proxy: {remoteurl: ''}", {}, None, "", id="an empty one"),
        pytest.param("proxy: {remoteurl: 5}", {}, None, "", id="no text"),
        pytest.param("proxy: off", {}, None, "", id="no section"),
        pytest.param("version: 0.1", {}, None, "", id="none"),
        pytest.param("version: 0.1", {"REGISTRY_AUTH_TOKEN_REALM_X": "y"}, None, "", id="a key below a key"),
    ],
)
def test_mirrors(text: str, variables: dict[str, str], expected: Mirror | None, place: str) -> None:
    """What `proxy` makes of the registry; `remoteurl` alone decides whether it is a mirror."""
    setup = read_distribution(text, "c", variables)
    assert setup.mirror == expected
    assert expected is None or setup.place("remoteurl") == place


def test_the_place_of_a_variable_beside_auth() -> None:
    """By the key that it sets, whatever form the variable has."""
    names = ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "REGISTRY_HTTP_HOST")
    setup = read_distribution(RIGHT, "config.yml", dict.fromkeys(names, "true"))
    assert setup.places["storage.maintenance.readonly"] == names[0]
    assert setup.places["http.host"] == names[1]
