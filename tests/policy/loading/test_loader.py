"""Policy loader: faults, their places and their messages."""

from __future__ import annotations

import random
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from policy_folders import GOOD, NOW, faults, rule, write
from slow_properties import slow_examples

from tokenserver.errors import Fault, LoadError
from tokenserver.identity import Identity, Kind
from tokenserver.policy.decide import decide
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import Context, PolicySet
from tokenserver.scopes import Resource, Scope

CORPUS = Path(__file__).parents[2] / "corpus" / "policy"


def test_bomb_is_refused_at_once(folder: Path) -> None:
    """Nested aliases are rejected before they are expanded."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    write(folder / "a.yaml", "\n".join(lines) + "\n")
    assert any("aliases" in fault for fault in faults(folder))


def test_all_faults_of_all_files_at_once(folder: Path) -> None:
    """All faults are reported together, so that they can be fixed together."""
    write(folder / "a.yaml", rule("role=raeder; to=[ann]; repositories=[A]") + "what: 1\n")
    write(folder / "b.yaml", "version: 1\nallow: [\n")
    write(folder / "c.yml", rule("to=[bob]; when={from: x}"))
    (folder / "d.yaml").symlink_to("nowhere")
    found = faults(folder)
    assert sorted({fault.split(":")[0] for fault in found}) == ["a.yaml", "b.yaml", "c.yml", "d.yaml"]
    assert len(found) == 8  # the unknown role may stand in a file that could not be read


def test_tree_without_rules_is_refused(folder: Path) -> None:
    """Groups alone grant nothing."""
    write(folder / "a.yaml", "version: 1\ngroups: {web: {users: [ann]}}\n")
    assert faults(folder) == ["FOLDER: holds no rule in any file, so nothing would ever be granted"]


def test_file_in_a_sub_folder_is_refused(folder: Path) -> None:
    """It would have no meaning unless something is delegated to it, and silence would hide that."""
    write(folder / "a.yaml", GOOD)
    (folder / "teams" / "deep").mkdir(parents=True)
    write(folder / "teams" / "deep" / "web.yaml", rule("id=web"))
    write(folder / "teams" / "README.md", "hello")
    (fault,) = faults(folder)
    assert fault.startswith("teams/deep/web.yaml:1: nothing is delegated to this file; name it in a file at the top")


def test_digest_tells_files_apart(folder: Path) -> None:
    """The digest depends on every name and every byte, and on nothing else."""
    digests = []
    for name, text in (("a.yaml", GOOD), ("a.yaml", GOOD + "# x\n"), ("b.yaml", GOOD), ("a.yaml", GOOD)):
        write(folder / name, text)
        digests.append(load_policies(folder, now=NOW).digest)
        (folder / name).unlink()
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]
    assert re.fullmatch("[0-9a-f]{64}", digests[0])


def test_rules_know_their_place(folder: Path) -> None:
    """A reason names the file within the folder and the line on which the rule begins."""
    write(folder / "a.yaml", GOOD)
    (found,) = load_policies(folder, now=NOW).rules
    assert (found.file, found.line) == ("a.yaml", 3)


def keys_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [place for key, item in value.items() for place in [(*path, key), *keys_of(item, (*path, key))]]
    if isinstance(value, list):
        return [place for index, item in enumerate(value) for place in keys_of(item, (*path, index))]
    return []


def as_data(path: Path) -> Any:
    """A policy file as plain data; dates stay text."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - it makes text alone


REFERENCE = as_data(CORPUS / "reference.yaml")
REFERENCE_KEYS = keys_of(REFERENCE)


def places_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document, the whole of it too."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, item in steps for place in places_of(item, (*path, step)))]


def with_value(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at that place."""
    if not place:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[place[0]] = with_value(copy[place[0]], place[1:], value)
    return copy


def dumped(document: Any) -> str:
    """As YAML again, every text quoted but the version."""
    return yaml.safe_dump(document, default_style="'", sort_keys=False).replace("'version': '1'", "version: 1")


def meaning(policies: PolicySet) -> Any:
    """What a policy set does: its rules and groups, wherever they stand."""
    return {(rule.id, rule.effect, rule.to, rule.patterns, rule.actions) for rule in policies.rules}, dict(
        policies.groups.by_name
    )


_WORDS = st.sampled_from(
    [
        *(
            "everyone",
            "user:ann",
            "group:web",
            "group:",
            "**",
            "web/**",
            "${user}",
            "${group}/x",
            "pull",
            "*",
            "writer",
        ),
        *("1", "2026-01-01", "10.0.0.0/8", "allow", "deny", "id", "to", "tests", "can", "message", "version", ""),
    ]
)
_SCALARS = _WORDS | st.text(max_size=20) | st.integers() | st.floats() | st.booleans() | st.none() | st.dates()
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=4), max_leaves=8
)


@slow_examples()
@given(place=st.sampled_from(places_of(REFERENCE)), value=_VALUES)
def test_any_value_anywhere_is_policies_or_a_load_error(
    place: tuple[Any, ...], value: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any value in place of a part of a good file gives usable rules, or faults with file and line."""
    text = yaml.safe_dump(with_value(REFERENCE, place, value), sort_keys=False, allow_unicode=False)
    assert_policies_or_faults(tmp_path_factory.getbasetemp() / "any-value", text.replace("version: '1'", "version: 1"))


@given(text=st.text() | st.lists(_WORDS | st.sampled_from(list(" \n:-[]{},'\"#&*!|>%@"))).map("".join))
@example(text=GOOD)
def test_any_text_is_policies_or_a_load_error(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The loader has no other outcome."""
    assert_policies_or_faults(tmp_path_factory.getbasetemp() / "any-text", text)


def assert_policies_or_faults(folder: Path, text: str) -> None:
    folder.mkdir(mode=0o755, exist_ok=True)
    (folder / "a.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    (folder / "a.yaml").chmod(0o644)
    refused: tuple[Fault, ...] = ()
    try:
        policies = load_policies(folder, now=NOW)
    except LoadError as error:
        refused = error.faults
    if refused:
        assert {fault.file for fault in refused} <= {str(folder), str(folder / "a.yaml")}
        return
    assert policies.rule_count > 0
    identity = Identity("ann", Kind.PASSWORD, "htpasswd", frozenset({"web"}))
    scope = Scope(Resource("repository", "web/site"), frozenset({"pull", "push"}))
    decision = decide(policies, identity, scope, Context("registry.example.com", None, NOW))
    assert decision.granted <= {"pull", "push"}


def test_order_of_files_and_rules_never_matters(folder: Path) -> None:
    """A tree whose files are renamed and whose rules are shuffled means the same."""
    document = as_data(CORPUS / "reference.yaml")
    found = []
    for seed in range(3):
        rules = [(effect, one) for effect in ("allow", "deny") for one in document[effect]]
        random.Random(seed).shuffle(rules)  # noqa: S311 - a repeatable order, no secret
        for number, (effect, one) in enumerate(rules):
            head = {"version": "1", effect: [one]}
            if number == 0:
                head |= {key: document[key] for key in ("groups", "roles")}
            write(folder / f"{number}.yaml", dumped(head))
        found.append(meaning(load_policies(folder, now=NOW)))
    assert found[0] == found[1] == found[2]


def test_reference_is_good(folder: Path) -> None:
    """The misspelt variants below fail for their misspelling, not for their form."""
    write(folder / "a.yaml", dumped(REFERENCE))
    assert load_policies(folder, now=NOW).rule_count == 7


@pytest.mark.parametrize("place", REFERENCE_KEYS, ids=lambda place: ".".join(map(str, place)))
@pytest.mark.parametrize("spoil", ["doubled", "short", "capital"])
def test_every_misspelt_key_is_refused(folder: Path, place: tuple[Any, ...], spoil: str) -> None:
    """Every misspelt key is reported."""
    document = deepcopy(REFERENCE)
    above = document
    for step in place[:-1]:
        above = above[step]
    key = place[-1]
    wrong = {"doubled": key[0] + key, "short": key[:-1], "capital": key.capitalize()}[spoil]
    renamed = {wrong if name == key else name: value for name, value in above.items()}
    above.clear()
    above.update(renamed)
    write(folder / "a.yaml", dumped(document))
    found = faults(folder)
    if place[0] not in ("groups", "roles") or len(place) != 2:  # names of groups and roles are free
        assert any("unknown key" in fault or "did you mean" in fault for fault in found), found


@pytest.mark.long
@pytest.mark.parametrize("name", ["company.yaml", "team.yaml"])
def test_a_file_cut_anywhere_is_refused_or_means_the_same(folder: Path, name: str) -> None:
    """With the end marker in the folder, truncation at any byte is detected if it loses a rule."""
    texts = {
        "company.yaml": (CORPUS / "reference.yaml").read_bytes(),
        "team.yaml": b"version: 1\nallow:\n  - {id: r, to: [everyone], repositories: [a], role: reader}\n...\n",
    }
    for one, content in texts.items():
        (folder / one).write_bytes(content)
        (folder / one).chmod(0o644)
    expected = meaning(load_policies(folder, now=NOW))
    kept = []
    for length in range(len(texts[name])):
        (folder / name).write_bytes(texts[name][:length])
        try:
            found = load_policies(folder, now=NOW)
        except LoadError:
            continue
        kept.append(length)
        assert meaning(found) == expected
    assert kept == [len(texts[name]) - 1]  # only the newline after the mark can go


def test_without_the_mark_a_cut_inside_a_line_is_refused(folder: Path) -> None:
    """Without the marker, only truncation between two lines can go undetected."""
    text = GOOD + 'deny:\n  - id: d\n    to: [everyone]\n    repositories: ["a/**"]\n    actions: [push]\n'
    for length in range(len(text)):
        if text[length - 1 : length] != "\n":
            write(folder / "a.yaml", text[:length])
            assert faults(folder) != []


def test_json_needs_no_last_newline(folder: Path) -> None:
    """JSON is YAML, and its closing brace is an end marker."""
    text = '{"version": 1, "allow": [{"id": "r", "to": ["everyone"], "repositories": ["a"], "role": "reader"}]}'
    write(folder / "a.yaml", text)
    assert load_policies(folder, now=NOW).rule_count == 1
    for length in range(len(text)):
        write(folder / "a.yaml", text[:length])
        assert faults(folder) != []
