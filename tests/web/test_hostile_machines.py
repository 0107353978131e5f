"""Hostile credentials of machines against a whole server: each is refused, and none shows in anything it writes.

See docs/design/threats.md#machines.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests_web_server import Lines
from werkzeug.test import Client, TestResponse
from workload_jwts import jwk, jwt, key_set, private_key, signed

from tokenserver.access_keys import RANDOM_BYTES, compose_key, declare, spell_declaration
from tokenserver.authn.htpasswd import verify
from tokenserver.config.load import load_settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.documents.base64url import encode_base64url
from tokenserver.server.compose import build
from tokenserver.web.application import application

ISSUER, AUDIENCE, SERVICE = "https://token.actions.example.com", "http://localhost:5001", "reg"
SCOPE = "repository:web/site:pull,push"

RANDOM = bytes(range(RANDOM_BYTES))
GOOD, OTHER = compose_key(AccessKeyForm.ROBOT, RANDOM), compose_key(AccessKeyForm.ROBOT, bytes([7]) * RANDOM_BYTES)
KEY = GOOD.text.reveal()
PERSONAL, REFRESH, SESSION = (
    compose_key(form, RANDOM).text.reveal()
    for form in (AccessKeyForm.PERSONAL, AccessKeyForm.REFRESH, AccessKeyForm.SESSION)
)
SOON = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)

POLICY = f"""\
version: 1
robots:
  ci:
    secrets:
      {spell_declaration(declare(GOOD, SOON))}
  other:
    secrets:
      {spell_declaration(declare(OTHER, SOON))}
workloads:
  release: {{from: github, claims: {{repository_id: "74", environment: production, "team/name": web}}}}
  branches: {{from: github, claims: {{repository_id: "74", ref: refs/heads/*}}}}
allow:
  - {{id: machines, to: ["robot:ci", workloads], repositories: ["web/**"], role: writer}}
  - {{id: people, to: [authenticated], repositories: ["**"], role: maintainer}}
"""

CONFIG = """\
issuer: auth.example.com
server: {{url: http://localhost:5001}}
registries: [{{service: reg}}]
authentication:
  - htpasswd: {{file: users.htpasswd}}
  - workload: {{name: github, preset: github_actions, issuer: "{issuer}", keys: {{file: jwks.json}}}}
throttle: {{enabled: false}}
policies: policies
keys: keys
"""

UNIFORM = "wrong user name or password"
MISTYPED = "the access key is incomplete or mistyped; fix: copy it again as a whole"
RENAMED = "the access key has another user name; fix: use token as the user name"
STORED = (
    "this server does not know the stored identity token; fix: log out of the registry and in again:"
    " docker logout HOST, then docker login HOST"
)


@dataclass
class Site:
    """A server with a user, two robots and a source of workloads, and the passwords that its user source saw."""

    client: Client
    audit: Lines
    hashed: list[str]

    def basic(self, user: str, password: str, **query: str) -> TestResponse:
        """A login by a header."""
        typed = base64.b64encode(f"{user}:{password}".encode()).decode()
        asked = {"service": SERVICE, "scope": SCOPE, **query}
        return self.client.get("/token", query_string=asked, headers={"Authorization": f"Basic {typed}"})

    def post(self, **form: str) -> TestResponse:
        """A login by a form."""
        return self.client.post("/token", data={"service": SERVICE, "scope": SCOPE, **form})

    def by(self, way: str, user: str, password: str) -> TestResponse:
        """A login in one of two ways."""
        if way == "Basic":
            return self.basic(user, password)
        return self.post(grant_type="password", username=user, password=password)

    @property
    def event(self) -> dict[str, Any]:
        """The latest audit event."""
        found: dict[str, Any] = json.loads(self.audit.raw[-1])
        return found


@pytest.fixture(scope="module")
def running(server_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Client, Lines]:
    """The server, which no request changes."""
    folder = tmp_path_factory.mktemp("hostile") / "server"
    shutil.copytree(server_folder, folder)
    (folder / "policies" / "policy.yaml").write_text(POLICY)
    (folder / "jwks.json").write_bytes(key_set(jwk(private_key("RS256"), "k", alg="RS256", use="sig")))
    config = folder / "tokenserver.yaml"
    config.write_text(CONFIG.format(issuer=ISSUER))
    audit = Lines()
    return application(build(load_settings(config, {}), sink=audit)).test_client(), audit


@pytest.fixture
def site(running: tuple[Client, Lines], monkeypatch: pytest.MonkeyPatch) -> Site:
    """The server, with a user source that takes down what it is asked, and finds it wrong."""
    client, audit = running
    hashed: list[str] = []

    def hashing(password: str, _: str) -> bool:
        hashed.append(password)
        return False

    monkeypatch.setattr(verify, "verify", hashing)
    return Site(client, audit, hashed)


def claims(**more: Any) -> dict[str, Any]:
    """What the issuer says of a release that runs now; `...` leaves a claim out."""
    now = int(time.time())
    found = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "repo:o/web",
        "iat": now - 5,
        "exp": now + 7200,
        "repository_id": "74",
        "environment": "production",
        "team": {"name": "web"},
        **more,
    }
    return {name: value for name, value in found.items() if value is not ...}


def token(header: dict[str, Any] | None = None, **more: Any) -> str:
    """A JWT that the issuer signed, with these members of the header and these claims."""
    return jwt(claims(**more), algorithm="RS256", header=header)


def with_payload(old: str, new: str) -> str:
    """A JWT that the issuer signed, whose payload has text that `json` does not write."""
    payload = json.dumps(claims())
    assert old in payload
    return signed('{"alg":"RS256","kid":"k"}', payload.replace(old, new, 1), algorithm="RS256")


def confused() -> str:
    """A JWT by HMAC, whose secret is the public key of the issuer."""
    public = private_key("RS256").public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = encode_base64url(b'{"alg":"HS256","kid":"k"}')
    content = f"{header}.{token().split('.')[1]}"
    return f"{content}.{encode_base64url(hmac.digest(secret, content.encode(), hashlib.sha256))}"


def unsigned(algorithm: str, signature: str = "") -> str:
    """A JWT that nobody signed."""
    header = encode_base64url(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    return f"{header}.{token().split('.')[1]}.{signature}"


def own(header: dict[str, Any]) -> str:
    """A JWT by the sender's own key, which its header brings or names."""
    return jwt(claims(), algorithm="ES256", header={"alg": "ES256", **header})


def nested(levels: int) -> str:
    """A JWT whose payload has so many levels."""
    inner = levels - 1
    return token(deep=json.loads("[" * inner + "]" * inner))


ALG = "the JWT has an alg that is not accepted"
JWTS: dict[str, tuple[str, str]] = {
    "HS256 with the public key": (confused(), ALG),
    "none": (unsigned("none"), ALG),
    "none with a signature": (unsigned("none", "c2ln"), ALG),
    "None": (unsigned("None"), ALG),
    "no signature": (token().rpartition(".")[0] + ".", "has a wrong signature"),
    "signature of another JWT": (f"{token().rpartition('.')[0]}.{token(x=1).rpartition('.')[2]}", "a wrong signature"),
    "line feed behind": (token() + "\n", "has a signature that is not canonical base64url"),
    "padding": (token() + "==", "has a signature that is not canonical base64url"),
    "ES256 by its own key": (own({}), "has an alg that is not accepted from its issuer"),
    "jwk": (own({"jwk": jwk(private_key("ES256"), "k")}), "has an alg that is not accepted from its issuer"),
    "jwk for RS256": (
        own({"alg": "RS256", "jwk": jwk(private_key("ES256"), "k")}),
        "has a wrong signature",
    ),
    "jku": (own({"alg": "RS256", "jku": "http://127.0.0.1:1/keys"}), "has a wrong signature"),
    "x5u": (own({"alg": "RS256", "x5u": "file:///etc/passwd"}), "has a wrong signature"),
    "x5c": (own({"alg": "RS256", "x5c": ["MIIB"]}), "has a wrong signature"),
    "crit": (token({"crit": ["exp"]}), "has crit in its header"),
    "b64": (token({"b64": False}), "has b64 in its header"),
    "at+jwt": (token({"typ": "at+jwt"}), "is of another type"),
    "logout+jwt": (token({"typ": "logout+jwt"}), "is of another type"),
    "kid a number": (token({"kid": 7}), "has a kid that is no text"),
    "kid a path": (token({"kid": "../../dev/null"}), "has a kid that no key of its issuer has"),
    "kid as SQL": (token({"kid": "' OR 1=1 --"}), "has a kid that no key of its issuer has"),
    "iss unknown": (token(iss="https://evil.example.com"), "is no issuer of any workload source"),
    "iss with a slash": (token(iss=f"{ISSUER}/"), "is no issuer of any workload source"),
    "iss a list": (token(iss=[ISSUER]), "is no issuer of any workload source"),
    "iss missing": (token(iss=...), "the JWT has no iss, and no sub in a trust domain"),
    "aud missing": (token(aud=...), "has no aud"),
    "aud empty": (token(aud=[]), "has no aud"),
    "aud an object": (token(aud={AUDIENCE: 1}), "has no aud"),
    "aud of another": (token(aud="https://registry.example.com"), "is for another audience"),
    "aud inside a text": (token(aud=f"{AUDIENCE}.evil.example.com"), "is for another audience"),
    "aud of another, too": (token(aud=[AUDIENCE, "https://b.example.com"]), "is for other audiences as well"),
    "exp missing": (token(exp=...), "has no exp that is an integer"),
    "exp a text": (token(exp="9999999999"), "has no exp that is an integer"),
    "exp a float": (token(exp=time.time() + 200.5), "has no exp that is an integer"),
    "exp a boolean": (token(exp=True), "has no exp that is an integer"),
    "expired": (token(iat=int(time.time()) - 400, exp=int(time.time()) - 100), "has expired"),
    "not yet valid": (token(nbf=int(time.time()) + 3600), "is not valid yet"),
    "made in the future": (token(iat=int(time.time()) + 3600), "has an iat in the future"),
    "for a year": (token(exp=int(time.time()) + 365 * 86400), "from iat to exp (max_age)"),
    "sub missing": (token(sub=...), "has no sub of 1 to 255 printable characters"),
    "sub of two lines": (token(sub='a\n{"outcome": "granted"}'), "has no sub of 1 to 255 printable characters"),
    "sub a list": (token(sub=["repo:o/web"]), "has no sub of 1 to 255 printable characters"),
    "undeclared": (token(repository_id="75"), "is no declared workload"),
    "claim absent": (token(environment=...), "is no declared workload"),
    "claim null": (token(environment=None), "is no declared workload"),
    "claim an object": (token(environment={"production": True}), "is no declared workload"),
    "claim a list of lists": (token(environment=[["production"]]), "is no declared workload"),
    "claim a longer text": (token(environment="production\u200b"), "is no declared workload"),
    "claim with another name": (token(environment=..., Environment="production"), "is no declared workload"),
    "claim named as a path": (token({}, team=..., **{"team.name": "web"}), "is no declared workload"),
    "glob across a slash": (token(environment=..., ref="refs/heads/a/b"), "is no declared workload"),
    "glob of another prefix": (token(environment=..., ref="x/refs/heads/main"), "is no declared workload"),
    "claim as a membership": (token(environment=..., groups=["\0release", "release"]), "is no declared workload"),
}
"""JWTs as a client sends them, and a part of the reason of the refusal."""

WRONG = "wrong password"
PASSWORDS: dict[str, tuple[str, str]] = {
    "no JSON": ("eyJ.no.jwt", WRONG),
    "four parts": (token() + ".e30", WRONG),
    "one part": (token().partition(".")[0], WRONG),
    "duplicate aud": (with_payload('"aud"', f'"aud": "{AUDIENCE}", "aud"'), WRONG),
    "17 levels": (nested(17), WRONG),
    "NaN": (with_payload('"74"', "NaN"), WRONG),
    "half a surrogate pair": (with_payload('"74"', '"\\ud800"'), WRONG),
    "9 KB": (token(padding="x" * 9000), "the password is longer than 1024 bytes"),
    "key in upper case": (KEY.upper(), WRONG),
    "key in reverse": (KEY[::-1], WRONG),
    "name of a scheme": ("Bearer", WRONG),
}
"""What is no machine's credential at all, and goes to the user sources as any other text."""

KEYS: dict[str, tuple[str, str, str, str]] = {
    "checksum": ("token", KEY[:-1] + ("0" if KEY[-1] != "0" else "1"), MISTYPED, "malformed access key"),
    "cut": ("token", KEY[:-1], MISTYPED, "malformed access key"),
    "half": ("token", KEY[:33], MISTYPED, "malformed access key"),
    "doubled": ("token", KEY + KEY, MISTYPED, "malformed access key"),
    "two lines": ("token", f"{KEY}\n", MISTYPED, "malformed access key"),
    "blank before": ("token", f" {KEY}", MISTYPED, "malformed access key"),
    "blank behind": ("token", f"{KEY} ", MISTYPED, "malformed access key"),
    "blank inside": ("token", f"{KEY[:40]} {KEY[40:]}", MISTYPED, "malformed access key"),
    "NUL behind": ("token", f"{KEY}\0", MISTYPED, "malformed access key"),
    "quoted": ("token", f'"{KEY}"', MISTYPED, "malformed access key"),
    "wide letters": ("token", KEY[:-1] + chr(ord(KEY[-1]) + 0xFEE0), MISTYPED, "malformed access key"),
    "letter before": ("token", f"x{KEY}", MISTYPED, "malformed access key"),
    "assignment": ("token", f"KEY={KEY}", MISTYPED, "malformed access key"),
    "personal by letter": ("token", f"tknp{KEY[4:]}", MISTYPED, "malformed access key"),
    "unknown form": ("token", f"tknx{KEY[4:]}", MISTYPED, "malformed access key"),
    "personal of the same secret": ("token", PERSONAL, UNIFORM, f"unknown access key {GOOD.id}"),
    "refresh of the same secret": ("token", REFRESH, STORED, "unknown refresh token"),
    "session of the same secret": ("token", SESSION, STORED, "unknown refresh token"),
    "unknown": (
        "token",
        compose_key(AccessKeyForm.ROBOT, bytes([9]) * RANDOM_BYTES).text.reveal(),
        UNIFORM,
        "unknown access key",
    ),
    "wrong secret": (
        "token",
        compose_key(AccessKeyForm.ROBOT, RANDOM[:16] + bytes(32)).text.reveal(),
        UNIFORM,
        f"wrong secret of access key {GOOD.id}",
    ),
    "name of another robot": ("other", KEY, RENAMED, "account differs"),
    "other name of another robot": ("robot/other", KEY, RENAMED, "account differs"),
    "name of a user": ("ann", KEY, RENAMED, "account differs"),
    "name of a group": ("robots", KEY, RENAMED, "account differs"),
    "pattern": ("*", KEY, RENAMED, "account differs"),
    "variable": ("${user}", KEY, RENAMED, "account differs"),
    "key as the user": (KEY, "secret", UNIFORM, "the user name is an access key"),
    "key as user and password": (KEY, KEY, RENAMED, "account differs"),
}
"""User name and password, what the client learns, and a part of the reason."""

ROWS = [
    *(pytest.param("github", text, UNIFORM, reason, False, id=f"JWT: {name}") for name, (text, reason) in JWTS.items()),
    *(pytest.param(*row, False, id=f"key: {name}") for name, row in KEYS.items()),
    *(
        pytest.param("ann", text, UNIFORM, reason, reason == WRONG, id=f"password: {name}")
        for name, (text, reason) in PASSWORDS.items()
    ),
]


def secrets_of(*texts: str) -> set[str]:
    """What may be in no output: the texts, the signature of a JWT, and the secret of the key of `ci`."""
    signatures = {text.rpartition(".")[2] for text in texts if text.count(".") > 1}
    return {secret for secret in {*texts, *signatures, KEY[17:60]} if len(secret) > 12}


@pytest.mark.parametrize(("user", "password", "said", "reason", "is_hashed"), ROWS)
def test_every_one_is_refused(
    site: Site,
    caplog: pytest.LogCaptureFixture,
    user: str,
    password: str,
    said: str,
    reason: str,
    is_hashed: bool,
) -> None:
    """401 with a text that tells nothing, by header, also again, and by form; the reason is in the event, the secret
    nowhere."""
    caplog.set_level(logging.DEBUG)
    for way in ("Basic", "Basic", "password"):
        site.hashed.clear()
        answer = site.by(way, user, password)
        body = answer.get_data(as_text=True)
        assert (answer.status_code, answer.get_json()["errors"][0]["message"]) == (401, said)
        assert (site.event["outcome"], site.event.get("jti")) == ("invalid_credentials", None)
        assert reason in site.event["reason"]
        assert site.hashed == ([password] if is_hashed else [])
        written = "\n".join([body, str(answer.headers), site.audit.raw[-1].decode(), caplog.text])
        assert [secret for secret in secrets_of(user, password) if secret in written] == []


@pytest.mark.parametrize("user", ["robot:ci", "robot:other", "workload:github:x", "ann:x", ":"])
def test_a_name_with_a_colon(site: Site, user: str) -> None:
    """Basic ends the name at the first colon, so the key arrives with text before it, and goes nowhere all the same."""
    answer = site.basic(user, KEY)
    assert (answer.status_code, answer.get_json()["errors"][0]["message"]) == (401, MISTYPED)
    answer = site.post(grant_type="password", username=user, password=KEY)
    assert (answer.status_code, answer.get_json()["errors"][0]["message"]) == (401, RENAMED)
    assert (site.hashed, KEY in site.audit.raw[-1].decode()) == ([], False)


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        pytest.param(KEY, "robot:ci", id="key"),
        pytest.param(token(), "workload:github:repo:o/web", id="JWT"),
    ],
)
def test_a_right_one_is_only_itself(site: Site, text: str, subject: str) -> None:
    """In each way it is the same machine and no person, and nothing that could log in later comes back."""
    answers = [
        site.basic("token", text, offline_token="true"),
        site.basic("<token>", text, offline_token="true", access_type="offline"),
        site.post(grant_type="password", username="token", password=text, access_type="offline"),
        site.post(grant_type="refresh_token", refresh_token=text),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    for answer, event in zip(answers, site.audit.events[-4:], strict=True):
        assert (event["subject"], event["groups"]) == (subject, [])
        assert [rule["rule"] for rule in event["rules"]] == ["machines", "machines"]
        assert set(answer.get_json()) <= {"token", "access_token", "expires_in", "issued_at", "scope", "token_type"}
        assert "tkn" not in answer.get_data(as_text=True)


@pytest.mark.parametrize("text", [pytest.param(KEY, id="key"), pytest.param(token(), id="JWT")])
def test_a_right_one_used_again(site: Site, caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Each use is answered alike and leaves an event, which differs in times and ids."""
    caplog.set_level(logging.DEBUG)
    answers = [site.basic("ci", text) for _ in range(4)]
    assert {(answer.status_code, *sorted(answer.get_json())) for answer in answers} == {
        (200, "access_token", "expires_in", "issued_at", "token")
    }
    differing = {"time", "request_id", "jti", "ms"}
    events = site.audit.events[-4:]
    assert len({event["request_id"] for event in events}) == 4
    alike = {json.dumps({name: value for name, value in one.items() if name not in differing}) for one in events}
    assert len(alike) == 1, alike
    written = b"".join(site.audit.raw[-4:]).decode() + caplog.text
    assert [secret for secret in secrets_of(text) if secret in written] == []


@pytest.mark.parametrize(
    ("account", "text", "status"),
    [
        pytest.param("token", KEY, 200, id="key: as typed"),
        pytest.param("ci", KEY, 200, id="key: itself"),
        pytest.param("robot:ci", KEY, 200, id="key: its subject"),
        pytest.param("other", KEY, 401, id="key: another robot"),
        pytest.param("robot:other", KEY, 401, id="key: the subject of another robot"),
        pytest.param("ann", KEY, 401, id="key: a user"),
        pytest.param("", KEY, 200, id="key: empty, which is none"),
        pytest.param("workload:github:repo:o/web", token(), 200, id="JWT: its subject"),
        pytest.param("workload:github:repo:o/other", token(), 401, id="JWT: another workload"),
        pytest.param("release", token(), 401, id="JWT: a declared workload"),
        pytest.param("robot:ci", token(), 401, id="JWT: a robot"),
        pytest.param("ann", token(), 401, id="JWT: a user"),
    ],
)
def test_an_account_is_no_identity(site: Site, account: str, text: str, status: int) -> None:
    """It may repeat who it is; anybody else in it ends the request, also where the login is remembered."""
    for answer in (
        *(site.basic("token", text, account=account) for _ in range(3)),
        site.post(grant_type="password", username="token", password=text, account=account),
    ):
        assert answer.status_code == status
    if status == 401:
        assert site.event["reason"] == "account differs from the authenticated user"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(REFRESH, STORED, id="refresh token of the same secret"),
        pytest.param(KEY[:-1], MISTYPED, id="mistyped"),
        pytest.param(PERSONAL, UNIFORM, id="personal key of the same secret"),
        pytest.param(unsigned("none"), UNIFORM, id="JWT without a signature"),
        pytest.param("eyJ.no.jwt", STORED, id="no JWT"),
    ],
)
def test_the_refresh_grant(site: Site, text: str, said: str) -> None:
    """What is no credential as a password is none as a refresh token, and no user source sees it."""
    answer = site.post(grant_type="refresh_token", refresh_token=text)
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_grant")
    assert (answer.get_json()["error_description"], site.hashed) == (said, [])


@pytest.mark.parametrize("name", ["client_id", "username", "User-Agent"])
@pytest.mark.parametrize(("text", "shown"), [(KEY, "<access key>"), (token(), "<JWT>")], ids=["key", "JWT"])
def test_in_the_wrong_field(site: Site, name: str, text: str, shown: str) -> None:
    """A credential where a name belongs is not repeated, whether the login succeeds or not."""
    form = {
        "grant_type": "password",
        "username": "ann",
        "password": "wrong",
        **({name: text} if "-" not in name else {}),
    }
    headers = {"User-Agent": text} if "-" in name else {}
    site.client.post("/token", data={"service": SERVICE, **form}, headers=headers)
    site.client.get("/token", query_string={"service": SERVICE, "client_id": text}, headers=headers)
    first, second = site.audit.events[-2:]
    assert shown in (first.get("client_id"), first.get("user_agent"), first.get("username"))
    assert (second["client_id"], second["outcome"]) == (shown, "authentication_required")
    assert text not in b"".join(site.audit.raw[-2:]).decode()


@pytest.mark.parametrize("query", ["", "&client_id=a&client_id=b"], ids=["well-formed", "a repeated parameter"])
@pytest.mark.parametrize(("text", "shown"), [(KEY, "<access key>"), (token(), "<JWT>")], ids=["key", "JWT"])
@pytest.mark.parametrize("name", ["scope", "a part of scope", "service", "account"])
def test_in_what_is_asked(site: Site, name: str, text: str, shown: str, query: str) -> None:
    """A credential in what is asked is repeated by no event, whether or not the request can be read."""
    scope = {"scope": text, "a part of scope": f"repository:a/b:pull,{text}"}.get(name, "repository:a/b:pull")
    asked = {"service": SERVICE, "scope": scope} | ({name: text} if name in {"service", "account"} else {})
    parameters = "&".join(f"{key}={value}" for key, value in asked.items())
    site.client.get(f"/token?{parameters}{query}")
    written = site.audit.raw[-1].decode()
    assert text not in written
    assert (shown in written) is (name != "account")
