"""Files of certificates as people break them: what registries still read, and what they do not, with the reason."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

Make = Callable[[bytes], bytes]


def _one_line(text: bytes, by: bytes) -> bytes:
    return text.strip().replace(b"\n", by)


def _der(text: bytes) -> bytes:
    return base64.b64decode(b"".join(line for line in text.splitlines() if not line.startswith(b"-")))


HARMLESS: Mapping[str, Make] = {
    "whole": lambda text: text,
    "CR LF": lambda text: text.replace(b"\n", b"\r\n"),
    "no line break at the end": lambda text: text.rstrip(),
    "blanks behind the markers": lambda text: text.replace(b"-----\n", b"----- \t\n"),
    "indented base64": lambda text: b"\n".join(
        line if line.startswith(b"-") else b"  " + line for line in text.split(b"\n")
    ),
    "text around it": lambda text: b"subject=x\n\n" + text + b"\n# end\n",
    "a header": lambda text: text.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\nNote: x\n\n", 1),
    "base64 on one line": lambda text: (
        b"-----BEGIN CERTIFICATE-----\n"
        + b"".join(line for line in text.splitlines() if not line.startswith(b"-"))
        + b"\n-----END CERTIFICATE-----\n"
    ),
}
"""What registries read as if it were whole."""

DAMAGE: Mapping[str, tuple[Make, str]] = {
    "empty": (lambda _: b" \n", "is empty"),
    "byte order mark": (lambda text: b"\xef\xbb\xbf" + text, "byte order mark"),
    "indented": (lambda text: text.replace(b"\n", b"\n    ").join([b"    ", b""]), "is indented"),
    "one line": (lambda text: _one_line(text, b" "), "lost its line breaks"),
    "one line without blanks": (lambda text: _one_line(text, b""), "lost its line breaks"),
    r"\n as text": (lambda text: _one_line(text, rb"\n"), r"has \n where"),
    "CR alone": (lambda text: text.replace(b"\n", b"\r"), "CR alone"),
    "UTF-16": (lambda text: text.decode().encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (lambda text: text.decode().encode("utf-16-le"), "UTF-16"),
    "two files joined": (lambda text: text.rstrip() + text, "a line break is missing where two files were joined"),
    "text after END": (lambda text: text.rstrip() + b" # ours\n", "text after"),
    "quoted": (lambda text: b'"' + text.rstrip() + b'"\n', "text before"),
    "cut off": (lambda text: text.partition(b"-----END")[0], "is cut off"),
    "four dashes": (lambda text: text.replace(b"-----\n", b"----\n"), "fewer than five dashes"),
    "damaged base64": (lambda text: text.replace(b"\nMII", b"\nM!I"), "base64 is damaged"),
    "TRUSTED": (lambda text: text.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"), "TRUSTED CERTIFICATE"),
    "DER": (_der, "in DER"),
    "base64 of PEM": (base64.b64encode, "is base64 of a PEM file"),
    "no markers": (lambda text: base64.encodebytes(_der(text)), "has no lines -----BEGIN"),
    "JSON": (lambda _: b'{"keys": []}', "is JSON"),
    "HTML": (lambda _: b"<!doctype html><title>Sign in</title>", "is an HTML page"),
}
"""What registries see no certificate in, and words of the reason."""
