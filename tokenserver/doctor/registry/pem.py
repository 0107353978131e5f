"""PEM as registries read it, which is as Go's `encoding/pem` does, and why a file that looks like PEM is none to them.

Go only knows a block whose BEGIN starts a line and whose END ends one. It skips everything else without a word, so a
registry with a damaged bundle does not start, or lacks a certificate. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from tokenserver.documents.tls_files import UNREADABLE_CERTIFICATE

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_BEGIN = b"-----BEGIN "
_END = b"\n-----END "
_DASHES = b"-----"
_BLANKS = b" \t"
_LINE_ENDS = bytes.maketrans(b"", b""), b" \t\r\n"

_CERTIFICATE = re.compile(rb"BEGIN (?:TRUSTED |X509 )?CERTIFICATE")
_UNUSUAL_TYPE = re.compile(rb"BEGIN (TRUSTED|X509) CERTIFICATE-----")
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]{64,}={0,2}\s*")


@dataclass(frozen=True, slots=True)
class PemBlock:
    """A block: its type, such as `CERTIFICATE`, and its content in DER."""

    type: str
    content: bytes


def pem_blocks(text: bytes) -> Iterator[PemBlock]:
    """The blocks that Go's `pem.Decode` finds, called until it finds none."""
    position = 0
    while True:
        end = text.find(_END, position)
        if end < 0:
            return
        following = end + len(_END)
        begin = text.rfind(_BEGIN, position, end)
        block = None
        if begin >= 0 and (begin == position or text[begin - 1 : begin] == b"\n"):
            block = _block(text, begin + len(_BEGIN), end)
        position = following
        if block is not None:
            _, position = _line(text, following)
            yield block


def _block(text: bytes, start: int, end: int) -> PemBlock | None:
    """The block whose type starts at `start` and whose END line follows the line break at `end`."""
    type_line, body = _line(text, start)
    if not type_line.endswith(_DASHES):
        return None
    name = type_line.removesuffix(_DASHES)
    while body < end:
        line, after = _line(text, body)
        if b":" not in line:
            break
        body = after
    last, _ = _line(text, end + len(_END))
    if last != name + _DASHES:
        return None
    try:
        content = base64.b64decode(text[body:end].translate(*_LINE_ENDS), validate=True)
    except binascii.Error:
        return None
    return PemBlock(name.decode("utf-8", "replace"), content)


def _line(text: bytes, start: int) -> tuple[bytes, int]:
    """The rest of the line without blanks and line break at its end, and where the next one starts."""
    end = text.find(b"\n", start)
    if end < 0:
        return text[start:].rstrip(_BLANKS), len(text)
    return text[start : end - (text[start:end].endswith(b"\r"))].rstrip(_BLANKS), end + 1


def lost_certificates(text: bytes) -> int:
    """How many certificates the file seems to hold that registries do not see."""
    seen = sum(block.type == "CERTIFICATE" for block in pem_blocks(text))
    return max(0, len(_CERTIFICATE.findall(text)) - seen)


def damage(text: bytes) -> str | None:
    """What is wrong with a file of certificates in which registries do not see all; None if that is not known.

    The sentence goes on after "the file": `begins with a byte order mark, …`.
    """
    if not text.strip(b"\0 \t\r\n\f\v"):
        return "is empty"
    if _is_utf16(text):
        return "is UTF-16 text, as PowerShell's > writes it; registries read plain ASCII"
    if _is_certificate(text):
        return "is a certificate in DER, the binary form; registries read PEM"
    if not _CERTIFICATE.search(text):
        return _other_content(text)
    return _damaged_lines(text)


def _other_content(text: bytes) -> str | None:
    """What a file without any certificate in PEM is instead."""
    stripped = text.strip()
    if stripped.startswith((b"{", b"[")):
        return "is JSON; a JWKS belongs into `jwks`, and certificates are PEM"
    if stripped[:1] == b"<":
        return "is an HTML page and no PEM; what was downloaded is the answer of something else"
    if not _BASE64.fullmatch(stripped):
        return None
    try:
        decoded = base64.b64decode(stripped.translate(*_LINE_ENDS), validate=True)
    except binascii.Error:
        return None
    if _CERTIFICATE.search(decoded):
        return "is base64 of a PEM file, as a Kubernetes Secret shows it; decode it once"
    if _is_certificate(decoded):
        return "has no lines -----BEGIN CERTIFICATE----- and -----END CERTIFICATE----- around its base64"
    return None


def _damaged_lines(text: bytes) -> str | None:
    """What keeps registries from seeing a certificate whose BEGIN is there."""
    if b"\r" in text and b"\n" not in text:
        return "ends its lines with CR alone; registries need LF or CR LF"
    if text.startswith(BYTE_ORDER_MARK):
        return "begins with a byte order mark, so that its first line is no BEGIN line to registries"
    if re.search(rb"-----(?:BEGIN|END) [A-Z0-9 ]+-----[^\n]*-----(?:BEGIN|END) ", text):
        if re.search(rb"-----END [A-Z0-9 ]+-----[ \t]*-----BEGIN ", text) and b"\n" in text.strip():
            return "has END and BEGIN on the same line: a line break is missing where two files were joined"
        if rb"\n" in text:
            return r"has \n where its line breaks should be"
        return "has lost its line breaks: BEGIN, the base64 and END are on one line"
    if rb"\n" in text:
        return r"has \n where its line breaks should be"
    if re.search(rb"(?m)^[ \t]+-----(?:BEGIN|END) ", text):
        return "is indented: its lines -----BEGIN and -----END must start at the margin"
    if re.search(rb"(?m)^[^-\s][^\n]*-----(?:BEGIN|END) ", text):
        return "has text before -----BEGIN or -----END on the same line, such as quotes or `>`"
    if re.search(rb"(?m)-----(?:BEGIN|END) [A-Z0-9 ]+-----[ \t]*[^-\s][^\n]*$", text):
        return "has text after -----BEGIN …----- or -----END …----- on the same line"
    if (unusual := _UNUSUAL_TYPE.search(text)) is not None:
        return f"holds blocks {unusual[1].decode()} CERTIFICATE, which registries skip; they must be CERTIFICATE"
    if len(re.findall(rb"-----BEGIN ", text)) != len(re.findall(rb"-----END ", text)):
        return "is cut off: a certificate has no -----END CERTIFICATE----- line"
    if re.search(rb"(?m)^-{1,4}(?:BEGIN|END) |(?:BEGIN|END) [A-Z0-9 ]+-{1,4}[ \t]*\r?$", text):
        return "has a BEGIN or END line with fewer than five dashes at an end"
    return "holds a certificate whose base64 is damaged"


def _is_utf16(text: bytes) -> bool:
    marked = text.startswith((b"\xff\xfe", b"\xfe\xff"))
    return marked or b"\0-\0-\0-" in text or b"-\0-\0-\0" in text


def _is_certificate(content: bytes) -> bool:
    if not content.startswith(b"\x30"):
        return False
    try:
        x509.load_der_x509_certificate(content)
    except UNREADABLE_CERTIFICATE:
        return False
    return True
