"""What a registry may have for itself: names, issuer, lifetimes, algorithm and keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError

HEAD = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
anonymous: true
policies: policies
keys: keys
registries:
"""


def _load(folder: Path, *entries: str) -> Settings:
    file = folder / "tokenserver.yaml"
    file.write_text(HEAD + "".join(f"  - {{{entry}}}\n" for entry in entries))
    return load_settings(file, {})


def _faults(folder: Path, *entries: str) -> list[str]:
    with pytest.raises(LoadError) as caught:
        _load(folder, *entries)
    return [str(fault).removeprefix(f"{folder}/") for fault in caught.value.faults]


def test_one_registry_under_several_names(tmp_path: Path) -> None:
    """It is found by each of them, and by nothing that is only like one."""
    settings = _load(tmp_path, "service: a, also: [b, c]", "service: d")
    assert settings.registries[0].names == ("a", "b", "c")
    assert [settings.registry(name) for name in "abcd"] == [settings.registries[0]] * 3 + [settings.registries[1]]
    assert settings.registry("A") is None


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param(
            ["service: a", "service: b, also: [a]"],
            "8: registries[1].also[0]: the service 'a' is used twice",
            id="also",
        ),
        pytest.param(
            ["service: b, also: [a]", "service: a"], "8: registries[1]: the service 'a' is used twice", id="service"
        ),
        pytest.param(
            ["service: a, also: [x]", "service: b, also: [y, x]"], "registries[1].also[1]: the", id="two-also"
        ),
        pytest.param(["service: a, also: [a]"], "registries[0]: the service 'a' is used twice", id="itself"),
        pytest.param(["service: a, also: [b, b]"], "registries[0].also[0]: the service 'b' is used twice", id="in-one"),
        pytest.param(["service: a, also: b"], "registries[0].also: must be a list", id="no-list"),
        pytest.param(["service: a, also: ['']"], "registries[0].also[0]: must be 1 to 255 printable", id="empty-name"),
        pytest.param(["service: a, issuer: ''"], "registries[0].issuer: must be 1 to 255 printable", id="no-issuer"),
        pytest.param(["service: a, algorithm: HS256"], "registries[0].algorithm: must be one of 'ES256'", id="hs256"),
        pytest.param(["service: a, algorithm: none"], "registries[0].algorithm: must be one of 'ES256'", id="none"),
        pytest.param(
            ["service: a, compat: distribution2, algorithm: EdDSA"],
            "registries[0].algorithm: cannot be combined with compat: distribution2: "
            "Distribution 2 cannot verify EdDSA",
            id="a-clash",
        ),
        pytest.param(
            ["service: a, algorithm: RS256", "service: b, algorithm: ES256"],
            "8: registries[1].algorithm: a signs with RS256 and shares its keys",
            id="two-algorithms-with-the-keys-of-all",
        ),
        pytest.param(
            ["service: a, algorithm: RS256, keys: k", "service: b, keys: k, algorithm: ES256"],
            "registries[1].algorithm: a signs with RS256 and shares its keys",
            id="two-algorithms-in-one-folder",
        ),
        pytest.param(
            ["service: a, token_lifetime: {push: 2h}"],
            "registries[0].token_lifetime.push: must be from 60s to 1h, not 7200s",
            id="push-too-long",
        ),
        pytest.param(
            ["service: a, token_lifetime: {delete: 59}"],
            "token_lifetime.delete: must be from 60s to 1h",
            id="too-short",
        ),
        pytest.param(
            ["service: a, token_lifetime: {pul: 60}"], "token_lifetime.pul: unknown key; did you mean 'pull'?", id="pul"
        ),
    ],
)
def test_wrong_registries_are_refused(tmp_path: Path, entries: list[str], expected: str) -> None:
    """One fault, with its line and its place."""
    (fault,) = _faults(tmp_path, *entries)
    assert fault.startswith("tokenserver.yaml:")
    assert expected in fault


def test_lifetimes(tmp_path: Path) -> None:
    """One duration is for all actions; a mapping names the actions that differ."""
    settings = _load(
        tmp_path, "service: a, token_lifetime: 5m", "service: b, token_lifetime: {push: 1h, delete: 60s}", "service: c"
    )
    lifetimes = [registry.token_lifetime for registry in settings.registries]
    assert [lifetime.default for lifetime in lifetimes] == [300, 900, 900]
    assert [lifetime.of_actions for lifetime in lifetimes] == [(), (("push", 3600), ("delete", 60)), ()]
    assert [str(lifetime) for lifetime in lifetimes] == ["300 s", "900 s, push 3600 s, delete 60 s", "900 s"]


def test_keys_and_issuers(tmp_path: Path) -> None:
    """Each folder of keys that is in use once, with the registries that it signs for, its issuer and algorithm."""
    settings = _load(
        tmp_path,
        "service: a",
        "service: b, keys: own, issuer: team.example.com, algorithm: RS256",
        "service: c, keys: own",
        "service: d, issuer: other.example.com, algorithm: EdDSA",
    )
    found = [
        (keys.folder.name, [registry.service for registry in keys.registries], keys.issuer, keys.algorithm)
        for keys in settings.key_sets()
    ]
    assert found == [
        ("keys", ["a", "d"], "auth.example.com", "EdDSA"),
        ("own", ["b", "c"], "team.example.com", "RS256"),
    ]
    assert [settings.issuer_of(registry) for registry in settings.registries] == [
        "auth.example.com",
        "team.example.com",
        "auth.example.com",
        "other.example.com",
    ]
    assert settings.key_set(settings.registries[2]) == settings.key_sets()[1]


def test_two_paths_to_one_folder_are_one_set_of_keys(tmp_path: Path) -> None:
    """By dots or by a link: shared keys must be recognised even if the paths are spelled differently."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "linked").symlink_to("keys")
    (tmp_path / "registries").mkdir()
    settings = _load(
        tmp_path,
        "service: a, keys: registries/../keys",
        "service: b, keys: linked",
        "service: c",
        "service: d, keys: e",
    )
    found = [(keys.folder.name, [registry.service for registry in keys.registries]) for keys in settings.key_sets()]
    assert found == [("keys", ["a", "b", "c"]), ("e", ["d"])]
    assert settings.key_set(settings.registries[1]).folder == tmp_path / "keys"


def test_a_registry_that_reports(tmp_path: Path) -> None:
    """Everything but blobs, unless it is said otherwise; only such registries are reporters."""
    settings = _load(
        tmp_path,
        "service: a, notifications: {secret_file: s}",
        "service: b, notifications: {secret_file: /t, actions: [delete], blobs: true}",
        "service: c",
    )
    assert [one.service for one in settings.reporters] == ["a", "b"]
    first, second, third = (one.notifications for one in settings.registries)
    assert third is None
    assert first is not None
    assert (first.secret_file, first.actions, first.blobs) == (
        tmp_path / "s",
        ("push", "pull", "mount", "delete"),
        False,
    )
    assert second is not None
    assert (second.secret_file, second.actions, second.blobs) == (Path("/t"), ("delete",), True)


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        pytest.param("notifications: {}", "secret_file", id="no secret"),
        pytest.param("notifications: {secret_file: s, actions: []}", "actions", id="no action"),
        pytest.param("notifications: {secret_file: s, actions: [heal]}", "actions[0]", id="unknown action"),
        pytest.param("notifications: {secret_file: s, blobs: 1}", "blobs", id="a number"),
        pytest.param("notifications: {secret_file: s, secret: x}", "secret", id="unknown key"),
    ],
)
def test_faulty_notifications(tmp_path: Path, entry: str, place: str) -> None:
    """Each at its place."""
    assert f"registries[0].notifications.{place}: " in _faults(tmp_path, f"service: a, {entry}")[0]
