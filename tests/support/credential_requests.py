"""Requests to the kubelet's image credential provider, with the answer or the reason of the refusal."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

NOW = 1_800_000_000
HOST = "registry.example.com"
IMAGE = f"{HOST}/web/site"
API = "credentialprovider.kubelet.k8s.io/v1"
KIND = "CredentialProviderRequest"
LIMIT = 1_048_576

TOO_LARGE = "more than 1 MiB"
NO_JSON = "no JSON object"
TWICE = "twice"
OTHER_KIND = "no CredentialProviderRequest;"
OTHER_VERSION = "another apiVersion"
NO_IMAGE = "no image with a well-formed name"
UNALLOWED = "no serviceAccountToken"
ODD = "characters that no token has"
LONG = "more than 8192 bytes"


class RequestCase(NamedTuple):
    """What is on standard input, and either the line on standard output or a part of the one on standard error."""

    request: bytes
    response: str = ""
    refusal: str = ""


def encoded(content: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def token_of(payload: bytes) -> str:
    """A JWT with this payload, whose signature nobody looks at."""
    header, signature = b'{"alg":"RS256","kid":"k"}', bytes(range(200, 256))
    return ".".join(map(encoded, (header, payload, signature)))


def token_until(moment: int) -> str:
    """A service-account token as a cluster issues it, until this moment."""
    bound = {"namespace": "web", "pod": {"name": "site-1"}, "serviceaccount": {"name": "site"}}
    claims = {"aud": ["https://auth.example.com"], "exp": moment, "iat": NOW, "kubernetes.io": bound, "sub": "site"}
    return token_of(json.dumps(claims).encode())


TOKEN = token_until(NOW + 3600)


def fields(**changed: Any) -> dict[str, Any]:
    """The members of a request; `...` leaves one out."""
    members = {"kind": KIND, "apiVersion": API, "image": IMAGE, "serviceAccountToken": TOKEN, **changed}
    return {name: value for name, value in members.items() if value is not ...}


def request(**changed: Any) -> bytes:
    """A request as the kubelet writes it."""
    return json.dumps(fields(**changed), separators=(",", ":")).encode() + b"\n"


def answered(content: bytes, host: str = HOST, token: str = TOKEN, seconds: int = 3540) -> RequestCase:
    """The request is answered with this."""
    auth = {host: {"username": "workload", "password": token}}
    response = {
        "apiVersion": API,
        "kind": "CredentialProviderResponse",
        "cacheKeyType": "Registry",
        "cacheDuration": f"{seconds}s",
        "auth": auth,
    }
    return RequestCase(content, response=json.dumps(response, separators=(",", ":")))


def refused(content: bytes, why: str) -> RequestCase:
    """The request is refused with this reason."""
    return RequestCase(content, refusal=why)


def inside(text: str) -> bytes:
    """The kubelet's request with `text` as the value of another member."""
    return request()[:-2] + b',"x":' + text.encode("latin-1") + b"}"


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(one):04X}" for one in text)


_NESTED = {"serviceAccountToken": "of-somebody-else", "kind": "Pod"}

_FORMS = {
    "kubelet": answered(request()),
    "pretty": answered(json.dumps(fields(), indent=4).encode()),
    "tabs-and-crlf": answered(json.dumps(fields(), indent="\t").replace("\n", "\r\n").encode()),
    "spaces-everywhere": answered(request().replace(b'"', b' " ').replace(b' " ', b'"').replace(b":", b" :\t", 1)),
    "padded": answered(b" \t\r\n" * 9 + request() + b" \t\r\n" * 9),
    "no-newline": answered(request().rstrip()),
    "other-order": answered(json.dumps(dict(reversed(fields().items()))).encode()),
    "unknown-members": answered(request(uid="1", ready=True, left=None, count=[1, -2.5e-3, 0, {}], more={"a": [[]]})),
    "annotations": answered(request(serviceAccountAnnotations={"a/b": '<&> "quoted" \\ \n', "": "é😀"})),
    "raw-utf-8": answered(request().replace(b'"kind"', '"é😀":"ß","kind"'.encode())),
    "not-utf-8": answered(request().replace(b'"kind"', b'"\xff\xfe":"\xc0\x80","kind"')),
    "escaped-member": answered(request().replace(b"serviceAccountToken", _escaped("serviceAccountToken").encode())),
    "escaped-values": answered(request().replace(TOKEN.encode(), _escaped(TOKEN).encode())),
    "escaped-slashes": answered(request().replace(b"/", b"\\/")),
    "every-escape": answered(inside(r'"\"\\\/\b\f\n\r\t\u0000\uFFff\ud800"')),
    "every-number": answered(inside("[0,-0,10,-9,0.0,1e5,1E+5,0e-0,-1.25e-01,123456789012345678901234567890]")),
    "every-literal": answered(inside("[true,false,null]")),
    "64-levels": answered(inside("[" * 63 + "]" * 63)),
    "much-space": answered(request() + b" " * 100_000),
    "much-annotation": answered(request(serviceAccountAnnotations={"a": 'x"' * 100_000})),
}

_HOSTILE = {
    "nested-only": refused(request(serviceAccountToken=..., x=_NESTED), UNALLOWED),
    "nested-before": answered(b'{"x":' + json.dumps(_NESTED).encode() + b"," + request()[1:]),
    "nested-behind": answered(request(x=[_NESTED, {"y": _NESTED}])),
    "nested-annotation": answered(request(serviceAccountAnnotations=_NESTED)),
    "member-in-a-string": answered(inside(r'"\",\"serviceAccountToken\":\"stolen"')),
    "brackets-in-strings": answered(inside('"]}[{"')),
    "twice-token": refused(inside("1").replace(b'"x"', b'"serviceAccountToken"'), TWICE),
    "twice-same-token": refused(request()[:-2] + b"," + request()[1:], TWICE),
    "twice-kind": refused(inside('"Pod"').replace(b'"x"', b'"kind"'), TWICE),
    "twice-version": refused(inside('"v1"').replace(b'"x"', b'"apiVersion"'), TWICE),
    "twice-image": refused(inside('"a/b"').replace(b'"x"', b'"image"'), TWICE),
    "twice-by-escape": refused(inside('"a/b"').replace(b'"x"', rb'"im\u0061ge"'), TWICE),
    "twice-unknown": answered(inside('1,"x":2')),
    "no-kind": refused(request(kind=...), OTHER_KIND),
    "another-kind": refused(request(kind="CredentialProviderResponse"), OTHER_KIND),
    "kind-in-lower-case": refused(request(kind=KIND.lower()), OTHER_KIND),
    "kind-with-space": refused(request(kind=f"{KIND} "), OTHER_KIND),
    "kind-is-a-list": refused(request(kind=[KIND]), OTHER_KIND),
    "name-in-other-case": refused(request().replace(b'"kind"', b'"Kind"'), OTHER_KIND),
    "no-version": refused(request(apiVersion=...), OTHER_VERSION),
    "beta": refused(request(apiVersion=API + "beta1"), OTHER_VERSION),
    "version-is-a-number": refused(request(apiVersion=1), OTHER_VERSION),
    "no-image": refused(request(image=...), NO_IMAGE),
    "image-is-null": refused(request(image=None), NO_IMAGE),
    "no-token": refused(request(serviceAccountToken=...), UNALLOWED),
    "no-token-and-no-image": refused(request(serviceAccountToken=..., image=...), NO_IMAGE),
    "empty-token": refused(request(serviceAccountToken=""), UNALLOWED),
    **{
        f"token-is-{json.dumps(value)}": refused(request(serviceAccountToken=value), UNALLOWED)
        for value in (None, True, 17, 0.5, [TOKEN], {"token": TOKEN})
    },
    "token-before-the-escape": refused(request(serviceAccountToken="\0" + TOKEN), ODD),
    "long-and-odd": refused(request(serviceAccountToken="x" * 20_000 + "\n"), ODD),
    "8192-bytes": answered(request(serviceAccountToken="x" * 8192), token="x" * 8192, seconds=0),
    "8193-bytes": refused(request(serviceAccountToken="x" * 8193), LONG),
    "8192-bytes-of-quotes": answered(request(serviceAccountToken='"\\' * 4096), token='"\\' * 4096, seconds=0),
    "a-megabyte-of-token": refused(request(serviceAccountToken="A" * 1_000_000), LONG),
    "the-largest": refused(b"}" * LIMIT, NO_JSON),
    "one-byte-too-many": refused(b"}" * (LIMIT + 1), TOO_LARGE),
    "two-megabytes-of-nul": refused(bytes(2 * LIMIT), TOO_LARGE),
}

_ODD_TOKENS = {
    "newline": "a\nb",
    "nul": "a\0b",
    "space": "a b",
    "del": "a\x7f",
    "accent": "é",
    "emoji": "😀",
    "tab": "\t",
}
_PLAIN_TOKENS = (
    '"', "\\", "\\\\n", "'", "$(id)", "`id`", "${HOME}", "%s%n", "*", "&", "!", ";x", "-n", "/", "=", "a.b", "...", "~",
    "<token>", "x'y\"z\\", "\\u0041", "a.b.c",
)  # fmt: skip

_TOKENS = {
    **{f"token-{name}": refused(request(serviceAccountToken=text), ODD) for name, text in _ODD_TOKENS.items()},
    **{f"token-{text}": answered(request(serviceAccountToken=text), token=text, seconds=0) for text in _PLAIN_TOKENS},
    "half-a-surrogate": refused(request().replace(TOKEN.encode(), rb"a\udc00"), ODD),
    "raw-accent": refused(request().replace(TOKEN.encode(), b"a\xc3\xa9"), ODD),
}

_IMAGES = {
    "registry.example.com/a": "registry.example.com",
    "registry.example.com:5000/a/b": "registry.example.com:5000",
    "registry.example.com:5000/a:1.0": "registry.example.com:5000",
    f"registry.example.com/a@sha256:{'0' * 64}": "registry.example.com",
    f"registry.example.com/a:1@sha256:{'0' * 64}": "registry.example.com",
    "Registry.Example.COM/a": "Registry.Example.COM",
    "REGISTRY/a": "REGISTRY",
    "registry:80/a": "registry:80",
    "localhost/a": "localhost",
    "localhost:5000/a": "localhost:5000",
    "127.0.0.1:5000/a": "127.0.0.1:5000",
    "[2001:db8::1]:5000/a": "[2001:db8::1]:5000",
    "[::1]/a": "[::1]",
    "a": "docker.io",
    "a:5000": "docker.io",
    "web/site": "docker.io",
    "a_b/c": "docker.io",
    "docker.io/library/a": "docker.io",
    "xn--a-ecp.example.com/a": "xn--a-ecp.example.com",
    f"registry.example.com/{'a' * 8000}": "registry.example.com",
}
_WRONG_IMAGES = (
    "", "/", "/a", "registry.example.com/", "https://registry.example.com/a", "registry_1.example.com/a",
    "*.example.com/a", "registry.example.com /a", "registry..example.com/a", ".example.com/a", "example.com./a",
    "-a.example.com/a", ":80/a", "a:/b", "a:b/c", "a:80:80/b", "ann@example.com/a", "[::1/a", "[]/a", "[::g]/a",
    "::1/a", "[::1]:/a", "[::1]x/a", "a\nb", "a\0b", 'a"b', "a\\b", "$(id)/a", "é/a", "É/a", "a/é",
    f"registry.example.com/{'a' * 8192}", "a?b", "a#b", "a%41",
)  # fmt: skip

_OF_IMAGES = {
    **{f"image-{image[:40]}": answered(request(image=image), host=host) for image, host in _IMAGES.items()},
    **{f"wrong-image-{image[:40]!a}": refused(request(image=image), NO_IMAGE) for image in _WRONG_IMAGES},
}

_NO_JSON = (
    b"", b" \n", b"[]", b'""', b"17", b"null", b"true", b"{", b"}", b"{]", b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,',
    b'{"a":1,}', b'{"a" 1}', b'{"a"::1}', b'{,"a":1}', b'{"a":1 "b":2}', b'{"a":[1,]}', b'{"a":[,1]}', b'{"a":[1}',
    b'{"a":{]}', b'{"a":[1 2]}', b"{a:1}", b"{'a':1}", b"{1:2}", b'{"a":1}}', b'{"a":1}]', b'{"a":1} x', b'{"a":1}{}',
    b'{"a":tru}', b'{"a":nullx}', b'{"a":True}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}',
    b'{"a":undefined}', b'{"a":01}', b'{"a":-}', b'{"a":+1}', b'{"a":.5}', b'{"a":1.}', b'{"a":1.e1}', b'{"a":1e}',
    b'{"a":1e+}', b'{"a":0x1}', b'{"a":1_0}', b'{"a":--1}', b'{"a":1-1}', b'{"a":-01}', b'{"a":00}', b'{"a":1e1.5}',
    b'{"a":1e1e1}', b'{"a":- 1}', b'{"a":"\\x"}', b'{"a":"\\u12"}', b'{"a":"\\u12g4"}', b'{"a":"\\u+123"}',
    b'{"a":"\\', b'{"a":"\n"}', b'{"a":"\0"}', b'{"a":"\x1f"}', b'{"a":"', b'{"a":1}\0', b'\xef\xbb\xbf{"a":1}',
    '{"a":1}'.encode("utf-16"), b'{"a":1}\xa0', b'{"a":1/**/}', b'\x0c{"a":1}', b'{"a":1}//', b'{"a":\xe9}', b"\x80",
    b'{"a":"b"c}', b'{"a":"b""c"}', b"{{}}", b"[{}]",
)  # fmt: skip

_BROKEN = {
    **{f"no-json-{text!r}": refused(text, NO_JSON) for text in _NO_JSON},
    "65-levels": refused(inside("[" * 64 + "]" * 64), NO_JSON),
    "65-levels-of-objects": refused(inside('{"a":' * 64 + "1" + "}" * 64), NO_JSON),
    "a-megabyte-of-brackets": refused(b"[" * 1_000_000, NO_JSON),
    "a-string-without-end": refused(b'{"a":"' + b'\\"' * 100_000, NO_JSON),
    "cut-off": refused(request()[:-3], NO_JSON),
    "two-requests": refused(request() + request(), NO_JSON),
    "raw-newline-in-token": refused(request().replace(TOKEN.encode(), b"a\nb"), NO_JSON),
    "raw-nul-in-token": refused(request().replace(TOKEN.encode(), b"a\0b"), NO_JSON),
    "nul-behind": refused(request() + b"\0", NO_JSON),
}


def _dying(payload: bytes | str, seconds: int) -> RequestCase:
    token = token_of(payload) if isinstance(payload, bytes) else payload
    return answered(request(serviceAccountToken=token), token=token, seconds=seconds)


_CLAIMS = b'{"exp":1800003600}'
_EVERY_CHARACTER = b'{"a":"\xfb\xff\xbf\xff~~~???","exp":1800003600}'

_EXPIRIES = {
    "in-an-hour": _dying(token_until(NOW + 3600), 3540),
    "in-61-seconds": _dying(token_until(NOW + 61), 1),
    "in-60-seconds": _dying(token_until(NOW + 60), 0),
    "now": _dying(token_until(NOW), 0),
    "past": _dying(token_until(NOW - 86_400), 0),
    "in-a-day-and-a-minute": _dying(token_until(NOW + 86_460), 86_400),
    "in-a-year": _dying(token_until(NOW + 31_536_000), 86_400),
    "in-ages": _dying(b'{"exp":%s}' % (b"9" * 400), 86_400),
    "zero": _dying(b'{"exp":0}', 0),
    "minus-zero": _dying(b'{"exp":-0}', 0),
    "negative": _dying(b'{"exp":-1800003600}', 0),
    "no-exp": _dying(b'{"iat":1800000000}', 0),
    "empty-payload": _dying(b"{}", 0),
    "exp-null": _dying(b'{"exp":null}', 0),
    "exp-true": _dying(b'{"exp":true}', 0),
    "exp-text": _dying(b'{"exp":"1800003600"}', 0),
    "exp-list": _dying(b'{"exp":[1800003600]}', 0),
    "exp-fraction": _dying(b'{"exp":1800003600.5}', 0),
    "exp-exponent": _dying(b'{"exp":1.8000036e9}', 0),
    "exp-twice": _dying(b'{"exp":1800003600,"exp":1800003600}', 0),
    "exp-nested": _dying(b'{"a":{"exp":1800003600}}', 0),
    "exp-nested-too": _dying(b'{"a":{"exp":1},"exp":1800003600,"b":{"exp":2}}', 3540),
    "exp-in-text": _dying(b'{"a":"\\",\\"exp\\":1"}', 0),
    "exp-escaped": _dying(b'{"\\u0065xp":1800003600}', 3540),
    "exp-before-brace": _dying(b' { "exp" : 1800003600 } ', 3540),
    "exp-last-digit": _dying(b'{"a":"\xc3\xa9","exp":1800003600\n}', 3540),
    "exp-with-zero": _dying(b'{"exp":01800003600}', 0),
    "array": _dying(b'[{"exp":1800003600}]', 0),
    "no-json-payload": _dying(b"exp: 1800003600", 0),
    "cut-off-payload": _dying(b'{"exp":1800003600', 0),
    "nul-in-payload": _dying(b'{"exp":1800003600}\0', 0),
    "deep-payload": _dying(b'{"exp":1800003600,"a":' + b"[" * 64 + b"]" * 64 + b"}", 0),
    "two-parts": _dying(TOKEN.rpartition(".")[0], 0),
    "four-parts": _dying(f"{TOKEN}.x", 0),
    "five-parts": _dying(f"{TOKEN}.x.y", 0),
    "only-payload": _dying(f".{encoded(_CLAIMS)}.", 3540),
    "padding": _dying(f"e.{encoded(_CLAIMS + b' ')}=.s", 0),
    "not-canonical": _dying(f"e.{encoded(_CLAIMS + b' ')[:-1]}B.s", 0),
    "impossible-length": _dying(f"e.{encoded(_CLAIMS)}A.s", 0),
    "plus-and-slash": _dying("e.eyJhIjoi+/.s", 0),
    "url-alphabet": _dying(f"e.{encoded(_EVERY_CHARACTER)}.s", 3540),
}

CASES: dict[str, RequestCase] = {
    **_FORMS, **_HOSTILE, **_TOKENS, **_OF_IMAGES, **_BROKEN, **_EXPIRIES,
}  # fmt: skip
"""All cases, by name."""
