"""Policy trees for the playground: texts by file, good ones and hostile ones, and the same trees on disk."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import strategies as st

from tokenserver.policy.loading.loader import compile_texts
from tokenserver.policy.model import PolicySet

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROOT = """\
version: 1
groups: {ops: {users: [otto]}}
administrators: ["group:ops"]
delegate:
  - {file: teams/web.yaml, repositories: ["web/**"], actions: [pull, push], max_lifetime: 10m}
allow:
  - {id: base, to: [authenticated], repositories: ["base/**"], role: reader}
tests:
  - {as: {user: ann}, can: [pull base/x], cannot: [push base/x]}
"""
TEAM = """\
version: 1
allow:
  - {id: web, to: ["user:ann"], repositories: ["web/**"], role: writer}
tests:
  - {as: {user: ann}, can: [push web/x]}
"""
TREE: Mapping[str, str] = {"company.yaml": ROOT, "teams/web.yaml": TEAM}


def live(texts: Mapping[str, str] = TREE) -> PolicySet:
    """The policies of these files."""
    return compile_texts(texts, now=NOW)[0]


def on_disk(folder: Path, texts: Mapping[str, str]) -> Path:
    """These files in an empty folder."""
    folder.mkdir(mode=0o755)
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(mode=0o755, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
        path.chmod(0o644)
    return folder


WORDS = st.sampled_from(
    [
        *(
            "reader",
            "writer",
            "owner",
            "user:ann",
            "group:ops",
            "group:nobody",
            "robot:ci",
            "everyone",
            "robots",
            "ann",
        ),
        *("base/**", "web/**", "**", "${user}/*", "web/x", "[", "}", ":", "{}", "[]", "&a", "*a", "!!str", "...", "\n"),
        *("administrators: ['user:ben']\n", "robots: {ci: }\n", "groups: {x: {includes: [x]}}\n", "deny: []\n", "\t"),
        *(
            "tests: [{as: anonymous, can: [pull base/x]}]\n",
            "registries: [one]\n",
            "delegate: []\n",
            "\u0000",
            "\u2028",
        ),
    ]
)


@st.composite
def changed_texts(draw: st.DrawFn) -> str:
    """A text of the tree in which some parts are replaced by others, or any text at all."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.text(st.characters(exclude_categories=["Cs"])))
    text = draw(st.sampled_from([ROOT, TEAM]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(WORDS) + text[end:]
    return text
