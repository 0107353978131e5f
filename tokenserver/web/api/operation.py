"""Operations of the API: what each path and method takes and answers, as data for the dispatch and the document."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pydantic import BaseModel

from tokenserver.errors import AuthenticationRequired
from tokenserver.management.actors import Actor
from tokenserver.web.api.faults import BadRequest, MethodNotOffered, RequestFault, UnknownPath

if TYPE_CHECKING:  # the storage takes a while to import, and is not needed without one
    from tokenserver.management.service import Management

API = "/api/v1"

_PARAMETER = re.compile(r"\{(\w+)\}")
_SHAPES = {"subject": r"(?P<subject>.+)"}
"""The subject of a workload has slashes."""


class QueryParameter(NamedTuple):
    """A parameter of the query. `is_number`: from 1 to `most`, as decimal digits."""

    name: str
    description: str
    is_number: bool = False
    most: int = 0
    is_required: bool = False
    choices: tuple[str, ...] = ()
    may_repeat: bool = False


class Reply(NamedTuple):
    """The answer to a request. `location` is the path of what was made, below that of the API."""

    status: int
    body: BaseModel | bytes | None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was understood: who asks, and the values of the path, the query and the body."""

    management: Management
    now: float
    actor: Actor | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    repeated: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: BaseModel | None = None

    @property
    def who(self) -> Actor:
        """Who asks, for an operation that is not public.

        Raises:
            AuthenticationRequired: nobody that is known.
        """
        if self.actor is None:
            raise AuthenticationRequired
        return self.actor

    @property
    def moment(self) -> datetime:
        """The current moment in UTC."""
        return datetime.fromtimestamp(self.now, UTC)

    def number(self, name: str, usual: int) -> int:
        """A parameter that is a number."""
        return int(self.query.get(name, usual))

    def content(self) -> Any:
        """The body, of the model of the operation."""
        return cast("Any", self.body)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `name` is unique; `problems` are the statuses of its errors besides the usual ones."""

    method: str
    path: str
    name: str
    summary: str
    handle: Callable[[Call], Reply]
    description: str = ""
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    query: tuple[QueryParameter, ...] = ()
    problems: tuple[int, ...] = ()
    is_public: bool = False

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters of the path."""
        return _PARAMETER.findall(self.path)


class Router:
    """Finds the operation of a request. Paths are below that of the API."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = tuple(operations)
        self._paths = [(re.compile(_shape(one.path), re.DOTALL), one) for one in operations]

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        """The operation, and the values in the path. A HEAD is a GET.

        Raises:
            UnknownPath: there is nothing at the path.
            MethodNotOffered: there is something else there.
        """
        found = [(one, matched) for shape, one in self._paths if (matched := shape.fullmatch(path)) is not None]
        if not found:
            raise UnknownPath("nothing is at this path; see /api/v1/openapi.json")
        wanted = "GET" if method == "HEAD" else method
        for one, matched in found:
            if one.method == wanted:
                return one, matched.groupdict()
        methods = {one.method for one, _ in found}
        raise MethodNotOffered(methods | ({"HEAD"} if "GET" in methods else set()))


def read_query(
    parameters: Sequence[QueryParameter], given: Sequence[tuple[str, str]]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The values of the query by name, and those of the parameters that may repeat.

    Raises:
        BadRequest: all that is wrong with it.
    """
    known = {one.name: one for one in parameters}
    values: dict[str, str] = {}
    repeated: dict[str, list[str]] = {one.name: [] for one in parameters if one.may_repeat}
    faults: list[RequestFault] = []
    for name, value in given:
        parameter = known.get(name)
        problem = _problem_of(parameter, value, is_there=name in values)
        if problem is not None:
            place = "query" if parameter is None else f"query.{name}"
            faults.append(RequestFault(place, problem))
        elif name in repeated:
            repeated[name].append(value)
        values.setdefault(name, value)
    missing = [one.name for one in parameters if one.is_required and one.name not in values]
    faults += [RequestFault(f"query.{name}", "is missing") for name in missing]
    if faults:
        raise BadRequest(dict.fromkeys(faults))
    return values, repeated


def _problem_of(parameter: QueryParameter | None, value: str, *, is_there: bool) -> str | None:
    if parameter is None:
        return "has a parameter that is not known here"
    if is_there and not parameter.may_repeat:
        return "is given twice"
    if parameter.is_number and not (value.isascii() and value.isdigit() and len(value) <= 9):
        return "is no number"
    if parameter.is_number and not 1 <= int(value) <= parameter.most:
        return f"must be from 1 to {parameter.most}"
    if parameter.choices and value not in parameter.choices:
        return f"must be {' or '.join(parameter.choices)}"
    return None


def _shape(path: str) -> str:
    parts = _PARAMETER.split(path)
    literal, names = parts[::2], parts[1::2]
    found = re.escape(literal[0])
    for name, rest in zip(names, literal[1:], strict=True):
        found += _SHAPES.get(name, rf"(?P<{name}>[^/]+)") + re.escape(rest)
    return found
