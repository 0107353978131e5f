"""Makes seals: a signature of the active signing key over the link of a line, and so over all lines before it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tokenserver.documents.base64url import encode_base64url
from tokenserver.errors import SigningFailed
from tokenserver.exchange.audit_chain.seal_text import CONTENT, TYPE, StatedChain
from tokenserver.keys.ring import SigningKey
from tokenserver.keys.signatures import SignatureMismatch, signer, verify_signature


def make_seal(
    key: SigningKey,
    link: str,
    *,
    time: str,
    closes: bool,
    others: Sequence[StatedChain] = (),
    server: str = "",
    before: Sequence[StatedChain] = (),
) -> str:
    """A seal over a link; see `Seal`.

    Raises:
        SigningFailed: the key did not sign, or not rightly.
    """
    header = {"typ": TYPE, "alg": key.algorithm.value, "kid": key.thumbprint, "x5c": list(key.x5c)}
    content: dict[str, Any] = {"chain": link, "time": time}
    content |= {"closes": True} if closes else {}
    content |= {"others": [one._asdict() for one in others]} if others else {}
    content |= {"server": server} if server else {}
    content |= {"before": [one._asdict() for one in before]} if before else {}
    text = f"{_encoded(header)}.{_encoded({CONTENT: content})}"
    signed = text.encode("ascii")
    try:
        signature = signer(key.private_key, key.algorithm)(signed)
        verify_signature(key.public_key, key.algorithm, signature, signed)
    except SignatureMismatch as error:
        raise SigningFailed(f"the key {key.id} signed wrongly") from error
    except Exception as error:  # whatever the reason
        raise SigningFailed(f"the key {key.id} did not sign: {type(error).__name__}") from error
    return f"{text}.{encode_base64url(signature)}"


def _encoded(value: dict[str, Any]) -> str:
    return encode_base64url(json.dumps(value, separators=(",", ":")).encode("ascii"))
