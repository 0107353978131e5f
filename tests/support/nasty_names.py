"""Names that other programs may have, and that policies must not take for anything but names."""

from __future__ import annotations

from hypothesis import strategies as st

NASTY = (
    *("web", "ann", "a*", "**", "${user}", "$x", "{x}", "reg-{x}", "x\x00", "a\nb", "é", "e\u0301", "\U0001f600"),
    *("A", " a ", "everyone", "robots", "user:ann", "user:x, user:y", "group:x", "robot:x", "no", "~", "0", "a/b"),
    *("../x", "a:b", '"x"', "x" * 300, "#", "web/developer", "robot$web+ci", "web+ci", "+", "a,b", "\u202ex", "tknp_x"),
)

nasty_names = st.sampled_from(NASTY) | st.text(min_size=1, max_size=6)
