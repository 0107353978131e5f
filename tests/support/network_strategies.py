"""Networks of both IP versions, some of them within each other."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from hypothesis import strategies as st

networks = st.one_of(
    st.builds(lambda number, length: IPv4Network((number >> 32 - length << 32 - length, length)),
              st.integers(0, 2**32 - 1) | st.sampled_from([0x0A000000, 0x0A010000, 0x0A010200]), st.integers(1, 32)),
    st.builds(lambda number, length: IPv6Network((number >> 128 - length << 128 - length, length)),
              st.integers(0, 2**128 - 1) | st.sampled_from([0x0A000000, 0x20010DB8 << 96, 1]), st.integers(1, 128)),
)  # fmt: skip
