"""Tests for policy files: a few for each entry, in a file that is for the registry."""

from __future__ import annotations

from acl_worlds import NOW, SERVICES

from tokenserver.importers.docker_auth.comparison.ours import OurSide
from tokenserver.importers.docker_auth.comparison.policy_tests import with_tests
from tokenserver.importers.docker_auth.model import DockerAuthConfig, PeerRequest
from tokenserver.importers.docker_auth.reader import read_docker_auth
from tokenserver.importers.docker_auth.translation.translate import translate_acl
from tokenserver.importers.policy_text import PolicyTest, policy_yaml
from tokenserver.policy.loading.loader import compile_texts


def _tests(config: DockerAuthConfig, requests: list[PeerRequest]) -> dict[str, tuple[PolicyTest, ...]]:
    translation = translate_acl(config, SERVICES, keep_traps=False)
    texts = {name: policy_yaml(file) for name, file in translation.files.items()}
    policies, _ = compile_texts(texts, services=SERVICES)
    ours = OurSide(policies, SERVICES, translation.world.accounts, NOW)
    return {name: file.tests for name, file in with_tests(translation.files, config, ours, requests).items()}


def _request(account: str, name: str, service: str = "one", **parts: object) -> PeerRequest:
    return PeerRequest(account, name, ("pull",), service=service, **parts)  # type: ignore[arg-type]


def test_by_the_registry() -> None:
    """What no file is for has no test, nor have clients without a legal name, nor what the other side decides."""
    text = "users: {ann: {password: x}}\nacl: [{match: {service: one, account: ann}, actions: [pull]}]"
    config = read_docker_auth(text, "auth.yml")
    requests = [_request("ann", "a"), _request("ann", "a"), _request("ann", "a", "two"), _request("a:b", "a")]
    found = _tests(config, [*requests, _request("ann", "A")])
    assert found == {"one.yaml": (PolicyTest({"user": "ann"}, ("pull a",), ("push,delete a",), {"service": "one"}),)}


def test_groups_and_addresses() -> None:
    """As far as they matter; two for each entry."""
    text = """\
ldap_auth: {addr: x}
acl:
  - {match: {labels: {team: web}, ip: 10.0.0.0/8}, actions: ["*"]}
  - {match: {}, actions: []}
"""
    config = read_docker_auth(text, "auth.yml")
    labels = {"team": ("web",)}
    requests = [
        _request("ann", name, labels=labels, ip="10.0.0.1", type=kind)
        for kind, name in (("registry", "catalog"), ("repository", "a"), ("repository", "b"))
    ]
    client: dict[str, str | tuple[str, ...]] = {"user": "ann", "groups": ("team=web",)}
    settings = {"service": "one", "from": "10.0.0.1"}
    assert _tests(config, requests)["acl.yaml"] == (
        PolicyTest(client, ("* registry:catalog",), (), settings),
        PolicyTest(client, ("pull,push,delete a",), (), settings),
    )


def test_undecided() -> None:
    """What other sources of rules decide is no test."""
    text = "ext_authz: {command: x}\nacl: [{match: {account: ann}, actions: [pull]}]"
    found = _tests(read_docker_auth(text, "auth.yml"), [_request("bob", "a"), _request("ann", "a")])
    assert [test.client for test in found["acl.yaml"]] == [{"user": "ann"}]


def test_anonymous_clients() -> None:
    """Have no keys under `as`."""
    config = read_docker_auth('acl: [{match: {account: ""}, actions: [pull]}]\nusers: {"": {}}', "auth.yml")
    assert [test.client for test in _tests(config, [_request("", "a")])["acl.yaml"]] == [{}]


def test_a_limit() -> None:
    """However many entries there are."""
    entries = "".join(f"  - {{match: {{account: u{number}}}, actions: [pull]}}\n" for number in range(100))
    config = read_docker_auth(f"acl:\n{entries}", "auth.yml")
    assert len(_tests(config, [_request(f"u{number}", "a") for number in range(100)])["acl.yaml"]) == 80
