"""docs/when-it-is-denied.md quotes what clients print, and each client still prints it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import compatibility
from harness.client_texts import (
    DISTRIBUTION,
    KINDS,
    LABELS,
    PAGE,
    REGISTRIES,
    SITUATIONS,
    ZOT,
    Case,
    cases,
    decisive_lines,
    page,
    recorded,
    without_names,
)
from harness.clients import Client
from harness.every_client import row
from harness.images import Image
from harness.processes import Output
from harness.registries import Registry
from harness.scene import Scene
from harness.watch import Watch


def denied(case: Case, scene: Scene, repository: str) -> Output:
    """What the client prints in this situation: `ann` with a wrong password, a stranger's pull, a reader's push."""
    if case.situation == "push":
        return scene.client(case.kind, "ben").push(scene.registry, scene.image, repository)
    scene.registry.put(repository, scene.image)
    if case.situation == "pull":
        return scene.client(case.kind, "eve").pull(scene.registry, repository)
    client = scene.client(case.kind)
    if "login" not in case.kind.cannot:
        return client.login(scene.registry, "ann", "wrong")
    client.machine.sign_in(scene.registry.host, "ann", "wrong")
    return client.pull(scene.registry, repository)


@pytest.mark.parametrize(
    ("kind", "situation", "registry_name"),
    [row(*case, name=f"{case.kind.name}-{case.situation}-{case.registry}") for case in cases()],
)
def test_a_client_prints_what_the_page_says(
    kind: type[Client],
    situation: str,
    registry_name: str,
    registry_of: Callable[[str], Registry],
    zot14: Callable[[], Registry],
    client_of: Callable[[type[Client]], Client],
    image: Image,
    new_name: Callable[[str], str],
    record_property: Callable[[str, object], None],
) -> None:
    """Line by line; only the names of the run are replaced. `scripts/client-texts` collects the property."""
    generation = registry_name.removeprefix("distribution")
    registry = zot14() if registry_name == "zot" else registry_of(f"registry{generation}.test")
    repository = new_name("web")
    scene = Scene(registry, Watch(registry.server), image, client_of, new_name)
    output = denied(Case(kind, situation, registry_name), scene, repository)
    assert not output.ok, str(output)
    lines = without_names(decisive_lines(output), registry, repository)
    record_property("client text", [REGISTRIES[registry_name], situation, kind.name, lines])
    expected = recorded().get(REGISTRIES[registry_name], {}).get(situation, {}).get(kind.name)
    assert lines == expected, f"run: .venv/bin/python scripts/client-texts\n{output}"


def test_the_page_is_current() -> None:
    """The page has the section that is made of the record."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text, recorded()), "run: .venv/bin/python scripts/client-texts"


def test_the_versions_are_those_of_the_other_page() -> None:
    """test_compatibility_page.py holds them against the script that installs the programs."""
    text, other = PAGE.read_text(encoding="utf-8"), compatibility.page()
    versions = [DISTRIBUTION, ZOT, *LABELS.values()]
    assert [version for version in versions if version not in text or version not in other] == []


def test_every_client_is_on_the_page_for_all_that_it_can_do() -> None:
    """The record has exactly the cases of the test: no client is forgotten, and none is left over."""
    held = {(REGISTRIES[case.registry], case.situation, case.kind.name) for case in cases()}
    told = {(one, what, name) for one, texts in recorded().items() for what in texts for name in texts[what]}
    assert told == held
    assert set(LABELS) == {kind.name for kind in KINDS}
    denials = {what: {name for one, situation, name in held if situation == what} for what in SITUATIONS}
    assert denials["password"] == {kind.name for kind in KINDS}
    assert denials["pull"] == denials["push"] == {kind.name for kind in KINDS} - {"docker"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_page_agrees_with_the_other_tests(kind: type[Client]) -> None:
    """What test_real_clients.py looks for in a client's output is in the text on the page too."""
    texts = {situation: "\n".join(told.get(kind.name, [])) for situation, told in recorded()["distribution"].items()}
    if "login" not in kind.cannot:
        assert kind.wrong_password.format(message="wrong user name or password") in texts["password"]
    for situation in {"pull", "push"} - set(kind.cannot):
        assert kind.refusal, f"{kind.name} has no text to look for"
        assert kind.refusal in texts[situation]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("Preparing\ndenied: no\n\n", ["denied: no"], id="last line"),
        pytest.param(
            "Copying\nError: reading:\ndenied: no\n", ["Error: reading:", "denied: no"], id="lines of an error"
        ),
        pytest.param(
            "Error: first\ntool: Error: reading:\n  Error in it:\n    denied: no\n",
            ["tool: Error: reading:", "Error in it:", "denied: no"],
            id="an error within another",
        ),
        pytest.param(
            'time="now" level=fatal msg="in \\"a\\": errors:\\ndenied\\n"\n',
            ['in "a": errors:', "denied"],
            id="log line",
        ),
        pytest.param('time="now" level=error msg="first"\nctr: failed\n', ["ctr: failed"], id="other log lines"),
    ],
)
def test_the_last_message_is_found(text: str, lines: list[str]) -> None:
    """Whatever else the client prints before it."""
    assert decisive_lines(Output(("client",), 1, "", text)) == lines
