"""Patterns of docker_auth's ACL: placeholders, globs and regular expressions, as its rules understand them.

Placeholders are replaced in the text of a pattern, before it is a glob or an expression. The request's own fields are
quoted; submatches and labels are not, so that a label's value may be a glob or an expression itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product

from tokenserver.importers.docker_auth.model import Labels
from tokenserver.importers.golang.expression import BadExpression, ExpressionBeyondLimits
from tokenserver.importers.golang.path_match import glob_matches, is_bad_glob
from tokenserver.importers.golang.regexp import go_expression, quote_meta

MAX_COMBINATIONS = 10_000
"""Combinations of label values that one pattern tries."""

_LITERAL = re.compile(r"[^*?\[\\$]+")
_SUBMATCH = re.compile(r"\$\{(.+?):([0-9]+)\}")
_FIELDS = ("account", "type", "name", "service")
_MAX_INDEX = 6

Pairs = tuple[tuple[str, str], ...]
"""Placeholders and what replaces them. At one place in a text, the first pair that fits wins."""


def expression_in(pattern: str) -> str | None:
    """The regular expression of a pattern, if it is one: the text between two slashes, unless it is empty."""
    is_expression = len(pattern) > 2 and pattern.startswith("/") and pattern.endswith("/")
    return pattern[1:-1] if is_expression else None


def pattern_problem(pattern: str) -> str | None:
    """Why docker_auth does not start with a pattern: its regular expression, with its placeholders, is invalid.

    Raises:
        ExpressionBeyondLimits: that is unknown.
    """
    expression = expression_in(pattern)
    if expression is None:
        return None
    try:
        go_expression(expression)
    except BadExpression as error:
        return str(error)
    return None


def is_dead_glob(pattern: str) -> bool:
    """Whether a pattern is a malformed glob, which docker_auth accepts and never matches."""
    return expression_in(pattern) is None and is_bad_glob(pattern)


def request_pairs(fields: Mapping[str, str]) -> Pairs:
    """The placeholders of the request's own fields, quoted."""
    return tuple((f"${{{field}}}", quote_meta(fields[field])) for field in _FIELDS)


def submatch_pairs(patterns: Mapping[str, str | None], fields: Mapping[str, str]) -> Pairs:
    """The placeholders such as ${account:1} that occur in the patterns of the four fields, and their submatches.

    A submatch is taken from the expression in the pattern of the field that the placeholder names, as it is written,
    whether or not it matches otherwise. A placeholder without one is not replaced.

    Raises:
        ExpressionBeyondLimits: an expression is too large, or a search too expensive.
    """
    pairs: list[tuple[str, str]] = []
    for field in _FIELDS:
        for found in _SUBMATCH.finditer(patterns[field] or ""):
            source = _field_named(found[1])
            text = None if source is None else _submatch(patterns[source] or "", fields[source], found[2])
            if text is not None:
                pairs.append((found[0], text))
    return tuple(pairs)


def _field_named(name: str) -> str | None:
    """The field that a placeholder names. Go capitalises the name, so that a capital letter there makes no difference.

    The long s is a letter whose capital is S.
    """
    first = "s" if name[:1] == "\u017f" else name[:1].lower()
    field = first + name[1:]
    return field if field in _FIELDS else None


def _submatch(pattern: str, subject: str, index: str) -> str | None:
    # Unlike elsewhere, // is an expression here, but it has no groups.
    expression = expression_in(pattern)
    number = int(index) if len(index.lstrip("0")) <= _MAX_INDEX else 0
    if expression is None or number < 1:
        return None
    try:
        groups = go_expression(expression).groups_in(subject)
    except BadExpression:
        return None
    return groups[number] if groups is not None and number < len(groups) else None


def text_matches(pattern: str, subject: str, pairs: Pairs) -> bool:
    """Whether a text matches a pattern after the replacement of placeholders. Invalid expressions do not match.

    Raises:
        ExpressionBeyondLimits: the expression is too large, or the search too expensive.
    """
    replaced = _replace(pattern, pairs) if "${" in pattern else pattern
    expression, prefix = _outline(replaced)
    if expression is None:
        return subject.startswith(prefix) and glob_matches(replaced, subject)
    try:
        return go_expression(expression).is_found(subject)
    except BadExpression:
        return False


def may_match(pattern: str, subject: str) -> bool:
    """Whether a pattern with placeholders can match, judged by the text before them; cheap."""
    # Behind a slash there may be an expression.
    return pattern.startswith("/") or subject.startswith(_outline(pattern)[1])


@lru_cache(maxsize=65_536)
def _outline(pattern: str) -> tuple[str | None, str]:
    """The expression in a pattern; for a glob None, and the text that all its matches begin with."""
    prefix = _LITERAL.match(pattern)
    return expression_in(pattern), "" if prefix is None else prefix[0]


def field_matches(pattern: str | None, subject: str, pairs: Pairs, labels: Labels) -> bool:
    """Whether a field matches its pattern: without labels, or else with any combination of values of those it names.

    Raises:
        ExpressionBeyondLimits: an expression is too large, a search too expensive, or there are too many combinations.
    """
    if pattern is None or text_matches(pattern, subject, pairs):
        return True
    return any(text_matches(pattern, subject, pairs + values) for values in _label_pairs(pattern, labels))


def _label_pairs(pattern: str, labels: Labels) -> Iterator[Pairs]:
    if "${labels:" not in pattern:
        return
    choices = [
        [(placeholder, value) for value in values]
        for label, values in labels.items()
        if (placeholder := f"${{labels:{label}}}") in pattern
    ]
    count = 1
    for values in choices:
        count *= len(values)
    if count > MAX_COMBINATIONS:
        raise ExpressionBeyondLimits(f"has more than {MAX_COMBINATIONS:,} combinations of label values")
    # Without any label that it names, nothing is left to try; with one that has no value, there is no combination.
    if choices:
        yield from product(*choices)


def _replace(pattern: str, pairs: Pairs) -> str:
    """All placeholders replaced in one pass from the left, so that what is put in is never looked at again."""
    if not pairs:
        return pattern
    values: dict[str, str] = {}
    for placeholder, value in pairs:
        values.setdefault(placeholder, value)
    # Alternatives are tried in the order of the pairs, like Go's replacer.
    return re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], pattern)
