"""Pages of long lists: a cursor says after which item the next page begins, so that changes repeat and lose none.

Clients take a cursor as it is. It holds nothing that is not in the list, and cannot widen it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from tokenserver.documents.base64url import decode_canonical_base64url, encode_base64url
from tokenserver.web.api.faults import BadRequest

USUAL_LIMIT, MAX_LIMIT = 100, 1000

_Item = TypeVar("_Item")
SortKey = tuple[int, str]


def page_of(
    items: Sequence[_Item], key: Callable[[_Item], SortKey], *, limit: int, cursor: str | None
) -> tuple[list[_Item], str | None]:
    """The items of one page in the order of their keys, which differ, and the cursor of the next page.

    Raises:
        BadRequest: the cursor is none of this API.
    """
    ordered = sorted(items, key=key)
    if cursor is not None:
        after = _opened(cursor)
        ordered = [item for item in ordered if key(item) > after]
    page = ordered[:limit]
    return page, _closed(key(page[-1])) if len(ordered) > limit else None


def _closed(key: SortKey) -> str:
    return encode_base64url(json.dumps(key, separators=(",", ":")).encode("ascii"))


def _opened(cursor: str) -> SortKey:
    try:
        content = json.loads(decode_canonical_base64url(cursor))
    except (ValueError, RecursionError):
        content = None
    match content:
        case [int(number), str(text)]:
            return number, text
    raise BadRequest.at("query.cursor", "is none of this API; fix: leave it out, and begin with the first page")
