"""A registry's files: its configuration, and the trusted keys that it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from doctor_worlds import ours_of, ring_of, signing_pem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenserver.doctor.examination.registry_files import MAX_CONFIGURATION, MAX_TRUST, read_registry_files
from tokenserver.errors import LoadError

DISTRIBUTION = """\
version: 0.1
auth:
  token:
    realm: https://auth.example.com/token
    service: registry.example.com
    issuer: auth.example.com
    rootcertbundle: {bundle}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a registry, with its bundle beside it under a relative name."""
    (tmp_path / "ca.pem").write_text(ring_of().ca_certificate_pem)
    path = tmp_path / "config.yml"
    path.write_text(DISTRIBUTION.format(bundle="ca.pem"))
    return path


def test_a_configuration_with_its_bundle(config: Path) -> None:
    """A relative path is one beside the configuration; the file may be anybody's, and of any mode."""
    (config.parent / "ca.pem").chmod(0o666)
    found = read_registry_files(config, None, None)
    assert (found.setup.is_zot, found.setup.service, found.jwks) == (False, "registry.example.com", None)
    assert found.bundle is not None
    assert found.bundle.problem is None
    assert [one.names for one in found.bundle.certificates] == [ours_of().ca.names]
    assert len(found.trusted.certificates) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(None, "cannot be read: No such file or directory", id="missing"),
        pytest.param(b"\0" * (MAX_TRUST + 1), "is larger than", id="too large"),
    ],
)
def test_a_bundle_that_cannot_be_read(content: bytes | None, problem: str, config: Path) -> None:
    """That is a finding about the registry and no error of ours; it may see another file under that name."""
    (config.parent / "ca.pem").unlink()
    if content is not None:
        (config.parent / "ca.pem").write_bytes(content)
    found = read_registry_files(config, None, None)
    assert found.bundle is not None
    assert found.bundle.problem is not None
    assert found.bundle.problem.startswith(problem)
    assert found.bundle.problem.endswith("pass a copy of it by --trust FILE")
    assert found.trusted.certificates == ()


def test_a_copy_of_the_trusted_keys(config: Path, tmp_path: Path) -> None:
    """`--trust` stands in for the file that the registry sees."""
    (config.parent / "ca.pem").unlink()
    copy = tmp_path / "copy.pem"
    copy.write_bytes(signing_pem(ring_of()))
    found = read_registry_files(config, None, copy)
    assert found.bundle is not None
    assert (found.bundle.path, found.bundle.problem, len(found.bundle.certificates)) == ("ca.pem", None, 3)
    with pytest.raises(LoadError, match="No such file"):
        read_registry_files(config, None, tmp_path / "nowhere.pem")


def test_a_jwks_replaces_the_jwks(config: Path, tmp_path: Path) -> None:
    """Where a registry has both files, a copy is told from the other by what it is."""
    config.write_text(DISTRIBUTION.format(bundle="ca.pem") + "    jwks: jwks.json\n")
    copy = tmp_path / "copy"
    copy.write_text(json.dumps({"keys": []}))
    found = read_registry_files(config, None, copy)
    assert found.jwks is not None
    assert found.bundle is not None
    assert (found.jwks.problem, found.bundle.problem) == (None, None)
    assert len(found.bundle.certificates) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"a: \xff\n", "is not UTF-8 text", id="no text"),
        pytest.param(b"x" * (MAX_CONFIGURATION + 1), "is larger than", id="too large"),
        pytest.param(b"a: [\n", "is not valid YAML", id="no YAML"),
    ],
)
def test_a_configuration_that_is_none(content: bytes, message: str, config: Path) -> None:
    """It is an error with its place: there is nothing to examine."""
    config.write_bytes(content)
    with pytest.raises(LoadError, match=message):
        read_registry_files(config, None, None)


def test_the_line_of_a_byte_that_is_no_text(config: Path) -> None:
    """So that it can be found in a long file; a byte order mark is none."""
    config.write_bytes(b"a: 1\nb: 2\nc: \xff\n")
    with pytest.raises(LoadError) as caught:
        read_registry_files(config, None, None)
    assert [fault.line for fault in caught.value.faults] == [3]
    (config.parent / "ca.pem").write_text(ring_of().ca_certificate_pem)
    config.write_bytes(b"\xef\xbb\xbf" + DISTRIBUTION.format(bundle="ca.pem").encode())
    assert read_registry_files(config, None, None).setup.service == "registry.example.com"


def test_variables_of_a_container(tmp_path: Path) -> None:
    """Without a configuration file, the variables are the whole of it."""
    environment = tmp_path / "env"
    environment.write_text("REGISTRY_AUTH_TOKEN_SERVICE=other.example.com\nREGISTRY_AUTH=token\n")
    found = read_registry_files(None, environment, None)
    assert (found.setup.service, found.bundle, found.trusted.certificates) == ("other.example.com", None, ())


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["keys", "kty", "kid"]), inner),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()) | st.just(b"[" * 100_000))
def test_any_trusted_file_is_read_or_a_problem(config: Path, content: bytes) -> None:
    """Whatever the registry trusts, it is compared, and nothing is raised."""
    config.write_text(DISTRIBUTION.format(bundle="ca.pem") + "    jwks: jwks.json\n")
    (config.parent / "ca.pem").write_bytes(content)
    (config.parent / "jwks.json").write_bytes(content)
    found = read_registry_files(config, None, None)
    assert found.bundle is not None
    assert found.jwks is not None
    assert found.trusted.certificates == ()
