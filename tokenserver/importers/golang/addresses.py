"""Addresses and networks as Go's `net.ParseIP` and `net.ParseCIDR` read them; IPv4 mapped into IPv6 is IPv4."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address

_OCTETS = re.compile(r"(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})", re.ASCII)
_BITS = re.compile(r"[0-9]{1,9}", re.ASCII)
_MAX_TEXT = 64
_MAPPED = 0xFFFF << 32


@dataclass(frozen=True, slots=True)
class GoNetwork:
    """A network of `bits` out of `width` (32 or 128) bits of addresses."""

    number: int
    bits: int
    width: int

    def __contains__(self, address: tuple[int, int]) -> bool:
        number, width = address
        return width == self.width and number >> (width - self.bits) == self.number >> (width - self.bits)


def parse_address(text: str) -> tuple[int, int] | None:
    """An address as its number and its width in bits, 32 or 128; None if it is none. Zones are not accepted."""
    parsed = _parse(text)
    if parsed is not None and parsed[1] == 128 and parsed[0] >> 32 == _MAPPED >> 32:
        return parsed[0] & 0xFFFFFFFF, 32
    return parsed


@lru_cache(maxsize=4096)
def parse_network(text: str) -> GoNetwork | None:
    """A network from an address or in CIDR notation, whose address may have host bits; None if it is neither."""
    address, slash, length = text.partition("/")
    if not slash:
        single = parse_address(text)
        return None if single is None else GoNetwork(single[0], single[1], single[1])
    parsed = _parse(address)
    if parsed is None or _BITS.fullmatch(length) is None or int(length) > parsed[1]:
        return None
    number, width = parsed
    bits = int(length)
    masked = number >> (width - bits) << (width - bits)
    # Masking can leave an address that is IPv4 mapped into IPv6; Go then keeps the last 32 bits of the mask.
    if width == 128 and masked >> 32 == _MAPPED >> 32:
        return GoNetwork(masked & 0xFFFFFFFF, bits - 96, 32)
    return GoNetwork(masked, bits, width)


def _parse(text: str) -> tuple[int, int] | None:
    if len(text) > _MAX_TEXT or "%" in text or not text.isascii():
        return None
    found = _OCTETS.fullmatch(text)
    if found is not None:
        octets = [int(octet) for octet in found.groups()]
        return None if max(octets) > 255 else (int.from_bytes(bytes(octets)), 32)
    try:
        return int(IPv6Address(text)), 128
    except ValueError:
        return None
