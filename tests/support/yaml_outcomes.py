"""What parsing a YAML text gives: a document, or its faults."""

from __future__ import annotations

import pytest

from tokenserver.documents.document import parse
from tokenserver.errors import LoadError


def faults(text: str) -> list[str]:
    with pytest.raises(LoadError) as caught:
        parse(text, "f.yaml")
    return [str(fault) for fault in caught.value.faults]
