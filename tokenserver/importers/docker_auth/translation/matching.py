"""Patterns of docker_auth on plain texts. Pure."""

from __future__ import annotations

from tokenserver.importers.docker_auth.model import AclMatch
from tokenserver.importers.docker_auth.patterns import expression_in, submatch_pairs
from tokenserver.importers.docker_auth.patterns import text_matches as plain_text_matches
from tokenserver.importers.golang.expression import ExpressionBeyondLimits


def is_regex(pattern: str) -> bool:
    """Whether docker_auth takes the pattern for a regular expression."""
    return expression_in(pattern) is not None


def text_matches(pattern: str, text: str, *, if_unknown: bool = True) -> bool:
    """Whether a text matches a pattern without placeholders; `if_unknown` is for what the evaluator cannot tell."""
    try:
        return plain_text_matches(pattern, text, ())
    except ExpressionBeyondLimits:
        return if_unknown


def account_submatches(match: AclMatch, account: str) -> dict[str, str]:
    """The placeholders of submatches of the account in the pattern of the name, and their values."""
    patterns = {"account": match.account, "type": None, "name": match.name, "service": None}
    try:
        return dict(submatch_pairs(patterns, {"account": account, "type": "", "name": "", "service": ""}))
    except ExpressionBeyondLimits:
        return {}
