"""Ids cannot be guessed, and none is given twice."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from tokenserver.server.compose import new_id


def test_ids_do_not_repeat() -> None:
    """Threat 60: 100,000 ids of 128 bits, made by four threads at once, no two alike."""
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: [new_id() for _ in range(25_000)], range(4)))
    ids = {one for some in made for one in some}
    assert len(ids) == 100_000
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)
