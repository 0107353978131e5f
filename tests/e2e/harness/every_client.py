"""All clients of the tables, and the row that a table has for one of them."""

from __future__ import annotations

import pytest

from harness import clients
from harness.buildkit import Buildkit
from harness.clients import Client
from harness.go_clients import Ctr2, Gcrane, Imgpkg, Ko, Regsync

CLIENTS: tuple[type[Client], ...] = (*clients.CLIENTS, Ctr2, Gcrane, Regsync, Imgpkg, Ko, Buildkit)


def row(client: type[Client], *more: object, name: str = "", nightly: bool = False) -> object:
    """A row of a table, called `name` or like the client: for the night if only the night has the client's program."""
    marks = [pytest.mark.real(client.program)]
    if client.nightly or nightly:
        marks.append(pytest.mark.nightly)
    return pytest.param(client, *more, id=name or client.name, marks=marks)
