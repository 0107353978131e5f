"""`tokenserver token inspect`: kind, id and checksum of a key, header and registered claims of a JWT."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.access_keys import RANDOM_BYTES, compose_key
from tokenserver.cli import main
from tokenserver.cli.token.inspect import MAX_OTHERS, WITHHELD
from tokenserver.credentials import AccessKeyForm
from tokenserver.printable import one_line

KEY = compose_key(AccessKeyForm.ROBOT, bytes(range(RANDOM_BYTES)))
TEXT = KEY.text.reveal()


def inspect(text: str | bytes, *arguments: str) -> Result:
    """The command's result for this standard input, which it never repeats."""
    result = CliRunner().invoke(main, ["token", "inspect", *arguments], input=text, catch_exceptions=False)
    assert TEXT[17:60] not in result.output
    return result


def jwt(claims: Any, **header: Any) -> str:
    """A token that nobody signed."""
    parts = [json.dumps({"alg": "RS256", **header}), json.dumps(claims), "signature"]
    return ".".join(urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        pytest.param(AccessKeyForm.PERSONAL, "personal access key", id="personal"),
        pytest.param(AccessKeyForm.ROBOT, "access key of a robot", id="robot"),
        pytest.param(AccessKeyForm.REFRESH, "refresh token", id="refresh"),
        pytest.param(AccessKeyForm.SESSION, "session token", id="session"),
    ],
)
def test_a_key(form: AccessKeyForm, kind: str) -> None:
    """Its kind, its id, and that the checksum is right; never whose it is."""
    key = compose_key(form, bytes(RANDOM_BYTES))
    result = inspect(f"{key.text.reveal()}\n")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [f"kind      {kind}", f"id        {key.id}", "checksum  right"]


@pytest.mark.parametrize("around", ["{}", "{}\r\n", "  {}", "'{}'", '"{}"\n', "\n{}\n"])
def test_what_is_copied_with_a_key(around: str) -> None:
    """Blanks, line ends and quotes do not count."""
    assert inspect(around.format(TEXT)).exit_code == 0


@pytest.mark.parametrize(
    ("text", "kind", "identifier", "checksum", "problem"),
    [
        pytest.param(
            TEXT[:-1] + ("0" if TEXT[-1] != "0" else "1"),
            "access key of a robot",
            KEY.id,
            "wrong",
            "is mistyped: its checksum is wrong",
            id="checksum",
        ),
        pytest.param(
            TEXT[:-1],
            "access key of a robot",
            "unknown",
            "not checked",
            "has 65 characters instead of 66",
            id="cut",
        ),
        pytest.param(
            f"tknx_{TEXT[5:]}",
            "unknown",
            "unknown",
            "not checked",
            "has an unknown form; known forms are p, r, f, s",
            id="form",
        ),
        pytest.param(
            f"{TEXT[:-1]}-",
            "access key of a robot",
            "unknown",
            "not checked",
            "has a character that is neither an ASCII letter nor a digit",
            id="character",
        ),
    ],
)
def test_a_malformed_key(text: str, kind: str, identifier: str, checksum: str, problem: str) -> None:
    """Exit code 1, and what is wrong."""
    result = inspect(text)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [f"kind      {kind}", f"id        {identifier}", f"checksum  {checksum}"]
    assert result.stderr == f"The key {problem}; fix: copy it again as a whole\n"
    found = json.loads(inspect(text, "--json").stdout)
    assert (found["well_formed"], found["problem"]) == (False, problem)


def test_a_key_as_json() -> None:
    """The same facts."""
    result = inspect(TEXT, "--json")
    facts = {"kind": "access key of a robot", "form": "r", "id": KEY.id, "well_formed": True, "problem": None}
    assert (result.exit_code, json.loads(result.stdout)) == (0, facts)


CLAIMS = {"iss": "https://ci.example.com", "aud": ["a", "b"], "exp": 1700000000, "iat": 99999999999, "repo": "web"}


def test_a_jwt() -> None:
    """Header and claims, moments with their dates; and it is unverified."""
    result = inspect(f"Bearer {jwt(CLAIMS, kid='k1')}\n")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "kind        JWT, unverified: anybody can write one with any claims",
        "header alg  RS256",
        "header kid  k1",
        "claim iss   https://ci.example.com",
        'claim aud   ["a", "b"]',
        "claim exp   1700000000 (2023-11-14 22:13:20 UTC, past)",
        "claim iat   99999999999 (5138-11-16 09:46:39 UTC, future)",
        "other repo  web",
    ]


def test_a_jwt_as_json() -> None:
    """The same facts."""
    claims = {name: value for name, value in CLAIMS.items() if name != "repo"}
    facts = {"kind": "jwt", "verified": False, "header": {"alg": "RS256"}, "claims": claims, "other_claims": ["repo"]}
    facts["other_values"] = {"repo": "web"}
    assert json.loads(inspect(jwt(CLAIMS), "--json").stdout) == facts


def test_numbers_that_json_lacks() -> None:
    """Python reads NaN and Infinity in a token, and other programs do not read them in what is printed of it."""
    found = inspect(jwt({"exp": float("nan"), "nbf": float("inf")}), "--json").stdout
    assert json.loads(found, parse_constant=pytest.fail)["claims"] == {"exp": None, "nbf": None}


@pytest.mark.parametrize(
    ("claims", "shown"),
    [
        pytest.param({"exp": True}, "claim exp   true", id="boolean"),
        pytest.param({"exp": 1e300}, "claim exp   1e+300", id="beyond-all-dates"),
        pytest.param({"exp": "soon"}, "claim exp   soon", id="text"),
        pytest.param({"sub": "a\x1b[1mb"}, "claim sub   a\\x1b[1mb", id="escape"),
        pytest.param({"sub": "a" * 500}, f"claim sub   {'a' * 200}…", id="long"),
    ],
)
def test_strange_claims(claims: dict[str, Any], shown: str) -> None:
    """Shown as they are, without control characters, and cut."""
    assert inspect(jwt(claims)).stdout.splitlines()[2] == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "is no token: a token has three parts", id="nothing"),
        pytest.param("secret-of-ann", "is no token: a token has three parts", id="password"),
        pytest.param("a.b.c", "is no token: its header is not base64url", id="three-parts"),
    ],
)
def test_neither(text: str, said: str) -> None:
    """Exit code 1, and the text is not repeated."""
    result = inspect(text)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("This is no access key of this server, and as a JWT it ")
    assert said in result.stderr
    assert not text or text not in result.stderr


def test_bytes_that_are_no_text() -> None:
    """Wrong use."""
    assert inspect(b"\xff").exit_code == 2


def test_no_arguments() -> None:
    """A key in an argument would be in the history of the shell and in the list of processes."""
    assert inspect("", TEXT[:5]).exit_code == 2


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        pytest.param("repository", "org/web", "org/web", id="text"),
        pytest.param("run_attempt", 2, "2", id="number"),
        pytest.param("groups", ["a", "b"], '["a", "b"]', id="list"),
        pytest.param("kubernetes.io", {"namespace": "ci"}, '{"namespace": "ci"}', id="mapping"),
        pytest.param("ref", "a" * 5000, "a" * 200 + "…", id="long"),
        pytest.param("deep", [[[["x" * 5000]]]], '[[[["' + "x" * 195 + "…", id="long inside"),
        pytest.param("ref", "a\nclaim sub     root", "a\\nclaim sub     root", id="a forged line"),
        pytest.param("ref", "a\x1b]0;x\x07", "a\\x1b]0;x\\x07", id="the title of the terminal"),
        pytest.param("ref", "\u202egnp.exe", "\\u202egnp.exe", id="right to left"),
        pytest.param("client_secret", "hunter2", WITHHELD, id="a secret by its name"),
        pytest.param("accessToken", "hunter2", WITHHELD, id="a token by its name"),
        pytest.param("nonce", "n-1", WITHHELD, id="a nonce"),
        pytest.param("proof", jwt({"sub": "x"}), WITHHELD, id="a token inside"),
        pytest.param("chain", {"a": [jwt({"sub": "x"})]}, WITHHELD, id="a token deep inside"),
        pytest.param("proof", TEXT, WITHHELD, id="an access key"),
        pytest.param("environment", "decoder", "decoder", id="no secret"),
    ],
)
def test_other_claims(name: str, value: Any, shown: str) -> None:
    """On one line each, cut, without control characters; not what may be a secret."""
    rows = inspect(jwt({name: value})).stdout.splitlines()
    assert [" ".join(row.split()) for row in rows[2:]] == [" ".join(f"other {name} {shown}".split())]
    assert json.loads(inspect(jwt({name: value}), "--json").stdout)["other_values"].keys() == {name}


def test_thousands_of_claims() -> None:
    """As many as tokens have are shown, and the rest is counted; a long name is cut."""
    rows = inspect(jwt({"n" * 300: 1, **{f"a{number:04}": 1 for number in range(1000)}})).stdout.splitlines()
    assert len(rows) == 2 + MAX_OTHERS + 1
    assert rows[-1].split(maxsplit=2)[2] == f"{1001 - MAX_OTHERS}, which are not shown"
    (row,) = inspect(jwt({"n" * 300: 1})).stdout.splitlines()[2:]
    assert len(row) < 100


@given(st.dictionaries(st.text(max_size=20), st.text() | st.integers() | st.lists(st.text()), max_size=5))
def test_any_claims(claims: dict[str, Any]) -> None:
    """One line for each, and nothing that moves a cursor."""
    result = inspect(jwt(claims))
    assert len(result.stdout.split("\n")) == 2 + len(claims) + 1
    assert one_line(result.stdout.replace("\n", "")) == result.stdout.replace("\n", "")
